import { chmodSync, existsSync, readdirSync, readFileSync, readlinkSync, rmdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { found, outcomes } from './compare.ts';
import { actsOf, changedBefore, deletedSource, inWorld, journalOf, lockHolder, said, stopBefore, stopped } from './midway.ts';
import { type Image, type Ran, type Report, until, type World } from './world.ts';

const FIX = ['fix', 'zombie-mounts', '--auto', 'disruptive', '--json'] as const;
const FUSECTL = '/sys/fs/fuse/connections';

/** Nothing was done from there on: exit code 4 and one sentence; in the journal these acts, and then the end. */
function expectStale(ran: Ran, world: World, acts: readonly string[], sentence: string | RegExp): void {
  expect(ran.code, ran.stdout + ran.stderr).toBe(4);
  const [told] = said(ran);
  expect(told).toMatch(/^stale: step \d \(.*\): expected .*, found .*; nothing was done from here on$/);
  expect(told).toMatch(sentence);
  expect(actsOf(world)).toEqual(acts);
  expect(journalOf(world).at(-1)).toMatchObject({ event: 'closed', as: 'stale' });
}

function literally(text: string): RegExp {
  return new RegExp(text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
}

/** An ext4 whose image was deleted while a process holds it open: writes are held back, then it is copied. */
async function deletedImage(world: World): Promise<Image> {
  const image = await world.image('disk', 'ext4');
  const { pid } = world.hold(['sleep', '100'], image.point);
  await until(() => world.cwdOf(pid as number)?.includes(image.point) === true);
  rmSync(image.file);
  return image;
}

/** Nothing holds back its writes (any more). */
async function expectWritable(world: World, { point }: Image): Promise<void> {
  await world.run(['sh', '-c', 'echo "$1" > "$2"', 'sh', String(Date.now()), join(point, 'written')], { timeoutMs: 3000 });
}

/** The only copy in the rescue directories, as a path. */
function copyOf({ state }: World): string {
  const names = readdirSync(join(state, 'rescue'), { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.img'));
  expect(names).toHaveLength(1);
  return join(state, 'rescue', String(names[0]));
}

/** PATH with a command that takes its time before it does what it always does. */
async function slowly(world: World, command: string, seconds: number): Promise<Record<string, string>> {
  const directory = world.directory('slow');
  const real = (await world.run(['sh', '-c', `command -v ${command}`])).stdout.trim();
  writeFileSync(join(directory, command), `#!/bin/sh\nsleep ${seconds}\nexec ${real} "$@"\n`);
  chmodSync(join(directory, command), 0o755);
  return { PATH: `${directory}:${process.env['PATH']}` };
}

/** Until the act of this step has begun. */
function begun(world: World, step: number): Promise<void> {
  return until(() => journalOf(world).some((line) => line.event === 'started' && line.step === step), 20_000);
}

describe.concurrent('the world changes between two steps', () => {
  const cases: readonly {
    what: string;
    before: number;
    acts: number;
    change: (world: World, paths: { source: string; point: string }) => Promise<unknown> | unknown;
    sentence: (paths: { source: string; point: string }) => string | RegExp;
  }[] = [
    {
      what: 'the source is made again by somebody else',
      before: 5,
      acts: 1,
      change: (world) => world.directory('source'),
      sentence: ({ source }) => `expected nothing at ${source}, found a directory`,
    },
    {
      what: 'another mount takes the path',
      before: 9,
      acts: 2,
      change: async (world, { point }) => {
        await world.run(['mount', '-t', 'tmpfs', 'other', world.directory('other')]);
        await world.run(['umount', point]);
        await world.run(['mount', '--move', world.path('other'), point]);
      },
      sentence: ({ point }) =>
        new RegExp(`step 3 .*expected mount (\\d+) .* at ${point}, found mount (?!\\1)\\d+ \\(tmpfs, other, .*\\) there`),
    },
    {
      what: 'a process opens the mount',
      before: 9,
      acts: 2,
      change: async (world, { point }) => {
        const { pid } = world.hold(['sleep', '100'], point);
        await until(() => world.cwdOf(pid as number)?.includes(point) === true);
      },
      sentence: ({ point }) => new RegExp(`step 3 .*expected nobody holding ${point}, found sleep \\(pid \\d+ of root, cwd\\)`),
    },
    {
      what: 'the source that was made again is deleted again',
      before: 9,
      acts: 2,
      change: (_world, { source }) => rmdirSync(source),
      sentence: ({ source }) => `expected a directory at ${source}, found nothing`,
    },
    {
      what: 'something is mounted where the bind belongs',
      before: 13,
      acts: 3,
      change: (world, { point }) => world.run(['mount', '-t', 'tmpfs', 'late', point]),
      sentence: ({ point }) => new RegExp(`step 4 .*expected nothing mounted at ${point}, found mount \\d+ \\(tmpfs, late`),
    },
  ];

  for (const { what, before, acts, change, sentence } of cases) {
    it(
      `bind-source-deleted: ${what}`,
      inWorld(async (world) => {
        const paths = await deletedSource(world);
        let after: readonly number[] = [];
        const ran = await changedBefore(before, world, FIX, async () => {
          await change(world, paths);
          after = world.mounts().map(({ id }) => id);
        });
        const told = sentence(paths);
        expectStale(
          ran,
          world,
          Array.from({ length: acts }, (_, index) => `step ${index + 1}`),
          typeof told === 'string' ? literally(told) : told,
        );
        expect(world.mounts().map(({ id }) => id)).toEqual(after);
        const check = await world.stdoctor(['check', 'interrupted-repairs']);
        expect([check.code, check.stdout]).toEqual([0, expect.not.stringContaining('repair-interrupted')]);
      }),
    );
  }

  it(
    'fs-shutdown-xfs: somebody mounts it again himself',
    inWorld(async (world) => {
      const { point, node } = await world.image('disk');
      await world.run(['xfs_io', '-x', '-c', 'shutdown', point]);
      const ran = await changedBefore(5, world, FIX, () => world.run(['mount', node, point]));
      expectStale(ran, world, ['step 1'], new RegExp(`step 2 .*expected nothing mounted at ${point}, found mount \\d+ \\(xfs, ${node}`));
      expect(world.mountsAt(point)).toHaveLength(1);
      expect((await world.run(['cat', join(point, 'precious')])).stdout).toBe('data\n');
    }),
  );

  it(
    'fs-shutdown-xfs: the device appears under another name, and its own leads elsewhere',
    inWorld(async (world) => {
      const disk = await world.image('disk');
      const other = await world.image('other', 'ext4');
      const [then, now] = [disk, other].map(({ point }) => world.mountsAt(point)[0]?.device);
      await world.run(['xfs_io', '-x', '-c', 'shutdown', disk.point]);
      const ran = await changedBefore(5, world, FIX, () => world.run(['mount', '--bind', other.node, disk.node]));
      expectStale(ran, world, ['step 1'], literally(`expected ${disk.node} to be block device ${then}, found block device ${now}`));
      expect(world.mountsAt(disk.point)).toEqual([]);
    }),
  );

  it(
    'loop-backing-deleted: the image grows; the writes that were held back go on',
    inWorld(async (world) => {
      const image = await world.image('disk', 'ext4');
      const { pid } = world.hold(['sh', '-c', 'exec sleep 100 < "$0"', image.file], image.point);
      const input = `/proc/${pid}/fd/0`;
      await until(() => readlinkSync(input).endsWith(image.file));
      rmSync(image.file);
      const ran = await changedBefore(5, world, FIX, async () => {
        truncateSync(input, 64 * 1024 * 1024);
        await world.run(['losetup', '--set-capacity', image.node]);
      });
      expectStale(ran, world, ['step 1', 'release 1'], /step 2 .*33554432 bytes.*, found .*67108864 bytes/);
      await expectWritable(world, image);
    }),
  );

  it(
    'loop-backing-deleted: what was borrowed cannot be given back: failed, and said until it is',
    inWorld(async (world) => {
      const image = await deletedImage(world);
      const ran = await changedBefore(5, world, FIX, async () => {
        await world.run(['mount', '-t', 'tmpfs', 'cover', world.directory('cover')]);
        await world.run(['mount', '--move', world.path('cover'), image.point]);
      });
      expect(ran.code).toBe(2);
      expect(said(ran)).toEqual([
        expect.stringMatching(
          /^failed: step 2 .*expected mount .*, found mount \d+ \(tmpfs, cover, .*what step 1 borrowed could not be given back/,
        ),
      ]);
      expect(actsOf(world)).toEqual(['step 1', 'release 1']);
      const sick = await world.stdoctor(['check', '--json']);
      expect([sick.code, found(JSON.parse(sick.stdout))[1]]).toEqual([2, expect.stringContaining('repair-interrupted')]);

      await world.run(['umount', image.point]);
      const back = await world.stdoctor(['resume', '--rollback', '--yes', '--json']);
      expect([back.code, said(back)]).toEqual([0, [expect.stringMatching(/^undone: /)]]);
      await expectWritable(world, image);
      expect((await world.stdoctor(['check', 'interrupted-repairs'])).code).toBe(0);
    }),
  );

  it(
    'fuse-hung: the callers get their answers; the control files that were borrowed are given back',
    inWorld(
      async (world) => {
        const hung = await world.sshfs('hung');
        hung.silence();
        const terminal = await world.terminal(['fix', 'zombie-mounts'], { env: stopBefore(5) });
        await terminal.waitFor(/Type \S+ to go on/, 40_000);
        await terminal.type(hung.point);
        const pid = await stopped(world);
        expect(world.mountsAt(FUSECTL)).toHaveLength(1);
        process.kill(hung.server, 'SIGCONT');
        await until(() => world.childrenNaming(hung.point).length === 0);
        process.kill(pid, 'SIGCONT');
        expect(await terminal.ended()).toBe(4);
        expect((await terminal.screen()).replace(/\s+/g, ' ')).toMatch(
          /expected callers waiting in \S+, found 0; nothing was done from here on/,
        );
        expect(actsOf(world)).toEqual(['step 1', 'release 1']);
        expect(world.mountsAt(FUSECTL)).toEqual([]);
        expect((await world.run(['cat', join(hung.point, 'hello')])).stdout).toBe('hello\n');
      },
      { fusectl: false },
    ),
  );
});

/** A journal of one repair that is closed, of a mount that was dead; the host is healthy. */
async function repairedOnce(world: World): Promise<string> {
  const dead = await world.sshfs('dead');
  await dead.kill();
  expect((await world.fix('--auto', 'safe')).code).toBe(0);
  return join(world.state, 'journal.jsonl');
}

describe.concurrent('a journal that is not whole', () => {
  for (const [what, line, sentence] of [
    ['garbage', '\u0000\u0000\u001b[31mgarbage', 'line 3: expected an event of a repair, found \\\\x00'],
    [
      'a line of a newer version',
      '{"v":2,"at":"","run":"r","plan":"p","event":"dreamt"}',
      'line 3: expected version 1, found version 2 of a newer stdoctor',
    ],
  ] as const) {
    it(
      `${what} in its middle: fix, resume, undo and history refuse with its place, check could not tell`,
      inWorld(async (world) => {
        const file = await repairedOnce(world);
        const lines = readFileSync(file, 'utf8').split('\n');
        writeFileSync(file, lines.toSpliced(2, 0, line).join('\n'));
        const before = readFileSync(file);
        const check = await world.stdoctor(['check', '--json']);
        expect(check.code).toBe(3);
        expect(JSON.parse(check.stdout).targets[0].checks.at(-1)).toMatchObject({
          id: 'interrupted-repairs',
          outcome: 'unknown',
          reason: expect.stringContaining(sentence.replace('\\\\', '\\')),
        });
        const dead = await world.sshfs('dead');
        await dead.kill();
        for (const args of [
          ['fix', '--auto', 'safe'],
          ['resume', '--forward', '--yes'],
          ['undo', '--yes'],
          ['history', '--repairs'],
        ]) {
          const ran = await world.stdoctor(args);
          expect([ran.code, ran.stderr], args.join(' ')).toEqual([1, expect.stringContaining(`${file} `)]);
          expect(ran.stderr).toContain(sentence.replace('\\\\', '\\'));
          expect(ran.stderr).not.toContain('\u001b');
        }
        expect(world.mountsAt(dead.point)).toHaveLength(1);
        expect(readFileSync(file)).toEqual(before);
        expect(existsSync(join(world.state, 'lock-holder.json'))).toBe(false);
      }),
    );
  }

  it(
    'a last line that was cut off is no event: it is dropped by the next repair',
    inWorld(async (world) => {
      const file = await repairedOnce(world);
      const before = readFileSync(file, 'utf8');
      writeFileSync(file, `${before}{"v":1,"at":"2026-11-21T09:30:00Z","run":"x","pl`);
      for (const args of [['check'], ['history', '--repairs'], ['resume']]) {
        expect((await world.stdoctor(args)).code, args.join(' ')).toBe(0);
      }
      const dead = await world.sshfs('dead');
      await dead.kill();
      expect((await world.fix('--auto', 'safe')).code).toBe(0);
      expect(world.mountsAt(dead.point)).toEqual([]);
      expect(readFileSync(file, 'utf8').startsWith(`${before}{"v":1,"at":`)).toBe(true);
      expect(journalOf(world).at(-1)).toMatchObject({ event: 'closed', as: 'repaired' });
    }),
  );

  it(
    'whose lock was held by a process that was killed is free',
    inWorld(async (world) => {
      const dead = await world.sshfs('dead');
      await dead.kill();
      const terminal = await world.terminal(['fix']);
      await terminal.waitFor(/Apply this plan/, 20_000);
      process.kill(lockHolder(world), 'SIGKILL');
      expect(await terminal.ended()).toBe(137);
      const { code, report } = await world.fix('--auto', 'safe');
      expect([code, outcomes(report)]).toEqual([0, ['fuse-dead repaired']]);
    }),
  );

  it(
    'for want of room, in the middle of a repair: no further step, what was borrowed is given back, exit code 2',
    inWorld(async (world) => {
      const image = await deletedImage(world);
      await world.run(['mount', '-t', 'tmpfs', '-o', 'size=1m,mode=700', 'state', world.directory('state')]);
      const state = world.inside(world.state);
      const filler = join(state, 'filler');
      const at = { state } as World;
      // The line before the second step names it twice, and so needs more room than is left in the last block.
      const rescue = world.directory(join('rescue', ...Array.from({ length: 10 }, () => 'x'.repeat(220))));
      const running = world.stdoctor([...FIX, '--rescue-dir', rescue], { env: stopBefore(5) });
      const pid = await stopped(at);
      await world.run(['sh', '-c', 'head -c 2M /dev/zero > "$1"/filler', 'sh', world.state], { ok: false });
      process.kill(pid, 'SIGCONT');
      const ran = await running;
      expect(ran.code, ran.stdout + ran.stderr).toBe(2);
      expect(said(ran)).toEqual([expect.stringMatching(/^failed: .*the journal cannot be written any more: .*ENOSPC/)]);
      expect(actsOf(at).filter((act) => act.startsWith('step'))).toEqual(['step 1']);
      expect(readdirSync(join(rescue, readdirSync(rescue)[0] as string))).toEqual([]);
      await expectWritable(world, image);

      rmSync(filler);
      // Whether its last line still had room is chance; check tells which it was.
      const isOpen = journalOf(at).at(-1).event !== 'closed';
      const sick = await world.stdoctor(['check', '--json']);
      expect(sick.stdout.includes('repair-interrupted')).toBe(isOpen);
      const again = isOpen ? ['resume', '--forward', '--yes', '--json'] : FIX;
      const ended = await world.stdoctor([...again, '--rescue-dir', rescue]);
      expect([ended.code, said(ended)], ended.stderr).toEqual([1, [expect.stringMatching(/^unproven: The copy is /)]]);
      await expectWritable(world, image);
    }),
  );
});

describe.concurrent('an end that nobody planned', () => {
  it(
    'the terminal goes away while a step runs: the repair is brought to its end without it',
    inWorld(async (world) => {
      const image = await deletedImage(world);
      const terminal = await world.terminal([...FIX.slice(0, -1)], { env: await slowly(world, 'dd', 5) });
      await begun(world, 1);
      await terminal.close();
      expect(await terminal.ended()).toBe(130);
      expect(actsOf(world)).toEqual(['step 1', 'step 2', 'release 1']);
      expect(journalOf(world).at(-1)).toMatchObject({ event: 'closed', as: 'unproven', why: expect.stringMatching(/^The copy is /) });
      await expectWritable(world, image);
      await expectCopied(world);
    }),
  );

  it(
    'the terminal goes away while a question stands: nothing is done',
    inWorld(async (world) => {
      const dead = await world.sshfs('dead');
      await dead.kill();
      const terminal = await world.terminal(['fix']);
      await terminal.waitFor(/Apply this plan/, 20_000);
      await terminal.close();
      expect(await terminal.ended()).toBe(130);
      expect(world.mountsAt(dead.point)).toHaveLength(1);
      expect(journalOf(world)).toEqual([]);
      expect((await world.fix('--auto', 'safe')).code).toBe(0);
    }),
  );

  it(
    'Ctrl-C while a step runs: it ends within 5 s, the terminal is as it was, and resume waits for the step and goes on',
    inWorld(async (world) => {
      const image = await deletedImage(world);
      const terminal = await world.terminal([...FIX.slice(0, -1)], { env: await slowly(world, 'dd', 6) });
      await begun(world, 1);
      await terminal.keys('C-c');
      const started = Date.now();
      expect(await terminal.ended()).toBe(130);
      expect(Date.now() - started).toBeLessThan(5000);
      await until(() => terminal.modes().length > 0);
      expect(terminal.modes()).toEqual(expect.arrayContaining(['echo', 'icanon', 'isig', 'opost', 'icrnl']));
      expect(await terminal.showsCursor()).toBe(true);
      const screen = (await terminal.screen()).replaceAll('\n', ' ');
      expect(screen).toMatch(/left to itself as process \d+\. stdoctor resume says what became of it/);
      expect(journalOf(world).at(-1)).toMatchObject({ event: 'started', step: 1 });
      const sick = await world.stdoctor(['check', '--json']);
      expect([sick.code, found(JSON.parse(sick.stdout))]).toEqual([
        2,
        expect.arrayContaining([expect.stringContaining('repair-interrupted')]),
      ]);
      await expectResumed(world, image);
    }),
  );

  it(
    'SIGINT between two steps: no further step, what was borrowed is given back, and resume goes on',
    inWorld(async (world) => {
      const image = await deletedImage(world);
      const ran = await changedBefore(5, world, FIX, async () => {
        process.kill(lockHolder(world), 'SIGINT');
      });
      expect([ran.code, ran.stderr]).toEqual([130, expect.stringContaining('stdoctor resume goes on or takes them back')]);
      expect(actsOf(world)).toEqual(['step 1', 'release 1']);
      await expectWritable(world, image);
      await expectResumed(world, image);
    }),
  );

  it(
    'SIGINT twice while a step runs: it ends at once, and the step goes on',
    inWorld(async (world) => {
      const image = await deletedImage(world);
      const running = world.stdoctor(FIX, { env: await slowly(world, 'dd', 4) });
      await begun(world, 1);
      const pid = lockHolder(world);
      process.kill(pid, 'SIGINT');
      await sleep(200);
      const started = Date.now();
      process.kill(pid, 'SIGINT');
      expect((await running).code).toBe(130);
      expect(Date.now() - started).toBeLessThan(1500);
      await expectResumed(world, image);
    }),
  );

  it(
    'the reader of its output goes away: the repair is brought to its end without it',
    inWorld(async (world) => {
      const image = await deletedImage(world);
      const prefix = ['sh', '-c', '"$@" | head -n 1', 'sh'];
      const ran = await world.stdoctor([...FIX.slice(0, -1)], { prefix, env: await slowly(world, 'dd', 1) });
      expect(ran.stdout).toMatch(/^CRITICAL .*\n$/);
      await until(() => journalOf(world).at(-1)?.event === 'closed');
      expect(actsOf(world)).toEqual(['step 1', 'step 2', 'release 1']);
      await expectWritable(world, image);
      await expectCopied(world);
    }),
  );

  it(
    'SIGKILL while a step runs: the step goes on, resume waits for it and proves it',
    inWorld(async (world) => {
      const image = await deletedImage(world);
      const running = world.stdoctor(FIX, { env: await slowly(world, 'dd', 4) });
      await begun(world, 1);
      process.kill(lockHolder(world), 'SIGKILL');
      await running;
      const { child } = journalOf(world).at(-1);
      expect(readFileSync(`/proc/${child.pid}/stat`, 'latin1')).toContain(child.startTime);
      await expectResumed(world, image);
      const stat = existsSync(`/proc/${child.pid}`) ? readFileSync(`/proc/${child.pid}/stat`, 'latin1') : ') Z ';
      expect(stat).toContain(') Z ');
    }),
  );
});

/** The copy holds what the deleted image held. */
async function expectCopied(world: World): Promise<void> {
  expect((await world.run(['debugfs', '-R', 'cat precious', copyOf(world)])).stdout).toBe('data\n');
}

/** Goes on: what it cannot end itself remains, all else is done, and nothing is left of the interruption. */
async function expectResumed(world: World, image: Image): Promise<void> {
  const resumed = await world.stdoctor(['resume', '--forward', '--yes', '--json']);
  expect([resumed.code, said(resumed)], resumed.stderr).toEqual([1, [expect.stringMatching(/^unproven: The copy is /)]]);
  expect(JSON.parse(resumed.stdout).repairs[0].steps.map(({ outcome }: Report) => outcome)).toEqual(['proven', 'proven']);
  await expectWritable(world, image);
  await expectCopied(world);
  expect((await world.stdoctor(['check', 'interrupted-repairs'])).code).toBe(0);
  const again = await world.stdoctor(['resume']);
  expect([again.code, again.stdout]).toEqual([0, 'No repair was interrupted.\n']);
}

describe.concurrent('who calls for a repair', () => {
  it(
    'sudo: the journal names who called it',
    inWorld(async (world) => {
      const dead = await world.sshfs('dead');
      await dead.kill();
      const rules = world.directory('sudoers.d');
      writeFileSync(join(rules, 'test'), 'nobody ALL=(root) NOPASSWD: ALL\n', { mode: 0o440 });
      await world.run(['mount', '--bind', rules, '/etc/sudoers.d']);
      const prefix = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups', 'sudo', '-n'];
      const ran = await world.stdoctor(['fix', '--auto', 'safe', '--state-dir', world.state], { prefix });
      expect([ran.code, ran.stdout], ran.stderr).toEqual([0, expect.stringContaining('1 repaired')]);
      const history = await world.stdoctor(['history', '--repairs', '--json']);
      expect(JSON.parse(history.stdout).repairs).toMatchObject([
        { who: { uid: 0, user: 'root', sudoUser: 'nobody' }, finding: { subject: { name: dead.point } }, outcome: 'repaired' },
      ]);
      expect((await world.stdoctor(['history', '--repairs'])).stdout).toContain('uid 0 (root), by sudo from nobody');
    }),
  );

  it(
    'a user without a name: by the number',
    inWorld(async (world) => {
      const dead = await world.sshfs('dead');
      await dead.kill();
      for (const [name, content] of [
        ['passwd', ''],
        ['nsswitch.conf', 'passwd: files\n'],
      ] as const) {
        writeFileSync(world.path(name), content);
        await world.run(['mount', '--bind', world.path(name), `/etc/${name}`]);
      }
      const ran = await world.stdoctor(['fix', '--auto', 'safe']);
      expect([ran.code, ran.stderr]).toEqual([0, expect.not.stringContaining('fault of stdoctor')]);
      expect(journalOf(world)[0].who).toEqual({ uid: 0, user: '0', sudoUser: null });
    }),
  );
});

describe.concurrent('questions', () => {
  it(
    'three faults: none, then some, then the one that is left',
    inWorld(async (world) => {
      const mounts = await Promise.all(['one', 'two', 'three'].map((name) => world.sshfs(name)));
      await Promise.all(mounts.map((mount) => mount.kill()));
      const left = () => mounts.map(({ point }) => world.mountsAt(point).length).filter((count) => count > 0).length;

      const none = await world.terminal(['fix']);
      await none.waitFor(/Apply these 3 plans/, 20_000);
      await none.keys('Enter');
      expect(await none.ended()).toBe(1);
      expect(await none.screen()).toContain('3 declined');
      expect(left()).toBe(3);

      const some = await world.terminal(['fix'], { rows: 60 });
      await some.waitFor(/Apply these 3 plans/, 20_000);
      await some.keys('Down', 'Enter');
      for (const [index, answer] of ['y', 'n', 'y'].entries()) {
        await some.waitFor(new RegExp(`(Apply this plan[^]*){${index + 1}}`), 20_000);
        await some.type(answer);
      }
      expect(await some.ended()).toBe(1);
      expect(await some.screen()).toMatch(/2 repaired, 1 declined|1 declined, 2 repaired/);
      expect(left()).toBe(1);
    }),
  );

  it(
    'three faults: all, and no further question',
    inWorld(async (world) => {
      const mounts = await Promise.all(['one', 'two', 'three'].map((name) => world.sshfs(name)));
      await Promise.all(mounts.map((mount) => mount.kill()));
      const terminal = await world.terminal(['fix']);
      await terminal.waitFor(/Apply these 3 plans/, 20_000);
      await terminal.keys('Down', 'Down', 'Enter');
      expect(await terminal.ended()).toBe(0);
      const screen = await terminal.screen();
      expect(screen).toContain('3 repaired');
      expect(screen).not.toContain('Apply this plan');
    }),
  );

  it(
    '--yes answers plain ones; where bytes can be lost, that there is no backup is said, and the name must be typed',
    inWorld(async (world) => {
      const [dead, hung] = [await world.sshfs('dead'), await world.sshfs('hung')];
      await dead.kill();
      hung.silence();
      const first = await world.terminal(['fix', '--yes'], { rows: 60 });
      const screen = await first.waitFor(/Type \S+ to go on/, 40_000);
      expect(screen).not.toMatch(/Apply th/);
      expect(screen).toContain('No backup can be made first: what is lost is lost.');
      await first.type(dead.point);
      const firstEnd = await first.ended();
      expect(await first.screen()).toMatch(/1 repaired, 1 declined|1 declined, 1 repaired/);
      expect(firstEnd).toBe(1);
      expect([world.mountsAt(dead.point).length, world.mountsAt(hung.point).length]).toEqual([0, 1]);

      const second = await world.terminal(['fix', '--yes']);
      await second.waitFor(/Type \S+ to go on/, 40_000);
      await second.type(hung.point);
      expect(await second.ended()).toBe(0);
      expect(world.mountsAt(hung.point)).toEqual([]);
    }),
  );

  it(
    'so many faults that they may have one cause: only with a person',
    inWorld(async (world) => {
      const dead = await world.sshfs('dead');
      const points = Array.from({ length: 60 }, (_, index) => world.directory(`points/${index}`));
      await world.run(['sh', '-ec', 'from="$1"; shift; for to; do mount --bind "$from" "$to"; done', 'sh', dead.point, ...points]);
      await dead.kill();
      const { code, report } = await world.fix('--auto', 'safe');
      expect([code, new Set(outcomes(report))]).toEqual([1, new Set(['fuse-dead skipped'])]);
      expect(report.repairs).toHaveLength(61);
      expect(report.repairs[0].reason).toMatch(/^61 of \d+ mounts have a dead FUSE daemon/);
      expect(journalOf(world)).toEqual([]);
      const terminal = await world.terminal(['fix', report.repairs[60].finding.id]);
      expect(await terminal.waitFor(/Apply this plan/, 20_000)).toContain('So many at once: 61 of');
      await terminal.type('y');
      expect(await terminal.ended()).toBe(0);
      expect(world.mounts().filter(({ fstype }) => fstype === 'fuse.sshfs')).toHaveLength(60);
    }),
  );
});

describe.concurrent('what was done can be looked at, and taken back', () => {
  it(
    'a daemon that goes on: undo without --yes does nothing, with it stops the daemon again, and only once',
    inWorld(async (world) => {
      const mount = await world.sshfs('stopped');
      mount.stop();
      const state = () => /\) (\w) /.exec(readFileSync(`/proc/${mount.daemon}/stat`, 'latin1'))?.[1];
      const fixed = await world.fix('--auto', 'safe');
      expect([fixed.code, state()], JSON.stringify(fixed.report)).toEqual([0, 'S']);
      const { repairs } = JSON.parse((await world.stdoctor(['history', '--repairs', '--json'])).stdout);
      expect(repairs).toMatchObject([{ run: fixed.report.run.id, outcome: 'repaired', who: { uid: 0, user: 'root', sudoUser: null } }]);
      expect(JSON.stringify(repairs)).toContain(`["kill","-CONT","${mount.daemon}"]`);

      const asked = await world.stdoctor(['undo', '--json']);
      expect([asked.code, outcomes(JSON.parse(asked.stdout)), state()]).toEqual([1, ['fuse-stopped planned'], 'S']);
      const undone = await world.stdoctor(['undo', '--yes', '--json']);
      expect([undone.code, outcomes(JSON.parse(undone.stdout)), state()]).toEqual([0, ['fuse-stopped undone'], 'T']);
      expect(found((await world.check()).report)).toEqual([`fuse-stopped ${mount.point}`]);
      const again = await world.stdoctor(['undo', '--yes']);
      expect([again.code, again.stdout]).toEqual([0, 'There is nothing to take back.\n']);
      const named = await world.stdoctor(['undo', fixed.report.run.id, '--yes', '--json']);
      expect([named.code, said(named)]).toEqual([1, [expect.stringMatching(/^refused: it was taken back at 2/)]]);
      const strange = await world.stdoctor(['undo', 'no-such-run', '--yes']);
      expect([strange.code, strange.stderr]).toEqual([64, expect.stringContaining(`such as ${fixed.report.run.id}`)]);
    }),
  );

  it(
    'a daemon that has ended since: stale, with what it was and is',
    inWorld(async (world) => {
      const mount = await world.sshfs('stopped');
      mount.stop();
      expect((await world.fix('--auto', 'safe')).code).toBe(0);
      await mount.kill();
      const ran = await world.stdoctor(['undo', '--yes', '--json']);
      expect([ran.code, said(ran)]).toEqual([
        4,
        [
          expect.stringMatching(
            new RegExp(`^stale: step 1 .*expected process ${mount.daemon} .*, found no such process; nothing was done`),
          ),
        ],
      ]);
    }),
  );

  it(
    'an unmount cannot be taken back, and it is said why',
    inWorld(async (world) => {
      const dead = await world.sshfs('dead');
      await dead.kill();
      expect((await world.fix('--auto', 'safe')).code).toBe(0);
      const ran = await world.stdoctor(['undo', '--yes', '--json']);
      const why = 'cannot be taken back: the daemon is gone: mount it again';
      expect([ran.code, said(ran)]).toEqual([1, [`refused: step 1 (Unmount ${dead.point}) ${why}`]]);
    }),
  );

  it(
    'a copy that was made before the plan became stale is taken back',
    inWorld(async (world) => {
      const { source, point } = await deletedSource(world);
      const ran = await changedBefore(5, world, FIX, async () => world.directory('source'));
      expect(ran.code).toBe(4);
      const beside = () => readdirSync(world.dir).filter((name) => name.startsWith('.stdoctor-'));
      expect(beside()).toHaveLength(1);
      const undone = await world.stdoctor(['undo', '--yes', '--json']);
      expect([undone.code, outcomes(JSON.parse(undone.stdout))]).toEqual([0, ['bind-source-deleted undone']]);
      expect([beside(), existsSync(source), world.mountsAt(point).length]).toEqual([[], true, 1]);
    }),
  );
});
