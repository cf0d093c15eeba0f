import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { describe, expect, it, onTestFinished } from 'vitest';
import { randomBytes, randomFrom, scratch } from '../../test/scratch.ts';
import type { Name } from '../names.ts';
import { fromByteString } from '../names.ts';
import { askChild, type ChildEnd, childOf, isAlive, viaXargs } from './child.ts';

const PATH = process.env['PATH'] ?? '/usr/bin:/bin';
const LIMIT = 10_000;
const MUCH = 1024 * 1024;

function sh(script: string, limitMs = LIMIT, maxBytes = MUCH): Promise<ChildEnd> {
  return askChild(['sh', '-c', script], limitMs, PATH, maxBytes);
}

/** Waits until this process is gone or a zombie. */
async function isGone(pid: number): Promise<boolean> {
  for (let tries = 0; tries < 50; tries++) {
    const child = childOf(pid);
    if (child === undefined || !isAlive(child)) {
      return true;
    }
    await new Promise((done) => setTimeout(done, 100));
  }
  return false;
}

describe('askChild', () => {
  it('keeps output, complaints and exit code', async () => {
    const end = await sh('printf "a\\0\\377"; echo "it \\377 fails" >&2; exit 7');
    expect(end).toEqual({ state: 'exited', code: 7, out: Buffer.from('a\0\xff', 'latin1'), err: 'it \xff fails\n' });
  });

  it('has a clean environment, no input, and works from the root', async () => {
    const end = await sh('pwd; cat; echo "$LC_ALL $HOME $TZ"; env | grep -c .');
    const lines = end.out.toString().trim().split('\n');
    expect(lines.slice(0, 2)).toEqual(['/', 'C / UTC']);
    // PWD, OLDPWD, SHLVL and _ are the shell's own.
    expect(Number(lines[2])).toBeLessThanOrEqual(8);
  });

  it('says where a tool is absent or may not be run', async () => {
    expect(await askChild(['stdoctor-no-such-tool'], LIMIT, PATH, MUCH)).toMatchObject({ state: 'not-started', errno: 'ENOENT' });
    expect(await askChild(['/etc/passwd'], LIMIT, PATH, MUCH)).toMatchObject({ state: 'not-started', errno: 'EACCES' });
    expect(await askChild(['sh', '-c', 'true'], LIMIT, '/nowhere', MUCH)).toMatchObject({ state: 'not-started', errno: 'ENOENT' });
  });

  it('gives a child up at its limit, kills it, and keeps what it had said', async () => {
    const started = Date.now();
    const end = await sh('echo $$; echo so far >&2; sleep 30', 400);
    expect(Date.now() - started).toBeLessThan(5000);
    expect(end).toMatchObject({ state: 'given-up', err: 'so far\n' });
    expect(end).not.toHaveProperty('leaked');
    expect(await isGone(Number(end.out.toString()))).toBe(true);
  });

  it('kills a child that ignores every signal it can, and its children', async () => {
    const end = await sh('trap "" TERM INT HUP; sleep 30 & echo $!; wait; sleep 30', 400);
    expect(end.state).toBe('given-up');
    expect(await isGone(Number(end.out.toString()))).toBe(true);
  });

  it('names the kernel function a child sleeps in', async () => {
    const end = await sh('exec sleep 30', 400);
    // Empty where this kernel does not tell it.
    expect(end).toMatchObject({
      state: 'given-up',
      ...(end.state === 'given-up' && end.wchan !== undefined && { wchan: expect.stringMatching(/nanosleep/) }),
    });
  });

  it('stops a child that says too much', async () => {
    const started = Date.now();
    const end = await sh('yes', LIMIT, 100_000);
    expect(end.state).toBe('too-much');
    expect(end.out.length).toBeLessThanOrEqual(100_000);
    expect(Date.now() - started).toBeLessThan(5000);
  });

  it('takes exactly as much as is allowed, and bounds complaints too', async () => {
    expect(await sh('head -c 1000 /dev/zero', LIMIT, 1000)).toMatchObject({ state: 'exited', code: 0 });
    expect(await sh('head -c 1001 /dev/zero', LIMIT, 1000)).toMatchObject({ state: 'too-much' });
    const end = await sh('head -c 1000000 /dev/zero >&2');
    expect(end).toMatchObject({ state: 'exited', code: 0 });
    expect(end.err.length).toBeLessThanOrEqual(256 * 1024);
  });

  it('settles where a grandchild keeps the pipe open', async () => {
    const started = Date.now();
    const end = await sh('echo said; sleep 30 & exit 0', 700);
    expect(Date.now() - started).toBeLessThan(5000);
    expect(end.out.toString()).toBe('said\n');
  });

  it('settles where a grandchild in a session of its own keeps the pipe open', async () => {
    const started = Date.now();
    const end = await sh('setsid sleep 30 & echo $!; exit 0', 700);
    const pid = Number(end.out.toString());
    // setsid forks only where it leads a group: the pid is that of the sleep.
    onTestFinished(() => {
      if (pid > 1) {
        process.kill(pid, 'SIGKILL');
      }
    });
    expect(Date.now() - started).toBeLessThan(5000);
  });

  it('reports a child that died of a signal as one that failed', async () => {
    expect(await sh('kill -KILL $$')).toMatchObject({ state: 'exited', code: 128 });
  });

  it('asks many at the same time', async () => {
    const ends = await Promise.all(Array.from({ length: 20 }, (_, index) => sh(`echo ${index}`)));
    expect(ends.map(({ out }) => out.toString())).toEqual(ends.map((_, index) => `${index}\n`));
  });
});

describe('words that are not UTF-8', () => {
  it('go through xargs', () => {
    expect(viaXargs(['a', 'é'])).toEqual({ argv: ['a', 'é'] });
    expect(viaXargs(['stat', '--', fromByteString('\xff')])).toEqual({
      argv: ['xargs', '-0', '-x', '-n', '3', '--', 'stat'],
      input: Buffer.from('--\0\xff\0', 'latin1'),
    });
  });

  it('reach the child byte for byte', async () => {
    const random = randomFrom(8);
    const words = ['', ' ', '\n', '-n', "'", '"', '\\', '{}', '\xff', ...Array.from({ length: 200 }, () => randomBytes(random, 12))];
    const end = await askChild(['printf', '%s\\0', ...words.map((word): Name => fromByteString(word))], LIMIT, PATH, MUCH);
    expect(end).toMatchObject({ state: 'exited', code: 0 });
    expect(end.out.toString('latin1').split('\0').slice(0, -1)).toEqual(words);
  });

  it('find their file', async () => {
    const directory = scratch();
    await askChild(['touch', '--', fromByteString(`${directory}/caf\xe9\n`)], LIMIT, PATH, MUCH);
    expect(existsSync(Buffer.from(`${directory}/caf\xe9\n`, 'latin1'))).toBe(true);
  });

  it('are killed with their xargs at the limit', async () => {
    const end = await askChild(['sh', '-c', 'echo $$; sleep 30', fromByteString('\xff')], 500, PATH, MUCH);
    expect(end.state).toBe('given-up');
    expect(await isGone(Number(end.out.toString()))).toBe(true);
  });
});

describe('isAlive', () => {
  it('knows the living, the dead and the changed', async () => {
    const child = spawn('sleep', ['30'], { stdio: 'ignore' });
    onTestFinished(() => void child.kill('SIGKILL'));
    const self = childOf(child.pid as number);
    expect(self).toMatchObject({ pid: child.pid, startTime: expect.stringMatching(/^\d+$/) });
    expect(isAlive(self as NonNullable<typeof self>)).toBe(true);
    expect(isAlive({ pid: child.pid as number, startTime: '1' })).toBe(false);
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
    expect(isAlive(self as NonNullable<typeof self>)).toBe(false);
    expect(childOf(child.pid as number)).toBeUndefined();
  });

  it('takes a zombie for dead', async () => {
    // The shell becomes a sleep that never waits for its child.
    const parent = spawn('sh', ['-c', 'sh -c "exit 0" & echo $!; exec sleep 30'], { stdio: ['ignore', 'pipe', 'ignore'] });
    onTestFinished(() => void parent.kill('SIGKILL'));
    const [chunk] = (await once(parent.stdout, 'data')) as [Buffer];
    const pid = Number(chunk.toString());
    expect(await isGone(pid)).toBe(true);
  });
});
