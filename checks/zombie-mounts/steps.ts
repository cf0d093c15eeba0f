/** Parts that the plans of this check share. */
import type { Claim, Finding, Step } from '../../src/check/types.ts';
import { type Mount, mountGone } from '../../src/facts/mountinfo.ts';
import { type Name, showName, toByteString } from '../../src/names.ts';
import type { ZombieFound } from './detect.ts';

export type ZombieFinding = Finding<ZombieFound>;

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
