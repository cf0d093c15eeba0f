/** One connection to a host and the program at its other end: many questions at a time, none longer than its limit. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Name } from '../../names.ts';
import { endOf, familyOf, type Pending, type SessionEnd, said } from './answer.ts';
import { type Destination, sshArguments } from './destination.ts';
import { endlessNoise, lossOf, type Refusal, refusalOf } from './failures.ts';
import { type Frame, FrameReader, parseReady, type Ready } from './frames.ts';
import { actLine, BECOME_ROOT, END_PROCESS, isAskable, killLine, LEAVE, program, questionLine } from './program.ts';

/** TCP and the first line of the server. */
const CONNECT_MS = 10_000;
/** Until the program answers: keys, login, the shell and its files. */
const READY_MS = 20_000;
const STDERR_AT_MOST = 4096;
/** More than this of complaints, or of answers that nobody has taken yet, is no host's. */
const COMPLAINTS_AT_MOST = 1024 * 1024;
const HELD_AT_MOST = 20 * 1024 * 1024;
/** Of a buffer, beside its bytes. */
const FRAME_COSTS = 128;
/** For the answer to what became of a question that is given up. */
const GRACE_MS = 4000;
/** What was begun is stopped there all the same when the connection ends. */
const CLOSE_MS = 1000;

export interface SessionOptions {
  destination: Destination;
  /** Goes on as root with `sudo -n` where it may. */
  sudo: boolean;
  searchPath: string;
  /** Milliseconds since the epoch. */
  until: number;
  /** After so many milliseconds the other end ends itself. */
  lifeMs: number;
}

export class Session {
  /** Of whom the questions are put; undefined where the host does not tell. */
  uid: number | undefined;
  /** What is done there can outlive the connection. */
  hasSetsid = false;
  /** Boot id of the host. */
  boot = '';
  readonly #ssh: ChildProcess;
  readonly #nonce = randomBytes(12).toString('hex');
  readonly #reader: FrameReader;
  readonly #pending = new Map<number, Pending>();
  readonly #wornAt: number;
  #next = 1;
  #said = '';
  #complaints = 0;
  /** Bytes of answers that are not complete. */
  #held = 0;
  /** Something was given up: it may hold the other end. */
  #hasLeft = false;
  #isReady = false;
  #gone: Refusal | undefined;
  #marker: (words: string[]) => void = () => {};
  #hasEnded: (refusal: Refusal) => void = () => {};

  /** Never rejects, and settles soon after `until`. */
  static async open(options: SessionOptions): Promise<Session | Refusal> {
    const until = Math.min(options.until, Date.now() + READY_MS);
    const first = await Session.#connect(options, until);
    if (!('dropped' in first) || until - Date.now() < 4000) {
      return first;
    }
    // Too many connections at once, most likely: at another moment there is room.
    await sleep(1000 + Math.random() * 2000);
    return Session.#connect(options, until);
  }

  static async #connect(options: SessionOptions, until: number): Promise<Session | Refusal> {
    const session = new Session(options, until);
    const refusal = await session.#begin(options, until);
    if (refusal !== undefined) {
      session.#kill();
    }
    return refusal ?? session;
  }

  private constructor({ destination, searchPath, lifeMs }: SessionOptions, until: number) {
    this.#wornAt = Date.now() + lifeMs * 0.8;
    const connectS = Math.max(1, Math.ceil(Math.min(CONNECT_MS, until - Date.now()) / 1000));
    // A session of its own: no terminal on which it could ask.
    this.#ssh = spawn('ssh', sshArguments(destination, connectS), {
      cwd: '/',
      // A jump host's ssh knows nothing of our options: this keeps it from asking in a window.
      env: { ...process.env, PATH: searchPath, LC_ALL: 'C', SSH_ASKPASS_REQUIRE: 'never' },
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.#reader = new FrameReader(this.#nonce, {
      marker: (words) => {
        this.#isReady = true;
        this.#marker(words);
      },
      frame: (frame) => this.#frame(frame),
      broken: (what) =>
        this.#end(
          this.#isReady
            ? { state: 'unreachable', why: `it sent what our program does not send: ${what}` }
            : endlessNoise(this.#reader.noise),
        ),
    });
    this.#ssh.stdin?.on('error', () => {});
    this.#ssh.stdout?.on('data', (chunk: Buffer) => this.#reader.feed(chunk)).on('error', () => {});
    this.#ssh.stderr
      ?.on('data', (chunk: Buffer) => {
        this.#said = (this.#said + chunk.toString('latin1')).slice(-STDERR_AT_MOST);
        this.#complaints += chunk.length;
        if (this.#complaints > COMPLAINTS_AT_MOST) {
          this.#end({ state: 'unreachable', why: 'it complains without end' });
        }
      })
      .on('error', () => {});
  }

  /** Undefined when questions can be put. */
  async #begin({ sudo, lifeMs }: SessionOptions, until: number): Promise<Refusal | undefined> {
    const timer = new AbortController();
    const gone = new Promise<Refusal>((done) => {
      this.#hasEnded = done;
    });
    this.#ssh.once('error', (error: NodeJS.ErrnoException) =>
      this.#end({
        state: 'unreachable',
        why: error.code === 'ENOENT' ? 'there is no ssh here: install the OpenSSH client' : `ssh could not be started: ${error.code}`,
      }),
    );
    this.#ssh.once('close', (code) => this.#end(this.#isReady ? lossOf(this.#said) : refusalOf(this.#said, this.#reader.noise, code)));
    const given = until - Date.now();
    const late = sleep(given, undefined, { signal: timer.signal }).then(
      (): Refusal => ({
        state: 'unreachable',
        why: `no answer within ${Math.max(1, Math.round(given / 1000))} s: neither a refusal nor a shell`,
      }),
      () => new Promise<never>(() => {}),
    );
    const life = Math.ceil(lifeMs / 1000);
    try {
      this.#write(program(this.#nonce, life));
      const ready = await Promise.race([this.#marked(parseReady), gone, late]);
      if ('state' in ready) {
        return ready;
      }
      if (ready.encoding === 'none') {
        return { state: 'denied', why: 'the host lacks the tools to answer in: head, and base64 or od' };
      }
      this.uid = ready.uid;
      this.hasSetsid = ready.setsid;
      this.boot = ready.boot;
      return ready.uid === 0 || !sudo ? undefined : await this.#becomeRoot(life, gone, late);
    } finally {
      timer.abort();
    }
  }

  /** Stays who it is where sudo refuses. */
  async #becomeRoot(life: number, gone: Promise<Refusal>, late: Promise<Refusal>): Promise<Refusal | undefined> {
    const answer = this.#marked(([word]) => (word === 'root' || word === 'stays' ? word : undefined));
    this.#write(BECOME_ROOT);
    const became = await Promise.race([answer, gone, late]);
    if (became === 'stays') {
      return undefined;
    }
    if (became !== 'root') {
      return became;
    }
    const again = this.#marked(parseReady);
    this.#write(program(this.#nonce, life));
    const ready: Ready | Refusal = await Promise.race([again, gone, late]);
    if ('state' in ready) {
      return ready;
    }
    this.uid = ready.uid;
    return undefined;
  }

  #marked<T>(read: (words: string[]) => T | undefined): Promise<T> {
    return new Promise((done) => {
      this.#marker = (words) => {
        const found = read(words);
        if (found !== undefined) {
          done(found);
        }
      };
    });
  }

  /** Why nothing can be asked any more. */
  get gone(): Refusal | undefined {
    return this.#gone;
  }

  get isIdle(): boolean {
    return this.#pending.size === 0;
  }

  /** So near to the time when the other end ends itself that another session had better be asked. */
  get isWorn(): boolean {
    return Date.now() > this.#wornAt;
  }

  /** suspect: it may hang for good, and what it said until then counts. graceMs: for what became of it after its limit. */
  async ask(argv: readonly Name[], limitMs: number, maxBytes: number, { suspect = false, graceMs = GRACE_MS } = {}): Promise<SessionEnd> {
    if (!isAskable(argv)) {
      return { state: 'not-started', errno: 'EINVAL', out: Buffer.alloc(0), err: '' };
    }
    const id = this.#next;
    this.#next += 1;
    const ended = this.#expect(id, maxBytes);
    this.#write(questionLine(id, maxBytes + 1, argv, suspect));
    const timer = new AbortController();
    const first = await Promise.race([ended, sleep(limitMs, 'limit' as const, { signal: timer.signal }).catch(() => 'limit' as const)]);
    timer.abort();
    return first === 'limit' ? this.#giveUp(id, ended, limitMs, graceMs) : first;
  }

  /** It and all it started are killed; who lives on is named. */
  async #giveUp(id: number, ended: Promise<SessionEnd>, limitMs: number, graceMs: number): Promise<SessionEnd> {
    this.#hasLeft = true;
    const question = this.#pending.get(id) as Pending;
    const { pid } = question;
    if (pid === undefined) {
      this.#drop(id);
      const why = `not begun within ${limitMs / 1000} s: the host or the way to it is too busy, or hangs`;
      return { state: 'lost', why, ...said(question) };
    }
    question.isGivenUp = true;
    const killer = this.#next;
    this.#next += 1;
    const killed = this.#expect(killer, 64 * 1024);
    this.#write(questionLine(killer, 64 * 1024, ['sh', '-c', END_PROCESS, 'sh', String(pid), ...question.between.map(String)]));
    const killing = await Promise.race([killed, sleep(graceMs)]);
    this.#drop(killer);
    if (killing?.state === 'exited') {
      // What it had said is on its way.
      await Promise.race([ended, question.saidAll, sleep(graceMs)]);
    }
    this.#drop(id);
    if (killing?.state !== 'exited') {
      const late = `no answer within ${limitMs / 1000} s, nor to what was asked after it: the host or the way to it may hang`;
      return { state: 'lost', why: this.#gone?.why ?? late, ...said(question) };
    }
    const { wchan, leaked } = familyOf(killing.out.toString('latin1'));
    return { state: 'given-up', ...said(question), ...(wchan !== undefined && { wchan }), ...(leaked !== undefined && { leaked }) };
  }

  /** Starts it and waits for its end, however long that takes. It outlives the connection. */
  act(argv: readonly Name[], started: (pid: number) => void): Promise<SessionEnd> {
    const id = this.#next;
    this.#next += 1;
    const ended = this.#expect(id, 0, started);
    this.#write(actLine(id, argv));
    return ended;
  }

  #expect(id: number, maxBytes: number, tellPid: (pid: number) => void = () => {}): Promise<SessionEnd> {
    if (this.#gone !== undefined) {
      return Promise.resolve({ state: 'lost', why: this.#gone.why, out: Buffer.alloc(0), err: '' });
    }
    const { promise: saidAll, resolve: tellSaidAll } = Promise.withResolvers<void>();
    return new Promise((settle) => {
      this.#pending.set(id, {
        saidAll,
        tellSaidAll,
        out: [],
        err: [],
        bytes: 0,
        maxBytes,
        open: new Set(['out', 'err', 'status']),
        between: [],
        tellPid,
        settle,
      });
    });
  }

  #frame(frame: Frame): void {
    const question = this.#pending.get(frame.id);
    if (question !== undefined) {
      if (!this.#take(question, frame)) {
        this.#end({ state: 'unreachable', why: 'it sent more than was asked for, or more at once than is taken' });
      }
    } else if (frame.id >= this.#next) {
      this.#end({ state: 'unreachable', why: 'it answered what was not asked' });
    } else if (frame.is === 'pid' || frame.is === 'between') {
      // Of one that was given up before it began.
      this.#write(killLine(frame.pid));
    }
  }

  /** False for what cannot belong to the answer. */
  #take(question: Pending, frame: Frame): boolean {
    switch (frame.is) {
      case 'pid': {
        const isFirst = question.pid === undefined;
        question.pid = frame.pid;
        question.tellPid(frame.pid);
        return isFirst;
      }
      case 'between':
        question.between.push(frame.pid);
        if (question.isGivenUp) {
          this.#write(killLine(frame.pid));
        }
        return question.between.length <= 2;
      case 'out':
      case 'err':
        question[frame.is].push(frame.data);
        question.bytes += frame.data.length + FRAME_COSTS;
        this.#held += frame.data.length + FRAME_COSTS;
        return this.#held <= HELD_AT_MOST && question.open.has(frame.is);
      case 'status':
        question.code = frame.code;
        return this.#close(question, frame.id, 'status');
      case 'out-end':
        return this.#close(question, frame.id, 'out');
      case 'err-end':
        return this.#close(question, frame.id, 'err');
    }
  }

  /** One part of the answer has come to its end. */
  #close(question: Pending, id: number, part: 'out' | 'err' | 'status'): boolean {
    const wasOpen = question.open.delete(part);
    if (!question.open.has('out') && !question.open.has('err')) {
      question.tellSaidAll();
    }
    if (question.open.size === 0) {
      this.#drop(id);
      question.settle(endOf(question));
    }
    return wasOpen;
  }

  #drop(id: number): void {
    this.#held -= this.#pending.get(id)?.bytes ?? 0;
    this.#pending.delete(id);
  }

  /** For good: everything that waits is told. */
  #end(refusal: Refusal): void {
    if (this.#gone !== undefined) {
      return;
    }
    this.#gone = refusal;
    this.#hasEnded(refusal);
    for (const question of this.#pending.values()) {
      question.settle({ state: 'lost', why: refusal.why, ...said(question) });
    }
    this.#pending.clear();
    this.#kill();
  }

  /** Leaves; what still runs there is ended by the other end within two seconds. */
  async close(): Promise<void> {
    if (this.#gone !== undefined) {
      return;
    }
    const ended = new Promise<void>((done) => this.#ssh.once('close', () => done()));
    // With something in flight, leaving would wait for it.
    if (this.isIdle && !this.#hasLeft) {
      this.#write(LEAVE);
    }
    this.#ssh.stdin?.end();
    const timer = new AbortController();
    await Promise.race([ended, sleep(CLOSE_MS, undefined, { signal: timer.signal }).catch(() => {})]);
    timer.abort();
    this.#end({ state: 'unreachable', why: 'the session was closed' });
  }

  #write(text: string): void {
    this.#ssh.stdin?.write(Buffer.from(text, 'latin1'));
  }

  #kill(): void {
    const { pid } = this.#ssh;
    if (pid !== undefined && this.#ssh.exitCode === null) {
      try {
        // With the ssh to a jump host, which is its child.
        process.kill(-pid, 'SIGKILL');
      } catch {
        // It ended by itself.
      }
    }
    this.#ssh.unref();
    this.#ssh.stdout?.destroy();
    this.#ssh.stderr?.destroy();
    this.#ssh.stdin?.destroy();
  }
}
