import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { outcomes } from './compare.ts';
import { actsOf, deletedSource, inWorld, planFile, said, tableOf } from './midway.ts';
import { type Ran, type Report, ROOT, until, type World } from './world.ts';

function apply(world: World, file: string, ...args: string[]): Promise<Ran> {
  return world.stdoctor(['fix', '--plan', file, '--auto', 'disruptive', '--json', ...args]);
}

/** Runs the program, which must change nothing. */
async function untouched(world: World, run: () => Promise<Ran>): Promise<Ran> {
  const before = tableOf(world);
  const ran = await run();
  expect(tableOf(world)).toBe(before);
  expect(actsOf(world)).toEqual([]);
  return ran;
}

/** Applies a plan file with one plan, which is stale: the sentence that says so. */
async function isStale(world: World, file: string): Promise<string> {
  const ran = await untouched(world, () => apply(world, file));
  expect(ran.code, ran.stdout + ran.stderr).toBe(4);
  const [sentence, ...more] = said(ran);
  expect(more).toEqual([]);
  expect(sentence).toMatch(/^stale: .*; nothing was done$/);
  return sentence as string;
}

function edited(file: string, edit: (document: Report) => void): string {
  const document = JSON.parse(readFileSync(file, 'utf8'));
  edit(document);
  const other = `${file}.edited`;
  writeFileSync(other, JSON.stringify(document));
  return other;
}

/** The file with fingerprints made anew, as whoever alters one would do. */
function fitted(file: string): string {
  return edited(file, (document) => {
    const { expiresAt, target } = document;
    for (const plan of document.plans) {
      const essence = plan.steps.map(({ title: _title, why: _why, ...each }: Report) => each);
      const text = JSON.stringify([plan.finding.id, target.identity, target.boot, expiresAt, essence], (_key, value) =>
        typeof value === 'object' && value !== null && !Array.isArray(value)
          ? Object.fromEntries(Object.entries(value).toSorted(([x], [y]) => (x < y ? -1 : 1)))
          : value,
      );
      plan.fingerprint = `sha256:${createHash('sha256').update(text).digest('hex')}`;
    }
  });
}

describe.concurrent('a plan file, when the world has changed since', () => {
  it(
    'another, healthy mount has the path: the mount then and now, by id',
    inWorld(async (world) => {
      const dead = await world.sshfs('dead');
      const then = dead.mount.id;
      await dead.kill();
      const file = await planFile(world);
      const other = await world.sshfs('other');
      await world.run(['umount', '-c', dead.point]);
      await world.run(['mount', '--move', other.point, dead.point]);
      const now = world.mountsAt(dead.point)[0]?.id;
      const sentence = await isStale(world, file);
      expect(sentence).toMatch(new RegExp(`expected mount ${then} \\(fuse.sshfs, .*, found mount ${now} \\(fuse.sshfs, `));
      expect(now).not.toBe(then);
      const seen = await world.stdoctor(['fix', '--plan', file]);
      expect([seen.code, seen.stdout.replaceAll('\n', ' ')]).toEqual([4, expect.stringContaining(sentence.replace('stale: ', ''))]);
      expect((await world.run(['cat', join(dead.point, 'hello')])).stdout).toBe('hello\n');
    }),
  );

  it(
    'a healthy mount has the path, the id and the device number of the dead one',
    inWorld(async (world) => {
      const dead = await world.sshfs('dead');
      await dead.kill();
      const file = await planFile(world);
      await world.run(['umount', '-c', dead.point]);
      await world.sshfs('dead');
      expect(await isStale(world, file)).toMatch(/expected .*, found /);
      expect((await world.run(['cat', join(dead.point, 'hello')])).stdout).toBe('hello\n');
    }),
  );

  it(
    'something was mounted over it',
    inWorld(async (world) => {
      const dead = await world.sshfs('dead');
      const { id } = dead.mount;
      await dead.kill();
      const file = await planFile(world);
      await world.run(['mount', '-t', 'tmpfs', 'cover', world.directory('cover')]);
      await world.run(['mount', '--move', world.path('cover'), dead.point]);
      expect(await isStale(world, file)).toMatch(new RegExp(`expected mount ${id} .*, found mount \\d+ \\(tmpfs, cover, .*\\) over it`));
    }),
  );

  it(
    'it healed by itself, or got worse',
    inWorld(async (world) => {
      const mount = await world.sshfs('stopped');
      mount.stop();
      const file = await planFile(world);
      process.kill(mount.daemon, 'SIGCONT');
      expect(await isStale(world, file)).toMatch(
        new RegExp(`expected process ${mount.daemon} .* in state T, .*, found .* state [SR], tracer 0`),
      );
      await mount.kill();
      expect(await isStale(world, file)).toMatch(new RegExp(`expected process ${mount.daemon} .*, found no such process`));
    }),
  );

  it(
    'a process opened the mount: it is named',
    inWorld(async (world) => {
      const { point } = await deletedSource(world);
      const file = await planFile(world);
      const { pid } = world.hold(['sleep', '100'], point);
      await until(() => world.cwdOf(pid as number)?.includes(point) === true);
      expect(await isStale(world, file)).toContain(`sleep (pid ${pid} of root, cwd)`);
    }),
  );

  it(
    'the name of the device leads to another one',
    inWorld(async (world) => {
      const disk = await world.image('disk');
      const other = await world.image('other', 'ext4');
      await world.run(['xfs_io', '-x', '-c', 'shutdown', disk.point]);
      const file = await planFile(world);
      await world.run(['mount', '--bind', other.node, disk.node]);
      const [then, now] = [disk, other].map(({ point }) => world.mountsAt(point)[0]?.device);
      const sentence = `expected ${disk.node} to be block device ${then}, found block device ${now}; nothing was done`;
      expect(await isStale(world, file)).toContain(sentence);
      // Before anybody is asked for consent.
      const unasked = await untouched(world, () => world.stdoctor(['fix', '--plan', file]));
      expect([unasked.code, unasked.stdout]).toEqual([4, expect.stringContaining(sentence)]);
    }),
  );

  it(
    'one of two plans is stale: the other is applied, with exit code 4',
    inWorld(async (world) => {
      const [healed, dead] = [await world.sshfs('a-healed'), await world.sshfs('b-dead')];
      healed.stop();
      await dead.kill();
      const file = await planFile(world);
      process.kill(healed.daemon, 'SIGCONT');
      const ran = await apply(world, file);
      expect([ran.code, outcomes(JSON.parse(ran.stdout))]).toEqual([4, ['fuse-dead repaired', 'fuse-stopped stale']]);
      expect(world.mountsAt(dead.point)).toEqual([]);
      expect((await world.run(['cat', join(healed.point, 'hello')])).stdout).toBe('hello\n');
    }),
  );
});

describe.concurrent('a plan file, its time and place', () => {
  it(
    'expired: until when, and that it is later now',
    inWorld(async (world) => {
      await deletedSource(world);
      const file = await planFile(world, '--valid-for', '1s');
      const { expiresAt } = JSON.parse(readFileSync(file, 'utf8'));
      await sleep(Math.max(0, Date.parse(expiresAt) - Date.now()) + 10);
      expect(await isStale(world, file)).toContain(`expected it to be applied before ${expiresAt}, found ${expiresAt.slice(0, 11)}`);
      // A time that no calendar knows is no time without end.
      const never = edited(file, (document) => Object.assign(document, { expiresAt: '2099-01-01T00:00:00+23' }));
      expect(await isStale(world, never)).toContain('expected it to be applied before 2099');
      const longer = edited(file, (document) => Object.assign(document, { expiresAt: '2099-01-01T00:00:00Z' }));
      expect(await isStale(world, longer)).toContain('the plan in the file was altered after it was made');
    }),
  );

  it(
    'made from a recording of this host: applied; of another host, or before a restart: not',
    inWorld(async (world) => {
      const dead = await world.sshfs('dead');
      await dead.kill();
      const recording = world.path('recording');
      await world.stdoctor(['record', 'zombie-mounts', '--output', recording]);
      const manifest = join(recording, 'manifest.json');
      const recorded = JSON.parse(readFileSync(manifest, 'utf8'));
      /** The plan of the recording, where it had been told something else. */
      const planOf = (told: string, other: string) => {
        const copy = structuredClone(recorded);
        const { answer } = copy.entries.find(({ probe }: Report) => probe.path === told || probe.argv?.includes(told));
        answer.out = `${other}\n`;
        writeFileSync(manifest, JSON.stringify(copy));
        return planFile(world, '--from', recording);
      };

      const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
      const restarted = `00000000${boot.slice(8)}`;
      expect(await isStale(world, await planOf('/proc/sys/kernel/random/boot_id', restarted))).toContain(
        `expected boot ${restarted}, in which it was made, found boot ${boot}`,
      );
      const machine = readFileSync('/etc/machine-id', 'utf8').trim();
      const other = '0123456789abcdef'.repeat(2);
      expect(await isStale(world, await planOf('/etc/machine-id', other))).toMatch(
        new RegExp(`expected the host that it was made for \\(\\S+, ${other}\\), found ${machine}`),
      );

      writeFileSync(manifest, JSON.stringify(recorded));
      const file = await planFile(world, '--from', recording);
      const ran = await apply(world, file);
      expect([ran.code, outcomes(JSON.parse(ran.stdout))]).toEqual([0, ['fuse-dead repaired']]);
      expect(world.mountsAt(dead.point)).toEqual([]);
    }),
  );
});

describe.concurrent('a plan file is no consent', () => {
  it(
    'without a terminal and without --auto it is shown and nothing is done; that it is stale comes first',
    inWorld(async (world) => {
      const mount = await world.sshfs('stopped');
      mount.stop();
      const file = await planFile(world);
      const shown = await untouched(world, () => world.stdoctor(['fix', '--plan', file]));
      expect(shown.code, shown.stdout).toBe(1);
      expect(shown.stdout).toContain(`kill -CONT ${mount.daemon}`);
      process.kill(mount.daemon, 'SIGCONT');
      const stale = await untouched(world, () => world.stdoctor(['fix', '--plan', file]));
      expect([stale.code, stale.stdout]).toEqual([4, expect.stringContaining('1 stale')]);
    }),
  );

  it(
    'at a terminal it is asked for, and a finding that is named selects its plan',
    inWorld(async (world) => {
      const [one, two] = [await world.sshfs('one'), await world.sshfs('two')];
      await Promise.all([one.kill(), two.kill()]);
      const file = await planFile(world);
      const [first] = JSON.parse(readFileSync(file, 'utf8')).plans;
      const strange = await world.stdoctor(['fix', '--plan', file, 'fuse-dead-00000000']);
      expect([strange.code, strange.stderr]).toEqual([64, expect.stringContaining('is no finding of this plan file')]);
      const terminal = await world.terminal(['fix', '--plan', file, first.finding.id]);
      await terminal.waitFor(/Apply this plan/, 20_000);
      await terminal.type('y');
      expect(await terminal.ended()).toBe(0);
      expect([one, two].map(({ point }) => world.mountsAt(point).length).toSorted()).toEqual([0, 1]);
      expect(world.mountsAt(first.finding.subject.name)).toEqual([]);
    }),
  );

  it(
    'where bytes can be lost, the name is typed, and --auto does not reach it',
    inWorld(async (world) => {
      const hung = await world.sshfs('hung');
      hung.silence();
      const file = await planFile(world);
      const unasked = await untouched(world, () => apply(world, file));
      expect([unasked.code, said(unasked)]).toEqual([1, ['skipped: its risk is data-loss, above the allowed disruptive']]);
      const terminal = await world.terminal(['fix', '--plan', file, '--yes']);
      await terminal.waitFor(/Type \S+ to go on/, 40_000);
      await terminal.type(hung.point);
      expect(await terminal.ended()).toBe(0);
      expect(world.mountsAt(hung.point)).toEqual([]);
    }),
  );

  it(
    'without plans it is nothing to do',
    inWorld(async (world) => {
      const file = world.path('plan.json');
      expect((await world.stdoctor(['plan', 'zombie-mounts', '--output', file])).code).toBe(0);
      const ran = await untouched(world, () => apply(world, file));
      expect([ran.code, JSON.parse(ran.stdout).repairs]).toEqual([0, []]);
    }),
  );
});

describe.concurrent('a plan file that was altered', () => {
  it(
    'is not carried out, whatever was altered, and whether or not its fingerprint was made to fit',
    inWorld(async (world) => {
      const dead = await world.sshfs('dead');
      await dead.kill();
      const file = await planFile(world);
      const pwned = world.path('pwned');
      const touch = { kind: 'run', argv: ['touch', pwned] };
      const alterations: Record<string, (steps: Report[]) => void> = {
        action: ([step]) => Object.assign(step, { action: touch }),
        'a write': ([step]) => Object.assign(step, { action: { kind: 'write', path: pwned, content: 'x' } }),
        'a step more': (steps) => steps.push({ ...steps[0], action: touch }),
        'no step': (steps) => steps.splice(0),
        undo: ([step]) => Object.assign(step, { undo: { action: touch, proof: [] } }),
        release: ([step]) => Object.assign(step, { release: touch }),
        guards: ([step]) => Object.assign(step, { guards: [] }),
        'a guard that is none': ([step]) => step.guards.push({ is: 'touch', args: { path: pwned } }),
        'a guard of other arguments': ([step]) => Object.assign(step.guards[0].args, { id: `; touch ${pwned}` }),
        proof: ([step]) => Object.assign(step, { proof: [] }),
        risk: ([step]) => Object.assign(step, { risk: 'data-loss' }),
        'time limit': ([step]) => Object.assign(step, { limitMs: 1 }),
      };
      for (const [what, alter] of Object.entries(alterations)) {
        const altered = edited(file, ({ plans }) => alter(plans[0].steps));
        expect(await isStale(world, altered), what).toContain('the plan in the file was altered after it was made');
        expect(await isStale(world, fitted(altered)), what).not.toContain('was altered after');
      }
      expect(existsSync(pwned)).toBe(false);
      const ran = await apply(world, file);
      expect([ran.code, outcomes(JSON.parse(ran.stdout))]).toEqual([0, ['fuse-dead repaired']]);
    }),
  );

  it(
    'may name any condition with any arguments: none of them does harm, ends the program or keeps it',
    inWorld(async (world) => {
      const dead = await world.sshfs('dead');
      const hung = await world.sshfs('hung');
      await dead.kill();
      const pwned = world.path('pwned');
      const facts = join(ROOT, 'src/facts');
      const files = readdirSync(facts, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
      const sources = files.map((name) => readFileSync(join(facts, name), 'utf8'));
      const ids = sources.flatMap((text) => [...text.matchAll(/defineCondition\(\s*'([\w-]+)'/g)].map(([, id]) => id));
      const names = new Set(sources.flatMap((text) => [...text.matchAll(/\bargs\.(\w+)/g)].map(([, name]) => name)));
      expect([ids.length, names.size].every((count) => count > 10)).toBe(true);
      const values = [
        null,
        -1,
        1e308,
        '',
        '-rf',
        'a\0b',
        '\n',
        `$(touch ${pwned})`,
        `; touch ${pwned}`,
        { base64: 'AA==' },
        { base64: '!' },
      ];
      const paths = [hung.point, '/proc/kmsg', '/dev/watchdog', '/dev/stdin', '/', 'x'.repeat(5000), [], {}, { ref: 'rescue' }];
      const file = edited(await planFile(world, '--valid-for', '1h'), (document) => {
        const [plan] = document.plans;
        document.plans = ids.flatMap((is) =>
          [...values, ...paths].map((value) => {
            const args = Object.fromEntries([...names].map((name) => [name, value]));
            return { ...plan, steps: plan.steps.map((step: Report) => ({ ...step, guards: [{ is, args }] })) };
          }),
        );
      });
      hung.silence();
      const ran = await untouched(world, () => apply(world, file));
      expect([ran.code, ran.stderr]).toEqual([4, expect.not.stringContaining('fault of stdoctor')]);
      expect(new Set(outcomes(JSON.parse(ran.stdout)))).toEqual(new Set(['fuse-dead stale']));
      expect(ran.ms).toBeLessThan(60_000);
      expect(existsSync(pwned)).toBe(false);
    }),
  );

  it(
    'in its prose, shows nothing of that while it is applied, and no escape to the terminal',
    inWorld(async (world) => {
      const dead = await world.sshfs('dead');
      await dead.kill();
      const poison = '\u001b]0;owned\u0007\u202e';
      const file = edited(await planFile(world), ({ plans: [{ finding, steps }] }) => {
        Object.assign(finding, { summary: `${poison}all is well`, evidence: [{ source: poison, at: poison, excerpt: poison }] });
        Object.assign(steps[0], { title: `${poison}harmless`, why: poison });
      });
      const applied = await world.stdoctor(['fix', '--plan', file]);
      expect(applied.stdout).toContain(`umount -c ${dead.point}`);
      expect(applied.stdout).not.toMatch(/all is well|harmless/);
      await world.run(['umount', '-c', dead.point]);
      const stale = await world.stdoctor(['fix', '--plan', file]);
      expect(stale.code).toBe(4);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: that there are none is what is tested
      expect(applied.stdout + applied.stderr + stale.stdout + stale.stderr).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
    }),
  );

  it(
    'until it is none is refused with the place, what was found and what was expected',
    inWorld(async (world) => {
      const { source, point } = await deletedSource(world);
      const file = await planFile(world);
      const text = readFileSync(file, 'utf8');
      const document = JSON.parse(text);
      const having = (path: readonly (string | number)[], value: unknown) => {
        const copy = structuredClone(document);
        const last = path.at(-1) as string;
        path.slice(0, -1).reduce((each: Report, key) => each[key], copy)[last] = value;
        return JSON.stringify(copy);
      };
      const argv = ['plans', 0, 'steps', 0, 'action', 'argv'];
      const deep = `${'{"join":['.repeat(200_000)}"x"${']}'.repeat(200_000)}`;
      const files: readonly (readonly [string, string])[] = [
        ['', 'expected a file of 1 to 16777216 bytes'],
        ['plan: yes\n', 'JSON'],
        [text.slice(0, text.length / 2), 'JSON'],
        ['\u0000'.repeat(100), 'JSON'],
        ['[]', 'schema: expected '],
        ['7', 'the whole: expected Object, found 7'],
        ['{"schema":"stdoctor.report/1"}', 'schema: expected "stdoctor.plan/1", found "stdoctor.report/1"'],
        [having(['schema'], 'stdoctor.plan/2'), 'schema: expected "stdoctor.plan/1", found "stdoctor.plan/2"'],
        [having(['plans'], {}), 'plans: expected Array, found Object'],
        [having(['expiresAt'], 'soon'), 'expiresAt: expected a time such as 2026-11-21T09:30:00Z, found "soon"'],
        [having(['plans', 0, 'finding', 'id'], '../../../etc/passwd'), 'plans.0.finding.id: expected /^'],
        [having(argv, `touch ${source}`), 'plans.0.steps.0.action.argv: expected Array, found "touch '],
        [having(argv, []), 'plans.0.steps.0.action.argv: expected '],
        [having([...argv, 0], 7), 'plans.0.steps.0.action.argv.0: expected '],
        [having([...argv, 0], 'DEEP').replace('"DEEP"', deep), 'is no plan file'],
        [having(['plans', 0, 'steps', 0, 'shell'], true), 'plans.0.steps.0.shell: expected never, found "shell"'],
        [having(['comment'], 'x'.repeat(17 * 1024 * 1024)), 'expected a file of 1 to 16777216 bytes'],
      ];
      const bad = world.path('bad.json');
      for (const [content, sentence] of files) {
        writeFileSync(bad, content);
        const ran = await untouched(world, () => apply(world, bad));
        expect([ran.code, ran.stderr], content.slice(0, 60)).toEqual([64, expect.stringContaining(sentence)]);
        expect(ran.stderr).toContain(bad);
        expect(ran.stderr.length).toBeLessThan(1000);
      }
      rmSync(bad);
      const pipe = world.path('pipe');
      await world.run(['mkfifo', pipe]);
      for (const path of [bad, world.dir, pipe, '/dev/zero', '/proc/kmsg']) {
        const ran = await untouched(world, () => apply(world, path));
        expect([ran.code, ran.stderr], path).toEqual([64, expect.stringContaining(path)]);
      }
      expect(existsSync(source)).toBe(false);
      expect(world.mountsAt(point)).toHaveLength(1);
    }),
  );
});
