/** One repair at a time. The lock is SQLite's: the kernel frees it when its holder dies, however it dies. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { messageOf, StdoctorError } from '../errors.ts';

const BUSY = 5;

export interface Lock {
  release(): void;
}

export function takeLock(stateDir: string): Lock {
  const holderFile = join(stateDir, 'lock-holder.json');
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(join(stateDir, 'lock.sqlite'));
    database.exec('PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE');
    writeFileSync(holderFile, JSON.stringify({ pid: process.pid, since: new Date().toISOString() }), { mode: 0o600 });
  } catch (error) {
    database?.close();
    if ((error as { errcode?: number }).errcode === BUSY) {
      throw new StdoctorError('STD_LOCK_HELD', `another repair is under way on this host: ${holderOf(holderFile)}`, { cause: error });
    }
    throw new StdoctorError('STD_STATE_DIR', `the repair lock in ${stateDir} cannot be taken: ${messageOf(error)}`, { cause: error });
  }
  return { release: () => database.close() };
}

function holderOf(file: string): string {
  try {
    const { pid, since } = JSON.parse(readFileSync(file, 'utf8')) as { pid: number; since: string };
    return `process ${pid}, since ${since}`;
  } catch {
    return 'its process could not be read';
  }
}
