/** Values that cost much to gather, kept from one run to the next. Whatever is wrong with one, it is gathered again. */
import { createHash, randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { Json } from '../check/types.ts';
import { makeDirectory } from '../directory.ts';

const FORMAT = 1;
const FILES_AT_MOST = 200;
const BYTES_AT_MOST = 4 * 1024 * 1024;
const BYTES_IN_ALL = 64 * 1024 * 1024;

export interface Kept {
  stamp: string;
  value: Json;
}

/** Neither throws: where a value cannot be had or kept, there is none. */
export interface CostlyFacts {
  get(key: string): Kept | undefined;
  put(key: string, kept: Kept): void;
}

/**
 * In `STATE/facts`; without a directory, and where it cannot be written, for this process only.
 * version: of the program. What another version gathered it may have read otherwise.
 */
export function openCostlyFacts(stateDir: string | undefined, version: string): CostlyFacts {
  const texts = new Map<string, string>();
  return {
    get(key) {
      const name = sha256(key);
      const text = texts.get(name) ?? (stateDir === undefined ? undefined : readText(stateDir, name));
      return text === undefined ? undefined : parse(text, key, version);
    },
    put(key, kept) {
      const name = sha256(key);
      const text = toText(key, version, kept);
      if (text === undefined) {
        return;
      }
      texts.set(name, text);
      if (stateDir !== undefined) {
        writeText(stateDir, name, text);
      }
    },
  };
}

/**
 * A checksum and a line of JSON: the disk it lies on may be the one that is failing.
 * Undefined for what is too long, or would not come back as it was.
 */
function toText(key: string, version: string, { stamp, value }: Kept): string | undefined {
  const body = JSON.stringify({ format: FORMAT, version, key, gatheredAt: new Date().toISOString(), stamp, value });
  const text = `${sha256(body)}\n${body}`;
  return Buffer.byteLength(text) <= BYTES_AT_MOST && isDeepStrictEqual(JSON.parse(body).value, value) ? text : undefined;
}

function parse(text: string, key: string, version: string): Kept | undefined {
  const [sum, body = ''] = text.split('\n', 2);
  if (sum !== sha256(body)) {
    return undefined;
  }
  const { stamp, value, ...head } = JSON.parse(body) as Kept & { format: number; version: string; key: string };
  return head.format === FORMAT && head.version === version && head.key === key ? { stamp, value } : undefined;
}

function readText(stateDir: string, name: string): string | undefined {
  let file: number | undefined;
  try {
    file = openSync(join(ownDirectory(stateDir), name), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const stat = fstatSync(file);
    return isOurs(stat) && stat.size <= BYTES_AT_MOST ? readFileSync(file, 'utf8') : undefined;
  } catch {
    return undefined;
  } finally {
    if (file !== undefined) {
      closeSync(file);
    }
  }
}

function writeText(stateDir: string, name: string, text: string): void {
  try {
    makeDirectory(join(stateDir, 'facts'));
    const directory = ownDirectory(stateDir);
    const partial = join(directory, `${name}.${randomBytes(4).toString('hex')}`);
    try {
      writeFileSync(partial, text, { mode: 0o600, flag: 'wx' });
      renameSync(partial, join(directory, name));
    } catch (error) {
      rmSync(partial, { force: true });
      throw error;
    }
    dropOldest(directory);
  } catch {
    // A check also runs where nothing can be written; the next run then gathers again.
  }
}

/** What somebody else can write to decides over no repair. */
function ownDirectory(stateDir: string): string {
  const directory = join(stateDir, 'facts');
  // A link has mode 777.
  if (!isOurs(lstatSync(directory)) || !isOurs(statSync(stateDir))) {
    throw new Error(`${directory} is open to others`);
  }
  return directory;
}

function isOurs({ uid, mode }: Stats): boolean {
  return uid === process.geteuid?.() && (mode & 0o022) === 0;
}

/** Also sweeps what a run left half-written when it was killed. */
function dropOldest(directory: string): void {
  const files = readdirSync(directory).flatMap((name) => {
    const path = join(directory, name);
    const stat = lstatSync(path, { throwIfNoEntry: false });
    return stat === undefined ? [] : [{ path, mtimeMs: stat.mtimeMs, size: stat.size }];
  });
  let bytes = 0;
  for (const [index, { path, size }] of files.toSorted((a, b) => b.mtimeMs - a.mtimeMs).entries()) {
    bytes += size;
    if (index >= FILES_AT_MOST || bytes > BYTES_IN_ALL) {
      rmSync(path, { force: true });
    }
  }
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
