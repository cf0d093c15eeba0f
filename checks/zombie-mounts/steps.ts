/** Parts that the plans of this check share. */
import type { Claim, Finding, Step } from '../../src/check/types.ts';
import { runtimeOf } from '../../src/facts/mount-kinds.ts';
import { type Mount, mountGone } from '../../src/facts/mountinfo.ts';
import { type Name, showName, toByteString } from '../../src/names.ts';
import type { MountFound } from './data.ts';
import type { ZombieFacts } from './facts.ts';

export type MountFinding<F extends MountFound = MountFound> = Finding<F>;

type Refusal = { refused: string };

/** The mount a finding is about, unless somebody else minds it. */
export function mountOfFinding({ data }: MountFinding, { table }: ZombieFacts): Mount | Refusal {
  const mount = table.mounts.find(({ id }) => id === data.mountId);
  if (mount === undefined) {
    return { refused: 'the mount is no longer listed' };
  }
  const runtime = runtimeOf(mount.point);
  return runtime === undefined ? mount : { refused: `${runtime} made this mount and minds it: repair it there` };
}

export function refuseWithoutRights({ self }: ZombieFacts): Refusal | undefined {
  return self.mayMount ? undefined : { refused: 'it needs root: run stdoctor fix as root' };
}

/** What stands against unmounting it. own: its user may do it without being root. */
export function refuseTakingAway(mount: Mount, facts: ZombieFacts, own = false): Refusal | undefined {
  const below = facts.table.mounts.filter(({ parent }) => parent === mount.id).map(({ point }) => showName(point));
  if (below.length > 0) {
    return { refused: `other mounts lie on it (${below.join(', ')}): unmount those first` };
  }
  return own ? undefined : refuseWithoutRights(facts);
}

export function unmount(mount: Mount, risk: Step['risk'], why: string, guards: Claim[], none: string): Step {
  // -c: without it umount asks the mount itself (fstatfs) and hangs with it.
  return {
    title: `Unmount ${showName(mount.point)}`,
    why,
    risk,
    action: run('umount', '-c', mount.point),
    guards,
    proof: [gone(mount)],
    limitMs: 60_000,
    undo: { none },
  };
}

export function gone(mount: Mount): Claim {
  return mountGone({ id: mount.id, device: mount.device, point: mount.point });
}

export function run(...argv: Name[]) {
  return { kind: 'run' as const, argv };
}

/** What a copy of this file is called among other copies: `srv_images_a.img` for `/srv/images/a.img`. */
export function fileNameOf(path: Name): string {
  const name = toByteString(path)
    .replace(/[^\w.-]+/g, '_')
    .slice(-200)
    .replace(/^[-._]+/, '');
  return name === '' ? 'copy' : name;
}
