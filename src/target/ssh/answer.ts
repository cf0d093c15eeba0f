/** What a question came to, out of its frames. */
import type { Child } from '../../check/types.ts';
import { parseStat } from '../../facts/process.ts';
import type { ChildEnd } from '../child.ts';
import type { Frame } from './frames.ts';

/** Of a buffer, beside its bytes. */
const FRAME_COSTS = 128;

/** `lost`: the connection ended first, and what became of it is not known. */
export type SessionEnd = ChildEnd | ({ state: 'lost'; out: Buffer; err: string } & { why: string });

/** One that was put, and what is known of its answer so far. */
export class Question {
  readonly ended: Promise<SessionEnd>;
  /** Both streams have ended, whatever became of the command. */
  readonly saidAll: Promise<void>;
  pid: number | undefined;
  /** Processes that stand between the command and us. */
  readonly between: number[] = [];
  isGivenUp = false;
  /** That it holds here. */
  bytes = 0;
  readonly #maxBytes: number;
  readonly #out: Buffer[] = [];
  readonly #err: Buffer[] = [];
  readonly #open = new Set<'out' | 'err' | 'status'>(['out', 'err', 'status']);
  #code = 0;
  readonly #tellPid: (pid: number) => void;
  readonly #settle: (end: SessionEnd) => void;
  readonly #tellSaidAll: () => void;

  constructor(maxBytes: number, tellPid: (pid: number) => void = () => {}) {
    this.#maxBytes = maxBytes;
    this.#tellPid = tellPid;
    ({ promise: this.ended, resolve: this.#settle } = Promise.withResolvers<SessionEnd>());
    ({ promise: this.saidAll, resolve: this.#tellSaidAll } = Promise.withResolvers<void>());
  }

  /** Settled by its own frames. */
  get isComplete(): boolean {
    return this.#open.size === 0;
  }

  /** False for what cannot belong to the answer. */
  take(frame: Frame): boolean {
    switch (frame.is) {
      case 'pid': {
        const isFirst = this.pid === undefined;
        this.pid = frame.pid;
        this.#tellPid(frame.pid);
        return isFirst;
      }
      case 'between':
        this.between.push(frame.pid);
        return this.between.length <= 2;
      case 'out':
      case 'err':
        (frame.is === 'out' ? this.#out : this.#err).push(frame.data);
        this.bytes += frame.data.length + FRAME_COSTS;
        return this.#open.has(frame.is);
      case 'status':
        this.#code = frame.code;
        return this.#close('status');
      case 'out-end':
        return this.#close('out');
      case 'err-end':
        return this.#close('err');
    }
  }

  /** One part of the answer has come to its end. */
  #close(part: 'out' | 'err' | 'status'): boolean {
    const wasOpen = this.#open.delete(part);
    if (!this.#open.has('out') && !this.#open.has('err')) {
      this.#tellSaidAll();
    }
    if (this.isComplete) {
      this.#settle(endOf({ ...this.said(), code: this.#code, maxBytes: this.#maxBytes }));
    }
    return wasOpen;
  }

  lose(why: string): void {
    this.#settle({ state: 'lost', why, ...this.said() });
  }

  /** What came until now. */
  said(): { out: Buffer; err: string } {
    return { out: Buffer.concat(this.#out), err: Buffer.concat(this.#err).toString('latin1') };
  }
}

/** As a child of this host would have ended. */
function endOf({ out, err, code, maxBytes }: { out: Buffer; err: string; code: number; maxBytes: number }): SessionEnd {
  if (out.length > maxBytes) {
    return { state: 'too-much', out, err };
  }
  // setsid: failed to execute nonesuch: No such file or directory
  // sh: 1: exec: nonesuch: not found
  const refused = /^(setsid: |\S*sh: (\d+: |line \d+: )?exec: )/.test(err);
  if (refused && (code === 126 || code === 127)) {
    return { state: 'not-started', errno: code === 127 ? 'ENOENT' : 'EACCES', out, err };
  }
  // SIGTERM or SIGKILL, and not from us: most likely the whole session is being ended.
  return code === 143 || code === 137
    ? { state: 'lost', why: `its command was ended by signal ${code - 128}`, out, err }
    : { state: 'exited', code, out, err };
}

/** What END_PROCESS says. The deepest that sleeps or lives on stands for all. */
export function familyOf(text: string): { wchan?: string; leaked?: Child } {
  const [before = '', after = ''] = text.split('--\n');
  const wchans = before.split('\n').flatMap((line) => /^\d+ (\S+)$/.exec(line)?.[1] ?? []);
  const wchan = wchans.findLast((name) => name !== '0');
  const alive = after.split('\n').flatMap((line) => {
    const stat = parseStat(line);
    return stat === undefined || 'ZX'.includes(stat.state) ? [] : [{ pid: stat.pid, startTime: stat.startTime }];
  });
  const leaked = alive.at(-1);
  return { ...(wchan !== undefined && { wchan }), ...(leaked !== undefined && { leaked }) };
}
