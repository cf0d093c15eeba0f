import { type Name, toByteString } from '../names.ts';
import type { Mount } from './mountinfo.ts';

// File systems of the kernel's own making: no storage behind them, nothing to judge.
const PSEUDO = new Set(
  (
    'proc sysfs devtmpfs devpts tmpfs ramfs cgroup cgroup2 cpuset securityfs debugfs tracefs bpf pstore efivarfs configfs fusectl ' +
    'mqueue hugetlbfs binfmt_misc rpc_pipefs nsfs selinuxfs autofs rootfs sockfs pipefs bdev secretmem resctrl smackfs nfsd'
  ).split(' '),
);

const NETWORK = new Set(
  'nfs nfs4 cifs smb3 smbfs 9p virtiofs ceph afs coda ncpfs lustre gpfs glusterfs ocfs2 gfs2 beegfs orangefs pvfs2'.split(' '),
);

// Mounts below these belong to a runtime that makes and removes them itself.
const RUNTIMES: readonly (readonly [path: string, runtime: string])[] = [
  ['/var/lib/docker', 'Docker'],
  ['/var/lib/containers', 'Podman or CRI-O'],
  ['/run/containerd', 'containerd'],
  ['/var/lib/containerd', 'containerd'],
  ['/var/lib/kubelet/pods', 'the kubelet'],
  ['/snap', 'snapd'],
  ['/var/lib/snapd/snap', 'snapd'],
];

export function isPseudo(mount: Mount): boolean {
  return PSEUDO.has(mount.fstype);
}

export function isFuse(mount: Mount): boolean {
  return mount.fstype === 'fuse' || mount.fstype === 'fuseblk' || mount.fstype.startsWith('fuse.');
}

export function isNetwork(mount: Mount): boolean {
  return NETWORK.has(mount.fstype);
}

export function isNfs(mount: Mount): boolean {
  return mount.fstype === 'nfs' || mount.fstype === 'nfs4';
}

/**
 * What lives and dies together: a superblock. Of NFS also what was mounted of the server: an export and a directory in it
 * share a superblock (and show the same root), and one can go stale without the other.
 */
export function fateOf(mount: Mount): string {
  return isNfs(mount) ? `${mount.device} ${toByteString(mount.source)} ${toByteString(mount.root)}` : mount.device;
}

/** May keep a caller waiting for somebody who is not this kernel. */
export function mayHang(mount: Mount): boolean {
  return isFuse(mount) || isNetwork(mount) || mount.fstype === 'autofs';
}

/** The runtime that owns a mount point, or undefined. */
export function runtimeOf(point: Name): string | undefined {
  const path = toByteString(point);
  return RUNTIMES.find(([root]) => path === root || path.startsWith(`${root}/`))?.[1];
}
