import { all, defineFact, outputOf, read } from '../check/asking.ts';
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
  const byPoint = new Map<string, Holder[]>();
  for (const point of points.map(toByteString)) {
    const holders = new Map<number, Holder>();
    for (const link of found.links) {
      const target = toByteString(link.target);
      if (target !== point && !target.startsWith(`${point}/`)) {
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
