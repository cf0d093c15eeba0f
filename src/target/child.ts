/** Children that ask: never longer than their limit, whatever the kernel does with them. */
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
  // A third of the start of a check: what asks nobody does without.
  const { execa } = await import('execa');
  // Detached: a group of its own to kill, and no terminal to read from. Own timer: a child in D state never settles execa's.
  const child = execa(file, rest, {
    cwd: '/',
    env: childEnvironment(searchPath),
    extendEnv: false,
    detached: true,
    cleanup: false,
    reject: false,
    buffer: false,
    ...(input === undefined ? { stdin: 'ignore' } : { input }),
  });
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
  const ended = child.then((result) => result);
  ended.catch(() => {});
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
    if (first.exitCode === undefined) {
      return first.signal === undefined
        ? { ...said, state: 'not-started', errno: String(first.code ?? 'unknown') }
        : { ...said, state: 'exited', code: 128 };
    }
    return { ...said, state: 'exited', code: first.exitCode };
  }
  timer.abort();
  const family = pid === undefined ? [] : familyOf(pid);
  const wchan = family.map((each) => readProc(each.pid, 'wchan')).findLast((name) => name !== undefined && name !== '0' && name !== '');
  if (pid !== undefined) {
    killGroup(pid);
  }
  await Promise.race([ended, sleep(GRACE_MS)]);
  const leaked = family.findLast(isAlive);
  child.nodeChildProcess.unref();
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
