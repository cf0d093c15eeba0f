/** The screens, in a real terminal, at the widths that people have. */
import { chmodSync, writeFileSync } from 'node:fs';
import { execa } from 'execa';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Terminal } from './terminal.ts';
import { World } from './world.ts';

const WIDTHS = [60, 80, 200];
const LIMIT_MS = 30_000;

let world: World;
beforeEach(async () => {
  // One name for the snapshots; only this file uses it, one test after the other.
  world = await World.open({ dir: '/tmp/screens' });
});
afterEach(() => world.close());

/** Two mounts whose daemons are gone: two plans without risk. */
async function twoDead(): Promise<string[]> {
  const mounts = [await world.sshfs('a'), await world.sshfs('b')];
  for (const mount of mounts) {
    await mount.kill();
  }
  return mounts.map(({ point }) => point);
}

/** umount takes some seconds, and talks. */
function slowUmount(): { PATH: string } {
  const bin = world.directory('bin');
  writeFileSync(`${bin}/umount`, '#!/bin/sh\necho working on it\nsleep 4\nexec /usr/bin/umount "$@"\n');
  chmodSync(`${bin}/umount`, 0o755);
  return { PATH: `${bin}:/usr/sbin:/usr/bin:/sbin:/bin` };
}

/** What the screen shows, without what differs from run to run. */
async function shown(terminal: Terminal): Promise<string> {
  const screen = (await terminal.screen()).replaceAll(/ +$/gm, '');
  return screen
    .replaceAll(/-[0-9a-f]{8}$/gm, '-ID')
    .replaceAll(/\d+ (ms|s)\b/g, 'TIME')
    .trimEnd();
}

/** From the first line that matches. */
function from(text: string, pattern: RegExp): string {
  return text.slice(text.search(pattern));
}

async function expectSane(terminal: Terminal): Promise<void> {
  await expect.poll(() => terminal.modes(), { timeout: LIMIT_MS }).toEqual(expect.arrayContaining(['echo', 'icanon', 'isig']));
  expect(await terminal.showsCursor()).toBe(true);
}

/** The screen with its colours. */
async function coloured(index: number): Promise<string> {
  return (await execa('tmux', ['-S', world.path(`tmux-${index}`), 'capture-pane', '-p', '-e'])).stdout;
}

describe.each(WIDTHS)('at %i columns', (columns) => {
  it('a report breaks nothing that is to be copied', async () => {
    const points = await twoDead();
    const terminal = await world.terminal(['check', 'zombie-mounts', '--evidence'], { columns, rows: 60 });
    expect(await terminal.ended(LIMIT_MS)).toBe(2);
    const screen = await shown(terminal);
    for (const point of points) {
      expect(screen).toContain(`\n        umount -c ${point}\n`);
      expect(screen).toMatch(new RegExp(`^CRITICAL ${point}: its FUSE daemon is`, 'm'));
    }
    expect(screen).toMatch(/^Summary: 2 critical$/m);
    const wide = screen.split('\n').filter((line) => line.length > columns);
    expect(wide.filter((line) => !/^ {6}\S+Z {2}/.test(line))).toEqual([]);
    await expectSane(terminal);
  });

  it.each([
    ['none', [], 1, '2 declined'],
    ['all', ['Down', 'Down'], 0, '2 repaired'],
    ['some', ['Down'], 1, '1 repaired, 1 declined'],
  ] as const)('of two plans %s', async (wanted, keys, code, summary) => {
    const points = await twoDead();
    const terminal = await world.terminal(['fix', 'zombie-mounts'], { columns, rows: 60 });
    await terminal.waitFor(/Enter takes: none of them/, LIMIT_MS);
    for (const key of keys) {
      await terminal.keys(key);
    }
    await terminal.waitFor(new RegExp(`Enter takes: ${wanted}`), LIMIT_MS);
    await terminal.keys('Enter');
    if (wanted === 'some') {
      await terminal.waitFor(/Apply this plan\? \(y\/N\)/, LIMIT_MS);
      await terminal.type('y');
      await terminal.waitFor(/Apply this plan\?[\s\S]*Apply this plan\? \(y\/N\) ‣/, LIMIT_MS);
      await terminal.type('n');
    }
    await terminal.waitFor(new RegExp(`^${summary}$`, 'm'), LIMIT_MS);
    expect(await terminal.ended()).toBe(code);
    const left = points.filter((point) => world.mountsAt(point).length > 0);
    expect(left).toHaveLength(wanted === 'none' ? 2 : wanted === 'some' ? 1 : 0);
    await expectSane(terminal);
  });

  it('Ctrl-C in a question', async () => {
    const points = await twoDead();
    const terminal = await world.terminal(['fix', 'zombie-mounts'], { columns, rows: 60 });
    await terminal.waitFor(/Enter takes: none of them/, LIMIT_MS);
    await terminal.keys('C-c');
    expect(await terminal.ended()).toBe(130);
    expect(await shown(terminal)).toMatch(/interrupted at the question; nothing was done after it$/);
    expect(points.map((point) => world.mountsAt(point).length)).toEqual([1, 1]);
    await expectSane(terminal);
  });

  it('progress names what is slow; Ctrl-C in it', async () => {
    const slow = await world.sshfs('slow', { slow: true });
    await world.run(['ls', slow.point]);
    slow.delay(9000);
    const terminal = await world.terminal(['check', 'zombie-mounts'], { columns, rows: 20 });
    await terminal.waitFor(/slow \(1 s\)/, LIMIT_MS);
    const lines = (await shown(terminal)).split('\n');
    expect(lines[0]).toMatch(/^\S Asking local \(TIME\)$/);
    expect(lines[1]).toBe('  at work: zombie-mounts');
    expect(lines[2]).toMatch(/^ {2}slow \(TIME\): stat .* -- \/tmp\/screens\/slow$/);
    expect(lines).toHaveLength(3);
    await terminal.keys('C-c');
    expect(await terminal.ended(5000)).toBe(130);
    await expectSane(terminal);
    slow.delay(0);
  });

  it('Ctrl-C in a step is answered at once; the step ends, and no other is begun', async () => {
    await twoDead();
    const terminal = await world.terminal(['fix', 'zombie-mounts'], { columns, rows: 60, env: slowUmount() });
    await terminal.waitFor(/Enter takes: none of them/, LIMIT_MS);
    await terminal.keys('Down', 'Down', 'Enter');
    await terminal.waitFor(/step 1 of 1, Unmount \/tmp\/screens\/a: acting \(\d s\)\n {2}working on it/, LIMIT_MS);
    await terminal.keys('C-c');
    await terminal.waitFor(/stdoctor: interrupted; the step under way may end[\s\S]*acting/, 2000);
    expect(await terminal.ended()).toBe(130);
    const screen = await shown(terminal);
    expect(screen).toMatch(/^repaired {2}\/tmp\/screens\/a: its FUSE daemon/m);
    expect(screen).toMatch(/and none was begun after it$/);
    expect([world.mountsAt(world.path('a')).length, world.mountsAt(world.path('b')).length]).toEqual([0, 1]);
    await expectSane(terminal);
  });
});

it('a whole repair at 60 columns', async () => {
  await (await world.sshfs('a')).kill();
  const terminal = await world.terminal(['fix', 'zombie-mounts'], { columns: 60, rows: 60 });
  await terminal.waitFor(/Apply this plan\? \(y\/N\)/, LIMIT_MS);
  await terminal.type('y');
  expect(await terminal.ended()).toBe(0);
  expect(await shown(terminal)).toMatchInlineSnapshot(`
    "CRITICAL /tmp/screens/a: its FUSE daemon is gone; every
      access fails
        fuse-dead-ID
        How we know: stat: cannot read file system information
          for '/tmp/screens/a': Transport endpoint is not
          connected
      Plan (safe: nothing can be lost and nobody is
        interrupted):
      1. Unmount /tmp/screens/a (safe)
           umount -c /tmp/screens/a
         Nothing can be lost through a dead connection; where
           somebody holds it, umount says so and changes
           nothing.
         Cannot be undone: the daemon is gone: mount it again

    ✔ Apply this plan? (y/N) · y

    repaired  /tmp/screens/a: its FUSE daemon is gone; every
      access fails
        proven (TIME, exit code 0):
            umount -c /tmp/screens/a
    1 repaired"
  `);
});

it('a whole report at 80 columns, with something of which nothing could be told', async () => {
  await (await world.sshfs('a')).kill();
  const fstab = world.path('fstab');
  writeFileSync(fstab, 'this is no line\n');
  await world.run(['mount', '--bind', fstab, '/etc/fstab']);
  const terminal = await world.terminal(['check', 'zombie-mounts'], { columns: 80, rows: 60 });
  expect(await terminal.ended()).toBe(2);
  const screen = from(await shown(terminal), /^CRITICAL/m);
  expect(screen).toMatchInlineSnapshot(`
    "CRITICAL /tmp/screens/a: its FUSE daemon is gone; every access fails
        How we know: stat: cannot read file system information for '/tmp/screens/a':
          Transport endpoint is not connected
        Repair (safe: nothing can be lost and nobody is interrupted):
            umount -c /tmp/screens/a
        Next: stdoctor fix fuse-dead-ID
              stdoctor explain fuse-dead

    COULD NOT TELL file /etc/fstab (zombie-mounts): no line of the known format:
      this is no line

    Summary: 1 critical, 1 could not tell
    Healthy: interrupted-repairs
    More: --evidence shows all that was seen"
  `);
});

it('a name of 300 characters can be typed at 60 columns', async () => {
  const point = `${world.dir}/${'l'.repeat(150)}/${'m'.repeat(140)}`;
  const mount = await world.sshfs('long', { point });
  mount.silence();
  const terminal = await world.terminal(['fix', 'zombie-mounts'], { columns: 60, rows: 60 });
  await terminal.waitFor(/Type \S+ to go on/, LIMIT_MS);
  await terminal.keys('-l', `${point.slice(0, 99)}typo`);
  await terminal.keys('BSpace', 'BSpace', 'BSpace', 'BSpace');
  await terminal.type(point.slice(99));
  await terminal.waitFor(/1 repaired/, 60_000);
  expect(await terminal.ended()).toBe(0);
  expect(world.mountsAt(point)).toEqual([]);
  await expectSane(terminal);
});

it('NO_COLOR: no colour in reports, questions and progress; what is chosen is said in words', async () => {
  await twoDead();
  for (const [index, env] of [{}, { NO_COLOR: '1' }].entries()) {
    const terminal = await world.terminal(['fix', 'zombie-mounts'], { columns: 80, rows: 60, env });
    await terminal.waitFor(/Enter takes: none of them/, LIMIT_MS);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the escape of a colour
    const isColoured = /\u001b\[[1-9;]*m/.test(await coloured(index));
    expect(isColoured).toBe(index === 0);
    await terminal.keys('C-c');
    await terminal.ended();
  }
});

it('a dumb terminal is shown no progress that it could not take back', async () => {
  const slow = await world.sshfs('slow', { slow: true });
  await world.run(['ls', slow.point]);
  slow.delay(1200);
  const terminal = await world.terminal(['check', 'zombie-mounts'], { columns: 80, rows: 20, env: { TERM: 'dumb' } });
  await terminal.waitFor(/Summary:/, LIMIT_MS);
  expect(await terminal.screen()).not.toContain('Asking');
  slow.delay(0);
});

it('quiet: a healthy host is told by the exit code alone', async () => {
  const terminal = await world.terminal(['check', 'zombie-mounts', '--quiet'], { columns: 80, rows: 20 });
  expect(await terminal.ended()).toBe(0);
  expect(await shown(terminal)).toBe('');
  await (await world.sshfs('a')).kill();
  const { code, stdout, stderr } = await world.stdoctor(['check', 'zombie-mounts', '--quiet']);
  expect([code, stderr]).toEqual([2, '']);
  expect(stdout).toMatch(/^CRITICAL \/tmp\/screens\/a: its FUSE daemon is gone; every access fails \(fuse-dead-[0-9a-f]{8}\)\n$/);
});
