/** QEMU's control socket: JSON lines, one command at a time or many. */
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

interface Waiting {
  command: string;
  done: (value: unknown) => void;
  failed: (error: Error) => void;
}

interface Message {
  id?: number;
  return?: unknown;
  error?: { class: string; desc: string };
  event?: string;
  data?: Record<string, unknown>;
}

export class Qmp {
  readonly #socket: Socket;
  readonly #waiting = new Map<number, Waiting>();
  readonly #listeners = new Set<(event: string, data: Record<string, unknown>) => void>();
  #next = 0;
  #rest = '';
  #closed = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding('utf8').on('data', (text: string) => this.#read(text));
    socket.on('error', () => {});
    socket.on('close', () => this.#close());
  }

  /** Waits for the socket, as long as `isAlive` says that it may still appear. */
  static async connect(path: string, isAlive: () => boolean): Promise<Qmp> {
    for (;;) {
      const socket = await new Promise<Socket | undefined>((done) => {
        const tried = connect(path, () => done(tried));
        tried.once('error', () => done(undefined));
      });
      if (socket !== undefined) {
        const qmp = new Qmp(socket);
        await qmp.run('qmp_capabilities');
        return qmp;
      }
      if (!isAlive()) {
        throw new Error('QEMU ended before it listened');
      }
      await sleep(10);
    }
  }

  // biome-ignore lint/suspicious/noExplicitAny: each command has an answer of its own form
  run(command: string, args: Record<string, unknown> = {}): Promise<any> {
    const id = this.#next++;
    return new Promise((done, failed) => {
      if (this.#closed) {
        failed(new Error(`${command}: QEMU has ended`));
        return;
      }
      this.#waiting.set(id, { command, done, failed });
      this.#socket.write(`${JSON.stringify({ execute: command, arguments: args, id })}\n`);
    });
  }

  /** A command of the monitor for people, where there is no other. */
  monitor(line: string): Promise<string> {
    return this.run('human-monitor-command', { 'command-line': line });
  }

  /** The next event of this name, from now on. */
  event(name: string, limitMs: number, is: (data: Record<string, unknown>) => boolean = () => true): Promise<void> {
    return new Promise((done, failed) => {
      const end = (error?: Error) => {
        clearTimeout(timer);
        this.#listeners.delete(listener);
        this.#socket.off('close', onClose);
        error === undefined ? done() : failed(error);
      };
      const listener = (event: string, data: Record<string, unknown>) => {
        if (event === name && is(data)) {
          end();
        }
      };
      const onClose = () => end(new Error(`QEMU ended while ${name} was awaited`));
      const timer = setTimeout(() => end(new Error(`no ${name} from QEMU within ${limitMs} ms`)), limitMs);
      this.#listeners.add(listener);
      this.#socket.on('close', onClose);
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #read(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) {
      this.#take(JSON.parse(line));
    }
  }

  #take({ id, event, data, error, return: value }: Message): void {
    if (event !== undefined) {
      for (const listener of this.#listeners) {
        listener(event, data ?? {});
      }
    }
    const waiting = id === undefined ? undefined : this.#waiting.get(id);
    if (id === undefined || waiting === undefined) {
      return;
    }
    this.#waiting.delete(id);
    if (error === undefined) {
      waiting.done(value);
    } else {
      waiting.failed(new Error(`${waiting.command}: ${error.desc}`));
    }
  }

  #close(): void {
    this.#closed = true;
    for (const { command, failed } of this.#waiting.values()) {
      failed(new Error(`${command}: QEMU has ended`));
    }
    this.#waiting.clear();
  }
}
