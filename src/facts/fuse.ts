import { all, ask, defineFact, expectOutput, outputOf, read, run, seenAt, sourceOf, Unknown, whyNot } from '../check/asking.ts';
import { defineCondition } from '../check/condition.ts';
import type { Answer, Asking, Holds, Probe, Seen } from '../check/types.ts';
import { fromByteString, type Name, toByteString } from '../names.ts';
import { otherNamespaces } from './holders.ts';
import { isFuse } from './mount-kinds.ts';
import { type Mount, mountTable, optionList, optionValue, parseMountinfo, topAt } from './mountinfo.ts';
import { procLinks } from './proc-links.ts';
import { type Process, processOf } from './process.ts';

export const CONNECTIONS = '/sys/fs/fuse/connections';

/**
 * The directory of a mount below /sys/fs/fuse/connections: the superblock's device number as the kernel counts it
 * inside (fs/fuse/control.c prints `fc->dev`): the bare minor for `0:42`, `major << 20 | minor` for fuseblk.
 */
export function connectionOf(mount: Pick<Mount, 'device'>): number {
  const [major = 0, minor = 0] = mount.device.split(':').map(Number);
  return major * 2 ** 20 + minor;
}

/** Requests that callers wait for, or why that cannot be read. */
export interface Waiting {
  seen: Seen;
  count: number | undefined;
  why?: string;
}

export function* waitingOn(connection: number, take: string): Asking<Waiting> {
  const probe = waitingProbe(connection, take);
  const answer = yield* ask(probe);
  const text = outputOf(answer).trim();
  return /^\d+$/.test(text)
    ? { seen: seenAt(probe, answer), count: Number(text) }
    : { seen: seenAt(probe, answer), count: undefined, why: answer.state === 'ok' ? 'not a number' : whyNot(answer) };
}

/** A number and nothing else becomes part of a path: a claim may come from a file. */
function waitingProbe(connection: number, take: string): Probe {
  if (!Number.isSafeInteger(connection)) {
    throw new Unknown(`${connection} is no FUSE connection`);
  }
  return { kind: 'read', path: `${CONNECTIONS}/${connection}/waiting`, take };
}

export interface FuseConnections {
  seen: Seen;
  /** Number of each connection → inode of its directory, which no later connection of that number has. */
  inodes: ReadonlyMap<number, number>;
}

/** All FUSE connections of the kernel, of other mount namespaces too. undefined: their control files are not mounted here. */
export const fuseConnections = defineFact('fuse-connections', function* (take: string): Asking<FuseConnections | undefined> {
  if (topAt(yield* mountTable(), CONNECTIONS)?.fstype !== 'fusectl') {
    return undefined;
  }
  const probe: Probe & { kind: 'run' } = { kind: 'run', argv: ['find', CONNECTIONS, '-maxdepth', '1', '-printf', '%d %i %f\\n'] };
  const answer = yield* run(probe.argv, { ...(take !== '' && { take }) });
  // 0 1 connections
  // 1 1074722 47
  const lines = expectOutput(probe, answer).split('\n');
  const matches = lines.slice(1, -1).map((line) => /^1 (\d+) (\d+)$/.exec(line));
  if (!/^0 \d+ connections$/.test(lines[0] ?? '') || lines.at(-1) !== '' || matches.includes(null)) {
    throw new Unknown(`${sourceOf(probe)}: unknown format`);
  }
  const inodes = new Map(matches.map((match) => [Number(match?.[2]), Number(match?.[1])]));
  return { seen: seenAt(probe, answer), inodes };
});

export interface FuseDaemons {
  seen: Seen;
  /** Every process of the machine was looked at: only then does absence prove that a daemon is gone. */
  complete: boolean;
  /** By connection number, where the kernel tells it. */
  byConnection: ReadonlyMap<number, Process[]>;
  /** Connections that a process of another mount namespace holds, in which no mount has this number. */
  strangers: ReadonlySet<number>;
  /** Processes that hold /dev/fuse while the kernel does not tell which connection, with their arguments. */
  unmapped: { process: Process; argv: Name[] }[];
}

/** Who holds /dev/fuse, and for which connection. Touches no mount. */
export const fuseDaemons = defineFact('fuse-daemons', function* (): Asking<FuseDaemons> {
  const links = yield* procLinks(['/dev/fuse']);
  const held = links.links.filter((link) => link.descriptor !== undefined);
  const byPid = new Map<number, Process>();
  const pids = [...new Set(held.map((link) => link.pid))];
  for (const process of yield* all(pids.map((pid) => processOf(pid)))) {
    if (process !== undefined) {
      byPid.set(process.pid, process);
    }
  }
  const infos = yield* all(held.map((link) => read(`/proc/${link.pid}/fdinfo/${link.descriptor}`)));
  const elsewhere = yield* connectionsElsewhere(pids);
  const byConnection = new Map<number, Process[]>();
  const without = new Set<number>();
  const strangers = new Set<number>();
  held.forEach((link, index) => {
    // fuse_connection:	39
    const connection = /^fuse_connection:\s+(\d+)$/m.exec(outputOf(infos[index] as Answer))?.[1];
    const process = byPid.get(link.pid);
    if (process === undefined) {
      return;
    }
    if (connection === undefined) {
      without.add(link.pid);
    } else if (elsewhere.get(link.pid)?.has(Number(connection)) === false) {
      strangers.add(Number(connection));
    } else {
      const holders = byConnection.get(Number(connection)) ?? [];
      byConnection.set(Number(connection), holders.includes(process) ? holders : [...holders, process]);
    }
  });
  const unmapped: FuseDaemons['unmapped'] = [];
  for (const pid of without) {
    // Reading a command line takes the lock of the process' memory, which a stuck process may hold: not read in-process.
    const answer = yield* run(['cat', `/proc/${pid}/cmdline`], { suspect: true, limitMs: 1000 });
    const process = byPid.get(pid);
    if (process !== undefined) {
      unmapped.push({ process, argv: outputOf(answer).split('\0').filter(Boolean).map(fromByteString) });
    }
  }
  return { seen: links.seen, complete: links.complete, byConnection, strangers, unmapped };
});

/**
 * By pid, for processes of other mount namespaces: the connections that are mounted there. A daemon whose mount is gone
 * keeps its number, and the kernel gives the same number to the next mount: then it is another one's.
 */
function* connectionsElsewhere(pids: readonly number[]): Asking<ReadonlyMap<number, ReadonlySet<number>>> {
  const others = [...(yield* otherNamespaces(pids))];
  const tables = yield* all(others.map((pid) => read(`/proc/${pid}/mountinfo`, { maxBytes: 16 * 1024 * 1024 })));
  const connections = new Map<number, ReadonlySet<number>>();
  others.forEach((pid, index) => {
    const text = outputOf(tables[index] as Answer);
    if (text.endsWith('\n')) {
      connections.set(pid, new Set(parseMountinfo(text).filter(isFuse).map(connectionOf)));
    }
  });
  return connections;
}

export interface DaemonsOfMount {
  processes: Process[];
  /** `kernel`: by fdinfo. `arguments`: by the mount point among the arguments. */
  by: 'kernel' | 'arguments';
  /** With no processes: it is proven that there is none. */
  complete: boolean;
}

export function daemonsOf(mount: Pick<Mount, 'device' | 'point'>, daemons: FuseDaemons): DaemonsOfMount {
  const known = daemons.byConnection.get(connectionOf(mount));
  if (known !== undefined) {
    return { processes: known, by: 'kernel', complete: true };
  }
  const point = toByteString(mount.point);
  const named = daemons.unmapped.filter(({ argv }) => argv.some((word) => toByteString(word) === point));
  return named.length > 0
    ? { processes: named.map(({ process }) => process), by: 'arguments', complete: true }
    : {
        processes: [],
        by: 'kernel',
        complete: daemons.complete && daemons.unmapped.length === 0 && !daemons.strangers.has(connectionOf(mount)),
      };
}

/** The user and group whose questions the daemon answers, where it answers no others (no `allow_other`). */
export function onlyFor(mount: Mount): { uid: number; gid: number } | undefined {
  if (optionList(mount.superOptions).includes('allow_other')) {
    return undefined;
  }
  const uid = optionValue(mount.superOptions, 'user_id') ?? '';
  const gid = optionValue(mount.superOptions, 'group_id') ?? '';
  return /^\d+$/.test(uid) && /^\d+$/.test(gid) ? { uid: Number(uid), gid: Number(gid) } : undefined;
}

/** Nobody waits for an answer on this connection. */
export const nobodyWaits = defineCondition('fuse-nobody-waits', function* (args: { connection: number }): Asking<Holds> {
  const waiting = yield* waitingOn(args.connection, 'guard');
  return waiting.count === 0
    ? { holds: true }
    : { holds: false, expected: `0 callers in ${waiting.seen.source}`, found: String(waiting.count ?? waiting.why) };
});

/** Callers still wait on this connection: what an abort would set free. */
export const somebodyWaits = defineCondition('fuse-somebody-waits', function* (args: { connection: number }): Asking<Holds> {
  const waiting = yield* waitingOn(args.connection, 'guard');
  return (waiting.count ?? 0) > 0
    ? { holds: true }
    : { holds: false, expected: `callers waiting in ${waiting.seen.source}`, found: String(waiting.count ?? waiting.why) };
});

/** Every process of the machine was looked at, and none is the daemon of this FUSE. */
export const daemonGone = defineCondition('fuse-daemon-gone', function* (args: { device: string; point: Name }): Asking<Holds> {
  const { processes, complete } = daemonsOf(args, yield* fuseDaemons());
  if (complete && processes.length === 0) {
    return { holds: true };
  }
  const found = processes.length === 0 ? 'not every process could be looked at' : `process ${processes.map(({ pid }) => pid).join(', ')}`;
  return { holds: false, expected: `no daemon of FUSE device ${args.device}`, found };
});

/** The control files of FUSE can be read. */
export const fusectlThere = defineCondition('fusectl-there', function* (args: { connection: number }): Asking<Holds> {
  const probe = waitingProbe(args.connection, 'there');
  const answer = yield* ask(probe);
  return answer.state === 'ok' ? { holds: true } : { holds: false, expected: `${sourceOf(probe)} readable`, found: whyNot(answer) };
});
