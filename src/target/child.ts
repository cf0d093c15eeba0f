/** Children that ask: never longer than their limit, whatever the kernel does with them. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Child } from '../check/types.ts';
import { parseStat } from '../facts/process.ts';
import { type Name, toBytes } from '../names.ts';

const GRACE_MS = 300;
const STDERR_AT_MOST = 256 * 1024;

export type ChildEnd = { out: Buffer; err: string } & (
  | { state: 'exited'; code: number }
  | { state: 'not-started'; errno: string }
  | { state: 'too-much' }
  /** `leaked`: SIGKILL did not end it. */
  | { state: 'given-up'; wchan?: string; leaked?: Child }
);

const running = new Set<number>();

/** Kills the children that still ask. For the moment before this process ends. */
export function killAll(): void {
  for (const pid of running) {
    killGroup(pid);
  }
}

export function childEnvironment(searchPath: string): Record<string, string> {
  return { PATH: searchPath, LC_ALL: 'C', HOME: '/', TZ: 'UTC' };
}

/**
 * Node hands only UTF-8 to a child; other bytes go through xargs, as data on its standard input. Its exit code then
 * says little: 123 stands for 1 to 125.
 */
export function viaXargs(argv: readonly Name[]): { argv: string[]; input?: Buffer } {
  if (argv.every((word) => typeof word === 'string')) {
    return { argv: [...argv] as string[] };
  }
  const input = Buffer.concat(argv.slice(1).flatMap((word) => [toBytes(word), Buffer.of(0)]));
  return { argv: ['xargs', '-0', '-x', '-n', String(argv.length), '--', String(argv[0])], input };
}

export async function askChild(words: readonly Name[], limitMs: number, searchPath: string, maxBytes: number): Promise<ChildEnd> {
  const { argv, input } = viaXargs(words);
  const [file, ...rest] = argv as [string, ...string[]];
  let child: ChildProcess;
  try {
    child = start(file, rest, searchPath, input === undefined ? 'ignore' : 'pipe');
  } catch (error) {
    // An argument too long, or one with a NUL byte.
    return { out: Buffer.alloc(0), err: '', state: 'not-started', errno: (error as NodeJS.ErrnoException).code ?? 'unknown' };
  }
  // A child that ends before it has read everything.
  child.stdin?.on('error', () => {}).end(input);
  const out: Buffer[] = [];
  let bytes = 0;
  let err = '';
  let tooMuch: () => void = () => {};
  const overflow = new Promise<'too-much'>((done) => {
    tooMuch = () => done('too-much');
  });
  child.stdout?.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes <= maxBytes) {
      out.push(chunk);
    } else {
      tooMuch();
    }
  });
  child.stderr?.on('data', (chunk: Buffer) => {
    err = (err + chunk.toString('latin1')).slice(0, STDERR_AT_MOST);
  });
  const pid = child.pid;
  if (pid !== undefined) {
    running.add(pid);
  }
  const timer = new AbortController();
  const ended = new Promise<{ code: number | null } | { errno: string }>((done) => {
    child.once('error', (error: NodeJS.ErrnoException) => done({ errno: error.code ?? 'unknown' }));
    child.once('close', (code) => done({ code }));
  });
  const first = await Promise.race([
    ended,
    overflow,
    sleep(limitMs, 'limit' as const, { signal: timer.signal }).catch(() => 'limit' as const),
  ]);
  if (typeof first === 'object') {
    timer.abort();
    if (pid !== undefined) {
      running.delete(pid);
    }
    const said = { out: Buffer.concat(out), err };
    // Ended by a signal: no code of its own.
    return 'errno' in first ? { ...said, state: 'not-started', errno: first.errno } : { ...said, state: 'exited', code: first.code ?? 128 };
  }
  timer.abort();
  const family = pid === undefined ? [] : familyOf(pid);
  const wchan = family.map((each) => readProc(each.pid, 'wchan')).findLast((name) => name !== undefined && name !== '0' && name !== '');
  if (pid !== undefined) {
    killGroup(pid);
  }
  await Promise.race([ended, sleep(GRACE_MS)]);
  const leaked = family.findLast(isAlive);
  child.unref();
  child.stdout?.destroy();
  child.stderr?.destroy();
  if (pid !== undefined) {
    running.delete(pid);
  }
  const said = { out: Buffer.concat(out), err };
  if (first === 'too-much') {
    return { ...said, state: 'too-much' };
  }
  return { ...said, state: 'given-up', ...(wchan !== undefined && { wchan }), ...(leaked !== undefined && { leaked }) };
}

/**
 * Not with execa, which starts the children that act: its limits never settle on a child in D state, so a timer of our own
 * is needed anyway, and loading it would take a third of the time of a whole check.
 */
function start(file: string, argv: readonly string[], searchPath: string, stdin: 'ignore' | 'pipe'): ChildProcess {
  // Detached: a group of its own to kill, and no terminal to read from.
  return spawn(file, argv, { cwd: '/', env: childEnvironment(searchPath), detached: true, stdio: [stdin, 'pipe', 'pipe'] });
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It ended by itself.
  }
}

/** The same process as then, and no zombie. */
export function isAlive(child: Child): boolean {
  const stat = parseStat(readProc(child.pid, 'stat') ?? '');
  return stat !== undefined && stat.startTime === child.startTime && stat.state !== 'Z' && stat.state !== 'X';
}

export function childOf(pid: number): Child | undefined {
  const stat = parseStat(readProc(pid, 'stat') ?? '');
  return stat === undefined ? undefined : { pid, startTime: stat.startTime };
}

/** A child and what it has started: xargs and its command. */
function familyOf(pid: number): Child[] {
  const own = childOf(pid);
  const children = (readProc(pid, `task/${pid}/children`) ?? '').split(' ').filter(Boolean).map(Number);
  return [...(own === undefined ? [] : [own]), ...children.flatMap(familyOf)];
}

// These files of /proc take no lock that a stuck process could hold.
function readProc(pid: number, name: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'latin1');
  } catch {
    return undefined;
  }
}
