/** Which mounts somebody made by hand, so that they are gone after a boot. */
import { isFuse, isPseudo, runtimeOf } from '../../../src/facts/mount-kinds.ts';
import { type Mount, type MountTable, optionValue } from '../../../src/facts/mountinfo.ts';
import { isBelow, sameName, toByteString } from '../../../src/names.ts';

export interface ByHand {
  mounts: Mount[];
  /** Why it is not known which. */
  why?: string;
}

/** Below these, mounts come and go with a medium, a session or a program that makes them itself. */
const ELSEWHERE = [
  '/media',
  '/run',
  '/dev',
  '/sys',
  '/proc',
  '/tmp',
  '/snap',
  '/var/snap',
  '/var/lib/lxd',
  '/var/lib/incus',
  '/var/lib/lxcfs',
  '/var/lib/kubelet',
  '/var/lib/rancher',
  '/var/lib/ceph',
  '/var/lib/longhorn',
];
/** Their own services mount them, by what is written in the pool. */
const OF_POOLS = new Set(['zfs', 'bcachefs', 'overlay', 'aufs', 'squashfs', 'erofs']);

/** It may be: no file has been asked yet whether it names it. */
export function isByHand(mount: Mount, table: Pick<MountTable, 'mounts' | 'visible'>): boolean {
  const { id, point, fstype, superOptions } = mount;
  const path = toByteString(point);
  const isOfSession = isFuse(mount) && !['0', undefined].includes(optionValue(superOptions, 'user_id'));
  const isElsewhere = ELSEWHERE.some((above) => path === above || path.startsWith(`${above}/`));
  // What the initramfs mounts, it mounts by the command line of the kernel.
  const isOfInitramfs = path === '/' || path === '/usr';
  return (
    table.visible.has(id) &&
    !isPseudo(mount) &&
    !OF_POOLS.has(fstype) &&
    !isOfSession &&
    !isElsewhere &&
    !isOfInitramfs &&
    runtimeOf(point) === undefined &&
    !table.mounts.some((each) => each.fstype === 'autofs' && (sameName(each.point, point) || isBelow(point, each.point)))
  );
}
