import { all, defineFact, outputOf, pause, run, Unknown } from '../../../src/check/asking.ts';
import type { Asking, Seen } from '../../../src/check/types.ts';
import { connectionOf, fuseConnections, waitingOn } from '../../../src/facts/fuse.ts';
import { type Holder, holdersBehind } from '../../../src/facts/holders.ts';
import { isFuse, mayHang } from '../../../src/facts/mount-kinds.ts';
import { mountTable, ownTableAgain } from '../../../src/facts/mountinfo.ts';
import { mountsIn, type OtherTable, otherTables } from '../../../src/facts/namespaces.ts';
import { leadsTo, NOT_A_LINK_DIRECTORY, parseLink } from '../../../src/facts/proc-links.ts';
import { self } from '../../../src/facts/process.ts';

/** An unmount that is under way has ended by then, and a mount that is being made is listed. */
const SETTLED_AFTER = 1000;

export interface Orphan {
  connection: number;
  /** Callers that waited for an answer, over time; undefined where it could not be read. */
  waiting: (number | undefined)[];
  holders: Holder[];
}

export interface Orphans {
  seen: Seen;
  orphans: Orphan[];
  /** Why it is not known of these whether they are mounted somewhere. */
  unsettled?: { connections: number[]; why: string };
}

/**
 * FUSE connections whose file system is mounted nowhere. undefined: not known here, since only root reads them all, and only
 * where their control files are mounted.
 */
export const orphans = defineFact('zombie-mounts.orphans', function* (): Asking<Orphans | { unknown: string } | undefined> {
  const { uid, seesAllProcesses } = yield* self();
  if (uid > 0) {
    return undefined;
  }
  try {
    const first = yield* fuseConnections('');
    if (uid < 0) {
      return { unknown: 'who we are could not be read' };
    }
    if (first === undefined) {
      return undefined;
    }
    const early = yield* unmounted([...first.inodes.keys()], '');
    if (early.connections.length === 0) {
      return { seen: first.seen, orphans: [] };
    }
    const counts = [yield* waitingCounts(early.connections, 'orphan')];
    yield* pause(SETTLED_AFTER);
    const { connections, gap } = yield* unmounted(early.connections, 'orphans');
    counts.push(yield* waitingCounts(early.connections, 'orphan again'));
    const second = yield* fuseConnections('orphans');
    const same = connections.filter((each) => second?.inodes.get(each) === first.inodes.get(each));
    const why = gap ?? (seesAllProcesses ? undefined : 'not every process is visible here, and so not every mount namespace');
    if (why !== undefined && same.length > 0) {
      return { seen: first.seen, orphans: [], unsettled: { connections: same, why } };
    }
    const holders = yield* holdersOfConnections(same);
    return {
      seen: first.seen,
      orphans: same.map((connection) => ({
        connection,
        waiting: counts.map((each) => each.get(connection)),
        holders: holders.get(connection) ?? [],
      })),
    };
  } catch (error) {
    if (error instanceof Unknown) {
      return { unknown: error.message };
    }
    throw error;
  }
});

/** Of these connections those that no mount table shows, ours or another one. */
function* unmounted(connections: readonly number[], take: string): Asking<{ connections: number[]; gap?: string }> {
  const { mounts } = take === '' ? yield* mountTable() : yield* ownTableAgain(take);
  const own = new Set(mounts.map(connectionOf));
  const rest = connections.filter((connection) => !own.has(connection));
  if (rest.length === 0) {
    return { connections: [] };
  }
  const { tables, complete, why } = yield* otherTables(take);
  const others = new Set(tables.flatMap(connectionsIn));
  return {
    connections: rest.filter((connection) => !others.has(connection)),
    ...(!complete && { gap: why ?? 'not every mount table could be read' }),
  };
}

function connectionsIn(table: OtherTable): number[] {
  return mountsIn(table, () => true)
    .filter(isFuse)
    .map(connectionOf);
}

function* waitingCounts(connections: readonly number[], take: string): Asking<ReadonlyMap<number, number | undefined>> {
  const counts = yield* all(connections.map((connection) => waitingOn(connection, take)));
  return new Map(connections.map((connection, index) => [connection, counts[index]?.count]));
}

/**
 * Who holds something on these connections. Their paths have lost what was before them and may be anything: only the device
 * number tells. It comes from what the kernel has in memory (AT_STATX_DONT_SYNC), so that nobody else is asked; what lies
 * on a mount that is listed is no orphan's, and left out where that may hang.
 */
function* holdersOfConnections(connections: readonly number[]): Asking<ReadonlyMap<number, Holder[]>> {
  if (connections.length === 0) {
    return new Map();
  }
  const elsewhere = ['/dev', ...(yield* mountTable()).mounts.filter(mayHang).map(({ point }) => point)];
  const ask = ['-exec', 'stat', '--cached=always', '-L', '-c', '%Hd:%Ld %n', '--', '{}', '+'];
  const links = ['-type', 'l', '-lname', '/*', '!', '(', ...leadsTo(elsewhere), ')'];
  const prune = ['-regextype', 'posix-egrep', '!', '-regex', NOT_A_LINK_DIRECTORY, '-prune'];
  const answer = yield* run(['find', '/proc', '-mindepth', '1', '-maxdepth', '3', ...prune, '-o', ...links, ...ask], { suspect: true });
  const held = new Map<string, number>();
  // 0:47 /proc/30402/cwd
  for (const [, device = '', path = ''] of outputOf(answer).matchAll(/^(\d+:\d+) (\/proc\/.+)$/gm)) {
    if (connections.includes(connectionOf({ device }))) {
      held.set(path, connectionOf({ device }));
    }
  }
  if (held.size === 0) {
    return new Map();
  }
  const targets = yield* run(['find', ...held.keys(), '-maxdepth', '0', '-printf', '%p %l\\0']);
  const found = outputOf(targets)
    .split('\0')
    .slice(0, -1)
    .map((record) => ({ link: parseLink(record), connection: held.get(record.slice(0, record.indexOf(' '))) }));
  const tell = yield* holdersBehind(found.map(({ link }) => link));
  return new Map(
    connections.map((connection) => {
      const own = new Set(found.filter((each) => each.connection === connection).map(({ link }) => link));
      return [connection, tell((link) => own.has(link))];
    }),
  );
}
