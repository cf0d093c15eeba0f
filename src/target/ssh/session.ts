/** Many questions at a time over one connection, none longer than its limit. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Name } from '../../names.ts';
import { familyOf, Question, type SessionEnd } from './answer.ts';
import { Connection, type ConnectionOptions } from './connection.ts';
import type { Refusal } from './failures.ts';
import type { Frame } from './frames.ts';
import { actLine, END_PROCESS, forgetLine, isAskable, killLine, questionLine } from './program.ts';

/** More than this of answers that nobody has taken yet is no host's. */
const HELD_AT_MOST = 20 * 1024 * 1024;
/** For the answer to what became of a question that is given up. */
const GRACE_MS = 4000;

export class Session {
  readonly #connection: Connection;
  readonly #questions = new Map<number, Question>();
  #next = 1;
  /** Bytes of answers that are not complete. */
  #held = 0;
  /** Something was given up: it may hold the other end. */
  #hasLeft = false;

  /** Never rejects, and settles soon after `until`. */
  static async open(options: ConnectionOptions): Promise<Session | Refusal> {
    const connection = await Connection.open(options);
    return connection instanceof Connection ? new Session(connection) : connection;
  }

  private constructor(connection: Connection) {
    this.#connection = connection;
    connection.listen({ frame: (frame) => this.#frame(frame), ended: ({ why }) => this.#lose(why) });
  }

  /** Why nothing can be asked any more. */
  get gone(): Refusal | undefined {
    return this.#connection.gone;
  }

  get boot(): string {
    return this.#connection.boot;
  }

  /** What is done there can outlive the connection. */
  get hasSetsid(): boolean {
    return this.#connection.hasSetsid;
  }

  get isIdle(): boolean {
    return this.#questions.size === 0;
  }

  get isWorn(): boolean {
    return this.#connection.isWorn;
  }

  /** suspect: it may hang for good, and what it said until then counts. graceMs: for what became of it after its limit. */
  async ask(argv: readonly Name[], limitMs: number, maxBytes: number, { suspect = false, graceMs = GRACE_MS } = {}): Promise<SessionEnd> {
    if (!isAskable(argv)) {
      return { state: 'not-started', errno: 'EINVAL', out: Buffer.alloc(0), err: '' };
    }
    const { id, question } = this.#put(maxBytes, (number) => questionLine(number, maxBytes + 1, argv, suspect));
    const { promise: passed, resolve: pass } = Promise.withResolvers<'limit'>();
    const timer = setTimeout(pass, limitMs, 'limit');
    const first = await Promise.race([question.ended, passed]);
    clearTimeout(timer);
    return first === 'limit' ? this.#giveUp(id, question, limitMs, graceMs) : first;
  }

  /** Starts it and waits for its end, however long that takes. It outlives the connection. */
  act(argv: readonly Name[], started: (pid: number) => void): Promise<SessionEnd> {
    return this.#put(0, (id) => actLine(id, argv), started).question.ended;
  }

  #put(maxBytes: number, line: (id: number) => string, tellPid?: (pid: number) => void): { id: number; question: Question } {
    const id = this.#next;
    this.#next += 1;
    const question = new Question(maxBytes, tellPid);
    if (this.gone === undefined) {
      this.#questions.set(id, question);
      this.#connection.write(line(id));
    } else {
      question.lose(this.gone.why);
    }
    return { id, question };
  }

  /** It and all it started are killed; who lives on is named. */
  async #giveUp(id: number, question: Question, limitMs: number, graceMs: number): Promise<SessionEnd> {
    this.#hasLeft = true;
    const { pid } = question;
    if (pid === undefined) {
      this.#drop(id);
      const why = `not begun within ${limitMs / 1000} s: the host or the way to it is too busy, or hangs`;
      return { state: 'lost', why, ...question.said() };
    }
    question.isGivenUp = true;
    const killer = this.#put(64 * 1024, (number) => questionLine(number, 64 * 1024, ['sh', '-c', END_PROCESS, 'sh', String(pid)]));
    const killing = await Promise.race([killer.question.ended, sleep(graceMs)]);
    this.#drop(killer.id);
    if (killing?.state === 'exited') {
      this.#connection.write(forgetLine(id, question.between));
      // What it had said is on its way.
      await Promise.race([question.ended, question.saidAll, sleep(graceMs)]);
    }
    this.#drop(id);
    if (killing?.state !== 'exited') {
      const late = `no answer within ${limitMs / 1000} s, nor to what was asked after it: the host or the way to it may hang`;
      return { state: 'lost', why: this.gone?.why ?? late, ...question.said() };
    }
    const { wchan, leaked } = familyOf(killing.out.toString('latin1'));
    return { state: 'given-up', ...question.said(), ...(wchan !== undefined && { wchan }), ...(leaked !== undefined && { leaked }) };
  }

  /** What is wrong with it; undefined where nothing is. */
  #frame(frame: Frame): string | undefined {
    const question = this.#questions.get(frame.id);
    const tellsPid = frame.is === 'pid' || frame.is === 'between';
    if (tellsPid && (question?.isGivenUp ?? frame.id < this.#next)) {
      // Of one that was given up before.
      this.#connection.write(killLine(frame.pid));
    }
    if (question === undefined) {
      return frame.id < this.#next ? undefined : 'it answered what was not asked';
    }
    const before = question.bytes;
    const belongs = question.take(frame);
    this.#held += question.bytes - before;
    if (question.isComplete) {
      this.#drop(frame.id);
    }
    return belongs && this.#held <= HELD_AT_MOST ? undefined : 'it sent more than was asked for, or more at once than is taken';
  }

  #drop(id: number): void {
    this.#held -= this.#questions.get(id)?.bytes ?? 0;
    this.#questions.delete(id);
  }

  #lose(why: string): void {
    for (const question of this.#questions.values()) {
      question.lose(why);
    }
    this.#questions.clear();
    this.#held = 0;
  }

  /** Leaves; what still runs there is ended by the other end within two seconds. */
  close(): Promise<void> {
    // With something in flight, leaving would wait for it.
    return this.#connection.close(this.isIdle && !this.#hasLeft);
  }
}
