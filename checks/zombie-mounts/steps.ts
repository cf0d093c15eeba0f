/** Parts that the plans of this check share. */
import type { Claim, Finding, Step } from '../../src/check/types.ts';
import { listHolders } from '../../src/facts/holders.ts';
import { listKernelHolders } from '../../src/facts/kernel-holders.ts';
import { emptyDirectory } from '../../src/facts/look.ts';
import { isFuse, isNfs, runtimeOf } from '../../src/facts/mount-kinds.ts';
import { claimPathOn, type Mount, mountGone, optionList } from '../../src/facts/mountinfo.ts';
import { beyondReach, type Elsewhere } from '../../src/facts/namespaces.ts';
import { type Name, sameName, showName } from '../../src/names.ts';
import { mountWanted, run } from '../../src/steps/mounting.ts';
import { isBind } from './configured/facts.ts';
import { heldInKernel, type MountFound } from './data.ts';
import type { ZombieFacts } from './facts.ts';

export { run };

export type MountFinding<F extends MountFound = MountFound> = Finding<F>;

export type Refusal = { refused: string };

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
  const busy = heldInKernel(mount, facts).filter(({ kind }) => kind === 'loop' || kind === 'swap');
  if (busy.length > 0) {
    return { refused: `${listKernelHolders(busy)} would keep it busy: end that first, with losetup -d or swapoff` };
  }
  return own ? undefined : refuseWithoutRights(facts);
}

export function refuseHeld({ holders }: MountFound['data']): Refusal | undefined {
  return holders.length === 0 ? undefined : { refused: `${listHolders(holders)} would keep it busy: stop them first` };
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

/** Why a mount would outlive its unmount here: other mount namespaces keep it, and its own propagation does not reach them. */
export function refuseStaying(mount: Mount, elsewhere: Elsewhere | undefined): Refusal | undefined {
  const stays = elsewhere === undefined ? [] : beyondReach(mount, elsewhere);
  return stays.length === 0
    ? undefined
    : { refused: `process ${stays.map(({ pid }) => pid).join(', ')} keeps it mounted in a mount namespace of its own: stop that first` };
}

/**
 * What follows the unmount of something dead that /etc/fstab or a unit of systemd wants there. None where the next access
 * mounts it, another mount or files show then, or systemd knows it differently: what is missing is a finding of its own then.
 */
export function mountAsConfigured(mount: Mount, { table, configured, covered, self }: ZombieFacts): Step[] {
  const wanted = configured.mounted.find(({ target }) => sameName(target, mount.point));
  const below = table.mounts.filter((other) => other !== mount && (other.id === mount.parent || sameName(other.point, mount.point)));
  if (wanted === undefined || !self.mayMount || wanted.byAutomount || isBind(wanted) || !isOfType(mount, wanted.fstype)) {
    return [];
  }
  if (below.some(({ fstype, point }) => fstype === 'autofs' || sameName(point, mount.point))) {
    return [];
  }
  const { unit } = wanted;
  const under = covered.looked.get(mount.id);
  if (under?.state === 'found' && !under.empty) {
    return [];
  }
  const isUsable = unit !== undefined && unit.loadState === 'loaded' && !unit.needsReload;
  if (configured.units.state !== 'no-systemd' && !(configured.units.state === 'known' && isUsable)) {
    return [];
  }
  return [mountWanted(wanted, 'restart', claimPathOn(table, mount.point, mount), [emptyDirectory({ path: mount.point })])];
}

/** What is configured is of the kind that was mounted. fstab(5) may call a FUSE by the name of its helper, and NFS of any version `nfs`. */
function isOfType(mount: Mount, wanted: string): boolean {
  const helped = isFuse(mount) && (wanted.startsWith('fuse') || ['fuse', 'fuseblk', `fuse.${wanted}`].includes(mount.fstype));
  return helped || wanted === 'auto' || mount.fstype === wanted || mount.fstype === `${wanted}4`;
}

/** Mounts the device of this mount again, as it was. */
export function mountCommand(mount: Mount): Name[] {
  return ['mount', '-t', mount.fstype, '-o', mountOptions(mount), mount.source, mount.point];
}

/**
 * What the kernel shows and mount(8) does not take: attr2 is the only format of XFS left, the others are states of ext4.
 * Addresses are found out by mount.nfs itself, nfs(5).
 */
const NO_OPTIONS = new Set(['rw', 'attr2', 'shutdown', 'emergency_ro']);

/** Per-mount and superblock options together, as mount(8) takes them. */
export function mountOptions(mount: Mount): string {
  const options = [...new Set([...optionList(mount.options), ...optionList(mount.superOptions)])].filter(
    (option) => !NO_OPTIONS.has(option) && !(isNfs(mount) && /^(addr|clientaddr|mountaddr)=/.test(option)),
  );
  return (options.includes('ro') ? options : ['rw', ...options]).join(',');
}

export function gone(mount: Mount): Claim {
  return mountGone({ id: mount.id, device: mount.device, point: mount.point });
}
