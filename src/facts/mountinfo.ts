import { defineFact, expectOutput, read, seenAt, Unknown } from '../check/asking.ts';
import { defineCondition } from '../check/condition.ts';
import type { Asking, Holds, Probe, Seen } from '../check/types.ts';
import { fromByteString, type Name, showName, toByteString } from '../names.ts';

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

/** `\040` → space. One pass, so that `\134040` stays `\040`. */
function unescapeOctal(text: string): string {
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
  const places = new Set([toByteString(path), ...directoriesAbove(toByteString(path))]);
  let best: Mount | undefined;
  for (const mount of table.mounts) {
    const point = toByteString(mount.point);
    if (table.visible.has(mount.id) && places.has(point) && (best === undefined || point.length > toByteString(best.point).length)) {
      best = mount;
    }
  }
  return best;
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

/**
 * The mount at this path is the one that was diagnosed. The id alone does not say so: the kernel gives ids and
 * device numbers out again, and `mount --move` keeps the id.
 */
const mountIs = defineCondition(
  'mount-is',
  function* (args: { id: number; point: Name; device: string; fstype: string; source: Name; root: Name }): Asking<Holds> {
    const table = yield* mountTable();
    const mount = table.mounts.find(({ id }) => id === args.id);
    const expected = `mount ${args.id} (${args.fstype}, device ${args.device}) at ${showName(args.point)}`;
    if (mount === undefined) {
      const other = table.mounts.filter((each) => toByteString(each.point) === toByteString(args.point));
      const found = other.map((each) => `mount ${each.id} (${each.fstype}, device ${each.device})`).join(', ');
      return { holds: false, expected, found: found === '' ? 'nothing is mounted there' : `${found} there` };
    }
    const same =
      toByteString(mount.point) === toByteString(args.point) &&
      mount.device === args.device &&
      mount.fstype === args.fstype &&
      toByteString(mount.source) === toByteString(args.source) &&
      toByteString(mount.root) === toByteString(args.root);
    if (!same) {
      const found = `mount ${mount.id} is ${mount.fstype}, device ${mount.device}, source ${showName(mount.source)}, at ${showName(mount.point)}`;
      return { holds: false, expected, found };
    }
    return table.visible.has(mount.id) ? { holds: true } : { holds: false, expected, found: 'another mount lies over it' };
  },
);

export function claimMount(mount: Mount) {
  const { id, point, device, fstype, source, root } = mount;
  return mountIs({ id, point, device, fstype, source, root });
}

/** No mount of this id and device is left in this mount namespace. */
export const mountGone = defineCondition('mount-gone', function* (args: { id: number; device: string; point: Name }): Asking<Holds> {
  const table = yield* mountTable();
  const mount = table.mounts.find(
    ({ id, device, point }) => id === args.id && device === args.device && toByteString(point) === toByteString(args.point),
  );
  if (mount === undefined) {
    return { holds: true };
  }
  return { holds: false, expected: `mount ${args.id} at ${showName(args.point)} gone from mountinfo`, found: 'still listed' };
});

/** The topmost mount at a path is of this device. */
export const mountedAt = defineCondition(
  'mounted-at',
  function* (args: { point: Name; fstype: string; source: Name; deleted: boolean }): Asking<Holds> {
    const table = yield* mountTable();
    const here = table.mounts.find((mount) => table.visible.has(mount.id) && toByteString(mount.point) === toByteString(args.point));
    const expected = `${showName(args.source)} (${args.fstype}) mounted at ${showName(args.point)}`;
    if (here === undefined) {
      return { holds: false, expected, found: 'nothing is mounted there' };
    }
    const deleted = isRootDeleted(here);
    return here.fstype === args.fstype && toByteString(here.source) === toByteString(args.source) && deleted === args.deleted
      ? { holds: true }
      : { holds: false, expected, found: `${showName(here.source)} (${here.fstype})${deleted ? ', of a deleted directory' : ''}` };
  },
);

/** The kernel marks a bind of something unlinked with a double slash, which no real name can hold. */
export function isRootDeleted(mount: Mount): boolean {
  return toByteString(mount.root).endsWith('//deleted');
}
