import { all, defineFact, outputOf, read, run, whyNot } from '../check/asking.ts';
import { defineCondition } from '../check/condition.ts';
import type { Answer, Asking, Holds, Seen } from '../check/types.ts';
import { type Name, sameName, toByteString } from '../names.ts';
import { type Mount, mountTable, parseMountinfo } from './mountinfo.ts';
import { parseStat } from './process.ts';

const TABLE_AT_MOST = 16 * 1024 * 1024;
/** A process may end before its table is read: another one of its namespace is asked then. */
const PROCESSES_ASKED = 3;

interface Namespaces {
  /** Namespaces were listed, this one among them. Some processes may have refused. */
  looked: boolean;
  /** Every process was listed, and no namespace is kept by a mount of its own (nsfs), out of reach of any process. */
  complete: boolean;
  why?: string;
  /** Pids by namespace, this one left out. */
  others: ReadonlyMap<string, number[]>;
  /** Processes that do not say which namespace is theirs: even root may be refused. */
  refusing: number[];
}

const mountNamespaces = defineFact('mount-namespaces', function* (): Asking<Namespaces> {
  const own = outputOf(yield* run(['readlink', '/proc/self/ns/mnt'])).trim();
  const answer = yield* run([
    'find',
    '/proc',
    '-mindepth',
    '1',
    '-maxdepth',
    '3',
    '-regextype',
    'posix-egrep',
    '!',
    '-regex',
    '/proc/[0-9]+(/ns(/mnt)?)?',
    '-prune',
    '-o',
    '-type',
    'l',
    '-printf',
    '%p %l\\n',
  ]);
  const pids = new Map<string, number[]>();
  // /proc/2583/ns/mnt mnt:[4026531841]
  for (const match of outputOf(answer).matchAll(/^\/proc\/(\d+)\/ns\/mnt (\S+)$/gm)) {
    const [, pid, namespace] = match as unknown as [string, string, string];
    pids.set(namespace, [...(pids.get(namespace) ?? []), Number(pid)]);
  }
  const looked = own !== '' && pids.delete(own) && outputOf(answer).endsWith('\n');
  const kept = (yield* mountTable()).mounts
    .filter(({ fstype, root }) => fstype === 'nsfs' && toByteString(root).startsWith('mnt:'))
    .find(({ root }) => toByteString(root) !== own && !pids.has(toByteString(root)));
  const why = !looked
    ? `the mount namespaces of all processes could not be listed: ${whyNot(answer)}`
    : kept === undefined
      ? firstGap(answer)
      : `mount namespace ${toByteString(kept.root)} has no process through which it can be seen`;
  const refusing = [...refusals(answer).matchAll(REFUSAL)].map(([, pid]) => Number(pid));
  return { looked, complete: why === undefined, others: pids, refusing, ...(why !== undefined && { why }) };
});

// find: '/proc/1/ns/mnt': Permission denied
const REFUSAL = /^find: '\/proc\/(\d+)\/ns\/mnt': Permission denied$/gm;

/** Processes end while we look, and some refuse: that is no gap. */
function firstGap(answer: Answer): string | undefined {
  const complaints = refusals(answer);
  if (answer.state !== 'ok' || (answer.code !== 0 && complaints === '')) {
    return whyNot(answer);
  }
  return complaints
    .replace(REFUSAL, '')
    .split('\n')
    .find((line) => line !== '' && !/: No such (file or directory|process)$/.test(line));
}

function refusals(answer: Answer): string {
  return answer.state === 'ok' ? answer.err : '';
}

export interface OtherTables {
  looked: boolean;
  /** Every mount of the machine that some process can see is in these tables or in ours. */
  complete: boolean;
  why?: string;
  tables: OtherTable[];
}

export interface OtherTable {
  /** Whose table it is. */
  pid: number;
  /** All who live in that namespace, as far as they say so. */
  pids: readonly number[];
  seen: Seen;
  /** Whole mountinfo, one character a byte. */
  text: string;
}

/** The mount tables of the other mount namespaces, by one process of each. `take`: which look this is, '' for the first. */
export const otherTables = defineFact('other-mount-tables', function* (take: string): Asking<OtherTables> {
  const { others, refusing, looked, complete, why } = yield* mountNamespaces();
  const read = yield* all([...others.values(), ...refusing.map((pid) => [pid])].map((pids) => tableOf(pids, take)));
  const unread = read.find((table): table is { why: string } => table !== undefined && 'why' in table)?.why;
  const gap = why ?? unread;
  return {
    looked,
    complete: complete && unread === undefined,
    ...(gap !== undefined && { why: gap }),
    tables: read.filter((table): table is OtherTable => table !== undefined && 'text' in table),
  };
});

/** undefined: all of these processes have ended. */
function* tableOf(pids: readonly number[], take: string): Asking<OtherTable | { why: string } | undefined> {
  for (const pid of pids.slice(0, PROCESSES_ASKED)) {
    const path = `/proc/${pid}/mountinfo`;
    const answer = yield* read(path, { maxBytes: TABLE_AT_MOST, ...(take !== '' && { take }) });
    const text = outputOf(answer);
    if (text.endsWith('\n')) {
      return { pid, pids, seen: { source: path, at: answer.at }, text };
    }
    if (!(yield* hasEnded(pid))) {
      return { why: `${path}: ${answer.state === 'ok' ? 'empty or cut off' : whyNot(answer)}` };
    }
  }
  return undefined;
}

function* hasEnded(pid: number): Asking<boolean> {
  const answer = yield* read(`/proc/${pid}/stat`, { take: 'ended' });
  return answer.state === 'absent' || 'ZX'.includes(parseStat(outputOf(answer))?.state ?? '?');
}

/** The mounts of such a table whose line passes: the device is `major:minor`, the point as in mountinfo, escaped. */
export function mountsIn({ text }: OtherTable, passes: (device: string, point: string) => boolean): Mount[] {
  const lines = text
    .slice(0, -1)
    .split('\n')
    .filter((line) => {
      const [, , device = '', , point = ''] = line.split(' ', 5);
      return passes(device, point);
    });
  return lines.length === 0 ? [] : parseMountinfo(`${lines.join('\n')}\n`);
}

export interface MountedElsewhere {
  pid: number;
  /** Propagation groups of the mount there: `master:2` or `shared:2` takes part in what happens here. */
  tags: string[];
}

export interface Elsewhere {
  mounts: MountedElsewhere[];
  /** Namespaces were listed, this one among them. Some processes may have refused. */
  looked: boolean;
  complete: boolean;
}

/** Mounts of a superblock in other mount namespaces, by one process of each; with a source, those of this source only. */
export const mountedElsewhere = defineFact('mounted-elsewhere', function* (device: string, source: Name | null): Asking<Elsewhere> {
  const { tables, looked, complete } = yield* otherTables('');
  const mounts = tables.flatMap((table) => {
    const found = mountsIn(table, (each) => each === device).find((each) => source === null || sameName(each.source, source));
    return found === undefined ? [] : [{ pid: table.pid, tags: found.tags }];
  });
  return { mounts, looked, complete };
});

/** Mounts elsewhere that an unmount of this one does not reach: no propagation joins them. */
export function beyondReach({ tags }: Mount, { mounts }: Elsewhere): MountedElsewhere[] {
  const groups = new Set(tags.filter((tag) => tag.startsWith('shared:')).map((tag) => tag.slice('shared:'.length)));
  return mounts.filter((other) => !other.tags.some((tag) => groups.has(tag.replace(/^(shared|master):/, ''))));
}

/** No other mount namespace that can be seen keeps this superblock alive. */
export const notMountedElsewhere = defineCondition('not-mounted-elsewhere', function* (args: { device: string }): Asking<Holds> {
  const { mounts, looked } = yield* mountedElsewhere(args.device, null);
  const pids = mounts.map(({ pid }) => pid).join(', ');
  const found = looked ? `still mounted in the mount namespace of process ${pids}` : 'the mount namespaces could not be listed';
  return looked && mounts.length === 0 ? { holds: true } : { holds: false, expected: `device ${args.device} mounted nowhere else`, found };
});
