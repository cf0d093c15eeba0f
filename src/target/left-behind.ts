/** Children that no signal ends, remembered on disk: the next run must not add one more. */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Child } from '../check/types.ts';
import { makeDirectory } from '../directory.ts';
import { isLeftBehind, type LeftBehind } from '../facts/left-behind.ts';
import { isAlive } from './child.ts';

const OUT_AT_MOST = 1024 * 1024;

interface Remembered extends LeftBehind {
  /** Of the probe it was asked. */
  key: string;
  boot: string;
  at: string;
  wchan?: string;
}

/** How the host of the children is asked about them. */
export interface Liveness {
  /** Empty where it could not be told. */
  bootId(): Promise<string>;
  alive(children: readonly Child[]): Promise<readonly Child[]>;
}

export const HERE: Liveness = {
  bootId: async () => readBootId(),
  alive: async (children) => children.filter(isAlive),
};

export class LeftBehindMemory {
  readonly #file: string | undefined;
  readonly #host: Liveness;
  #children: Remembered[] | undefined;

  /** file: undefined: it remembers for this run only. */
  constructor(file: string | undefined, host: Liveness) {
    this.#file = file;
    this.#host = host;
  }

  /** Those still alive. */
  children(): Promise<Remembered[]> {
    return this.#stillAlive(this.#known());
  }

  async find(key: string): Promise<Remembered | undefined> {
    return (await this.#stillAlive(this.#known().filter((child) => child.key === key)))[0];
  }

  #known(): Remembered[] {
    this.#children ??= this.#load();
    return this.#children;
  }

  async #stillAlive(children: readonly Remembered[]): Promise<Remembered[]> {
    if (children.length === 0) {
      return [];
    }
    const [boot, alive] = await Promise.all([this.#host.bootId(), this.#host.alive(children)]);
    return children.filter(
      (child) => child.boot === boot && alive.some(({ pid, startTime }) => pid === child.pid && startTime === child.startTime),
    );
  }

  async add(
    key: string,
    child: Child,
    argv: LeftBehind['argv'],
    said: { out: Buffer; err: string },
    at: string,
    wchan: string | undefined,
  ): Promise<void> {
    const before = this.#known();
    const [alive, boot] = await Promise.all([this.#stillAlive(before), this.#host.bootId()]);
    const entry: Remembered = {
      pid: child.pid,
      startTime: child.startTime,
      key,
      boot,
      at,
      argv,
      out: said.out.subarray(0, OUT_AT_MOST).toString('base64'),
      err: said.err,
      ...(wchan !== undefined && { wchan }),
    };
    // Others may have been added while the host was asked.
    this.#children = [...this.#known().filter((each) => alive.includes(each) || !before.includes(each)), entry];
    this.#save(this.#children);
  }

  #load(): Remembered[] {
    if (this.#file === undefined) {
      return [];
    }
    try {
      const read: unknown = JSON.parse(readFileSync(this.#file, 'utf8'));
      return Array.isArray(read) ? (read.filter(isLeftBehind) as Remembered[]) : [];
    } catch {
      return [];
    }
  }

  #save(children: Remembered[]): void {
    if (this.#file === undefined) {
      return;
    }
    try {
      makeDirectory(dirname(this.#file));
      writeFileSync(`${this.#file}.new`, JSON.stringify(children), { mode: 0o600 });
      renameSync(`${this.#file}.new`, this.#file);
    } catch {
      // A check also runs where nothing can be written; it then remembers for this run only.
    }
  }
}

/** The file of this host, or of another one as it was named. */
export function leftBehindFile(stateDir: string, host?: string): string {
  return join(stateDir, host === undefined ? 'left-behind.json' : `left-behind-${encodeURIComponent(host)}.json`);
}

function readBootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return '';
  }
}
