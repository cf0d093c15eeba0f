import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { scratch } from '../../test/scratch.ts';
import type { Child } from '../check/types.ts';
import { childOf } from './child.ts';
import { HERE, LeftBehindMemory, leftBehindFile } from './left-behind.ts';

const SAID = { out: Buffer.from('/a\0'), err: "find: '/b': Permission denied\n" };

/** Of a host that is in this boot. */
function memory(directory: string | undefined, boot = 'boot'): LeftBehindMemory {
  return new LeftBehindMemory(directory === undefined ? undefined : leftBehindFile(directory), { ...HERE, bootId: async () => boot });
}

function sleeper(): { process: ChildProcess; child: Child } {
  const process = spawn('sleep', ['30'], { stdio: 'ignore' });
  onTestFinished(() => void process.kill('SIGKILL'));
  return { process, child: childOf(process.pid as number) as Child };
}

async function kill(process: ChildProcess): Promise<void> {
  const exited = once(process, 'exit');
  process.kill('SIGKILL');
  await exited;
}

describe('LeftBehindMemory', () => {
  it('remembers for the next run what still lives', async () => {
    const directory = join(scratch(), 'state');
    const { process, child } = sleeper();
    await memory(directory).add('key', child, ['stat', { base64: '/w==' }], SAID, 'now', 'request_wait_answer');
    expect(statSync(join(directory, 'left-behind.json')).mode & 0o777).toBe(0o600);
    expect(statSync(directory).mode & 0o777).toBe(0o700);

    const next = memory(directory);
    expect(await next.find('key')).toEqual({
      ...child,
      key: 'key',
      boot: 'boot',
      at: 'now',
      argv: ['stat', { base64: '/w==' }],
      out: SAID.out.toString('base64'),
      err: SAID.err,
      wchan: 'request_wait_answer',
    });
    expect(await next.find('other')).toBeUndefined();
    expect(await memory(directory, 'another boot').children()).toEqual([]);

    await kill(process);
    expect(await next.find('key')).toBeUndefined();
    expect(await memory(directory).children()).toEqual([]);
  });

  it('does not take another process of the same pid for it', async () => {
    const directory = scratch();
    const { child } = sleeper();
    await memory(directory).add('key', { ...child, startTime: '1' }, ['x'], SAID, 'now', undefined);
    expect(await memory(directory).children()).toEqual([]);
  });

  it('adds to those of other runs, and forgets the dead', async () => {
    const directory = scratch();
    const [first, second, third] = [sleeper(), sleeper(), sleeper()];
    await memory(directory).add('1', first.child, ['x'], SAID, 'now', undefined);
    await memory(directory).add('2', second.child, ['x'], SAID, 'now', undefined);
    await kill(first.process);
    await memory(directory).add('3', third.child, ['x'], SAID, 'now', undefined);
    const stored = JSON.parse(readFileSync(join(directory, 'left-behind.json'), 'utf8')) as { key: string }[];
    expect(stored.map(({ key }) => key)).toEqual(['2', '3']);
  });

  it('remembers for this run only where there is no directory, or none that can be written', async () => {
    const { child } = sleeper();
    const file = join(scratch(), 'file');
    writeFileSync(file, '');
    for (const directory of [undefined, file]) {
      const kept = memory(directory);
      await kept.add('key', child, ['x'], SAID, 'now', undefined);
      expect((await kept.find('key'))?.pid).toBe(child.pid);
    }
  });

  it.each([
    '',
    '{',
    '{}',
    'null',
    '[null, 7, "x", {}]',
    '[{"pid":1,"argv":["x"]}]',
    '[{"pid":1,"startTime":"1","argv":[null],"out":"","boot":"boot"}]',
  ])('takes the damaged file %j', async (text) => {
    const directory = scratch();
    writeFileSync(join(directory, 'left-behind.json'), text);
    expect(await memory(directory).children()).toEqual([]);
  });
});
