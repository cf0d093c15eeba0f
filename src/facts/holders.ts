import { all, defineFact, outputOf, read, run } from '../check/asking.ts';
import type { Answer, Asking, Seen } from '../check/types.ts';
import { type Name, toByteString } from '../names.ts';
import { procLinks } from './proc-links.ts';

export interface Holder {
  pid: number;
  name: string;
  /** How it holds the mount: `cwd`, `root`, `exe`, `fd 3`. */
  by: string[];
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
  const found = yield* procLinks(points);
  const names = new Map<number, string>();
  const pids = [...new Set(found.links.map(({ pid }) => pid))];
  const comms = yield* all(pids.map((pid) => read(`/proc/${pid}/comm`)));
  for (const [index, pid] of pids.entries()) {
    names.set(pid, outputOf(comms[index] as Answer).trimEnd());
  }
  const strangers = yield* otherNamespaces(pids);
  const byPoint = new Map<string, Holder[]>();
  for (const point of points.map(toByteString)) {
    const holders = new Map<number, Holder>();
    for (const link of found.links) {
      const target = toByteString(link.target);
      if (strangers.has(link.pid) || (target !== point && !target.startsWith(`${point}/`))) {
        continue;
      }
      const holder = holders.get(link.pid) ?? { pid: link.pid, name: names.get(link.pid) ?? '', by: [] };
      holder.by.push(link.by === 'fd' ? `fd ${link.descriptor}` : link.by);
      holders.set(link.pid, holder);
    }
    byPoint.set(point, [...holders.values()]);
  }
  return { seen: found.seen, byPoint, complete: found.complete, ...(found.why !== undefined && { why: found.why }) };
});

/** Processes that mean another mount by the same path: those known to live in another mount namespace. */
function* otherNamespaces(pids: readonly number[]): Asking<ReadonlySet<number>> {
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
