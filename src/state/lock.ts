/** One repair at a time. The lock is SQLite's: the kernel frees it when its holder dies, however it dies. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Child } from '../check/types.ts';
import { messageOf, StdoctorError } from '../errors.ts';
import { childOf, isAlive } from '../target/child.ts';

const BUSY = 5;

const HOLDER_FILE = 'lock-holder.json';

export interface Lock {
  release(): void;
}

export interface LockHolder extends Child {
  since: string;
  /** Id of its run. */
  run: string;
}

export function takeLock(stateDir: string, run: string): Lock {
  const holderFile = join(stateDir, HOLDER_FILE);
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(join(stateDir, 'lock.sqlite'));
    database.exec('PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE');
    const holder: LockHolder = { pid: process.pid, startTime: childOf(process.pid)?.startTime ?? '', since: new Date().toISOString(), run };
    writeFileSync(holderFile, JSON.stringify(holder), { mode: 0o600 });
  } catch (error) {
    database?.close();
    if ((error as { errcode?: number }).errcode === BUSY) {
      throw new StdoctorError('STD_LOCK_HELD', `another repair is under way on this host: ${holderOf(holderFile)}`, { cause: error });
    }
    throw new StdoctorError('STD_STATE_DIR', `the repair lock in ${stateDir} cannot be taken: ${messageOf(error)}`, { cause: error });
  }
  return {
    release: () => {
      rmSync(holderFile, { force: true });
      database.close();
    },
  };
}

function holderOf(file: string): string {
  const holder = readHolder(file);
  return holder === undefined ? 'its process could not be read' : `process ${holder.pid}, since ${holder.since}`;
}

/** Who holds the lock, as far as that can be told without touching it; undefined where nobody does. */
export function lockHolder(stateDir: string): LockHolder | undefined {
  const holder = readHolder(join(stateDir, HOLDER_FILE));
  return holder !== undefined && isAlive(holder) ? holder : undefined;
}

function readHolder(file: string): LockHolder | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as LockHolder;
  } catch {
    return undefined;
  }
}
