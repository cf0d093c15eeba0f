/** Files that are edited by a repair: what is kept of them, what is refused, and what a crash leaves. */
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Name, toBytes, toName } from '../../src/names.ts';
import type { Order } from './editor.ts';
import { Fleet } from './fleet.ts';
import { changedBefore, inWorld, journalOf } from './midway.ts';
import { type Report, ROOT, type World } from './world.ts';

const BEFORE = '# a comment\n\n/dev/sda1\t/  ext4 sick 0 1   \n';
const AFTER = BEFORE.replace('sick', 'well');
/** What a repair of one step writes. */
const LINES = ['opened', 'act', 'started', 'acted', 'proven', 'closed'];
/** That no two of them run at a time: the calls are counted. */
const TOOLS = ['sha256sum', 'cp', 'sync', 'rm', 'tail', 'stat', 'mv', 'ln', 'chmod', 'cat'];
/** Each line and each command: npm run test:full. */
const FULL = process.env['STDOCTOR_TEST_FULL'] === '1';

interface Edited {
  code: number;
  outcome: string | undefined;
  reason: string;
  repairs: Report[];
}

/** undefined: it was killed. */
async function run(world: World, order: Order, env: Record<string, string> = {}): Promise<Edited | undefined> {
  const argv = [process.execPath, join(ROOT, 'test/real/editor.ts'), JSON.stringify(order)];
  const ran = await world.run(argv, { ok: false, env: { STDOCTOR_STATE_DIR: world.state, ...world.env, ...env } });
  if (!ran.stdout.startsWith('{')) {
    expect(ran.stderr).toBe('');
    return undefined;
  }
  const { code, repairs = [], error } = JSON.parse(ran.stdout);
  return { code, repairs, outcome: repairs[0]?.outcome, reason: error ?? repairs[0]?.reason };
}

const commandOn = (world: World, path: Name, more: Partial<Order> = {}) => ({
  run: (command: Order['command'], env?: Record<string, string>) => run(world, { command, path, ...more }, env),
});

function fileIn(directory: string, content: string | Buffer = BEFORE, name = 'fstab'): string {
  const path = join(directory, name);
  writeFileSync(path, content);
  return path;
}

/** What the directory of a file holds. */
function beside(path: string): string[] {
  return readdirSync(join(path, '..')).filter((name) => name !== 'lost+found' && name !== 'precious');
}

/** No package is needed for it: Perl calls the kernel. */
async function attribute(world: World, path: string, name: string, value?: Buffer): Promise<string> {
  const numbers = { x64: [188, 191], arm64: [5, 8] }[process.arch as string] ?? [];
  const script =
    value === undefined
      ? '$v = "\\0" x 999; $n = syscall($ARGV[1], $ARGV[2], $ARGV[3], $v, 999); print unpack("H*", substr($v, 0, $n)) if $n > 0'
      : 'syscall($ARGV[0], $ARGV[2], $ARGV[3], $v = pack("H*", $ARGV[4]), length $v, 0) == 0 or die $!';
  const argv = ['perl', '-e', script, ...numbers.map(String), path, name, value?.toString('hex') ?? ''];
  return (await world.run(argv)).stdout;
}

/** user:1:rw beside the usual entries, as the kernel keeps an ACL. */
function accessList(): Buffer {
  const entries = [
    [1, 6, 0xffffffff],
    [2, 6, 1],
    [4, 4, 0xffffffff],
    [0x10, 6, 0xffffffff],
    [0x20, 0, 0xffffffff],
  ] as const;
  const bytes = Buffer.alloc(4 + 8 * entries.length);
  bytes.writeUInt32LE(2);
  entries.forEach(([tag, permissions, id], index) => {
    bytes.writeUInt16LE(tag, 4 + 8 * index);
    bytes.writeUInt16LE(permissions, 6 + 8 * index);
    bytes.writeUInt32LE(id, 8 + 8 * index);
  });
  return bytes;
}

describe.concurrent('a file that is edited', () => {
  it(
    'keeps owner, mode, attributes and access list, on ext4, and is put back as it was',
    inWorld(async (world) => {
      const { point } = await world.image('disk', 'ext4');
      const path = join(point, 'fstab');
      fileIn(world.inside(point));
      await world.run(['chown', '1234:4321', path]);
      await world.run(['chmod', '0640', path]);
      await attribute(world, path, 'user.note', Buffer.from('kept\0\xff', 'latin1'));
      await attribute(world, path, 'system.posix_acl_access', accessList());
      const described = async () => [
        (await world.run(['stat', '-c', '%u %g %a %h', path])).stdout,
        await attribute(world, path, 'user.note'),
        await attribute(world, path, 'system.posix_acl_access'),
      ];
      const before = await described();
      expect(before.join()).toContain(Buffer.from('kept\0\xff', 'latin1').toString('hex'));
      const { run } = commandOn(world, path);
      expect(await run('fix')).toMatchObject({ outcome: 'repaired', code: 0 });
      expect([readFileSync(world.inside(path), 'utf8'), await described()]).toEqual([AFTER, before]);
      expect(await run('undo')).toMatchObject({ outcome: 'undone', code: 0 });
      expect([readFileSync(world.inside(path), 'utf8'), await described()]).toEqual([BEFORE, before]);
      expect(beside(world.inside(path))).toEqual(['fstab']);
    }),
  );

  it(
    'may have 10,000 lines, and bytes and names of every kind',
    inWorld(async (world) => {
      const lines = Array.from({ length: 10_000 }, (_, index) => `UUID=${index} /mnt/${index} ext4 defaults 0 ${index % 3}\n`);
      const all = Buffer.from(Array.from({ length: 256 }, (_, code) => code));
      const odd = Buffer.concat([Buffer.from(lines.join('')), all, Buffer.from('\nsick \x1b]0;x\x07'), all]);
      const name = toName(Buffer.from(`${world.directory('etc')}/caf\xe9 \n-rf`, 'latin1'));
      writeFileSync(toBytes(name), odd);
      const { run } = commandOn(world, name);
      const fixed = await run('fix');
      expect(fixed).toMatchObject({ outcome: 'repaired' });
      expect(JSON.stringify(fixed?.repairs[0].plan).length).toBeLessThan(8000);
      const after = Buffer.from(odd.toString('latin1').replace('sick', 'well'), 'latin1');
      expect(readFileSync(toBytes(name)).equals(after)).toBe(true);
      expect(await run('undo')).toMatchObject({ outcome: 'undone' });
      expect(readFileSync(toBytes(name)).equals(odd)).toBe(true);
    }),
  );

  it(
    'is where its link leads, and the link stays',
    inWorld(async (world) => {
      const path = fileIn(world.directory('usr'));
      const link = join(world.directory('etc'), 'fstab');
      symlinkSync('../usr/fstab', link);
      const { run } = commandOn(world, link);
      expect(await run('fix')).toMatchObject({ outcome: 'repaired', repairs: [{ steps: [{ action: { path } }] }] });
      expect([readFileSync(path, 'utf8'), (await world.run(['readlink', link])).stdout, beside(link)]).toEqual([
        AFTER,
        '../usr/fstab\n',
        ['fstab'],
      ]);
    }),
  );

  it(
    'is not edited where it has other names, is read-only, immutable or a mount: a sentence, and nothing is done',
    inWorld(async (world) => {
      const { point } = await world.image('disk', 'ext4');
      const path = join(point, 'fstab');
      fileIn(world.inside(point));
      const { run } = commandOn(world, path);
      const refused = async (why: RegExp) => {
        expect(await run('fix')).toMatchObject({ code: 1, outcome: 'refused', reason: expect.stringMatching(why) });
        expect([readFileSync(world.inside(path), 'utf8'), journalOf(world)]).toEqual([BEFORE, []]);
      };
      await world.run(['chattr', '+i', path]);
      await refused(/fstab is immutable \(chattr \+i\)$/);
      await world.run(['chattr', '-i', '+a', path]);
      await refused(/fstab can only be appended to \(chattr \+a\)$/);
      await world.run(['chattr', '-a', path]);
      await world.run(['chattr', '+i', point]);
      await refused(/disk is immutable/);
      await world.run(['chattr', '-i', point]);
      await world.run(['ln', path, join(point, 'other')]);
      await refused(/has 2 names/);
      await world.run(['rm', join(point, 'other')]);
      await world.run(['mount', '-o', 'remount,ro', point]);
      await refused(/disk\/fstab lies on a mount that is read-only \(.*disk\)$/);
      await world.run(['mount', '-o', 'remount,rw', point]);
      await world.run(['mount', '--bind', path, path]);
      await refused(/fstab is a mount of its own/);
      await world.run(['umount', path]);
      expect(await run('fix')).toMatchObject({ outcome: 'repaired' });
    }),
  );

  it(
    'became immutable, or a link, after it was planned: nothing is done',
    inWorld(async (world) => {
      const { point } = await world.image('disk', 'ext4');
      const path = join(point, 'fstab');
      const plan = world.path('plan.json');
      for (const [make, unmake, why] of [
        [['chattr', '+i', path], ['chattr', '-i', path], /it is not repaired any more|immutable/],
        [['mv', path, `${path}.real`], ['mv', `${path}.real`, path], /expected .*found no such file|nothing was done/],
      ] as const) {
        fileIn(world.inside(point));
        const { run } = commandOn(world, path, { planFile: plan });
        await run('plan');
        await world.run(make);
        expect(await run('fix')).toMatchObject({ code: 4, outcome: 'stale', reason: expect.stringMatching(why) });
        await world.run(unmake);
        expect(readFileSync(world.inside(path), 'utf8')).toBe(BEFORE);
      }
    }),
  );
});

describe.concurrent('a file that changes between the plan and the edit', () => {
  const byHand = `${BEFORE}# by hand\n`;

  it(
    'is stale with a plan file, also with one that was altered',
    inWorld(async (world) => {
      const path = fileIn(world.directory('etc'));
      const plan = world.path('plan.json');
      const { run } = commandOn(world, path, { planFile: plan });
      await run('plan');
      const whole = readFileSync(plan, 'utf8');
      const evil = Buffer.from('evil\n').toString('base64');
      for (const [what, alter] of Object.entries({
        content: (action: Report) => Object.assign(action.content.changes[0], { insert: 'evil' }),
        bytes: (action: Report) => Object.assign(action.content.changes[0], { insert: { base64: evil } }),
        diff: (action: Report) => action.diff.push('+# harmless'),
        path: (action: Report) => Object.assign(action, { path: `${path}.other` }),
        hash: (action: Report) => Object.assign(action, { becomes: '0'.repeat(64) }),
        verify: (action: Report) => Object.assign(action, { verify: ['touch', world.path('pwned')] }),
      })) {
        const document = JSON.parse(whole);
        alter(document.plans[0].steps[0].action);
        writeFileSync(plan, JSON.stringify(document));
        expect(await run('fix'), what).toMatchObject({ code: 4, outcome: 'stale', reason: expect.stringContaining('altered') });
      }
      for (const broken of [{ was: 'x' }, { diff: 'text' }, { content: { changes: [{ at: -1, remove: 0, insert: '' }] } }, { more: 1 }]) {
        const document = JSON.parse(whole);
        Object.assign(document.plans[0].steps[0].action, broken);
        writeFileSync(plan, JSON.stringify(document));
        expect(await run('fix')).toMatchObject({ code: 70, reason: expect.stringContaining('is no plan file') });
      }
      expect([readFileSync(path, 'utf8'), existsSync(world.path('pwned'))]).toEqual([BEFORE, false]);
      writeFileSync(plan, whole);
      writeFileSync(path, byHand);
      expect(await run('fix')).toMatchObject({
        code: 4,
        outcome: 'stale',
        reason: expect.stringMatching(/expected .* with the SHA-256 .*, found another content/),
      });
      expect(readFileSync(path, 'utf8')).toBe(byHand);
      writeFileSync(path, BEFORE);
      expect(await run('fix')).toMatchObject({ code: 0, outcome: 'repaired' });
    }),
  );

  it.each([
    ['before the guards', 1],
    ['after the guards', 2],
  ])('%s is stale, and not overwritten', async (_when, nth) => {
    await inWorld(async (world) => {
      const path = fileIn(world.directory('etc'));
      const stdoctor = world.stdoctor.bind(world);
      // The program that is stopped is the engine with the check that edits.
      const order = JSON.stringify({ command: 'fix', path } satisfies Order);
      Object.assign(world, {
        stdoctor: (_args: string[], { env }: { env: Record<string, string> }) =>
          world.run([process.execPath, join(ROOT, 'test/real/editor.ts'), order], {
            ok: false,
            env: { STDOCTOR_STATE_DIR: world.state, ...env },
          }),
      });
      const ran = await changedBefore(nth, world, [], async () => writeFileSync(path, byHand));
      Object.assign(world, { stdoctor });
      expect(JSON.parse(ran.stdout)).toMatchObject({ code: 4, repairs: [{ outcome: 'stale' }] });
      expect([readFileSync(path, 'utf8'), beside(path)]).toEqual([byHand, ['fstab']]);
    })();
  });

  it(
    'right before the rename is stale, and not overwritten',
    inWorld(async (world) => {
      const path = fileIn(world.directory('etc'));
      // What is written to the disk last is the new file: the old one changes meanwhile.
      const env = stubs(world, `case "$*" in *.stdoctor-*) printf '# by hand\\n' >>${path};; esac`, ['sync']);
      expect(await run(world, { command: 'fix', path }, env)).toMatchObject({ code: 4, outcome: 'stale' });
      expect([readFileSync(path, 'utf8'), beside(path)]).toEqual([byHand, ['fstab']]);
    }),
  );

  it(
    'is not taken back once somebody else has changed it',
    inWorld(async (world) => {
      const path = fileIn(world.directory('etc'));
      const { run } = commandOn(world, path);
      await run('fix');
      writeFileSync(path, `${AFTER}# by hand\n`);
      expect(await run('undo')).toMatchObject({ code: 4, outcome: 'stale', reason: expect.stringContaining('found another content') });
      expect(readFileSync(path, 'utf8')).toBe(`${AFTER}# by hand\n`);
    }),
  );
});

describe.concurrent('killed while a file is edited', () => {
  for (const way of ['forward', 'back'] as const) {
    it(
      `at every line of the journal: the old file or the new one, whole, and resume goes ${way}`,
      inWorld(async (world) => {
        for (const [index, line] of LINES.entries()) {
          if (!FULL && line !== 'act' && line !== 'started') {
            continue;
          }
          const directory = world.directory(`${way}-${index}`);
          const path = fileIn(directory);
          const { run } = commandOn(world, path);
          for (const where of ['before', 'after']) {
            writeFileSync(path, BEFORE);
            rmSync(world.state, { recursive: true, force: true });
            const crash = { NODE_OPTIONS: `--import ${join(ROOT, 'test/real/crash.mjs')}`, STDOCTOR_CRASH: `kill ${where} ${index + 1}` };
            expect(await run('fix', crash)).toBeUndefined();
            const begun = journalOf(world).length > 0 && journalOf(world).at(-1).event !== 'closed';
            const resumed = await run(way);
            expect(resumed?.outcome === undefined, `${where} ${line}`).toBe(!begun);
            expect(resumed?.code, resumed?.reason).toBe(0);
            const content = !begun ? [BEFORE, AFTER] : way === 'back' ? [BEFORE] : [AFTER];
            expect(content).toContain(readFileSync(path, 'utf8'));
            expect(beside(path)).toEqual(['fstab']);
          }
        }
      }),
    );
  }

  for (const { what, was, becomes, command, way, every } of [
    { what: 'edited', was: BEFORE, becomes: AFTER, command: 'fix', way: 'forward', every: 3 },
    { what: 'edited', was: BEFORE, becomes: AFTER, command: 'fix', way: 'back', every: 3 },
    { what: 'put back', was: AFTER, becomes: BEFORE, command: 'undo', way: 'forward', every: 3 },
    { what: 'made', was: null, becomes: 'well\n', command: 'fix', way: 'forward', every: 1 },
    { what: 'made', was: null, becomes: 'well\n', command: 'fix', way: 'back', every: 1 },
    { what: 'removed again', was: 'well\n', becomes: null, command: 'undo', way: 'forward', every: 1 },
  ] as const) {
    if (!FULL && way === 'back') {
      continue;
    }
    it(
      `at each command of the edit itself, as by a power cut: ${what} or not, whole, and resume goes ${way}`,
      inWorld(async (world) => {
        const path = join(world.directory('etc'), 'fstab');
        const { run } = commandOn(world, path);
        const content = () => (existsSync(path) ? readFileSync(path, 'utf8') : null);
        const seen = new Set<string | null>();
        for (let nth = 1; ; nth += FULL ? 1 : every) {
          rmSync(path, { force: true });
          rmSync(world.state, { recursive: true, force: true });
          const first = command === 'undo' ? becomes : was;
          if (first !== null) {
            writeFileSync(path, first);
          }
          if (command === 'undo') {
            expect(await run('fix')).toMatchObject({ outcome: 'repaired' });
          }
          expect(content()).toBe(was);
          // The doctor first, then all of the edit.
          const doctor = `$(cut -d' ' -f4 "/proc/$(cut -d' ' -f5 /proc/self/stat)/stat")`;
          const done = await run(command, stubs(world, `[ "$n" = ${nth} ] && { kill -9 ${doctor}; kill -9 0; }`));
          if (done !== undefined) {
            expect([done.code, content()]).toEqual([0, becomes]);
            break;
          }
          expect([was, becomes]).toContain(content());
          seen.add(content());
          const back = way === 'back' || command === 'undo';
          expect(await run(way)).toMatchObject({ code: 0, outcome: back ? 'undone' : 'repaired' });
          expect(content()).toBe(way === 'back' ? was : becomes);
          expect(beside(path)).toEqual(content() === null ? [] : ['fstab']);
        }
        expect(seen.size).toBe(2);
      }),
    );
  }

  it(
    'the edit alone, as for want of memory: it failed or was done, and leaves nothing behind',
    inWorld(async (world) => {
      const path = fileIn(world.directory('etc'));
      const { run } = commandOn(world, path);
      const outcomes = new Set<string | undefined>();
      for (let nth = 1; nth < 30; nth += FULL ? 1 : 5) {
        writeFileSync(path, BEFORE);
        rmSync(world.state, { recursive: true, force: true });
        const fixed = await run('fix', stubs(world, `[ "$n" = ${nth} ] && kill -9 0`));
        outcomes.add(fixed?.outcome);
        expect([readFileSync(path, 'utf8'), beside(path)]).toEqual([fixed?.outcome === 'repaired' ? AFTER : BEFORE, ['fstab']]);
      }
      expect([...outcomes].toSorted()).toEqual(['failed', 'repaired']);
    }),
  );
});

describe('over ssh', () => {
  it.each(['perl', 'sh'] as const)('with %s: edited, stale, taken back', async (engine) => {
    await inWorld(async (world) => {
      const fleet = await Fleet.open(world, engine);
      try {
        const bytes = Buffer.from(`${BEFORE}\xff\x1b[31m 'quoted' $(id)\n`.repeat(400), 'latin1');
        const path = fileIn(world.directory('etc'), bytes);
        chmodSync(path, 0o640);
        const { run } = commandOn(world, path, { host: fleet.healthy() });
        expect(await run('fix')).toMatchObject({ code: 0, outcome: 'repaired' });
        const after = Buffer.from(bytes.toString('latin1').replaceAll('sick', 'well'), 'latin1');
        expect([readFileSync(path).equals(after), statSync(path).mode & 0o7777, beside(path)]).toEqual([true, 0o640, ['fstab']]);
        writeFileSync(path, 'by hand');
        expect(await run('undo')).toMatchObject({ code: 4, outcome: 'stale' });
        expect(readFileSync(path, 'utf8')).toBe('by hand');
        writeFileSync(path, after);
        expect(await run('undo')).toMatchObject({ code: 0, outcome: 'undone' });
        expect([readFileSync(path).equals(bytes), statSync(path).mode & 0o7777, beside(path)]).toEqual([true, 0o640, ['fstab']]);
      } finally {
        await fleet.close();
      }
    })();
  });
});

/** Tools that do something else first where an edit calls them; `$n` counts the calls. */
function stubs(world: World, first: string, tools: readonly string[] = TOOLS): Record<string, string> {
  const directory = world.path('stubs');
  const count = world.path('count');
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory);
  writeFileSync(count, '0');
  for (const tool of tools) {
    const script = `#!/bin/sh
PATH=/usr/sbin:/usr/bin:/sbin:/bin
if tr '\\0' ' ' <"/proc/$PPID/cmdline" | grep -q stdoctor-edit; then
  n=$(($(/bin/cat ${count}) + 1)); echo $n >${count}
  ${first}
fi
exec ${tool} "$@"
`;
    writeFileSync(join(directory, tool), script, { mode: 0o755 });
  }
  return { PATH: `${directory}:${process.env['PATH']}` };
}
