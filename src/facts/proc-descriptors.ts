import { defineFact } from '../check/asking.ts';
import type { Asking, Seen } from '../check/types.ts';
import { isBelow, sameName, showName, toByteString } from '../names.ts';
import { type Inode, inodeAt, inodesOf, pathOfDescriptor } from './in-use-inodes.ts';
import { isPseudo, mayHang } from './mount-kinds.ts';
import { type Mount, optionList } from './mountinfo.ts';
import { mountNamespaces } from './proc-namespaces.ts';
import { filesAgain, type OpenFile, procScan } from './proc-scan.ts';

export interface Descriptor extends OpenFile {
  /** The mount it was opened on. */
  mount: Mount;
  /** Absent where following it might hang. */
  what?: Inode;
}

export interface Descriptors {
  seen: Seen;
  list: Descriptor[];
  gaps: string[];
}

// In memory, where there are nodes and files all the same. The rest of the kernel's own file systems has neither.
const IN_MEMORY = new Set(['devtmpfs', 'tmpfs', 'ramfs', 'rootfs', 'hugetlbfs']);
// Have device numbers of their own making, and storage of this machine.
const LOCAL = new Set(['btrfs', 'zfs', 'bcachefs', 'ubifs', 'jffs2', 'erofs']);

// On mounts of the kernel's own that no table lists: /memfd:name (deleted), /dev/zero (deleted), /SYSV00001234 (deleted)
const INTERNAL = /^\/(memfd:.*|dev\/zero|SYSV[0-9a-f]{8}|anon_hugepage|drm mm object|i915) \(deleted\)$|^\/dmabuf:/s;

/** The open files of all processes, each with what it is where asking that cannot hang. */
export const descriptors = defineFact('descriptors', function* (): Asking<Descriptors> {
  const scan = yield* procScan();
  const { tables, gaps: unseen } = yield* mountNamespaces();
  const mounts = new Map(tables.flatMap((table) => table.mounts.map((mount) => [mount.id, mount] as const)));
  const hanging = tables.filter(({ own }) => own).flatMap((table) => table.mounts.filter(mayHang));
  const list: Descriptor[] = [];
  const stray: OpenFile[] = [];
  for (const file of scan.files) {
    const mount = file.mountId === undefined ? undefined : mounts.get(file.mountId);
    if (mount === undefined) {
      stray.push(file);
    } else if (!isPseudo(mount) || IN_MEMORY.has(mount.fstype)) {
      list.push({ ...file, mount });
    }
  }
  const gaps = [...unseen, ...(yield* strays(stray))];
  const harmless = new Set([...mounts.values()].filter((mount) => cannotHang(mount, hanging)));
  const inodes = yield* inodesOf(list.filter(({ mount }) => harmless.has(mount)).map(pathOfDescriptor));
  return {
    seen: { source: '/proc/*/fd', at: scan.seen.at },
    // What had been closed when it was asked is not open.
    list: list.flatMap((each) => {
      const what = inodeAt(inodes, pathOfDescriptor(each));
      return what === undefined ? (harmless.has(each.mount) ? [] : [each]) : [{ ...each, what }];
    }),
    gaps: [...gaps, ...inodes.gaps],
  };
});

/** Files on mounts that no table lists, such as those of `umount -l`: what they are is not asked, because that may hang. */
function* strays(files: readonly OpenFile[]): Asking<string[]> {
  const suspects = files.filter(({ mountId, target }) => mountId !== undefined && !INTERNAL.test(toByteString(target)));
  // A number may have been given to another file between the reading of its link and of its mount.
  const again = suspects.length === 0 ? [] : yield* filesAgain(suspects);
  return suspects
    .filter(({ pid, descriptor, mountId }) =>
      again.some((each) => each.pid === pid && each.descriptor === descriptor && each.mountId === mountId),
    )
    .map(({ pid, descriptor, target }) => `process ${pid}: fd ${descriptor}, ${showName(target)}, lies on a mount that no table lists`);
}

function cannotHang(mount: Mount, hanging: readonly Mount[]): boolean {
  if (mayHang(mount)) {
    return false;
  }
  if (mount.fstype === 'overlay') {
    const layers = layersOf(mount);
    return layers.every((layer) => layer.startsWith('/') && !hanging.some(({ point }) => isBelow(layer, point) || sameName(layer, point)));
  }
  return !mount.device.startsWith('0:') || IN_MEMORY.has(mount.fstype) || LOCAL.has(mount.fstype);
}

// rw,lowerdir=/l1:/l2,upperdir=/u,workdir=/w
function layersOf({ superOptions }: Mount): string[] {
  return optionList(superOptions)
    .map((option) => /^(?:lowerdir\+?|datadir\+|upperdir)=(.*)$/s.exec(option)?.[1])
    .flatMap((value) => value?.split(/(?<!\\):+/) ?? []);
}

/** Whether a device can be opened by a node that lies there. */
export function mayHoldNodes(mount: Mount): boolean {
  return !optionList(mount.options).includes('nodev') && mount.fstype !== 'autofs';
}
