/** Children that no signal ends, remembered on disk: the next run must not add one more. */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Child } from '../check/types.ts';
import { makeDirectory } from '../directory.ts';
import { isLeftBehind, type LeftBehind } from '../facts/left-behind.ts';
import { isAlive } from './child.ts';

const FILE = 'left-behind.json';
const OUT_AT_MOST = 1024 * 1024;

interface Remembered extends LeftBehind {
  /** Of the probe it was asked. */
  key: string;
  boot: string;
  at: string;
  wchan?: string;
}

export class LeftBehindMemory {
  readonly #directory: string | undefined;
  readonly #boot: string;
  #children: Remembered[] | undefined;

  /** Without a directory it remembers for this run only. */
  constructor(directory: string | undefined, boot: string) {
    this.#directory = directory;
    this.#boot = boot;
  }

  /** Those still alive. */
  children(): Remembered[] {
    this.#children ??= this.#load();
    this.#children = this.#children.filter((child) => child.boot === this.#boot && isAlive(child));
    return this.#children;
  }

  find(key: string): Remembered | undefined {
    return this.children().find((child) => child.key === key);
  }

  add(
    key: string,
    child: Child,
    argv: LeftBehind['argv'],
    said: { out: Buffer; err: string },
    at: string,
    wchan: string | undefined,
  ): void {
    const entry: Remembered = {
      ...child,
      key,
      boot: this.#boot,
      at,
      argv,
      out: said.out.subarray(0, OUT_AT_MOST).toString('base64'),
      err: said.err,
      ...(wchan !== undefined && { wchan }),
    };
    this.#children = [...this.children(), entry];
    this.#save(this.#children);
  }

  #load(): Remembered[] {
    if (this.#directory === undefined) {
      return [];
    }
    try {
      const read: unknown = JSON.parse(readFileSync(join(this.#directory, FILE), 'utf8'));
      return Array.isArray(read) ? (read.filter(isLeftBehind) as Remembered[]) : [];
    } catch {
      return [];
    }
  }

  #save(children: Remembered[]): void {
    if (this.#directory === undefined) {
      return;
    }
    try {
      makeDirectory(this.#directory);
      const file = join(this.#directory, FILE);
      writeFileSync(`${file}.new`, JSON.stringify(children), { mode: 0o600 });
      renameSync(`${file}.new`, file);
    } catch {
      // A check also runs where nothing can be written; it then remembers for this run only.
    }
  }
}
