/** The way to a host: ssh, and the program at its other end, as root where it may be. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Destination, sshArguments } from './destination.ts';
import { endlessNoise, lossOf, type Refusal, refusalOf } from './failures.ts';
import { type Frame, FrameReader, parseReady, type Ready } from './frames.ts';
import { BECOME_ROOT, LEAVE, program } from './program.ts';

/** TCP and the first line of the server. */
const CONNECT_MS = 10_000;
/** Until the program answers: keys, login, the shell and its files. */
const READY_MS = 20_000;
const STDERR_AT_MOST = 4096;
/** More than this of complaints is no host's. */
const COMPLAINTS_AT_MOST = 1024 * 1024;
/** What was begun is stopped there all the same when the connection ends. */
const CLOSE_MS = 1000;

export interface ConnectionOptions {
  destination: Destination;
  /** Goes on as root with `sudo -n` where it may. */
  sudo: boolean;
  searchPath: string;
  /** Milliseconds since the epoch. */
  until: number;
  /** After so many milliseconds the other end ends itself. */
  lifeMs: number;
}

interface Listener {
  /** What is wrong with it; undefined where nothing is. */
  frame(frame: Frame): string | undefined;
  /** Once. */
  ended(refusal: Refusal): void;
}

export class Connection {
  /** What is done there can outlive the connection. */
  hasSetsid = false;
  /** Boot id of the host. */
  boot = '';
  readonly #ssh: ChildProcess;
  readonly #nonce = randomBytes(12).toString('hex');
  readonly #reader: FrameReader;
  readonly #lifeMs: number;
  readonly #startedAt = Date.now();
  #unsent = '';
  #said = '';
  #complaints = 0;
  #isReady = false;
  #gone: Refusal | undefined;
  #marker: (words: string[]) => void = () => {};
  #listener: Listener = { frame: () => 'it answered what was not asked', ended: () => {} };

  /** Never rejects, and settles soon after `until`. */
  static async open(options: ConnectionOptions): Promise<Connection | Refusal> {
    const until = Math.min(options.until, Date.now() + READY_MS);
    const first = await Connection.#try(options, until);
    if (!('dropped' in first) || until - Date.now() < 4000) {
      return first;
    }
    // Too many connections at once, most likely: at another moment there is room.
    await sleep(1000 + Math.random() * 2000);
    return Connection.#try(options, until);
  }

  static async #try(options: ConnectionOptions, until: number): Promise<Connection | Refusal> {
    const connection = new Connection(options, until);
    const refusal = await connection.#begin(options.sudo, until);
    if (refusal !== undefined) {
      connection.#kill();
    }
    return refusal ?? connection;
  }

  private constructor({ destination, searchPath, lifeMs }: ConnectionOptions, until: number) {
    this.#lifeMs = lifeMs;
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
      frame: (frame) => {
        const wrong = this.#listener.frame(frame);
        if (wrong !== undefined) {
          this.#end({ state: 'unreachable', why: wrong });
        }
      },
      broken: (what) =>
        this.#end(
          this.#isReady
            ? { state: 'unreachable', why: `it sent what our program does not send: ${what}` }
            : endlessNoise(this.#reader.noise),
        ),
    });
    this.#ssh.stdin?.on('error', () => {});
    this.#ssh.stdout?.on('data', (chunk: Buffer) => this.#reader.feed(chunk)).on('error', () => {});
    this.#ssh.stderr?.on('data', (chunk: Buffer) => this.#complaint(chunk)).on('error', () => {});
  }

  #complaint(chunk: Buffer): void {
    this.#said = (this.#said + chunk.toString('latin1')).slice(-STDERR_AT_MOST);
    this.#complaints += chunk.length;
    if (this.#complaints > COMPLAINTS_AT_MOST) {
      this.#end({ state: 'unreachable', why: 'it complains without end' });
    }
  }

  /** Undefined when questions can be put. */
  async #begin(sudo: boolean, until: number): Promise<Refusal | undefined> {
    const { promise: refused, resolve: refuse } = Promise.withResolvers<Refusal>();
    this.listen({ ...this.#listener, ended: refuse });
    this.#ssh.once('error', (error: NodeJS.ErrnoException) =>
      this.#end({
        state: 'unreachable',
        why: error.code === 'ENOENT' ? 'there is no ssh here: install the OpenSSH client' : `ssh could not be started: ${error.code}`,
      }),
    );
    this.#ssh.once('close', (code) => this.#end(this.#isReady ? lossOf(this.#said) : refusalOf(this.#said, this.#reader.noise, code)));
    const given = until - Date.now();
    const late = `no answer within ${Math.max(1, Math.round(given / 1000))} s: neither a refusal nor a shell`;
    const timer = setTimeout(refuse, given, { state: 'unreachable', why: late });
    const first = await this.#start(refused);
    const end = 'state' in first || first.uid === 0 || !sudo ? first : await this.#becomeRoot(refused);
    clearTimeout(timer);
    return end !== undefined && 'state' in end ? end : undefined;
  }

  async #start(refused: Promise<Refusal>): Promise<Ready | Refusal> {
    const answer = this.#marked(parseReady);
    this.write(program(this.#nonce, Math.ceil(this.#lifeMs / 1000)));
    const ready = await Promise.race([answer, refused]);
    if ('state' in ready) {
      return ready;
    }
    if (ready.encoding === 'none') {
      return { state: 'denied', why: 'the host lacks the tools to answer in: perl, or head and base64 or od' };
    }
    this.hasSetsid = ready.setsid;
    this.boot = ready.boot;
    return ready;
  }

  /** Stays who it is where sudo refuses: undefined. */
  async #becomeRoot(refused: Promise<Refusal>): Promise<Ready | Refusal | undefined> {
    const answer = this.#marked(([word]) => (word === 'root' || word === 'stays' ? word : undefined));
    this.write(BECOME_ROOT);
    const became = await Promise.race([answer, refused]);
    if (became === 'stays') {
      return undefined;
    }
    return became === 'root' ? this.#start(refused) : became;
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

  /** So near to the time when the other end ends itself that another one had better be asked. */
  get isWorn(): boolean {
    return Date.now() > this.#startedAt + this.#lifeMs * 0.8;
  }

  /** In the place of whoever did. */
  listen(listener: Listener): void {
    this.#listener = listener;
  }

  /** One character a byte. What is written at the same time goes out together: each write wakes ssh, and the other end. */
  write(text: string): void {
    if (this.#unsent === '') {
      setImmediate(() => this.#send());
    }
    this.#unsent += text;
  }

  #send(): void {
    if (this.#unsent !== '') {
      this.#ssh.stdin?.write(Buffer.from(this.#unsent, 'latin1'));
      this.#unsent = '';
    }
  }

  /** What still runs there is ended by the other end within two seconds. isIdle: nothing does. */
  async close(isIdle: boolean): Promise<void> {
    if (this.#gone !== undefined) {
      return;
    }
    const { promise: ended, resolve: end } = Promise.withResolvers<void>();
    this.#ssh.once('close', () => end());
    if (isIdle) {
      this.write(LEAVE);
    }
    this.#send();
    this.#ssh.stdin?.end();
    const timer = setTimeout(end, CLOSE_MS);
    await ended;
    clearTimeout(timer);
    this.#end({ state: 'unreachable', why: 'the session was closed' });
  }

  /** For good. */
  #end(refusal: Refusal): void {
    if (this.#gone === undefined) {
      this.#gone = refusal;
      this.#listener.ended(refusal);
      this.#kill();
    }
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
