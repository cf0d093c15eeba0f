/** What a line of /etc/fstab means at boot. */
import type { NamedDevice } from '../../src/facts/device-names.ts';
import { namesDevice } from '../../src/facts/device-names.ts';
import { type FstabLine, isMountedBySystem } from '../../src/facts/fstab.ts';
import type { Mount, MountTable } from '../../src/facts/mountinfo.ts';
import { type Name, toByteString } from '../../src/names.ts';

export interface BootLine {
  line: FstabLine;
  use: 'mount' | 'swap';
  /** At boot, or on the first access. */
  isWanted: boolean;
  /** An earlier line is wanted at the same place: systemd makes a unit of that one alone. */
  isSecond: boolean;
  byAutomount: boolean;
  nofail: boolean;
  /** Mounted after the network is up: by its type, or by `_netdev`. */
  isNetwork: boolean;
  /** Without it systemd ends in emergency mode. */
  isRequired: boolean;
  /** Of its source; undefined where that names none, or none that has to be there. */
  device: NamedDevice | undefined;
  /** Its target with links followed, one character a byte. */
  point: string;
  /** What is mounted there now, the topmost; no automount. */
  mounted: Mount | undefined;
}

interface Known {
  hasSystemd: boolean;
  table: Pick<MountTable, 'mounts' | 'visible'>;
  named: ReadonlyMap<string, NamedDevice>;
  resolved: ReadonlyMap<string, Name>;
}

// src/basic/mount-util and mountpoint-util of systemd: fstype_is_network; `fuse.` before it makes no difference.
const NETWORK = new Set('afs ceph cifs smb3 smbfs sshfs ncpfs ncp nfs nfs4 gfs gfs2 glusterfs pvfs2 ocfs2 lustre davfs'.split(' '));
/** File systems of their own, that say in their own way which disks they are on. */
const POOLED = new Set(['zfs', 'bcachefs']);
const ON_DISK = new Set(
  'auto ext2 ext3 ext4 xfs btrfs vfat msdos exfat ntfs ntfs3 iso9660 udf squashfs erofs f2fs jfs reiserfs nilfs2 hfsplus'.split(' '),
);
/** Made at boot, or a name that only the kernel knows. */
const MADE = /^\/dev\/(root|zram\d+|ram\d+|fuse|gpt-auto-root\S*|shm|pts|mqueue|hugepages)$/;

export function readLines(lines: readonly FstabLine[], { hasSystemd, table, named, resolved }: Known): BootLine[] {
  const tops = new Map<string, Mount>();
  for (const mount of table.mounts) {
    if (table.visible.has(mount.id) && mount.fstype !== 'autofs') {
      tops.set(toByteString(mount.point), mount);
    }
  }
  const taken = new Set<string>();
  return lines.flatMap((line): BootLine[] => {
    const { fstype, options, target } = line;
    const use = fstype === 'swap' ? 'swap' : 'mount';
    if (fstype === 'ignore' || (use === 'mount' && !toByteString(target).startsWith('/'))) {
      return [];
    }
    const byAutomount = options.includes('x-systemd.automount');
    const nofail = options.includes('nofail');
    const isNetwork = options.includes('_netdev') || NETWORK.has(fstype.replace(/^fuse\./, ''));
    const source = sourceDevice(line);
    const point = toByteString(resolved.get(toByteString(target)) ?? target);
    const isAsked = use === 'swap' ? !options.includes('noauto') : isMountedBySystem(line);
    const isSecond = hasSystemd && use === 'mount' && isAsked && taken.has(point);
    const isWanted = isAsked && !isSecond;
    if (isWanted && use === 'mount') {
      taken.add(point);
    }
    return [
      {
        line,
        use,
        isWanted,
        isSecond,
        byAutomount,
        nofail,
        isNetwork,
        isRequired: hasSystemd && isWanted && use === 'mount' && !byAutomount && !nofail && !isNetwork,
        device: source === undefined ? undefined : named.get(toByteString(source)),
        point,
        mounted: use === 'mount' ? tops.get(point) : undefined,
      },
    ];
  });
}

/** The block device that a line names; undefined for a bind mount, a directory, a server, a pool. */
export function sourceDevice({ source, fstype, options }: FstabLine): Name | undefined {
  const path = toByteString(source);
  return !namesDevice(source) || isBind(options) || POOLED.has(fstype) || MADE.test(path) ? undefined : source;
}

export function isBind(options: readonly string[]): boolean {
  return options.includes('bind') || options.includes('rbind');
}

/** Its source is a file: an image for a loop device, or a swap file. */
export function isImage({ line: { source, fstype, options }, use, isWanted }: BootLine): boolean {
  const path = toByteString(source);
  const isFile = path.startsWith('/') && !path.startsWith('/dev/') && !path.startsWith('//') && path !== '/';
  const hasLoop = options.some((option) => option === 'loop' || option.startsWith('loop='));
  return isWanted && isFile && !isBind(options) && !options.includes('remount') && (use === 'swap' || hasLoop || ON_DISK.has(fstype));
}

/** Mounted at boot without that anybody waits for it, unless he says so. */
export function isLate({ isWanted, byAutomount, nofail, isNetwork, use }: BootLine): boolean {
  return use === 'mount' && isWanted && !byAutomount && (nofail || isNetwork);
}

export function targetOf({ line: { target, source }, use }: BootLine): { kind: string; name: Name } {
  return use === 'swap' ? { kind: 'swap', name: source } : { kind: 'mount', name: target };
}
