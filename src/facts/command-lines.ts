import { all, defineFact, outputOf, read, run } from '../check/asking.ts';
import type { Answer, Asking, Seen } from '../check/types.ts';
import { type Name, toByteString } from '../names.ts';
import { refusals } from './proc-scan.ts';
import { parseStat } from './process.ts';

export interface CommandLine {
  pid: number;
  /** One character a byte. */
  words: string[];
}

export interface CommandLines {
  seen: Seen;
  lines: CommandLine[];
  gaps: string[];
}

const LIMIT = 5000;
const ARGV = [
  ...['find', '/proc', '-mindepth', '2', '-maxdepth', '2', '-regextype', 'posix-egrep', '-regex', '/proc/[0-9]+/cmdline'],
  ...['-exec', 'grep', '-aHZ', '/', '{}', '+'],
];

/** The command lines of all processes that name a path. Reading one may wait for a stuck process. */
export const commandLines = defineFact('command-lines', function* (): Asking<CommandLines> {
  const answer = yield* run(ARGV, { limitMs: LIMIT, suspect: true });
  const byPid = new Map<number, string[]>();
  // /proc/972/cmdline NUL sleep NUL infinity NUL NEWLINE, and the same again where a word holds a newline.
  for (const [, pid, line] of outputOf(answer).matchAll(/^\/proc\/(\d+)\/cmdline\0(.*)$/gm)) {
    byPid.set(Number(pid), [...(byPid.get(Number(pid)) ?? []), line as string]);
  }
  const lines = [...byPid].map(([pid, parts]) => ({ pid, words: parts.join('\n').split('\0') }));
  return { seen: { source: '/proc/*/cmdline', at: answer.at }, lines, gaps: refusals(answer, 'the command lines of the processes') };
});

/**
 * Processes whose command line names one of these paths. Not those who brought us here, nor those whom we ask: they name
 * what is asked about.
 */
export function* processesNaming(paths: readonly Name[]): Asking<{ pids: number[]; gaps: string[]; seen: Seen }> {
  const { lines, gaps, seen } = yield* commandLines();
  const names = paths.map(toByteString);
  const pids = lines.filter(({ words }) => words.some((word) => names.some((name) => isNamed(word, name)))).map(({ pid }) => pid);
  if (pids.length === 0) {
    return { pids, gaps, seen };
  }
  const ancestors = yield* ancestorsOf('self');
  const lineage = yield* all(pids.map(ancestorsOf));
  const own = ancestors[0];
  return { pids: pids.filter((pid, index) => !ancestors.includes(pid) && !lineage[index]?.includes(own as number)), gaps, seen };
}

/** A path in a word, whole: `file=/dev/sda,format=raw` names /dev/sda, `/dev/sda1` and `/jail/dev/sda` do not. */
export function isNamed(word: string, path: string): boolean {
  for (let at = word.indexOf(path); at >= 0; at = word.indexOf(path, at + 1)) {
    const before = word.slice(0, at);
    const after = word.slice(at + path.length);
    // An option and its value in one word: -f/dev/sda
    const starts = /^-[A-Za-z]$/.test(before) || !/[\w.\x80-\xff-]$/.test(before);
    if (starts && !/^([\w\x80-\xff-]|[.+@][\w\x80-\xff])/.test(after)) {
      return true;
    }
  }
  return false;
}

/** The process itself, its parent, and so on. */
function* ancestorsOf(start: number | 'self'): Asking<number[]> {
  const line: number[] = [];
  for (let next: number | 'self' = start; next !== 0 && line.length < 100; ) {
    const stat = outputOf((yield* read(`/proc/${next}/stat`)) as Answer);
    const pid = parseStat(stat)?.pid;
    if (pid === undefined) {
      break;
    }
    line.push(pid);
    // 972 (node) S 1 …: the parent comes after the state.
    next = Number(/^ \w (\d+)/.exec(stat.slice(stat.lastIndexOf(')') + 1))?.[1] ?? 0);
  }
  return line;
}
