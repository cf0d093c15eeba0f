import { chmodSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { findingOf, found, liveAndReplayed, outcomes } from './compare.ts';
import { type Report, ROOT, type Sshfs, until, World } from './world.ts';

let world: World;
afterEach(() => world.close());

describe('four hung mounts whose daemons have read the request', () => {
  it('are named, all others are judged, and a second run adds no child', async () => {
    world = await World.open();
    const hung: Sshfs[] = [];
    for (const name of ['a', 'b', 'c', 'd']) {
      hung.push(await world.sshfs(`hung-${name}`));
    }
    const healthy = await world.sshfs('healthy');
    const xfs = await world.image('xfs');
    const slow = await world.sshfs('slow', { slow: true });
    await world.run(['ls', slow.point]);
    hung.forEach((mount) => {
      mount.silence();
    });
    slow.delay(4000);

    const first = await world.check();
    expect(first.ms).toBeLessThan(15_000);
    expect(found(first.report)).toEqual(hung.map(({ point }) => `fuse-hung ${point}`));
    const check = first.report.targets[0].checks[0];
    const doubted = check.unjudged.map(({ subject }: Report) => subject.name);
    const noted = check.notes.map(({ subject }: Report) => subject.name);
    expect([...doubted, ...noted]).toEqual([slow.point]);
    expect(doubted).not.toContain(healthy.point);
    expect(doubted).not.toContain(xfs.point);
    const left = world.childrenNaming(world.dir);
    expect(left).toHaveLength(4);

    const second = await world.check();
    expect(found(second.report)).toEqual(found(first.report));
    expect(world.childrenNaming(world.dir)).toEqual(left);
  });

  it('one of them in PATH, one the working directory: started by absolute paths, it still ends', async () => {
    world = await World.open();
    const [inPath, here, home] = [await world.sshfs('in-path'), await world.sshfs('here'), await world.sshfs('home')];
    // Its parent stands there when the mount goes silent, as an operator's shell would.
    const script = `cd ${here.point} && kill -STOP ${here.server} ${inPath.server} ${home.server} && exec "$@"`;
    const env = { PATH: `${inPath.point}:/usr/bin:/bin`, HOME: home.point, TMPDIR: home.point, XDG_CONFIG_HOME: '', XDG_STATE_HOME: '' };
    const argv = [process.execPath, join(ROOT, 'bin/run.js'), 'check', 'zombie-mounts', '--json', '--state-dir', world.state];
    const ran = await world.run(['/bin/sh', '-c', script, 'sh', ...argv], { ok: false, env, timeoutMs: 30_000 });
    expect(ran.stderr).not.toMatch(/fault of stdoctor/);
    expect(found(JSON.parse(ran.stdout))).toEqual([`fuse-hung ${here.point}`, `fuse-hung ${home.point}`, `fuse-hung ${inPath.point}`]);
    expect(ran.ms).toBeLessThan(15_000);
  });

  it('and a deadline of a second: what had no time is unjudged, never a finding', async () => {
    world = await World.open();
    const hung = await world.sshfs('hung');
    const stopped = await world.sshfs('stopped');
    const dead = await world.sshfs('dead');
    hung.silence();
    stopped.stop();
    await dead.kill();
    const { report, code, ms } = await world.check('--deadline', '1s');
    expect(ms).toBeLessThan(6000);
    expect(found(report)).toEqual([`fuse-dead ${dead.point}`]);
    expect(report.targets[0].checks[0].unjudged.map(({ subject }: Report) => subject.name)).toContain(hung.point);
    expect(code).toBe(2);
  });
});

describe('many mounts', () => {
  it('2,000 healthy ones give no finding, by a handful of children', async () => {
    world = await World.open();
    const script = `
      cd "$1" && mkdir -p low up work points && mount -t tmpfs -o nr_inodes=0 t points && mkdir points/u points/w
      i=0; while [ $i -lt 300 ]; do mkdir points/o$i points/u/$i points/w/$i; echo "overlay $1/points/o$i overlay lowerdir=$1/low,upperdir=$1/points/u/$i,workdir=$1/points/w/$i 0 0"; i=$((i+1)); done > fstab
      i=0; while [ $i -lt 1700 ]; do mkdir points/b$i; echo "$1/low $1/points/b$i none bind 0 0"; i=$((i+1)); done >> fstab
      mount -a -T fstab`;
    await world.run(['sh', '-ec', script, 'sh', world.dir]);
    expect(world.mounts().length).toBeGreaterThan(2000);
    const path = world.path('recording');
    const { code, report, ms } = await world.check();
    expect([code, found(report), report.targets[0].checks[0].unjudged]).toEqual([0, [], []]);
    expect(report.targets[0].checks[0].examined).toBeGreaterThan(2000);
    expect(ms).toBeLessThan(10_000);
    await world.stdoctor(['record', 'zombie-mounts', '--output', path]);
    const { entries } = JSON.parse(readFileSync(join(path, 'manifest.json'), 'utf8'));
    expect(entries.filter(({ probe }: Report) => probe.kind === 'run').length).toBeLessThan(20);
    await world.run(['sh', '-c', 'umount -R -l "$1"/points', 'sh', world.dir]);
  });
});

describe('names from strangers', () => {
  const names = [
    'with space',
    'tab\there',
    'line\nbreak',
    'back\\slash',
    '\\040',
    'quote\'and"',
    '-rf',
    'esc\u001b[31m',
    'glob*?[x]',
    '$(id)`',
    'ünïcode',
    '\u202egnp',
  ];

  it('are right in JSON, harmless on a terminal, and repaired', async () => {
    world = await World.open();
    const base = await world.sshfs('base');
    const bytes = world.directory('bytes');
    for (const name of names) {
      await world.run(['mount', '--bind', base.point, world.directory(`bytes/${name}`)]);
    }
    await world.run(['sh', '-c', 'd="$1/$(printf "raw\\377\\376")"; mkdir "$d" && mount --bind "$2" "$d"', 'sh', bytes, base.point]);
    await base.kill();

    const report = await liveAndReplayed(world);
    const raw = { base64: Buffer.concat([Buffer.from(`${bytes}/raw`), Buffer.of(0xff, 0xfe)]).toString('base64') };
    const subjects = report.targets[0].findings.map(({ subject }: Report) => subject.name);
    expect(new Set(subjects)).toEqual(new Set([base.point, ...names.map((name) => `${bytes}/${name}`), raw]));
    const pretty = await world.stdoctor(['check', 'zombie-mounts']);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that there are none is what is tested
    expect(pretty.stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
    expect(pretty.stdout).toContain('line\\nbreak');

    const { code, report: fixed } = await world.fix('--auto', 'safe');
    expect(new Set(outcomes(fixed))).toEqual(new Set(['fuse-dead repaired']));
    expect(code).toBe(0);
    expect(world.mounts().filter(({ fstype }) => fstype === 'fuse.sshfs')).toEqual([]);
  });
});

describe('little to see with', () => {
  it('not root: what may not be looked at is unknown, what is the own is found and repaired', async () => {
    world = await World.open();
    const nobody = { uid: 65534, gid: 65534 };
    const foreign = await world.sshfs('foreign');
    const own = await world.sshfs('own', { as: nobody });
    const state = world.directory('state-of-nobody');
    await world.run(['chown', '65534:65534', state]);
    chmodSync(world.dir, 0o755);
    const as = { prefix: ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups'], env: { STDOCTOR_STATE_DIR: state } };
    const healthy = await world.stdoctor(['check', 'zombie-mounts', '--json'], as);
    expect(healthy.code).toBe(3);
    const check = JSON.parse(healthy.stdout).targets[0].checks[0];
    expect(check).toMatchObject({ outcome: 'unknown', unjudged: [{ subject: { name: foreign.point } }] });
    expect(check.unjudged).toHaveLength(1);

    await own.kill();
    const sick = JSON.parse((await world.stdoctor(['check', 'zombie-mounts', '--json'], as)).stdout);
    expect(findingOf(sick, 'fuse-dead', own.point).fix.steps[0].action.argv).toEqual(['fusermount3', '-u', own.point]);
    const fixed = await world.stdoctor(['fix', 'zombie-mounts', '--auto', 'safe', '--json'], as);
    expect(outcomes(JSON.parse(fixed.stdout))).toEqual(['fuse-dead repaired']);
    expect(fixed.code).toBe(3);
    expect(world.mountsAt(own.point)).toEqual([]);
  });

  it('no fusectl: dead and hung are found all the same, and the control files are borrowed for the abort', async () => {
    world = await World.open({ fusectl: false });
    const dead = await world.sshfs('dead');
    await dead.kill();
    const hung = await world.sshfs('hung');
    hung.silence();
    const report = await liveAndReplayed(world);
    expect(found(report)).toEqual([`fuse-dead ${dead.point}`, `fuse-hung ${hung.point}`]);
    expect(findingOf(report, 'fuse-hung').fix.steps.map(({ action }: Report) => action.argv?.[0] ?? action.kind)).toEqual([
      'mount',
      'write',
      'umount',
    ]);
    const terminal = await world.terminal(['fix', findingOf(report, 'fuse-hung').id]);
    await terminal.waitFor(/Type \S+ to go on/, 40_000);
    await terminal.type(hung.point);
    await terminal.waitFor(/1 repaired/, 60_000);
    expect(world.mountsAt('/sys/fs/fuse/connections')).toEqual([]);
    expect(world.mountsAt(hung.point)).toEqual([]);
  });

  it('a tool missing: unknown with its name, never healthy', async () => {
    world = await World.open();
    await world.image('xfs');
    await world.run([
      'sh',
      '-ec',
      'mkdir "$1"/u "$1"/w; mount -t overlay o -o lowerdir=/usr/bin,upperdir="$1"/u,workdir="$1"/w /usr/bin; rm /usr/bin/stdbuf',
      'sh',
      world.dir,
    ]);
    const { code, report } = await world.check();
    expect(code).toBe(3);
    expect(report.targets[0].checks[0].outcome).toBe('unknown');
    expect(JSON.stringify(report.targets[0].checks[0].unjudged)).toContain('stdbuf is not installed');
    await world.run(['umount', '-l', '/usr/bin']);
  });

  it('a healthy host with nothing of all this exits 0', async () => {
    world = await World.open({ fusectl: false });
    expect((await world.stdoctor(['check'])).code).toBe(0);
  });
});

describe('two operators', () => {
  it('the second gets 75 at once, with the pid of the first', async () => {
    world = await World.open();
    const dead = await world.sshfs('dead');
    await dead.kill();
    const terminal = await world.terminal(['fix']);
    await terminal.waitFor(/Apply this plan/, 20_000);
    const second = await world.stdoctor(['fix', '--auto', 'safe']);
    expect(second.code).toBe(75);
    expect(second.stderr).toMatch(/another repair is under way on this host: process \d+, since \d{4}-/);
    for (const args of [
      ['resume', '--forward', '--yes'],
      ['undo', '--yes'],
    ]) {
      expect((await world.stdoctor(args)).code, args.join(' ')).toBe(75);
    }
    expect((await world.stdoctor(['check'])).code).toBe(2);
    expect((await world.stdoctor(['plan'])).code).toBe(1);
    expect((await world.stdoctor(['history', '--repairs'])).code).toBe(0);
    await terminal.type('y');
    await terminal.waitFor(/1 repaired/, 20_000);
    expect(await terminal.ended()).toBe(0);
    expect((await world.stdoctor(['fix', '--auto', 'safe'])).code).toBe(0);
  });

  it('a fault that healed while the question stood is not repaired', async () => {
    world = await World.open();
    const dead = await world.sshfs('dead');
    await dead.kill();
    const terminal = await world.terminal(['fix']);
    await terminal.waitFor(/Apply this plan/, 20_000);
    await world.run(['umount', '-c', dead.point]);
    const again = await world.sshfs('dead');
    await terminal.type('y');
    await terminal.waitFor(/1 healed/, 20_000);
    expect(await terminal.ended()).toBe(0);
    expect(again.mount.fstype).toBe('fuse.sshfs');
    expect((await world.run(['cat', `${again.point}/hello`])).stdout).toBe('hello\n');
  });

  it('end of input at a question declines, Ctrl-C ends with 130 and changes nothing', async () => {
    world = await World.open();
    const dead = await world.sshfs('dead');
    await dead.kill();
    const first = await world.terminal(['fix']);
    await first.waitFor(/Apply this plan/, 20_000);
    await first.keys('C-c');
    expect(await first.ended()).toBe(130);
    await until(() => first.modes().length > 0);
    expect(first.modes()).toEqual(expect.arrayContaining(['echo', 'icanon', 'isig']));
    expect(await first.showsCursor()).toBe(true);
    const second = await world.terminal(['fix']);
    await second.waitFor(/Apply this plan/, 20_000);
    await second.keys('C-d');
    await sleep(500);
    expect(await second.ended()).toBe(1);
    expect(world.mountsAt(dead.point)).toHaveLength(1);
  });

  it('without a terminal and without --auto nothing is changed', async () => {
    world = await World.open();
    const dead = await world.sshfs('dead');
    await dead.kill();
    const ran = await world.stdoctor(['fix']);
    expect(ran.code).toBe(1);
    expect(ran.stdout).toContain(`umount -c ${dead.point}`);
    const { code, report } = await world.fix('--dry-run');
    expect([code, outcomes(report)]).toEqual([1, ['fuse-dead planned']]);
    const path = world.path('recording.tar.gz');
    await world.stdoctor(['record', '--output', path]);
    expect((await world.stdoctor(['fix', '--auto', 'safe', '--from', path])).code).toBe(1);
    expect(world.mountsAt(dead.point)).toHaveLength(1);
  });
});

describe('a journal that cannot be written', () => {
  it('a rescue directory on a mount that hangs: refused before anything is touched, and not waited for', async () => {
    world = await World.open();
    const hung = await world.sshfs('hung');
    hung.silence();
    const dead = await world.sshfs('dead');
    await dead.kill();
    const ran = await world.stdoctor(['fix', '--auto', 'safe', '--rescue-dir', join(hung.point, 'copies')], { timeoutMs: 20_000 });
    expect([ran.code, ran.stderr]).toEqual([64, expect.stringContaining(`lies on the mount ${hung.point}, which does not answer`)]);
    expect(world.mountsAt(dead.point)).toHaveLength(1);
  });

  it('on a full disk: refused before anything is touched, with a sentence', async () => {
    world = await World.open();
    const dead = await world.sshfs('dead');
    await dead.kill();
    const state = world.directory('full');
    await world.run(['mount', '-t', 'tmpfs', '-o', 'size=64k,mode=700', 'full', state]);
    await world.run(['sh', '-c', 'head -c 1M /dev/zero > "$1"/filler', 'sh', state], { ok: false });
    const ran = await world.stdoctor(['fix', '--auto', 'safe'], { env: { STDOCTOR_STATE_DIR: state } });
    expect(ran.stderr).toMatch(/cannot be (taken|written|used)/);
    expect(ran.code).toBe(1);
    expect(world.mountsAt(dead.point)).toHaveLength(1);
  });

  it('in a directory that somebody else owns, or on a read-only file system: the same', async () => {
    world = await World.open();
    const dead = await world.sshfs('dead');
    await dead.kill();
    const foreign = world.directory('foreign');
    await world.run(['chown', '65534', foreign]);
    const owned = await world.stdoctor(['fix', '--auto', 'safe'], { env: { STDOCTOR_STATE_DIR: foreign } });
    expect([owned.code, owned.stderr]).toEqual([1, expect.stringContaining('it belongs to uid 65534, expected uid 0')]);
    const readOnly = world.directory('read-only');
    await world.run(['mount', '-t', 'tmpfs', '-o', 'ro,mode=700', 'ro', readOnly]);
    const refused = await world.stdoctor(['fix', '--auto', 'safe'], { env: { STDOCTOR_STATE_DIR: readOnly } });
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringMatching(/cannot be (taken|written|used)/)]);
    expect(world.mountsAt(dead.point)).toHaveLength(1);
  });
});
