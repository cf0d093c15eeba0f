/** Users of files and block devices that are no processes: the kernel's own. */
import { all, defineFact, outputOf, read, run, whyNot } from '../check/asking.ts';
import type { Asking, Seen } from '../check/types.ts';
import { fromByteString, isBelow, type Name, sameName, toByteString } from '../names.ts';
import { type BlockDevice, type BlockDevices, blockDevices } from './in-use-devices.ts';
import { type Inode, inodeAt, inodesOf, sameInode } from './in-use-inodes.ts';
import { mayHang } from './mount-kinds.ts';
import { type Mount, mountTable, unescapeOctal } from './mountinfo.ts';
import { procScan, refusals } from './proc-scan.ts';

const SECTOR = 512;

export interface KernelUses {
  seen: Seen;
  /** `major:minor` → the kernel's names of the devices made from it. */
  holders: ReadonlyMap<string, readonly string[]>;
  /** The kernel's name of a device → where a file system that lives in the kernel names it, mounted or no longer. */
  fileSystems: ReadonlyMap<string, string>;
  /** What is served to other machines: its path as configured → where that is said. */
  exports: { path: Name; by: Name }[];
  gaps: string[];
}

const TARGETS = ['/sys/kernel/config/target/core', '/sys/kernel/config/nvmet/subsystems'];
const POOLS = '/proc/spl/kstat/zfs';

/** Devices made from others, living file systems, and what LIO and nvmet serve. Reads what the kernel tells of itself. */
export const kernelUses = defineFact('kernel-uses', function* (): Asking<KernelUses> {
  const { devices } = yield* blockDevices();
  const answer = yield* run([
    ...['find', ...[...devices.keys()].map((device) => `/sys/dev/block/${device}/holders`), '/sys/fs', '/proc/fs', ...TARGETS, POOLS],
    ...['-xdev', '-mindepth', '1', '-maxdepth', '4', '(', '-type', 'd', '-o', '-type', 'l', ')', '-printf', '%p\\0%l\\0'],
    ...['-o', '(', '-name', 'udev_path', '-o', '-name', 'device_path', ')', '-exec', 'grep', '-HZ', '.', '{}', '+'],
  ]);
  const holders = new Map<string, string[]>();
  const fileSystems = new Map<string, string>();
  const exports: KernelUses['exports'] = [];
  const gaps = refusals(answer, 'what the kernel makes of its block devices');
  for (const [path, value] of parseRecords(outputOf(answer))) {
    // /sys/dev/block/7:0/holders/dm-3
    const [, device, holder] = /^\/sys\/dev\/block\/(\d+:\d+)\/holders\/(.+)$/.exec(path) ?? [];
    if (device !== undefined && holder !== undefined) {
      holders.set(device, [...(holders.get(device) ?? []), holder.replaceAll('!', '/')]);
    } else if (/^\/(sys|proc)\/fs\//.test(path)) {
      fileSystems.set(deviceIn(path, value), path);
    } else if (path.startsWith(`${POOLS}/`)) {
      gaps.push(`ZFS pool ${path.slice(POOLS.length + 1)}: what it lies on is not looked at`);
    } else if (/\/(udev|device)_path$/.test(path) && value.startsWith('/')) {
      exports.push({ path: fromByteString(value), by: fromByteString(path) });
    }
  }
  const replicated = [...devices.values()].filter(({ name }) => /^drbd\d+$/.test(name));
  gaps.push(...replicated.map(({ name }) => `${name}: what it lies on is not looked at`));
  return { seen: { source: '/sys/dev/block/*/holders, /sys/fs, /proc/fs', at: answer.at }, holders, fileSystems, exports, gaps };
});

/** `path NUL target NUL` of directories and links and `path NUL line NEWLINE` of the files that were read, mixed. */
function parseRecords(text: string): [path: string, value: string][] {
  const records: [string, string][] = [];
  for (let at = 0; at < text.length; ) {
    const middle = text.indexOf('\0', at);
    const path = text.slice(at, middle);
    const end = text.indexOf(/\/(udev|device)_path$/.test(path) ? '\n' : '\0', middle + 1);
    if (middle < 0 || end < 0) {
      break;
    }
    records.push([path, text.slice(middle + 1, end)]);
    at = end + 1;
  }
  return records;
}

/** The device that an entry of the kernel's file systems stands for; most stand for none, and bear no device's name. */
function deviceIn(path: string, link: string): string {
  // /proc/fs/jbd2/vda-8: of the journal, which may lie on another device than the file system.
  // /sys/fs/xfs/dm-3 · /sys/fs/btrfs/UUID/devices/sdb → ../../../block/sdb · /sys/fs/bcachefs/UUID/dev-0/block → ../sdb
  const name = /^\/proc\/fs\/jbd2\/(.+)-\d+$/.exec(path)?.[1] ?? (link === '' ? path : link).replace(/^.*\//s, '');
  return name.replaceAll('!', '/');
}

/** What is used by its path, and where that leads, as far as that is known. */
interface UsedPath {
  path: Name;
  to: Inode | undefined;
}

export interface LoopUse {
  /** `/dev/loop3` */
  node: string;
  /** As the kernel prints it, in the view of whoever asks. */
  path: Name;
  /** File or node that it lies on, as the driver knows it. Absent where asking might hang. */
  file?: Pick<Inode, 'on' | 'inode'>;
  /** The mount because of which it was not asked. */
  notAsked?: Mount;
  /** `major:minor` of the block device that it lies on; undefined: a file, null: not known which. */
  device: string | null | undefined;
  /** The bytes of what it lies on: so many, or at least so many. */
  bytes: number;
  exactly: boolean;
}

export interface PathUses {
  seen: Seen;
  loops: LoopUse[];
  swaps: (UsedPath & { isFile: boolean })[];
  exports: (UsedPath & { by: Name })[];
  gaps: string[];
}

/** What loop devices, swap and exports lie on. */
export const pathUses = defineFact('path-uses', function* (): Asking<PathUses> {
  const known = yield* blockDevices();
  const served = (yield* kernelUses()).exports;
  const hanging = (yield* mountTable()).mounts.filter(mayHang);
  const mountIn = (path: Name) => hanging.findLast(({ point }) => isBelow(path, point) || sameName(path, point));
  // losetup opens the loop devices for a moment: not while we look who has one open.
  yield* procScan();
  const swapText = yield* read('/proc/swaps');
  const swaps = parseSwaps(outputOf(swapText));
  const attached = (yield* all([...known.devices.values()].filter(({ name }) => /^loop\d+$/.test(name)).map(readLoop))).flat();
  const asked = yield* askLoops(attached, mountIn);
  const paths = [...attached, ...swaps, ...served].map(({ path }) => path).filter((path) => mountIn(path) === undefined);
  const inodes = yield* inodesOf(unlike(paths, known), { limitMs: 2000, suspect: true });
  const nodes = new Map(known.nodes.map(({ path, inode }) => [toByteString(path), inode]));
  const leadsTo = (path: Name) =>
    inodeAt(inodes, path) ?? known.nodes.find(({ inode }) => inode.device === known.byPath.get(toByteString(path)))?.inode;
  return {
    seen: { source: 'losetup --list, /proc/swaps', at: swapText.at },
    loops: attached.map((loop) => {
      const mount = mountIn(loop.path);
      const file = asked.files.get(loop.node);
      const same = [...nodes.values(), leadsTo(loop.path)].find(
        (inode) => inode !== undefined && file !== undefined && sameInode(inode, file),
      );
      return {
        ...loop,
        device: same === undefined ? null : same.device,
        ...(file !== undefined && { file }),
        ...(mount !== undefined && { notAsked: mount }),
      };
    }),
    swaps: swaps.map(({ path, isFile }) => ({ path, isFile, to: leadsTo(path) })),
    exports: served.map(({ path, by }) => ({ path, by, to: leadsTo(path) })),
    gaps: [...(swapText.state === 'ok' ? [] : [`swap: ${whyNot(swapText)}`]), ...asked.gaps, ...inodes.gaps],
  };
});

/** The paths that are no names of block devices, each once. */
function unlike(paths: readonly Name[], { byPath }: BlockDevices): Name[] {
  return [...new Set(paths.map(toByteString))].filter((path) => path.startsWith('/') && !byPath.has(path)).map(fromByteString);
}

// /swap\040file                           file            65532           0               -2
const SWAP = /^(\/[^ \t]*)[ \t]+(partition|file)[ \t]/gm;

function parseSwaps(text: string): { path: Name; isFile: boolean }[] {
  return [...text.matchAll(SWAP)].map(([, path, type]) => ({
    path: fromByteString(unescapeOctal(path as string)),
    isFile: type === 'file',
  }));
}

interface AttachedLoop {
  node: string;
  path: Name;
  bytes: number;
  exactly: boolean;
}

function* readLoop({ device, name }: BlockDevice): Asking<AttachedLoop[]> {
  const directory = `/sys/dev/block/${device}`;
  const files = ['loop/backing_file', 'loop/offset', 'loop/sizelimit', 'size'];
  const [path = '', offset, limit, size] = (yield* all(files.map((file) => read(`${directory}/${file}`)))).map(
    (answer) => /^(.*)\n$/s.exec(outputOf(answer))?.[1],
  );
  return path === ''
    ? []
    : [{ node: `/dev/${name}`, path: fromByteString(path), bytes: Number(offset) + Number(size) * SECTOR, exactly: limit === '0' }];
}

interface AskedLoops {
  files: ReadonlyMap<string, Pick<Inode, 'on' | 'inode'>>;
  gaps: string[];
}

/** losetup asks the file system of each backing file: one that may hang is left out. */
function* askLoops(loops: readonly AttachedLoop[], mountIn: (path: Name) => Mount | undefined): Asking<AskedLoops> {
  const harmless = loops.filter(({ path }) => mountIn(path) === undefined).map(({ node }) => node);
  const argv = ['losetup', '--list', '--json', '-O', 'NAME,BACK-INO,BACK-MAJ:MIN'];
  const questions = harmless.length === loops.length ? [argv] : harmless.map((node) => [...argv, node]);
  const answers = yield* all(loops.length === 0 ? [] : questions.map((question) => run(question, { limitMs: 2000, suspect: true })));
  const files = new Map<string, Pick<Inode, 'on' | 'inode'>>();
  // Not JSON.parse: an inode number may be larger than its numbers are exact.
  // {"name":"/dev/loop0", "back-ino":2146754, "back-maj:min":"     254:0  "}
  for (const object of answers.flatMap((answer) => outputOf(answer).match(/\{[^{}]*\}/g) ?? [])) {
    const name = /"name": ?"(\/dev\/loop\d+)"/.exec(object)?.[1];
    const inode = /"back-ino": ?"?(\d+)/.exec(object)?.[1];
    const on = /"back-maj:min": ?" *(\d+:\d+) *"/.exec(object)?.[1];
    if (name !== undefined && inode !== undefined && on !== undefined) {
      files.set(name, { on, inode });
    }
  }
  const silent = harmless.filter((node) => !files.has(node));
  return { files, gaps: silent.map((node) => `${node}: losetup does not say what it lies on`) };
}
