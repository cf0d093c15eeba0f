import { defineFact, NotHere, Unknown } from '../../../src/check/asking.ts';
import type { Asking } from '../../../src/check/types.ts';
import { lostMappings } from '../../../src/facts/block-devices.ts';
import { lacking } from '../../../src/facts/lvm/activation.ts';
import { type Lvm, lvm } from '../../../src/facts/lvm/index.ts';
import { mountTable } from '../../../src/facts/mountinfo.ts';
import { type Elsewhere, mountedElsewhere } from '../../../src/facts/namespaces.ts';

/** What is known of a mapping that lost its disks, below a mount. */
export interface LostVolume {
  /** `vg/data`, where LVM made it and knows it; undefined for any other. */
  volume: string | undefined;
  /** Why LVM cannot give it its disks again; undefined where it can. */
  lacks: string | undefined;
  elsewhere: Elsewhere;
}

/** By `major:minor`. */
export const lostVolumes = defineFact('zombie-mounts.lost-volumes', function* (): Asking<ReadonlyMap<string, LostVolume>> {
  const { lost } = yield* lostMappings();
  const { mounts } = yield* mountTable();
  const below = [...lost].filter(([device]) => mounts.some((mount) => mount.device === device));
  const volumes = new Map<string, LostVolume>();
  if (below.length === 0) {
    return volumes;
  }
  const known = yield* knownToLvm();
  for (const [device, { name }] of below) {
    const mapper = `/dev/mapper/${name}`;
    const volume = typeof known === 'string' ? undefined : known.volumes.find((each) => each.mapper === mapper);
    volumes.set(device, {
      volume: volume === undefined ? undefined : `${volume.group}/${volume.name}`,
      lacks: typeof known === 'string' ? known : lacking(known, mapper),
      elsewhere: yield* mountedElsewhere(device, null),
    });
  }
  return volumes;
});

function* knownToLvm(): Asking<Lvm | string> {
  try {
    return yield* lvm();
  } catch (error) {
    if (error instanceof Unknown || error instanceof NotHere) {
      return error.message;
    }
    throw error;
  }
}
