/** `ssh` is a script that starts the program in a shell here. */
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { scratch } from '../../test/scratch.ts';
import { SshTarget } from './ssh.ts';

/** The path by which ssh is found leads to this script first. */
function target(script: string): SshTarget {
  const bin = scratch();
  writeFileSync(join(bin, 'ssh'), `#!/bin/sh\n${script}\n`);
  chmodSync(join(bin, 'ssh'), 0o755);
  const before = process.env['PATH'];
  process.env['PATH'] = `${bin}:${before}`;
  onTestFinished(() => {
    process.env['PATH'] = before;
  });
  const made = new SshTarget({ name: 'h', sudo: false, state: undefined, lifeMs: 60_000 });
  onTestFinished(() => made.close());
  return made;
}

const soon = () => Date.now() + 20_000;
const ask = (of: SshTarget, take: string) => of.ask({ kind: 'run', argv: ['echo', 'hi'], take }, soon());

it.each([
  ['the same boot: it goes on over a new connection', 'cat', 'ok', undefined],
  [
    'another boot: nothing is asked or done any more',
    'sed -u "/ ready 1 /s/ [^ ]*$/ another-boot/"',
    'unreachable',
    /restarted since it was first asked, or another host/,
  ],
])('a connection that ends, then %s', async (_, second, state, lost) => {
  const dir = scratch();
  const [mark, pid] = [join(dir, 'again'), join(dir, 'pid')];
  const start = `exec setsid -w sh -c 'echo $$ >${pid}; exec sh'`;
  const of = target(`[ -e ${mark} ] || { touch ${mark}; ${start}; }\nexec setsid -w sh -c 'sh | ${second}'`);
  expect(await ask(of, '1')).toMatchObject({ state: 'ok' });
  process.kill(-Number(readFileSync(pid, 'utf8')), 'SIGKILL');
  await expect.poll(async () => (await ask(of, String(Math.random()))).state, { timeout: 10_000 }).toBe(state);
  expect(existsSync(mark)).toBe(true);
  const log = join(dir, 'log');
  const acted = await of.act({ kind: 'run', argv: ['true'] }, log, () => {});
  expect(acted.ok).toBe(state === 'ok');
  if (lost !== undefined) {
    expect([acted.why, of.lost()]).toEqual([expect.stringMatching(lost), expect.stringMatching(lost)]);
  }
});
