import { defineFact, outputOf, run } from '../check/asking.ts';
import type { Asking, Seen } from '../check/types.ts';
import { refusals } from './proc-scan.ts';

export interface MappedFiles {
  seen: Seen;
  /** `major:minor inode`, the device that of the superblock → the processes that have it mapped. */
  byInode: ReadonlyMap<string, ReadonlySet<number>>;
  gaps: string[];
}

const LIMIT = 10_000;
const ARGV = [
  ...['find', '/proc', '-mindepth', '2', '-maxdepth', '2', '-regextype', 'posix-egrep', '-regex', '/proc/[0-9]+/maps'],
  ...['-exec', 'grep', '-HoE', ' [0-9a-f]+:[0-9a-f]+ [1-9][0-9]*', '{}', '+'],
];

/** Files that processes have in memory: a mapping stays when the descriptor is closed. May wait for a stuck process. */
export const mappedFiles = defineFact('mapped-files', function* (): Asking<MappedFiles> {
  const answer = yield* run(ARGV, { limitMs: LIMIT, suspect: true });
  const byInode = new Map<string, Set<number>>();
  // /proc/972/maps: fe:00 2149252
  for (const [, pid, major, minor, inode] of outputOf(answer).matchAll(/^\/proc\/(\d+)\/maps: ([0-9a-f]+):([0-9a-f]+) (\d+)$/gm)) {
    const key = `${Number.parseInt(major as string, 16)}:${Number.parseInt(minor as string, 16)} ${inode}`;
    byInode.set(key, (byInode.get(key) ?? new Set()).add(Number(pid)));
  }
  return { seen: { source: '/proc/*/maps', at: answer.at }, byInode, gaps: refusals(answer, 'the memory maps of the processes') };
});
