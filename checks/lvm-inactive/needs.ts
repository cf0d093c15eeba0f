/** Who needs which volume: what consumers name, brought together with what LVM knows. */
import type { Subject } from '../../src/check/types.ts';
import type { Consumer } from '../../src/facts/consumers/index.ts';
import type { NamedDevice } from '../../src/facts/device-names.ts';
import type { Lvm, Volume } from '../../src/facts/lvm/index.ts';
import type { Labelled, Layers } from '../../src/facts/lvm/layers.ts';
import { fromByteString, showName, toByteString } from '../../src/names.ts';

export interface Needed {
  /** By UUID of the volume. */
  byVolume: ReadonlyMap<string, Consumer[]>;
  /** Those volumes, by UUID: what others stand on comes first. */
  volumes: ReadonlyMap<string, Volume>;
  /** Who needs which, base first. */
  byConsumer: ReadonlyMap<Consumer, readonly Volume[]>;
  /** Names that nothing answers to, and that any inactive volume may answer to once it is active. */
  unresolved: { consumer: Consumer; name: string }[];
  /** Group that LVM does not know → who needs a volume of it, and which. */
  unknownGroups: ReadonlyMap<string, { consumer: Consumer; name: string }[]>;
  unjudged: { subject: Subject; why: string }[];
}

interface Known {
  volumes: readonly Volume[];
}

/** By path, and by name in /dev/mapper: only of what somebody needs, for there may be thousands. */
export function ownNames(consumers: readonly Consumer[], { volumes }: Known): ReadonlyMap<string, Volume> {
  const wanted = new Set(namesOf(consumers).map(asMapper));
  // What has no path has an empty one.
  wanted.delete('');
  const own = new Map<string, Volume>();
  for (const volume of volumes) {
    if (wanted.has(volume.path)) {
      own.set(volume.path, volume);
    }
    if (wanted.has(volume.mapper)) {
      own.set(volume.mapper, volume);
    }
  }
  return own;
}

/** Of all names that consumers need, those that are not a volume's own. One character a byte. */
export function namedOtherwise(consumers: readonly Consumer[], own: ReadonlyMap<string, Volume>): string[] {
  return namesOf(consumers).filter((name) => !own.has(asMapper(name)));
}

export function neededVolumes(
  wanted: { consumers: readonly Consumer[]; unjudged: readonly { subject: Subject; why: string }[] },
  known: Lvm,
  own: ReadonlyMap<string, Volume>,
  named: ReadonlyMap<string, NamedDevice>,
  below: Layers,
): Needed {
  const under = lookBelow(known, below);
  const groups = new Set(known.groups.map(({ name }) => name));
  const byVolume = new Map<string, Consumer[]>();
  const volumes = new Map<string, Volume>();
  const unresolved: Needed['unresolved'] = [];
  const unjudged = [...wanted.unjudged];
  const unknownGroups = new Map<string, Needed['unresolved']>();
  for (const consumer of wanted.consumers) {
    for (const name of consumer.needs.map(toByteString)) {
      const device = named.get(name);
      const itself = own.get(asMapper(name));
      const found = itself !== undefined ? [itself] : device?.state === 'there' ? under(device.device) : [];
      for (const volume of found) {
        const others = byVolume.get(volume.uuid) ?? [];
        byVolume.set(volume.uuid, others.includes(consumer) ? others : [...others, consumer]);
        volumes.set(volume.uuid, volume);
      }
      if (found.length > 0 || device?.state === 'there') {
        continue;
      }
      const group = groupIn(name);
      if (device?.state === 'unknown' && (isTag(name) || (group !== undefined && !groups.has(group)))) {
        unjudged.push({
          subject: { kind: consumer.kind, name: consumer.name },
          why: `whether ${showName(fromByteString(name))} is there: ${device.why}`,
        });
      } else if (device?.state === 'missing' && isTag(name) && !consumer.isUp) {
        unresolved.push({ consumer, name });
      } else if (group !== undefined && !groups.has(group)) {
        unknownGroups.set(group, [...(unknownGroups.get(group) ?? []), { consumer, name }]);
      }
    }
  }
  return { byVolume, volumes, byConsumer: volumesOfEach(byVolume, volumes), unresolved, unknownGroups, unjudged };
}

/** In the order of all volumes, which is that of repairs. */
function volumesOfEach(byVolume: ReadonlyMap<string, readonly Consumer[]>, volumes: ReadonlyMap<string, Volume>): Map<Consumer, Volume[]> {
  const byConsumer = new Map<Consumer, Volume[]>();
  for (const [uuid, volume] of volumes) {
    for (const consumer of byVolume.get(uuid) ?? []) {
      const own = byConsumer.get(consumer) ?? [];
      own.push(volume);
      byConsumer.set(consumer, own);
    }
  }
  return byConsumer;
}

/** All that somebody needs, one character a byte, each once. */
function namesOf(consumers: readonly Consumer[]): string[] {
  return [...new Set(consumers.flatMap(({ needs }) => needs.map(toByteString)))];
}

/** `/dev/disk/by-id/dm-name-vg0-data` → `/dev/mapper/vg0-data` */
function asMapper(name: string): string {
  return name.replace(/^\/dev\/disk\/by-id\/dm-name-/, '/dev/mapper/');
}

/** Finds the volume that a device is, or those that it is made from: a partition or LUKS on a volume. */
function lookBelow({ volumes }: Known, { devices }: Layers): (device: string) => Volume[] {
  let byDevice: ReadonlyMap<string, Volume> | undefined;
  let lowerOf: ReadonlyMap<string, Labelled[]> | undefined;
  return (device) => {
    byDevice ??= new Map(volumes.map((volume) => [volume.device ?? '', volume]));
    const itself = byDevice.get(device);
    if (itself !== undefined) {
      return [itself];
    }
    lowerOf ??= lowerDevices(devices);
    const found = new Set<Volume>();
    const passed = new Set(devices.filter((each) => each.device === device).map(nameOf));
    for (const name of passed) {
      for (const lower of lowerOf.get(name) ?? []) {
        const volume = byDevice.get(lower.device);
        if (volume !== undefined && !volume.role.includes('private')) {
          found.add(volume);
        } else {
          passed.add(nameOf(lower));
        }
      }
    }
    return [...found];
  };
}

/** By the name of what is made from them. */
function lowerDevices(devices: readonly Labelled[]): ReadonlyMap<string, Labelled[]> {
  const lower = new Map<string, Labelled[]>();
  for (const device of devices) {
    for (const name of device.above) {
      const others = lower.get(name);
      if (others === undefined) {
        lower.set(name, [device]);
      } else {
        others.push(device);
      }
    }
  }
  return lower;
}

function nameOf({ node }: Labelled): string {
  return node.slice('/dev/'.length);
}

function isTag(name: string): boolean {
  return /^([A-Z]+=|\/dev\/disk\/by-(uuid|label|partuuid|partlabel)\/)/.test(name);
}

/** Directories below /dev that are no volume groups. */
const OTHERS = new Set(
  'block bsg bus char cpu disk dma_heap dm dri drbd fd hugepages input loop mapper md mqueue nbd net pts shm snd usb vfio vx zvol cciss ida rd i2o bcache nvme zd'.split(
    ' ',
  ),
);

/** `vg0` for `/dev/vg0/data`. What is written as /dev/mapper/… may be anybody's. */
function groupIn(name: string): string | undefined {
  const group = /^\/dev\/([\w+.-]+)\/[\w+.-]+$/.exec(name)?.[1];
  return group === undefined || OTHERS.has(group) ? undefined : group;
}
