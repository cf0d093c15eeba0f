/** The host this process runs on. */
import { closeSync, openSync, readFileSync, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pLimit from 'p-limit';
import type { Acted, Answer, Child, Probe, ResolvedAction, Target } from '../check/types.ts';
import { messageOf } from '../errors.ts';
import { ERRNO, errnoAtEnd } from '../facts/errno.ts';
import { showName, toByteString, toBytes } from '../names.ts';
import { askChild, childEnvironment, childOf, viaXargs } from './child.ts';
import { LeftBehindMemory } from './left-behind.ts';
import { safeSearchPath } from './own-paths.ts';
import { probeKey } from './probe-key.ts';

/** As src/journal calls it, which is loaded only where there is one. */
const JOURNAL_FILE = 'journal.jsonl';
const DEFAULT_LIMIT = 5000;
const SLOTS = 8;
const BYTES_AT_MOST = 64 * 1024 * 1024;

// What a kind of question says on its own stays out of the answer: it is the common part of every one.
type Said<A> = A extends unknown ? Omit<A, 'at' | 'ms'> : never;
type Outcome = Said<Answer>;

export class LocalTarget implements Target {
  readonly name = 'local';
  readonly kind = 'host';
  readonly via = 'local';
  readonly #searchPath = safeSearchPath(process.env['PATH']);
  readonly #memory: LeftBehindMemory;
  readonly #stateDir: string | { unusable: string } | undefined;
  readonly #slots = pLimit(SLOTS);
  /** Suspect mounts have slots of their own: however many hang, the rest is asked. */
  readonly #suspectSlots = pLimit(SLOTS);

  /** stateDir: where the journal lies and children that cannot be killed are remembered, or why it is not touched. */
  constructor(stateDir: string | { unusable: string } | undefined) {
    this.#stateDir = stateDir;
    this.#memory = new LeftBehindMemory(typeof stateDir === 'string' ? stateDir : undefined, readBootId());
  }

  async ask(probe: Probe, until: number): Promise<Answer> {
    if (probe.kind === 'run') {
      return (probe.suspect ? this.#suspectSlots : this.#slots)(() => this.#timed(until, () => this.#run(probe, until)));
    }
    return this.#timed(until, () => this.#other(probe, until));
  }

  async #timed(until: number, work: () => Promise<Outcome>): Promise<Answer> {
    const started = Date.now();
    const said: Outcome = started >= until ? { state: 'cut', why: 'the deadline of the run had passed' } : await work();
    return { at: new Date(started).toISOString(), ms: Date.now() - started, ...said } as Answer;
  }

  async #run(probe: Probe & { kind: 'run' }, until: number): Promise<Outcome> {
    const limitMs = probe.limitMs ?? DEFAULT_LIMIT;
    const key = probeKey(probe);
    const before = this.#memory.find(key);
    if (before !== undefined) {
      const { pid, startTime, out, err, wchan } = before;
      return {
        state: 'timed-out',
        out: Buffer.from(out, 'base64'),
        err: err ?? '',
        limitMs,
        leaked: { pid, startTime },
        ...(wchan !== undefined && { wchan }),
      };
    }
    const started = Date.now();
    const time = Math.min(limitMs, until - started);
    const end = await askChild(probe.argv, time, this.#searchPath, BYTES_AT_MOST);
    switch (end.state) {
      case 'exited':
        return this.#absentThroughWrapper(probe, end.code, end.err) ?? { state: 'ok', code: end.code, out: end.out, err: end.err };
      case 'not-started':
        return notStarted(showName(probe.argv[0] ?? ''), end.errno);
      case 'too-much':
        return { state: 'denied', why: `more than ${BYTES_AT_MOST} bytes of output` };
      case 'given-up':
        if (end.leaked !== undefined) {
          this.#memory.add(key, end.leaked, [...probe.argv], end, new Date(started).toISOString(), end.wchan);
        }
        return time < limitMs
          ? {
              state: 'cut',
              why: `the deadline of the run came first${end.leaked === undefined ? '' : `; its child (pid ${end.leaked.pid}) is deaf to SIGKILL and was left behind`}`,
            }
          : {
              state: 'timed-out',
              out: end.out,
              err: end.err,
              limitMs,
              ...(end.wchan !== undefined && { wchan: end.wchan }),
              ...(end.leaked !== undefined && { leaked: end.leaked }),
            };
    }
  }

  /** stdbuf, setpriv and xargs report a missing command in their own way: 127, and its name. */
  #absentThroughWrapper(probe: Probe & { kind: 'run' }, code: number, err: string): Outcome | undefined {
    const wraps = /^(stdbuf|setpriv|xargs)$/.test(toByteString(probe.argv[0] ?? '')) || probe.argv.some((word) => typeof word !== 'string');
    return wraps && code === 127 ? { state: 'absent', why: err.trim() } : undefined;
  }

  async #other(probe: Exclude<Probe, { kind: 'run' }>, until: number): Promise<Outcome> {
    switch (probe.kind) {
      case 'left-behind': {
        const children = this.#memory.children().map(({ pid, startTime, argv, out, err }) => ({ pid, startTime, argv, out, err }));
        return { state: 'ok', code: 0, out: Buffer.from(JSON.stringify(children)), err: '' };
      }
      case 'journal':
        return this.#journal();
      case 'inventory':
        return this.#inventory(probe.topic, Math.min(probe.limitMs ?? DEFAULT_LIMIT, until - Date.now()));
      case 'read':
        return this.#read(probe, until);
    }
  }

  async #journal(): Promise<Outcome> {
    const directory = this.#stateDir;
    if (typeof directory === 'object') {
      return { state: 'unreachable', why: directory.unusable };
    }
    try {
      if (directory === undefined || statSync(join(directory, JOURNAL_FILE), { throwIfNoEntry: false }) === undefined) {
        return { state: 'ok', code: 0, out: Buffer.from('[]'), err: '' };
      }
      const [{ describeInterrupted }, { lockHolder }] = await Promise.all([
        import('../journal/interrupted.ts'),
        import('../state/lock.ts'),
      ]);
      const repairs = describeInterrupted(directory, lockHolder(directory)?.run);
      return { state: 'ok', code: 0, out: Buffer.from(JSON.stringify(repairs)), err: '' };
    } catch (error) {
      return { state: 'denied', why: messageOf(error) };
    }
  }

  async #inventory(topic: 'os' | 'system', limitMs: number): Promise<Outcome> {
    const { default: systeminformation } = await import('systeminformation');
    const question = topic === 'os' ? systeminformation.osInfo() : systeminformation.system();
    const found = await Promise.race([question, sleep(limitMs, undefined, { ref: false })]);
    return found === undefined
      ? { state: 'timed-out', out: Buffer.alloc(0), err: '', limitMs }
      : { state: 'ok', code: 0, out: Buffer.from(JSON.stringify({ ...found, serial: '', uuid: '', sku: '' })), err: '' };
  }

  /** Only what the kernel answers by itself is read in this process; any other file may lie on a mount that hangs. */
  async #read(probe: Probe & { kind: 'read' }, until: number): Promise<Outcome> {
    const path = toByteString(probe.path);
    const maxBytes = probe.maxBytes ?? 1024 * 1024;
    if (!isKernelFile(path)) {
      const limit = probe.limitMs === undefined ? {} : { limitMs: probe.limitMs };
      const said = await this.#run({ kind: 'run', argv: ['head', '-c', String(maxBytes), '--', probe.path], ...limit }, until);
      return said.state === 'ok' && said.code !== 0 ? failedHead(showName(probe.path), said.err) : said;
    }
    try {
      const out = await readFile(toBytes(probe.path));
      return { state: 'ok', code: 0, out: out.subarray(0, maxBytes), err: '' };
    } catch (error) {
      return failedRead(showName(probe.path), error as NodeJS.ErrnoException);
    }
  }

  async act(action: ResolvedAction, log: string, started: (child: Child) => void): Promise<Acted> {
    const words = action.kind === 'run' ? action.argv : (['tee', '--', action.path] as const);
    const { argv, input } = viaXargs(words);
    const [file, ...rest] = argv as [string, ...string[]];
    const { execa } = await import('execa');
    // execa's types name only 3 to 9; any open descriptor serves.
    const output = openSync(log, 'a', 0o600) as 3;
    try {
      // A session of its own and a file to write to: it survives this process and its terminal.
      const child = execa(file, rest, {
        cwd: '/',
        env: childEnvironment(this.#searchPath),
        extendEnv: false,
        detached: true,
        cleanup: false,
        reject: false,
        stdout: output,
        stderr: output,
        ...(action.kind === 'write' ? { input: action.content } : input === undefined ? { stdin: 'ignore' as const } : { input }),
      });
      const self = child.pid === undefined ? undefined : childOf(child.pid);
      if (self !== undefined) {
        started(self);
      }
      const result = await child;
      const code = result.exitCode ?? -1;
      const why =
        result.exitCode === undefined
          ? result.signal === undefined
            ? `${file}: ${result.code ?? 'could not be started'}`
            : `ended by ${result.signal}`
          : undefined;
      return { ok: code === 0, code, ...(why !== undefined && { why }) };
    } finally {
      closeSync(output);
    }
  }
}

/** What the kernel answers by itself: not a command line, which waits for its process, and nothing that leads out of these trees. */
function isKernelFile(path: string): boolean {
  return /^\/(proc|sys)\//.test(path) && !/\/(\.\.|cmdline|root|cwd|exe|fd|map_files)(\/|$)/.test(path);
}

function notStarted(what: string, errno: string): Outcome {
  switch (errno) {
    case 'ENOENT':
      return { state: 'absent', why: `${what} is not installed` };
    case 'EACCES':
    case 'EPERM':
      return { state: 'denied', why: `${what} may not be run` };
    default:
      return { state: 'unreachable', why: `${what} could not be started: ${errno}` };
  }
}

/** head: cannot open '/etc/nonesuch' for reading: No such file or directory */
function failedHead(what: string, err: string): Outcome {
  switch (errnoAtEnd(err)) {
    case ERRNO.ENOENT:
    case ERRNO.ENOTDIR:
      return { state: 'absent', why: `${what} is not there` };
    case ERRNO.EACCES:
    case ERRNO.EPERM:
      return { state: 'denied', why: `${what} may not be read` };
    case undefined:
      return { state: 'unreachable', why: err.trim() };
    default:
      return { state: 'errno', errno: errnoAtEnd(err) as number };
  }
}

function failedRead(what: string, error: NodeJS.ErrnoException): Outcome {
  switch (error.code) {
    case 'ENOENT':
    case 'ENOTDIR':
    case 'ESRCH':
      return { state: 'absent', why: `${what} is not there` };
    case 'EACCES':
    case 'EPERM':
      return { state: 'denied', why: `${what} may not be read` };
    default:
      return { state: 'errno', errno: Math.abs(error.errno ?? 0) };
  }
}

function readBootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return '';
  }
}
