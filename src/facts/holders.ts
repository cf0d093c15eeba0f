import { all, defineFact, outputOf, read, run } from '../check/asking.ts';
import { defineCondition } from '../check/condition.ts';
import type { Answer, Asking, Holds, Seen } from '../check/types.ts';
import { fromByteString, type Name, printable, showName, toByteString } from '../names.ts';
import { isRootDeleted, mountTable, topAt } from './mountinfo.ts';
import { type ProcLink, procLinks } from './proc-links.ts';

const DELETED = ' (deleted)';

export interface Holder {
  pid: number;
  name: string;
  /** Whose process it is: a name of /etc/passwd, else the number; null where that cannot be read. */
  user: string | null;
  /** How it holds the mount: `cwd`, `root`, `exe`, `fd 3`. */
  by: string[];
  /** What it holds, in the same order, as the kernel names it. */
  paths: Name[];
}

export interface Holders {
  seen: Seen;
  /** Keyed by mount point, one character a byte. */
  byPoint: ReadonlyMap<string, Holder[]>;
  complete: boolean;
  why?: string;
}

/** Processes with their working directory, root, program or an open file on one of these mounts. Reads links only. */
export const holdersOf = defineFact('holders', function* (points: Name[]): Asking<Holders> {
  const table = yield* mountTable();
  const marked = points.filter((point) => {
    const top = topAt(table, point);
    return top !== undefined && isRootDeleted(top);
  });
  const found = yield* procLinks([...points, ...marked.map((point) => fromByteString(toByteString(point) + DELETED))]);
  const pids = [...new Set(found.links.map(({ pid }) => pid))];
  const strangers = yield* otherNamespaces(pids);
  const atRoot = yield* onDeletedRoot(marked, found.links);
  const tell = yield* holdersBehind(found.links.filter(({ pid }) => !strangers.has(pid)));
  const byPoint = new Map<string, Holder[]>();
  for (const point of points.map(toByteString)) {
    const holds = (link: ProcLink) => {
      const target = toByteString(link.target);
      return target === point || target.startsWith(`${point}/`) || (target === point + DELETED && atRoot.has(link));
    };
    byPoint.set(point, tell(holds));
  }
  return { seen: found.seen, byPoint, complete: found.complete, ...(found.why !== undefined && { why: found.why }) };
});

/** Looks up who the processes behind these links are; gives the holders among those links that are chosen then. */
export function* holdersBehind(links: readonly ProcLink[]): Asking<(chosen: (link: ProcLink) => boolean) => Holder[]> {
  const pids = [...new Set(links.map(({ pid }) => pid))];
  const [comms, statuses] = (yield* all([
    all(pids.map((pid) => read(`/proc/${pid}/comm`))),
    all(pids.map((pid) => read(`/proc/${pid}/status`))),
  ])) as [Answer[], Answer[]];
  // Uid:	0	0	0	0
  const uids = statuses.map((status) => /^Uid:\s+(\d+)/m.exec(outputOf(status))?.[1]);
  const users = yield* userNames([...new Set(uids.filter((uid) => uid !== undefined))].toSorted());
  const known = new Map(
    pids.map((pid, index) => {
      const uid = uids[index];
      const user = uid === undefined ? null : (users.get(uid) ?? uid);
      return [pid, { pid, name: outputOf(comms[index] as Answer).trimEnd(), user }];
    }),
  );
  return (chosen) => {
    const holders = new Map<number, Holder>();
    for (const link of links.filter(chosen)) {
      const holder = holders.get(link.pid) ?? { ...(known.get(link.pid) as Pick<Holder, 'pid' | 'name' | 'user'>), by: [], paths: [] };
      holder.by.push(link.by === 'fd' ? `fd ${link.descriptor}` : link.by);
      holder.paths.push(link.target);
      holders.set(link.pid, holder);
    }
    return [...holders.values()];
  };
}

/** Names by number. The file alone: a directory service may keep us waiting. */
function* userNames(uids: readonly string[]): Asking<ReadonlyMap<string, string>> {
  if (uids.length === 0) {
    return new Map();
  }
  const answer = yield* run(['grep', '-E', `^[^:]+:[^:]*:(${uids.join('|')}):`, '/etc/passwd'], { limitMs: 1000 });
  // alice:x:1000:1000:…
  return new Map([...outputOf(answer).matchAll(/^([^:\n]+):[^:\n]*:(\d+):/gm)].map(([, name, uid]) => [uid as string, name as string]));
}

/**
 * Of the links to the root of a bind mount of something deleted, which the kernel shows as `/mnt/x (deleted)`, those that
 * really lead there. A directory may bear that name, or have been deleted at that path before: only the inode tells. It
 * cannot be given out again while the mount stands.
 */
function* onDeletedRoot(points: Name[], links: readonly ProcLink[]): Asking<ReadonlySet<ProcLink>> {
  const texts = new Map(points.map((point) => [toByteString(point) + DELETED, toByteString(point)]));
  const candidates = links.filter(({ target }) => texts.has(toByteString(target)));
  if (candidates.length === 0) {
    return new Set();
  }
  const paths = [...points, ...candidates.map(pathOfLink)];
  const answer = yield* run(['find', '-L', ...paths, '-maxdepth', '0', '-printf', '%D %i %p\\0'], { limitMs: 2000, suspect: true });
  const inodes = new Map<string, string>();
  for (const record of outputOf(answer).split('\0').slice(0, -1)) {
    // 65024 2146467 /proc/3626/cwd
    const [inode = ''] = /^\d+ \d+/.exec(record) ?? [];
    inodes.set(record.slice(inode.length + 1), inode);
  }
  return new Set(
    candidates.filter((link) => {
      const inode = inodes.get(pathOfLink(link));
      return inode !== undefined && inode !== '' && inode === inodes.get(texts.get(toByteString(link.target)) as string);
    }),
  );
}

function pathOfLink({ pid, by, descriptor }: ProcLink): string {
  return `/proc/${pid}/${by === 'fd' ? `fd/${descriptor}` : by}`;
}

/** `bash (pid 12 of alice, cwd), sleep (pid 13 of root, fd 0, fd 1)` */
export function listHolders(holders: readonly Holder[]): string {
  return holders.map(({ pid, name, user, by }) => `${printable(name)} (pid ${pid}${ofUser(user)}, ${by.join(', ')})`).join(', ');
}

/** `bash (pid 12 of alice): cwd /mnt/x, fd 3 → /mnt/x/a; …` */
export function describeHolders(holders: readonly Holder[]): string {
  return holders
    .map(({ pid, name, user, by, paths }) => {
      const what = by.map((how, index) => `${how}${how.startsWith('fd ') ? ' →' : ''} ${showName(paths[index] ?? '')}`);
      return `${printable(name)} (pid ${pid}${ofUser(user)}): ${what.join(', ')}`;
    })
    .join('; ');
}

function ofUser(user: string | null): string {
  return user === null ? '' : ` of ${printable(user)}`;
}

/**
 * Something is mounted there, and no process is seen with its working directory, root, program or an open file on it.
 * Whoever could not be looked at is no holder: this stands before `umount -c`, which says busy by itself and changes nothing.
 */
export const nobodySeenHolding = defineCondition('nobody-seen-holding', function* (args: { point: Name }): Asking<Holds> {
  const expected = `nobody holding ${showName(args.point)}`;
  if (topAt(yield* mountTable(), args.point) === undefined) {
    return { holds: false, expected, found: 'nothing mounted there' };
  }
  const { byPoint } = yield* holdersOf([args.point]);
  const found = listHolders(byPoint.get(toByteString(args.point)) ?? []);
  return found === '' ? { holds: true } : { holds: false, expected, found };
});

/** Processes that mean another mount by the same path: those known to live in another mount namespace. */
export function* otherNamespaces(pids: readonly number[]): Asking<ReadonlySet<number>> {
  if (pids.length === 0) {
    return new Set();
  }
  const links = ['self', ...pids].map((pid) => `/proc/${pid}/ns/mnt`);
  const answer = yield* run(['find', ...links, '-maxdepth', '0', '-printf', '%p %l\\n']);
  // /proc/2583/ns/mnt mnt:[4026531841]
  const namespaces = new Map(
    [...outputOf(answer).matchAll(/^\/proc\/(\w+)\/ns\/mnt (\S+)$/gm)].map(([, pid, namespace]) => [pid, namespace]),
  );
  const own = namespaces.get('self');
  return new Set(pids.filter((pid) => own !== undefined && namespaces.has(String(pid)) && namespaces.get(String(pid)) !== own));
}
