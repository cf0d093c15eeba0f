/** Which block devices the kernel still has, and which of those below mounts and swap have lost what they stood on. */
import { all, defineFact, outputOf, read, run, seenAt, sourceOf, whyNot } from '../check/asking.ts';
import { defineCondition } from '../check/condition.ts';
import type { Answer, Asking, Evidence, Holds, Probe, Seen } from '../check/types.ts';
import { type Name, toByteString } from '../names.ts';
import { type MountTable, mountOf, mountTable } from './mountinfo.ts';

export interface BlockDevices {
  seen: Seen;
  /** `major:minor` → the name the kernel gives it: `sda1`, `dm-3`, `loop0`. */
  names: ReadonlyMap<string, string>;
  /** Why the list is not known to be whole: absence from it proves nothing then. */
  why?: string;
}

const LIST: Probe & { kind: 'run' } = {
  kind: 'run',
  argv: ['find', '/sys/dev/block', '-mindepth', '1', '-maxdepth', '1', '-printf', '%f %l\\n'],
};

export const blockDevices = defineFact('block-devices', function* (): Asking<BlockDevices> {
  const answer = yield* run(LIST.argv);
  const seen = seenAt(LIST, answer);
  const none = (why: string): BlockDevices => ({ seen, names: new Map(), why: `${sourceOf(LIST)}: ${why}` });
  if (answer.state !== 'ok' || answer.code !== 0) {
    return none(whyNot(answer));
  }
  const names = new Map<string, string>();
  for (const line of outputOf(answer).split(/(?<=\n)/)) {
    // 7:0 ../../devices/virtual/block/loop0
    const [, device, name] = /^(\d+:\d+) [^\n]*\/([^/\n]+)\n$/.exec(line) ?? [];
    if (device === undefined || name === undefined) {
      return none('unknown format');
    }
    names.set(device, name);
  }
  return isKernelsList(yield* mountTable()) ? { seen, names } : none('it is not the list of the kernel');
});

/** In a container another directory, or another part of sysfs, may lie in its place. */
function isKernelsList(table: MountTable): boolean {
  const path = LIST.argv[1] as string;
  const on = mountOf(table, path);
  const rest = path.slice(toByteString(on?.point ?? '').length);
  return on?.fstype === 'sysfs' && toByteString(on.root).replace(/\/$/, '') + rest === '/dev/block';
}

/** A device-mapper device of which the kernel still has the node, and which no longer leads to its disk. */
export interface LostMapping {
  /** As dmsetup calls it: `vg-data`. */
  name: string;
  evidence: Evidence;
}

/** Targets that need every device they stand on. Not among them: multipath, raid, mirror. */
const NEEDS_ALL = new Set(
  'linear striped crypt thin thin-pool snapshot snapshot-origin cache writecache verity integrity era vdo'.split(' '),
);

export interface LostMappings {
  /** By `major:minor`. */
  lost: ReadonlyMap<string, LostMapping>;
  /** Below mounts, where neither dmsetup nor sysfs tells what it stands on: `major:minor` → why. */
  unjudged: ReadonlyMap<string, string>;
}

export const lostMappings = defineFact('lost-mappings', function* (): Asking<LostMappings> {
  const blocks = yield* blockDevices();
  if (![...blocks.names.values()].some((name) => name.startsWith('dm-'))) {
    return { lost: new Map(), unjudged: new Map() };
  }
  const info: Probe & { kind: 'run' } = {
    kind: 'run',
    argv: ['dmsetup', 'info', '-c', '--noheadings', '--separator', '|', '-o', 'devno,devnos_used,name'],
  };
  // --noflush: a thin pool would commit its metadata before it answers.
  const status: Probe & { kind: 'run' } = { kind: 'run', argv: ['dmsetup', 'status', '--noflush'] };
  const [listed, states] = (yield* all([run(info.argv), run(status.argv)])) as [Answer, Answer];
  const targets = parseTargets(outputOf(states));
  const mappings = parseMappings(outputOf(listed));
  const lost = new Map<string, LostMapping>();
  const judge = (device: string): LostMapping | undefined => {
    const mapping = mappings.get(device);
    if (mapping === undefined || lost.has(device)) {
      return lost.get(device);
    }
    const table = targets.get(mapping.name) ?? [];
    const broken = table.find(({ type }) => type === 'error');
    const evidence =
      broken !== undefined
        ? { ...seenAt(status, states), excerpt: broken.line }
        : table.length > 0 && table.every(({ type }) => NEEDS_ALL.has(type))
          ? below(mapping)
          : undefined;
    if (evidence !== undefined) {
      lost.set(device, { name: mapping.name, evidence });
    }
    return lost.get(device);
  };
  // A mapping never stands on itself, so this ends.
  const below = ({ line, used }: Mapping): Evidence | undefined => {
    for (const each of used) {
      const deeper = judge(each);
      if (deeper !== undefined) {
        return deeper.evidence;
      }
      if (!blocks.names.has(each)) {
        return { ...seenAt(info, listed), excerpt: `${line}, and ${each} is not in /sys/dev/block` };
      }
    }
    return undefined;
  };
  for (const device of mappings.keys()) {
    judge(device);
  }
  const table = yield* mountTable();
  const told = (device: string) => targets.has(mappings.get(device)?.name ?? '');
  const untold = new Map(
    onBlocks(table).flatMap(({ device }) => {
      const name = blocks.names.get(device);
      return name?.startsWith('dm-') && !told(device) ? [[device, name] as const] : [];
    }),
  );
  const why = `${sourceOf(info)}: ${listed.state === 'ok' && states.state === 'ok' ? 'nothing about it' : whyNot(listed.state === 'ok' ? states : listed)}`;
  return { lost, unjudged: yield* withoutSlaves(untold, why) };
});

/** The device-mapper device leads, or no longer leads, to what it stood on. */
export const mappingLost = defineCondition('mapping-lost', function* (args: { device: string; lost: boolean }): Asking<Holds> {
  const { lost, unjudged } = yield* lostMappings();
  const { names } = yield* blockDevices();
  const expected = `device ${args.device} ${args.lost ? 'leading nowhere' : 'leading to its disks'}`;
  const why = unjudged.get(args.device) ?? (names.has(args.device) ? undefined : 'there is no such device');
  const found = why ?? lost.get(args.device)?.evidence.excerpt ?? 'it leads to its disks';
  return why === undefined && lost.has(args.device) === args.lost ? { holds: true } : { holds: false, expected, found };
});

/** The kernel no longer has this device, below a mount. */
export const deviceGone = defineCondition('device-gone', function* (args: { device: string }): Asking<Holds> {
  const { gone, unjudged } = yield* goneDevices();
  const found = unjudged.get(args.device) ?? 'the kernel has it';
  return gone.has(args.device) ? { holds: true } : { holds: false, expected: `device ${args.device} gone`, found };
});

/** Those of which sysfs too names nothing that they stand on; what a mount on the others answers must do. */
function* withoutSlaves(devices: ReadonlyMap<string, string>, why: string): Asking<Map<string, string>> {
  if (devices.size === 0) {
    return new Map();
  }
  const folders = [...devices.values()].map((name) => `/sys/block/${name}/slaves`);
  const answer = yield* run(['find', ...folders, '-mindepth', '1', '-maxdepth', '1', '-printf', '%h\\n']);
  const standing = new Set(outputOf(answer).split('\n'));
  return new Map([...devices].flatMap(([device, name]) => (standing.has(`/sys/block/${name}/slaves`) ? [] : [[device, why] as const])));
}

interface Mapping {
  name: string;
  used: string[];
  line: string;
}

/** `253:0|8:16,8:32|vg-data` */
function parseMappings(text: string): Map<string, Mapping> {
  const mappings = new Map<string, Mapping>();
  for (const [line, device, used, name] of text.matchAll(/^(\d+:\d+)\|([\d:,]*)\|(.+)$/gm)) {
    mappings.set(device as string, { name: name as string, used: (used as string).split(',').filter(Boolean), line: line as string });
  }
  return mappings;
}

/** `vg-data: 0 2097152 error`, one line for each segment. */
function parseTargets(text: string): Map<string, { type: string; line: string }[]> {
  const targets = new Map<string, { type: string; line: string }[]>();
  for (const [line, name, type] of text.matchAll(/^(.+?): \d+ \d+ ([\w-]+)(?: .*)?$/gm)) {
    targets.set(name as string, [...(targets.get(name as string) ?? []), { type: type as string, line: (line as string).trimEnd() }]);
  }
  return targets;
}

export interface GoneDevices {
  /** `major:minor` → how it was seen that the kernel no longer has it. */
  gone: ReadonlyMap<string, Evidence>;
  /** `major:minor` → why it cannot be told. */
  unjudged: ReadonlyMap<string, string>;
}

/** Devices of the mount table that the kernel no longer has. */
export const goneDevices = defineFact('gone-devices', function* (): Asking<GoneDevices> {
  const table = yield* mountTable();
  const { names, why, seen } = yield* blockDevices();
  const missing = why === undefined ? onBlocks(table).filter(({ device }) => !names.has(device)) : [];
  if (missing.length === 0) {
    return { gone: new Map(), unjudged: new Map() };
  }
  // A file system may have been unmounted, and its device removed, since the table was read.
  const answer = yield* read('/proc/self/mountinfo', { maxBytes: 16 * 1024 * 1024, take: 'after the block devices' });
  const again = outputOf(answer);
  if (answer.state !== 'ok' || !again.endsWith('\n')) {
    const unsure = 'its device is not in /sys/dev/block, and the mount table could not be read again';
    return { gone: new Map(), unjudged: new Map(missing.map(({ device }) => [device, unsure])) };
  }
  const still = new Set(again.split('\n').map((line) => line.split(' ', 3).join(' ')));
  const gone = missing.filter(({ id, parent, device }) => still.has(`${id} ${parent} ${device}`));
  return {
    gone: new Map(gone.map(({ device }) => [device, { ...seen, excerpt: `${device} is not in /sys/dev/block` }])),
    unjudged: new Map(),
  };
});

/** Mounts that stand on one block device each: not flash without its block layer (major 31), and not bcachefs, which may have many. */
export function onBlocks({ mounts }: Pick<MountTable, 'mounts'>) {
  return mounts.filter(({ device, fstype }) => !/^(0|31):/.test(device) && fstype !== 'bcachefs');
}

/** A btrfs and the disks it stood on, by the kernel's names. */
export interface BtrfsMembers {
  uuid: string;
  present: string[];
  gone: string[];
  seen: Seen;
}

/** Every mounted btrfs that lost a disk while it was in use: the kernel keeps a link that leads nowhere. `why`: it cannot be told. */
export const btrfsWithoutDisks = defineFact('btrfs-without-disks', function* (): Asking<{ lacking: BtrfsMembers[]; why?: string }> {
  const table = yield* mountTable();
  if (!table.mounts.some(({ fstype }) => fstype === 'btrfs')) {
    return { lacking: [] };
  }
  const probe: Probe & { kind: 'run' } = {
    kind: 'run',
    argv: ['find', '/sys/fs/btrfs', '-mindepth', '3', '-maxdepth', '3', '-path', '*/devices/*', '-printf', '%P %Y\\n'],
  };
  const answer = yield* run(probe.argv);
  const text = outputOf(answer);
  if (answer.state !== 'ok' || answer.code !== 0 || !/^(.+\/devices\/.+ \w\n)+$/.test(text)) {
    return { lacking: [], why: `${sourceOf(probe)}: ${answer.state === 'ok' && answer.code === 0 ? 'unknown format' : whyNot(answer)}` };
  }
  const found = new Map<string, BtrfsMembers>();
  // 0e0f…-…/devices/sdb N
  for (const [, uuid, disk, type] of text.matchAll(/^([^/\n]+)\/devices\/([^/\n]+) (\w)$/gm)) {
    const members = found.get(uuid as string) ?? { uuid: uuid as string, present: [], gone: [], seen: seenAt(probe, answer) };
    (type === 'N' ? members.gone : members.present).push(disk as string);
    found.set(uuid as string, members);
  }
  return { lacking: [...found.values()].filter(({ gone }) => gone.length > 0) };
});

/** `sdb` for `/dev/sdb`; undefined for what does not lie in /dev itself. */
export function kernelNameOf(node: Name): string | undefined {
  return /^\/dev\/([^/]+)$/.exec(toByteString(node))?.[1];
}
