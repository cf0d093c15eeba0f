import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { scratch } from '../../test/scratch.ts';
import { lockHolder, takeLock } from './lock.ts';

const LOCK = new URL('./lock.ts', import.meta.url).href;

/** Another process that has taken the lock, and keeps it until it is killed. */
async function holder(directory: string): Promise<ChildProcess> {
  const code = `const { takeLock } = await import(${JSON.stringify(LOCK)}); globalThis.lock = takeLock(${JSON.stringify(directory)}, 'run-of-another'); console.log('taken'); setTimeout(() => {}, 20_000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  await Promise.race([once(child.stdout, 'data'), once(child, 'exit')]);
  expect(child.exitCode).toBeNull();
  return child;
}

describe('takeLock', () => {
  it('is taken once at a time', () => {
    const directory = scratch();
    const lock = takeLock(directory, 'run');
    expect(() => takeLock(directory, 'run')).toThrow(
      expect.objectContaining({ code: 'STD_LOCK_HELD', exitCode: 75, message: expect.stringContaining(`process ${process.pid}, since `) }),
    );
    expect(lockHolder(directory)).toMatchObject({ pid: process.pid, run: 'run' });
    lock.release();
    expect(lockHolder(directory)).toBeUndefined();
    takeLock(directory, 'run').release();
  });

  it('keeps other processes out, names the one that holds it, and is free when that is killed', async () => {
    const directory = scratch();
    const child = await holder(directory);
    expect(() => takeLock(directory, 'run')).toThrow(
      expect.objectContaining({ code: 'STD_LOCK_HELD', message: expect.stringContaining(`process ${child.pid}, since `) }),
    );
    expect(lockHolder(directory)).toMatchObject({ pid: child.pid, run: 'run-of-another' });
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
    expect(lockHolder(directory)).toBeUndefined();
    const lock = takeLock(directory, 'run');
    // And a failed attempt has not freed it.
    expect(() => takeLock(directory, 'run')).toThrow(expect.objectContaining({ code: 'STD_LOCK_HELD' }));
    lock.release();
  });

  it('says so where it does not know the holder', async () => {
    const directory = scratch();
    const lock = takeLock(directory, 'run');
    writeFileSync(join(directory, 'lock-holder.json'), '{');
    expect(() => takeLock(directory, 'run')).toThrow('its process could not be read');
    lock.release();
  });

  it('tells a held lock from a place where none can be taken', () => {
    const directory = scratch();
    expect(() => takeLock(join(directory, 'absent'), 'run')).toThrow(expect.objectContaining({ code: 'STD_STATE_DIR' }));
    writeFileSync(join(directory, 'lock.sqlite'), 'this is no database. '.repeat(100));
    expect(() => takeLock(directory, 'run')).toThrow(expect.objectContaining({ code: 'STD_STATE_DIR' }));
  });
});
