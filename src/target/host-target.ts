/** What a host answers, whichever way its commands are started: slots, limits, and children that no signal ends. */
import pLimit from 'p-limit';
import type { Acted, Answer, Child, Probe, ResolvedAction, Target } from '../check/types.ts';
import { messageOf } from '../errors.ts';
import { ERRNO, errnoAtEnd } from '../facts/errno.ts';
import type { InterruptedRepair } from '../facts/interrupted.ts';
import { type Name, showName, toByteString } from '../names.ts';
import type { ChildEnd } from './child.ts';
import type { LeftBehindMemory } from './left-behind.ts';
import { hungKey } from './probe-key.ts';

export const READ_AT_MOST = 1024 * 1024;
const SLOTS = 8;

// What a kind of question says on its own stays out of the answer: it is the common part of every one.
type Said<A> = A extends unknown ? Omit<A, 'at' | 'ms'> : never;
export type Outcome = Said<Answer>;

/** `no-answer`: there is no child to speak of, and this is why. */
export type Ended = ChildEnd | { state: 'no-answer'; outcome: Outcome };

export abstract class HostTarget implements Target {
  abstract readonly name: string;
  abstract readonly via: 'local' | 'ssh';
  readonly kind = 'host';
  readonly #slots = pLimit(SLOTS);
  /** Suspect mounts have slots of their own: however many hang, the rest is asked. */
  readonly #suspectSlots = pLimit(SLOTS);

  protected abstract readonly memory: LeftBehindMemory;
  /** Where a question says nothing else, in milliseconds. */
  protected readonly usualLimitMs: number = 5000;
  /** Of one answer. */
  protected readonly bytesAtMost: number = 64 * 1024 * 1024;
  /** Starts a command; settles soon after the limit. mustEnd: the limit is the deadline of the run. */
  protected abstract start(
    argv: readonly Name[],
    limitMs: number,
    maxBytes: number,
    how: { suspect: boolean; mustEnd: boolean },
  ): Promise<Ended>;
  protected abstract inventory(topic: 'os' | 'system', limitMs: number): Promise<Outcome>;
  /** Repairs of ours that were begun on this host and never ended. */
  protected abstract interrupted(): Promise<readonly InterruptedRepair[] | Outcome>;
  abstract act(action: ResolvedAction, log: string, started: (child: Child) => void): Promise<Acted>;

  async ask(probe: Probe, until: number): Promise<Answer> {
    if (probe.kind === 'run') {
      return (probe.suspect ? this.#suspectSlots : this.#slots)(() => this.#timed(until, () => this.run(probe, until)));
    }
    return this.#timed(until, () => this.#other(probe, until));
  }

  async #timed(until: number, work: () => Promise<Outcome>): Promise<Answer> {
    const started = Date.now();
    const said: Outcome = started >= until ? { state: 'cut', why: 'the deadline of the run had passed' } : await work();
    return { at: new Date(started).toISOString(), ms: Date.now() - started, ...said } as Answer;
  }

  protected async run(probe: Probe & { kind: 'run' }, until: number): Promise<Outcome> {
    const limitMs = probe.limitMs ?? this.usualLimitMs;
    const key = hungKey(probe);
    const before = await this.memory.find(key);
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
    if (time <= 0) {
      return { state: 'cut', why: 'the deadline of the run had passed' };
    }
    const how = { suspect: probe.suspect === true, mustEnd: time < limitMs };
    const end = await this.start(probe.argv, time, this.bytesAtMost, how);
    switch (end.state) {
      case 'exited':
        return absentThroughWrapper(probe, end.code, end.err) ?? { state: 'ok', code: end.code, out: end.out, err: end.err };
      case 'not-started':
        return notStarted(showName(probe.argv[0] ?? ''), end.errno);
      case 'too-much':
        return { state: 'denied', why: `more than ${this.bytesAtMost} bytes of output` };
      case 'no-answer':
        return end.outcome;
      case 'given-up':
        if (end.leaked !== undefined) {
          await this.memory.add(key, end.leaked, [...probe.argv], end, new Date(started).toISOString(), end.wchan);
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

  async #other(probe: Exclude<Probe, { kind: 'run' }>, until: number): Promise<Outcome> {
    switch (probe.kind) {
      case 'left-behind':
        return asJson((await this.memory.children()).map(({ pid, startTime, argv, out, err }) => ({ pid, startTime, argv, out, err })));
      case 'journal': {
        const repairs = await this.interrupted().catch((error: unknown): Outcome => ({ state: 'denied', why: messageOf(error) }));
        return 'state' in repairs ? repairs : asJson(repairs);
      }
      case 'inventory':
        return this.inventory(probe.topic, Math.min(probe.limitMs ?? this.usualLimitMs, until - Date.now()));
      case 'read':
        return this.read(probe, until);
    }
  }

  /** Any file may lie on a mount that hangs: a child reads it. */
  protected async read(probe: Probe & { kind: 'read' }, until: number): Promise<Outcome> {
    const { path, maxBytes = READ_AT_MOST, limitMs } = probe;
    const given = limitMs === undefined ? {} : { limitMs };
    const said = await this.run({ kind: 'run', argv: ['head', '-c', String(maxBytes), '--', path], ...given }, until);
    return said.state === 'ok' && said.code !== 0 ? failedHead(showName(path), said.err) : said;
  }
}

/** What the kernel answers by itself: not a command line, which waits for its process, and nothing that leads out of these trees. */
export function isKernelFile(path: string): boolean {
  return /^\/(proc|sys)\//.test(path) && !/\/(\.\.|cmdline|root|cwd|exe|fd|map_files)(\/|$)/.test(path);
}

export function asJson(value: unknown): Outcome {
  return { state: 'ok', code: 0, out: Buffer.from(JSON.stringify(value)), err: '' };
}

/** stdbuf, setpriv and xargs report a missing command in their own way: 127, and its name. */
function absentThroughWrapper(probe: Probe & { kind: 'run' }, code: number, err: string): Outcome | undefined {
  const wraps = /^(stdbuf|setpriv|xargs)$/.test(toByteString(probe.argv[0] ?? '')) || probe.argv.some((word) => typeof word !== 'string');
  return wraps && code === 127 ? { state: 'absent', why: err.trim() } : undefined;
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
export function failedHead(what: string, err: string): Outcome {
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
