import { isDeepStrictEqual } from 'node:util';
import { defineFact, expectOutput, read, seenAt, Unknown } from '../check/asking.ts';
import { defineCondition } from '../check/condition.ts';
import type { Asking, Claim, Holds, Json, Probe, Seen } from '../check/types.ts';
import { fromByteString, type Name, sameName, showName, toByteString } from '../names.ts';

/** One line of mountinfo, proc_pid_mountinfo(5). */
export interface Mount {
  id: number;
  parent: number;
  /** `major:minor` of the superblock, decimal. */
  device: string;
  /** The directory of the file system that forms the root of this mount. Ends in `//deleted` where that is gone. */
  root: Name;
  point: Name;
  /** Per-mount options. */
  options: string;
  /** Propagation: `shared:1`, `master:2`. */
  tags: string[];
  fstype: string;
  /** May be empty. */
  source: Name;
  /** Options of the superblock, octal escapes undone, commas inside a value still escaped by a backslash. */
  superOptions: string;
  line: string;
}

export interface MountTable {
  seen: Seen;
  mounts: Mount[];
  /** Ids of the mounts that a path reaches. */
  visible: ReadonlySet<number>;
}

const OWN_TABLE: Probe = { kind: 'read', path: '/proc/self/mountinfo', maxBytes: 16 * 1024 * 1024 };

/** Reading the table does no I/O on any mount and triggers no automount. */
export const mountTable = defineFact('mount-table', function* (): Asking<MountTable> {
  const answer = yield* read(OWN_TABLE.path, { maxBytes: OWN_TABLE.maxBytes as number });
  const mounts = parseMountinfo(expectOutput(OWN_TABLE, answer));
  return { seen: seenAt(OWN_TABLE, answer), mounts, visible: visibleMounts(mounts) };
});

/** Another look, `take`, in the same round: what came and went since the first one. */
export const ownTableAgain = defineFact('mount-table-again', function* (take: string): Asking<{ mounts: Mount[] }> {
  const answer = yield* read(OWN_TABLE.path, { maxBytes: OWN_TABLE.maxBytes as number, take });
  return { mounts: parseMountinfo(expectOutput(OWN_TABLE, answer)) };
});

/** Takes the text one character a byte. `Unknown` where it is empty, cut off or not of the format: a lost line is a lost mount. */
export function parseMountinfo(text: string): Mount[] {
  if (!text.endsWith('\n')) {
    throw new Unknown(text === '' ? 'mountinfo is empty' : 'mountinfo ends in the middle of a line');
  }
  return text.slice(0, -1).split('\n').map(parseLine);
}

// 45 27 0:42 / /mnt/a\040b rw,nosuid shared:7 - fuse.sshfs host:/src rw,user_id=0,group_id=0
// Not \S: byte 0xa0, the second one of an à, would count as a blank.
const HEAD = /^(\d+) (\d+) (\d+:\d+) ([^ ]+) (\/[^ ]*) ([^ ]+) /;

function parseLine(line: string): Mount {
  const head = HEAD.exec(line);
  // One space each: the source may be the empty string.
  const rest = head === null ? [] : line.slice(head[0].length).split(' ');
  const dash = rest.indexOf('-');
  const [fstype, source, superOptions] = rest.slice(dash + 1);
  if (head === null || dash < 0 || !fstype || source === undefined || superOptions === undefined) {
    throw new Unknown(`a line of mountinfo is not of the known format: ${showName(fromByteString(line.slice(0, 120)))}`);
  }
  return {
    id: Number(head[1]),
    parent: Number(head[2]),
    device: head[3] as string,
    root: fromByteString(unescapeOctal(head[4] as string)),
    point: fromByteString(unescapeOctal(head[5] as string)),
    options: unescapeOctal(head[6] as string),
    tags: rest.slice(0, dash),
    fstype,
    source: fromByteString(unescapeOctal(source)),
    superOptions: unescapeOctal(superOptions),
    line,
  };
}

/** `\040` → space, as seq_path() writes names. One pass, so that `\134040` stays `\040`. */
export function unescapeOctal(text: string): string {
  return text.includes('\\') ? text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8))) : text;
}

/** Which mounts a path still reaches: not below another mount at the same place, nor under one at a directory above. */
export function visibleMounts(mounts: readonly Mount[]): Set<number> {
  const byId = new Map(mounts.map((mount) => [mount.id, mount]));
  const pointsOn = new Map<number, Map<string, number[]>>();
  for (const mount of mounts) {
    // The rootfs of an initramfs is its own parent and covers nothing.
    if (mount.parent === mount.id) {
      continue;
    }
    const points = pointsOn.get(mount.parent) ?? new Map<string, number[]>();
    const key = toByteString(mount.point);
    points.set(key, [...(points.get(key) ?? []), mount.id]);
    pointsOn.set(mount.parent, points);
  }
  // Something is mounted over the way from the parent's root to this mount.
  const isCovered = (mount: Mount): boolean => {
    const siblings = pointsOn.get(mount.parent);
    return directoriesAbove(toByteString(mount.point)).some((above) => siblings?.get(above)?.some((id) => id !== mount.id));
  };
  const open = new Map<number, boolean>();
  // No mount between the root and this one is covered. A chain may be longer than the stack is deep.
  const isOpen = (mount: Mount): boolean => {
    const way: Mount[] = [];
    let at: Mount | undefined = mount;
    while (at !== undefined && !open.has(at.id)) {
      open.set(at.id, true);
      way.push(at);
      at = byId.get(at.parent);
    }
    let result = at === undefined || open.get(at.id) === true;
    for (const each of way.reverse()) {
      result &&= !isCovered(each);
      open.set(each.id, result);
    }
    return result;
  };
  const visible = new Set<number>();
  for (const mount of mounts) {
    const onTop = pointsOn
      .get(mount.id)
      ?.get(toByteString(mount.point))
      ?.some((id) => id !== mount.id);
    if (!onTop && isOpen(mount)) {
      visible.add(mount.id);
    }
  }
  return visible;
}

function directoriesAbove(path: string): string[] {
  const above: string[] = [];
  for (let slash = path.lastIndexOf('/'); slash > 0; slash = path.lastIndexOf('/', slash - 1)) {
    above.push(path.slice(0, slash));
  }
  return path === '/' ? [] : [...above, '/'];
}

/** The mount that a path lies on, textually: the visible one with the longest mount point. */
export function mountOf(table: Pick<MountTable, 'mounts' | 'visible'>, path: Name): Mount | undefined {
  for (const place of [toByteString(path), ...directoriesAbove(toByteString(path))]) {
    const found = mountsAt(table, place).find(({ id }) => table.visible.has(id));
    if (found !== undefined) {
      return found;
    }
  }
  return undefined;
}

const byPoint = new WeakMap<readonly Mount[], ReadonlyMap<string, readonly Mount[]>>();
const NONE: readonly Mount[] = [];

/** Those whose mount point is this path, one character a byte. Of thousands of mounts, thousands of paths are asked. */
function mountsAt({ mounts }: Pick<MountTable, 'mounts'>, path: string): readonly Mount[] {
  let index = byPoint.get(mounts);
  if (index === undefined) {
    index = Map.groupBy(mounts, ({ point }) => toByteString(point));
    byPoint.set(mounts, index);
  }
  return index.get(path) ?? NONE;
}

/** The options of a mount as a list, commas inside a value respected: `lowerdir=/a\,b` is one. */
export function optionList(options: string): string[] {
  return options.split(/(?<!\\),/);
}

export function optionValue(options: string, name: string): string | undefined {
  return optionList(options)
    .find((option) => option.startsWith(`${name}=`))
    ?.slice(name.length + 1);
}

/** The visible mount whose mount point is this path. */
export function topAt(table: Pick<MountTable, 'mounts' | 'visible'>, point: Name): Mount | undefined {
  return mountsAt(table, toByteString(point)).find(({ id }) => table.visible.has(id));
}

/** `mount 38 (fuse.sshfs, host:/x, device 0:42)` */
function describe({ id, ...mount }: Pick<Mount, 'id' | 'fstype' | 'source' | 'device' | 'root'>): string {
  const root = sameName(mount.root, '/') ? '' : `, root ${showName(mount.root)}`;
  return `mount ${id} (${mount.fstype}, ${showName(mount.source)}, device ${mount.device}${root})`;
}

/**
 * The mount at this path is the one that was diagnosed. The id alone does not say so: the kernel gives ids and
 * device numbers out again, and `mount --move` keeps the id.
 */
const mountIs = defineCondition(
  'mount-is',
  function* (args: { id: number; point: Name; device: string; fstype: string; source: Name; root: Name }): Asking<Holds> {
    const table = yield* mountTable();
    const mount = table.mounts.find(({ id }) => id === args.id);
    const top = topAt(table, args.point);
    const expected = `${describe(args)} at ${showName(args.point)}`;
    const there = top === undefined ? 'nothing mounted there' : `${describe(top)} there`;
    const itself =
      mount !== undefined &&
      mount.device === args.device &&
      mount.fstype === args.fstype &&
      sameName(mount.source, args.source) &&
      sameName(mount.root, args.root);
    if (!itself) {
      // Its id may have been given to another mount, anywhere.
      return { holds: false, expected, found: there };
    }
    if (!sameName(mount.point, args.point)) {
      return { holds: false, expected, found: `it at ${showName(mount.point)}, and ${there}` };
    }
    if (table.visible.has(mount.id)) {
      return { holds: true };
    }
    return { holds: false, expected, found: top === undefined ? 'another mount over the way there' : `${describe(top)} over it` };
  },
);

export function claimMount(mount: Mount) {
  const { id, point, device, fstype, source, root } = mount;
  return mountIs({ id, point, device, fstype, source, root });
}

/** No mount of this id and device is left in this mount namespace. */
export const mountGone = defineCondition('mount-gone', function* (args: { id: number; device: string; point: Name }): Asking<Holds> {
  const table = yield* mountTable();
  const mount = table.mounts.find(({ id, device, point }) => id === args.id && device === args.device && sameName(point, args.point));
  if (mount === undefined) {
    return { holds: true };
  }
  return { holds: false, expected: `mount ${args.id} at ${showName(args.point)} gone from mountinfo`, found: 'still listed' };
});

/** The topmost mount at a path shows this directory or file of this file system, with these options of its own. */
export const mountedAt = defineCondition(
  'mounted-at',
  function* (args: { point: Name; fstype: string; device: string; root: Name; options: string }): Asking<Holds> {
    const here = topAt(yield* mountTable(), args.point);
    const expected = `${showName(args.root)} of ${args.fstype}, device ${args.device}, mounted at ${showName(args.point)} (${args.options})`;
    if (here === undefined) {
      return { holds: false, expected, found: 'nothing mounted there' };
    }
    const same = here.fstype === args.fstype && here.device === args.device && sameName(here.root, args.root);
    return same && here.options === args.options
      ? { holds: true }
      : { holds: false, expected, found: `${describe(here)} there (${here.options})` };
  },
);

/** What can be said of a mount that may be made again meanwhile: no id, and no device number where that is anonymous. */
interface Ground {
  [key: string]: Json;
  point: Name;
  fstype: string;
  source: Name;
  root: Name;
  device: string | null;
}

/**
 * A path leads onto this mount, and as many mounts as were expected lie at that very path: nothing was mounted there or
 * over the way to it meanwhile. `on` is null where no mount that is listed stands for the path.
 */
const pathOn = defineCondition('path-on', function* (args: { path: Name; on: Ground | null; layers: number }): Asking<Holds> {
  const table = yield* mountTable();
  const found = mountOf(table, args.path);
  const path = showName(args.path);
  const layers = mountsAt(table, toByteString(args.path)).length;
  const now = found === undefined ? null : groundOf(found);
  if (layers === args.layers && isDeepStrictEqual(now, args.on)) {
    return { holds: true };
  }
  if (isDeepStrictEqual(now, args.on)) {
    return { holds: false, expected: `${args.layers} mounts at ${path}`, found: `${layers}` };
  }
  const nothing = args.layers === 0 && found !== undefined && sameName(found.point, args.path);
  const ground = args.on === null ? 'no mount that is listed' : `${args.on.fstype} of ${showName(args.on.source)}`;
  const expected = nothing ? `nothing mounted at ${path}` : `${path} on ${ground}`;
  const where = found === undefined ? 'no mount that is listed' : `${describe(found)} at ${showName(found.point)}`;
  return { holds: false, expected, found: where };
});

/** The path leads where it leads now; `without`: where it will once this mount at it is gone. */
export function claimPathOn(table: Pick<MountTable, 'mounts' | 'visible'>, path: Name, without?: Mount): Claim {
  const on = without === undefined ? mountOf(table, path) : table.mounts.find(({ id }) => id === without.parent);
  const layers = mountsAt(table, toByteString(path)).filter((mount) => mount !== without).length;
  return pathOn({ path, on: on === undefined ? null : groundOf(on), layers });
}

function groundOf({ point, fstype, source, root, device }: Mount): Ground {
  return { point, fstype, source, root, device: device.startsWith('0:') ? null : device };
}

/** The kernel marks a bind of something unlinked with a double slash, which no real name can hold. */
export function isRootDeleted(mount: Mount): boolean {
  return toByteString(mount.root).endsWith('//deleted');
}

/** `/srv/a` for the root `/srv/a//deleted`. */
export function rootBeforeDeletion(mount: Mount): Name {
  return fromByteString(toByteString(mount.root).replace(/\/\/deleted$/, ''));
}
