import { all, defineFact, expectOutput, outputOf, read, run, seenAt, Unknown, whyNot } from '../check/asking.ts';
import { defineCondition } from '../check/condition.ts';
import type { Answer, Asking, Holds, Probe, Seen } from '../check/types.ts';
import { fromByteString, isBelow, type Name, sameName, showName, toByteString } from '../names.ts';
import { ERRNO } from './errno.ts';
import { stillHung } from './left-behind.ts';
import { describeLooked, type Looked, lookAt, lookAtOne } from './look.ts';
import { mayHang } from './mount-kinds.ts';
import { type Mount, mountOf, mountTable } from './mountinfo.ts';

const SECTOR = 512;
const DELETED = ' (deleted)';
const LIMIT = 2000;
/** A timer's largest number of milliseconds is 24 days; nobody waits that long for a comparison. */
const COMPARE_AT_MOST = 24 * 3600 * 1000;

export interface LoopDevice {
  /** `major:minor` of what is mounted: the loop itself or a partition on it. */
  device: string;
  /** `/dev/loop0` */
  node: string;
  /** Without the kernel's marker. */
  backing: Name;
  /** The kernel's marker: the file's name is gone, its bytes live while the loop does. */
  deleted: boolean;
  offset: number;
  /** Bytes of the block device. */
  size: number;
  autoclear: boolean;
  seen: Seen;
  /** The backing file as it is found at its path now. Gone: nothing, or another file, has the path that the kernel printed. */
  file: { state: 'found'; size: number; inode: number; device: number } | { state: 'gone' } | { state: 'unknown'; why: string };
}

export interface Loops {
  loops: LoopDevice[];
  /** Loop devices of which something could not be read. */
  unjudged: { device: string; why: string }[];
}

/** The loop devices below mounted file systems. */
export const mountedLoops = defineFact('mounted-loops', function* (): Asking<Loops> {
  const table = yield* mountTable();
  return yield* loopsOf([...new Set(table.mounts.filter(isOnLoop).map(({ device }) => device))]);
});

/** The loop devices of these numbers, `major:minor`: whole ones, or partitions on them. */
export const loopsBehind = defineFact('loops-behind', loopsOf);

function* loopsOf(devices: string[]): Asking<Loops> {
  const read = yield* all(devices.map(readLoop));
  const loops = read.filter((loop): loop is LoopDevice => 'node' in loop);
  const unjudged = read.filter((loop): loop is { device: string; why: string } => 'why' in loop);
  const wanted = loops.filter((loop) => !loop.deleted || loop.file.state === 'unknown');
  const files = yield* lookAtBacking(wanted.map(literalPath));
  const inodes = loops.some(({ deleted }) => deleted) ? yield* backingInodes() : new Map<string, BackingInode>();
  return { loops: loops.map((loop) => settle(loop, files.get(toByteString(literalPath(loop))), inodes.get(loop.node))), unjudged };
}

/** 7 is the major number of loop devices; their partitions have others, but the name. */
function isOnLoop(mount: Mount): boolean {
  return mount.device.startsWith('7:') || /^\/dev\/loop\d+p\d+$/.test(toByteString(mount.source));
}

function* readLoop(device: string): Asking<LoopDevice | { device: string; why: string }> {
  const direct: Probe = { kind: 'read', path: `/sys/dev/block/${device}/loop/backing_file` };
  const first = yield* read(direct.path);
  // For a partition, /sys/dev/block/MAJ:MIN leads into the directory of the loop device it lies on.
  const base = first.state === 'absent' ? `/sys/dev/block/${device}/..` : `/sys/dev/block/${device}`;
  const names = ['loop/backing_file', 'loop/offset', 'loop/autoclear', 'size', 'dev'];
  const answers = yield* all(names.map((name) => read(`${base}/${name}`)));
  const [backing, offset, autoclear, size, dev] = answers.map((answer) =>
    // The line's end proves that it is whole: half a size is a size, too.
    answer.state === 'ok' ? /^(.+)\n$/s.exec(outputOf(answer))?.[1] : undefined,
  );
  const minor = /^7:(\d+)$/.exec(dev ?? '')?.[1];
  if (!backing || !isNumber(offset) || !isNumber(size) || !isNumber(autoclear) || minor === undefined) {
    const failed = answers.find(({ state }) => state !== 'ok');
    return { device, why: `the loop device behind it cannot be read in ${base}/loop: ${failed ? whyNot(failed) : 'unknown format'}` };
  }
  const deleted = backing.endsWith(DELETED);
  return {
    device,
    node: `/dev/loop${Number(minor)}`,
    backing: fromByteString(deleted ? backing.slice(0, -DELETED.length) : backing),
    deleted,
    offset: Number(offset),
    size: Number(size) * SECTOR,
    autoclear: autoclear === '1',
    seen: seenAt({ kind: 'read', path: `${base}/loop/backing_file` }, first.state === 'ok' ? first : (answers[0] as Answer)),
    file: { state: 'unknown', why: 'not looked at' },
  };
}

function isNumber(text: string | undefined): text is string {
  return text !== undefined && /^\d+$/.test(text);
}

/** The path as the kernel printed it, marker and all: a file may really bear such a name. */
function literalPath(loop: LoopDevice): Name {
  return loop.deleted ? fromByteString(toByteString(loop.backing) + DELETED) : loop.backing;
}

/** Files on mounts that may hang are asked one by one, so that one of them does not keep the others waiting. */
function* lookAtBacking(paths: Name[]): Asking<Map<string, Looked>> {
  const table = yield* mountTable();
  const risky = paths.filter((path) =>
    table.mounts.some((mount) => mayHang(mount) && mount.fstype !== 'autofs' && isBelow(path, mount.point)),
  );
  const onAutofs = paths.filter((path) => mountOf(table, path)?.fstype === 'autofs');
  const ask = (group: Name[]) => group.filter((path) => !onAutofs.includes(path));
  const known = yield* stillHung();
  const parts = yield* all([
    lookAt(ask(paths.filter((path) => !risky.includes(path))), LIMIT, known),
    ...ask(risky).map((path) => lookAt([path], LIMIT, known)),
  ]);
  return new Map(parts.flatMap((part) => [...part]));
}

interface BackingInode {
  inode: number;
  device: number;
}

/** losetup asks the file system of each backing file, which may hang. */
const ASKS_FILES = { limitMs: 2000, suspect: true };
const LOOPS: Probe & { kind: 'run' } = { kind: 'run', argv: ['losetup', '--list', '--json', '-O', 'NAME,BACK-INO,BACK-MAJ:MIN'] };

/** What the loop driver itself knows of its file: inode and device, which a rename or removal does not change. */
function* backingInodes(): Asking<Map<string, BackingInode>> {
  const found = new Map<string, BackingInode>();
  // {"loopdevices": [{"name":"/dev/loop0", "back-ino":2146754, "back-maj:min":"     254:0  "}]}
  for (const device of parseDevices(outputOf(yield* run(LOOPS.argv, ASKS_FILES)))) {
    const [major, minor] = String(device['back-maj:min']).trim().split(':').map(Number);
    if (typeof device['name'] === 'string' && major !== undefined && minor !== undefined) {
      // As glibc packs st_dev, gnu_dev_makedev(3).
      found.set(device['name'], {
        inode: Number(device['back-ino']),
        device: ((major & 0xfff) << 8) + (minor & 0xff) + (minor >>> 8) * 2 ** 20,
      });
    }
  }
  return found;
}

function parseDevices(json: string): Record<string, unknown>[] {
  try {
    const parsed: unknown = JSON.parse(json);
    const devices = typeof parsed === 'object' && parsed !== null && 'loopdevices' in parsed ? parsed.loopdevices : [];
    return Array.isArray(devices) ? devices.filter((device) => typeof device === 'object' && device !== null) : [];
  } catch {
    return [];
  }
}

function settle(loop: LoopDevice, looked: Looked | undefined, inode: BackingInode | undefined): LoopDevice {
  if (looked?.state === 'found' && loop.deleted) {
    if (inode === undefined) {
      return {
        ...loop,
        file: {
          state: 'unknown',
          why: `a file of the name ${showName(literalPath(loop))} is there, and losetup does not say whether it is this one`,
        },
      };
    }
    // A file of that very name with the loop's own inode: the marker is part of the name.
    return looked.inode === inode.inode && looked.device === inode.device
      ? { ...loop, backing: literalPath(loop), deleted: false, file: asFound(looked) }
      : { ...loop, file: { state: 'gone' } };
  }
  if (looked?.state === 'found') {
    return { ...loop, file: asFound(looked) };
  }
  if (loop.deleted && looked?.state === 'errno' && (looked.errno === ERRNO.ENOENT || looked.errno === ERRNO.ENOTDIR)) {
    return { ...loop, file: { state: 'gone' } };
  }
  const why = looked === undefined ? 'it lies on an automount that is not asked' : `${showName(loop.backing)}: ${describeLooked(looked)}`;
  return { ...loop, file: { state: 'unknown', why } };
}

function asFound({ size, inode, device }: Looked & { state: 'found' }) {
  return { state: 'found', size, inode, device } as const;
}

/** How many bytes the backing file lacks; 0 where it is long enough. sizelimit is already in the device's size. */
export function missingBytes(loop: LoopDevice): number {
  return loop.file.state === 'found' ? Math.max(0, loop.offset + loop.size - loop.file.size) : 0;
}

/** The loop device, mounted or not, still shows this part of this file, deleted or not. */
const loopIs = defineCondition(
  'loop-is',
  function* (args: { device: string; node: string; backing: Name; deleted: boolean; offset: number; size: number }): Asking<Holds> {
    if (!/^\d+:\d+$/.test(args.device)) {
      throw new Unknown(`${args.device} is no device number`);
    }
    const { loops, unjudged } = yield* loopsOf([args.device]);
    const [loop] = loops;
    const expected = describe(args);
    if (loop === undefined) {
      return { holds: false, expected, found: unjudged[0]?.why ?? 'no such loop device' };
    }
    const sameFile = sameName(loop.backing, args.backing) && loop.deleted === args.deleted;
    const same = sameFile && loop.node === args.node && loop.offset === args.offset && loop.size === args.size;
    return same ? { holds: true } : { holds: false, expected, found: describe(loop) };
  },
);

export function claimLoop({ device, node, backing, deleted, offset, size }: LoopDevice) {
  return loopIs({ device, node, backing, deleted, offset, size });
}

/** `/dev/loop0, 2048 bytes at 512 of /srv/a.img (deleted)` */
function describe({ node, backing, deleted, offset, size }: Pick<LoopDevice, 'node' | 'backing' | 'deleted' | 'offset' | 'size'>): string {
  return `${node}, ${size} bytes at ${offset} of ${showName(backing)}${deleted ? DELETED : ''}`;
}

const ATTACHED: Probe & { kind: 'run' } = {
  kind: 'run',
  argv: ['find', '-L', '/sys/block', '-maxdepth', '2', '(', '-path', '/sys/block', '-o', '-path', '/sys/block/loop*/loop', ')'],
};

/** No loop device stands on this file, as `stat` numbers it. */
export const onNoLoop = defineCondition('on-no-loop', function* (args: { path: Name; device: number; inode: number }): Asking<Holds> {
  expectOutput(LOOPS, yield* run(LOOPS.argv, ASKS_FILES));
  const inodes = yield* backingInodes();
  // Where there is none, losetup prints nothing at all, which is no proof.
  if (inodes.size === 0 && expectOutput(ATTACHED, yield* run(ATTACHED.argv)) !== '/sys/block\n') {
    throw new Unknown('losetup told of no loop device, and sysfs not that there is none');
  }
  const node = [...inodes].find(([, { device, inode }]) => device === args.device && inode === args.inode)?.[0];
  return node === undefined ? { holds: true } : { holds: false, expected: `no loop device on ${showName(args.path)}`, found: node };
});

/** The loop device is attached, mounted or not. */
export const loopAttached = defineCondition('loop-attached', function* (args: { node: string }): Asking<Holds> {
  const name = /^\/dev\/(loop\d+)$/.exec(args.node)?.[1];
  if (name === undefined) {
    throw new Unknown(`${args.node} is no loop device`);
  }
  const answer = yield* read(`/sys/block/${name}/loop/backing_file`);
  const attached = answer.state === 'ok' && /^\/.*\n$/s.test(outputOf(answer));
  return attached ? { holds: true } : { holds: false, expected: `${args.node} attached`, found: whyNot(answer) };
});

/**
 * Two files or block devices are byte for byte the same, where nobody writes meanwhile. Reads both to the end: the limit
 * grows with the size. Nothing else is opened: some devices act on that alone.
 */
export const sameBytes = defineCondition('same-bytes', function* (args: { a: Name; b: Name; bytes: number }): Asking<Holds> {
  const expected = `${showName(args.a)} and ${showName(args.b)} to hold the same ${args.bytes} bytes`;
  const types: string[] = [];
  for (const path of [args.a, args.b]) {
    const looked = yield* lookAtOne(path);
    if (looked.state !== 'found' || (looked.type !== 'f' && looked.type !== 'b')) {
      return { holds: false, expected, found: `${showName(path)}: ${describeLooked(looked)}` };
    }
    types.push(looked.type);
  }
  const limitMs = Math.min(30_000 + Math.ceil(args.bytes / 20_000), COMPARE_AT_MOST);
  // Of a block device the page cache may be older than the file system on it: it is read past it. That takes a pipe, and
  // so a shell: its script is fixed, and the paths are its arguments.
  const direct = ['sh', '-c', 'dd if="$1" iflag=direct bs=4M status=none | cmp -- - "$2"', 'sh'];
  const answer = yield* run([...(types[0] === 'b' ? direct : ['cmp', '--']), args.a, args.b], { limitMs, suspect: true });
  if (answer.state === 'ok' && answer.code === 0) {
    return { holds: true };
  }
  const found =
    answer.state === 'ok' ? `${outputOf(answer).trim() || answer.err.trim()}: somebody may have written meanwhile` : whyNot(answer);
  return { holds: false, expected, found };
});

/** A directory does not lie on this device: what is written there goes on while the device is frozen. */
export const notOn = defineCondition('not-on', function* (args: { directory: Name; device: string }): Asking<Holds> {
  const on = mountOf(yield* mountTable(), args.directory);
  const expected = `${showName(args.directory)} on another file system than the one that is frozen`;
  return on !== undefined && on.device !== args.device ? { holds: true } : { holds: false, expected, found: 'it is the same one' };
});

/** A directory's file system has room for this many bytes, and does not lie on the given device. */
export const roomFor = defineCondition('room-for', function* (args: { directory: Name; bytes: number; notOn: string }): Asking<Holds> {
  const table = yield* mountTable();
  const probe: Probe & { kind: 'run' } = { kind: 'run', argv: ['stat', '-f', '-c', '%a %S', '--', args.directory] };
  const [blocks = 0, size = 0] = expectOutput(probe, yield* run(probe.argv, { suspect: true }))
    .trim()
    .split(' ')
    .map(Number);
  const expected = `${args.bytes} bytes free in ${showName(args.directory)}, on another file system than the one in trouble`;
  if (mountOf(table, args.directory)?.device === args.notOn) {
    return { holds: false, expected, found: 'it is the same file system' };
  }
  return blocks * size >= args.bytes ? { holds: true } : { holds: false, expected, found: `${blocks * size} bytes free` };
});
