/** Who uses a block device or a file. Nobody is an answer only where everybody could be looked at: `gaps` says what could not. */
import { all, defineFact, outputOf, read, run, sourceOf, Unknown, whyNot } from '../check/asking.ts';
import type { Answer, Asking, Probe, Seen } from '../check/types.ts';
import { fromByteString, type Name, printable, sameName, showName, toByteString } from '../names.ts';
import { commandLines, processesNaming } from './command-lines.ts';
import { type BlockDevice, type BlockDevices, blockDevices, namesOf, relatedDevices } from './in-use-devices.ts';
import { type Inode, inodeAt, inodesOf, keyOf, sameInode } from './in-use-inodes.ts';
import { type KernelUses, kernelUses, type PathUses, pathUses } from './in-use-kernel.ts';
import { isFuse, isNetwork } from './mount-kinds.ts';
import { type Mount, mountOf, mountTable, optionValue } from './mountinfo.ts';
import { type Descriptors, descriptors, mayHoldNodes } from './proc-descriptors.ts';
import { type MappedFiles, mappedFiles } from './proc-maps.ts';
import { mountNamespaces, type NamespaceTable } from './proc-namespaces.ts';

export type User = {
  /** The partition or the whole disk that is used, by the kernel's name, where it is not the device itself. */
  as?: string;
} /** pid: a process of that mount namespace; null: this one. */ & (
  | { kind: 'mount'; point: Name; pid: number | null }
  /** Lives in the kernel, though no mount of it is seen: `at` is where the kernel says so. */
  | { kind: 'file-system'; at: string }
  | { kind: 'swap' }
  /** A device made from it: `dm-3`. */
  | { kind: 'holder'; name: string }
  | { kind: 'loop'; node: string }
  | { kind: 'descriptor'; pid: number; name: string; descriptor: number }
  | { kind: 'map' | 'command-line'; pid: number; name: string }
  /** Served to other machines by the kernel. */
  | { kind: 'export'; by: Name }
  /** device-mapper counts that many who have it open, and none of them is seen. */
  | { kind: 'open-count'; count: number }
);

export interface Use {
  users: User[];
  /** What could not be looked at. Empty: there are no other users. */
  gaps: string[];
  seen: Seen[];
}

/**
 * Who uses a block device (`major:minor`): itself, a partition of it, or the whole disk it is a partition of. What lies
 * below a loop or dm device is not looked at.
 */
export const deviceUse = defineFact('device-use', function* (device: string): Asking<Use> {
  if (typeof device !== 'string' || !/^\d+:\d+$/.test(device)) {
    throw new Unknown(`${printable(String(device))} is no device number`);
  }
  const known = yield* blockDevices();
  const related = relatedDevices(known, device);
  if (related.length === 0) {
    throw new Unknown(`there is no block device ${device}`);
  }
  const { namespaces, opened, maps, kernel, paths } = yield* everybody();
  const gaps = [...namespaces.gaps, ...opened.gaps, ...maps.gaps, ...kernel.gaps, ...paths.gaps];
  const seen = [known.seen, namespaces.seen, opened.seen, maps.seen, kernel.seen, paths.seen];
  const users: User[] = [];
  const parts = yield* all(related.map((each) => usersOf(each, known, namespaces.tables, opened, maps, kernel, paths)));
  for (const [index, part] of parts.entries()) {
    const { device: number, name } = related[index] as BlockDevice;
    users.push(...part.users.map((user) => (number === device ? user : { ...user, as: name })));
    gaps.push(...part.gaps);
    seen.push(...part.seen);
  }
  const unfollowed = opened.list.filter(({ what, mount }) => what === undefined && mayHoldNodes(mount)).map(({ mount }) => mount);
  gaps.push(...[...new Set(unfollowed)].map((mount) => `files open on ${describeMount(mount)}: following them may hang`));
  return { users: yield* named(users), gaps: [...new Set(gaps)], seen };
});

/** Gathered once, however many devices and files are asked about. */
function* everybody() {
  const [namespaces, opened, maps, kernel, paths] = (yield* all<unknown>([
    mountNamespaces(),
    descriptors(),
    mappedFiles(),
    kernelUses(),
    pathUses(),
    commandLines(),
  ])) as [{ tables: NamespaceTable[]; gaps: string[]; seen: Seen }, Descriptors, MappedFiles, KernelUses, PathUses];
  return { namespaces, opened, maps, kernel, paths };
}

function* usersOf(
  { device, name }: BlockDevice,
  known: BlockDevices,
  tables: readonly NamespaceTable[],
  opened: Descriptors,
  maps: MappedFiles,
  kernel: KernelUses,
  paths: PathUses,
): Asking<Use> {
  const names = namesOf(known, device);
  const users: User[] = mountUsers(tables, (mount) => mount.device === device || liesOn(mount, names));
  const gaps: string[] = [];
  const fileSystem = kernel.fileSystems.get(name);
  if (users.length === 0 && fileSystem !== undefined) {
    users.push({ kind: 'file-system', at: fileSystem });
  }
  users.push(...(kernel.holders.get(device) ?? []).map((holder) => ({ kind: 'holder' as const, name: holder })));
  users.push(...opened.list.filter(({ what }) => what?.device === device).map(asUser));
  const nodes = known.nodes.filter(({ inode }) => inode.device === device);
  users.push(...mapUsers(maps, new Set(nodes.map(({ inode }) => keyOf(inode)))));
  const naming = yield* processesNaming(names);
  users.push(...naming.pids.map((pid) => ({ kind: 'command-line' as const, pid, name: '' })));
  for (const { to, isFile, path } of paths.swaps) {
    if (to?.device === device) {
      users.push({ kind: 'swap' });
    } else if (to === undefined && !isFile) {
      gaps.push(`swap on ${showName(path)}: not known which device that is`);
    }
  }
  for (const { to, path, by } of paths.exports) {
    if (to?.device === device) {
      users.push({ kind: 'export', by });
    } else if (to === undefined) {
      gaps.push(`${showName(path)}, which ${showName(by)} serves: not known what it is`);
    }
  }
  const size = Number(outputOf(yield* read(`/sys/dev/block/${device}/size`))) * 512;
  for (const loop of paths.loops) {
    const fits = loop.exactly ? loop.bytes === size : loop.bytes <= size;
    if (loop.device === device) {
      users.push({ kind: 'loop', node: loop.node });
    } else if (loop.device === null && loop.node !== `/dev/${name}` && (loop.notAsked === undefined ? fits : mayHoldNodes(loop.notAsked))) {
      gaps.push(`${loop.node} on ${showName(loop.path)}: not known whether that is a node of ${name}`);
    }
  }
  const seen = [naming.seen];
  if (name.startsWith('dm-')) {
    const opens = yield* openCount(device);
    seen.push(opens.seen);
    gaps.push(...(opens.why === undefined ? [] : [opens.why]));
    if (opens.count > 0 && users.length === 0) {
      users.push({ kind: 'open-count', count: opens.count });
    }
  }
  return { users, gaps: [...gaps, ...naming.gaps], seen };
}

/** A file system whose device number is of its own making, or whose log or realtime part lies there. */
function liesOn(mount: Mount, names: readonly Name[]): boolean {
  const own = mount.device.startsWith('0:') ? [toByteString(mount.source)] : [];
  const parts = [...own, optionValue(mount.superOptions, 'logdev'), optionValue(mount.superOptions, 'rtdev')];
  return names.some((name) => parts.includes(toByteString(name)));
}

function mountUsers(tables: readonly NamespaceTable[], lies: (mount: Mount) => boolean): User[] {
  return tables.flatMap(({ mounts, own, pid }) =>
    mounts.filter(lies).map(({ point }) => ({ kind: 'mount' as const, point, pid: own ? null : pid })),
  );
}

function mapUsers({ byInode }: MappedFiles, keys: ReadonlySet<string>): User[] {
  const pids = new Set([...keys].flatMap((key) => [...(byInode.get(key) ?? [])]));
  return [...pids].map((pid) => ({ kind: 'map', pid, name: '' }));
}

function asUser({ pid, descriptor }: { pid: number; descriptor: number }): User {
  return { kind: 'descriptor', pid, name: '', descriptor };
}

/** Counts loops, mounts and descriptors alike, in whatever namespace. */
function* openCount(device: string): Asking<{ count: number; why?: string; seen: Seen }> {
  const [major, minor] = device.split(':') as [string, string];
  const probe: Probe & { kind: 'run' } = {
    kind: 'run',
    argv: ['dmsetup', 'info', '-c', '--noheadings', '-o', 'name,open', '-j', major, '-m', minor],
  };
  const answer = yield* run(probe.argv, { limitMs: 2000 });
  const seen = { source: sourceOf(probe), at: answer.at };
  // vg0-vm1:1
  const count = answer.state === 'ok' && answer.code === 0 ? /:\s*(\d+)\s*$/.exec(outputOf(answer))?.[1] : undefined;
  const why = `how many have device ${device} open: ${answer.state === 'ok' && answer.code === 0 ? 'unknown format' : whyNot(answer)}`;
  return count === undefined ? { count: 0, why, seen } : { count: Number(count), seen };
}

/** Who uses a regular file, by whatever name they opened it. */
export const fileUse = defineFact('file-use', function* (path: Name): Asking<Use> {
  const { file, names } = yield* lookAtFile(path);
  const mount = mountOf(yield* mountTable(), names.at(-1) as Name);
  const { namespaces, opened, maps, kernel, paths } = yield* everybody();
  const naming = yield* processesNaming(names);
  const gaps = [...namespaces.gaps, ...opened.gaps, ...maps.gaps, ...kernel.gaps, ...paths.gaps, ...naming.gaps, ...unseenBy(mount)];
  const users: User[] = mountUsers(namespaces.tables, ({ source }) => names.some((name) => sameName(source, name)));
  const isNamed = (target: Name) => names.some((name) => sameName(target, name));
  for (const each of opened.list) {
    const { what, inode, target } = each;
    const onIt = each.mount.device === mount?.device;
    if (what === undefined ? onIt && (inode === file.inode || isNamed(target)) : sameInode(what, file)) {
      users.push(asUser(each));
    } else if (what === undefined && onIt && inode === undefined) {
      gaps.push(`files open on ${describeMount(each.mount)}: the kernel does not say which`);
    }
  }
  // btrfs tells another device number of its files than of its mounts, and maps show the latter.
  users.push(...mapUsers(maps, new Set([keyOf(file), ...(mount === undefined ? [] : [keyOf({ on: mount.device, inode: file.inode })])])));
  users.push(...naming.pids.map((pid) => ({ kind: 'command-line' as const, pid, name: '' })));
  for (const { to, isFile, path: swap } of paths.swaps.filter(({ isFile }) => isFile)) {
    if (to !== undefined && sameInode(to, file)) {
      users.push({ kind: 'swap' });
    } else if (to === undefined && isFile) {
      gaps.push(`swap on ${showName(swap)}: not known which file that is`);
    }
  }
  for (const { to, path: served, by } of paths.exports) {
    if (to === undefined) {
      gaps.push(`${showName(served)}, which ${showName(by)} serves: not known what it is`);
    } else if (sameInode(to, file)) {
      users.push({ kind: 'export', by });
    }
  }
  for (const loop of paths.loops) {
    const onIt = loop.notAsked !== undefined && loop.notAsked.device === mount?.device;
    if (loop.file === undefined ? onIt && isNamed(loop.path) : sameInode(loop.file, file)) {
      users.push({ kind: 'loop', node: loop.node });
    } else if (onIt) {
      gaps.push(`${loop.node} on ${showName(loop.path)}: asking whether that is the same file may hang`);
    }
  }
  const seen = [namespaces.seen, opened.seen, maps.seen, kernel.seen, paths.seen, naming.seen];
  return { users: yield* named(users), gaps: [...new Set(gaps)], seen };
});

/** The file, and its names: as given, and with all links followed. */
function* lookAtFile(path: Name): Asking<{ file: Inode; names: Name[] }> {
  const bytes = typeof path === 'string' || typeof path?.base64 === 'string' ? toByteString(path) : '';
  if (!bytes.startsWith('/') || bytes.includes('\0')) {
    throw new Unknown(`${bytes === '' ? 'nothing' : showName(path)} is no absolute path`);
  }
  const options = { limitMs: 2000, suspect: true };
  const [inodes, answer] = (yield* all<unknown>([inodesOf([path], options), run(['realpath', '-ez', '--', path], options)])) as [
    { found: ReadonlyMap<string, Inode>; gaps: string[] },
    Answer,
  ];
  const file = inodeAt(inodes, path);
  const real = outputOf(answer).split('\0')[0];
  if (file?.type !== 'file' || !real) {
    throw new Unknown(`${showName(path)} is no file that can be looked at${inodes.gaps.map((gap) => `: ${printable(gap)}`).join('')}`);
  }
  return { file, names: real === bytes ? [path] : [path, fromByteString(real)] };
}

/** Users of a file that no look at this machine shows. */
function unseenBy(mount: Mount | undefined): string[] {
  if (mount === undefined) {
    return ['the mount that the file lies on is not known'];
  }
  if (isNetwork(mount) || isFuse(mount)) {
    return [`${describeMount(mount)}: who uses the file behind it is not seen here`];
  }
  return mount.fstype === 'overlay' ? [`${describeMount(mount)}: who uses the file in its layers is not looked at`] : [];
}

function describeMount({ point, fstype }: Mount): string {
  return `${showName(point)} (${fstype})`;
}

/** Puts in the names of the processes. */
function* named(users: User[]): Asking<User[]> {
  const pids = [...new Set(users.flatMap((user) => ('name' in user && 'pid' in user ? [user.pid] : [])))];
  const comms = yield* all(pids.map((pid) => read(`/proc/${pid}/comm`)));
  const names = new Map(pids.map((pid, index) => [pid, outputOf(comms[index] as Answer).trimEnd()]));
  return users.map((user) => ('name' in user && 'pid' in user ? { ...user, name: names.get(user.pid) ?? '' } : user));
}
