import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { autofs } from './autofs.ts';
import { findingOf, liveAndReplayed, outcomes } from './compare.ts';
import { fstabOf, nameOf, systemdIn, type UnitText, unit, withOpenProc } from './wanted.ts';
import { type Image, type Ran, type Report, until, World } from './world.ts';

let world: World;
beforeEach(async () => {
  world = await World.open();
});
afterEach(() => world.close());

const fstab = (...lines: string[]) => fstabOf(world, ...lines);
const withSystemd = (units: Record<string, UnitText>) => systemdIn(world, units);

/** An ext4 on a loop device that is not mounted. */
async function unmounted(name: string, point = world.path(name)): Promise<Image> {
  const image = await world.image(name, 'ext4', { point });
  await world.run(['umount', point]);
  return image;
}

/** /dev of this world has links by UUID, as udev makes them. */
async function withUdev(links: Record<string, string>): Promise<void> {
  const dev = world.directory('dev');
  await world.run(['mount', '-t', 'tmpfs', 'tmpfs', dev]);
  const script =
    'cd "$1" && cp -a /dev/null /dev/zero /dev/urandom /dev/fuse /dev/loop* . && mkdir -p disk/by-uuid shm && mount --bind . /dev';
  await world.run(['sh', '-c', script, 'sh', dev]);
  for (const [uuid, node] of Object.entries(links)) {
    await world.run(['ln', '-s', `../..${node.replace('/dev', '')}`, `/dev/disk/by-uuid/${uuid}`]);
  }
}

async function asked(env: Record<string, string>, ...args: string[]): Promise<{ code: number; report: Report }> {
  const ran: Ran = await world.stdoctor([...args, '--json'], { env });
  return { code: ran.code, report: JSON.parse(ran.stdout) };
}

const fixAll = (env: Record<string, string> = {}) => asked(env, 'fix', 'zombie-mounts', '--auto', 'safe');

/** Findings, as code, place, severity and risk. Other worlds on this machine are namespaces of their own, which hold mounts. */
function told(report: Report): string[] {
  return report.targets[0].findings
    .filter(({ code }: Report) => code !== 'foreign-ns-holder' && code !== 'orphan-fuse-conn')
    .map(
      ({ code, subject, severity, fix }: Report) => `${code} ${subject.name} ${severity} ${fix.state === 'refused' ? 'refused' : fix.risk}`,
    );
}

function unjudged(report: Report): { subject: { name: string }; why: string }[] {
  return report.targets[0].checks[0].unjudged;
}

describe('configured-not-mounted', () => {
  it('is mounted as /etc/fstab says, and undone', async () => {
    const { point, node } = await unmounted('a b');
    await fstab('# comment', `${node} ${point.replace(' ', '\\040')} ext4 noatime 0 2`);
    const report = await liveAndReplayed(world);
    expect(told(report)).toEqual([`configured-not-mounted ${point} critical safe`]);
    expect(findingOf(report, 'configured-not-mounted')).toMatchObject({
      confidence: 'high',
      data: { device: 'there', line: 2, unit: null },
    });

    const { code, report: fixed } = await fixAll();
    expect([code, outcomes(fixed)]).toEqual([0, ['configured-not-mounted repaired']]);
    expect(world.mountsAt(point)).toMatchObject([{ source: node, options: expect.stringContaining('noatime') }]);
    expect((await world.check()).code).toBe(0);

    expect((await world.stdoctor(['undo', '--yes'])).code).toBe(0);
    expect(world.mountsAt(point)).toEqual([]);
  });

  it("with a name that is nobody's friend: mounted, undone, and looked at from below", async () => {
    const { point, node } = await unmounted('it\'s "here"\n\tnow $(reboot) é -- *');
    const escaped = point.replace(/[ \t\n]/g, (blank) => `\\0${blank.charCodeAt(0).toString(8).padStart(2, '0')}`);
    await fstab(`${node} ${escaped} ext4 defaults 0 2`);
    const report = await liveAndReplayed(world);
    expect(told(report)).toEqual([`configured-not-mounted ${point} critical safe`]);
    expect((await fixAll()).code).toBe(0);
    expect(world.mountsAt(point)).toHaveLength(1);
    expect((await world.stdoctor(['undo', '--yes'])).code).toBe(0);
    writeFileSync(join(point, 'hidden'), '');
    await world.run(['mount', node, point]);
    expect(told(await liveAndReplayed(world))).toEqual([`mounted-over-data ${point} info refused`]);
  });

  it('by UUID, nofail and below a symbolic link', async () => {
    const { point, node } = await unmounted('data');
    await world.run(['ln', '-s', world.dir, world.path('link')]);
    await withUdev({ 'c0ffee00-0000-4000-8000-000000000001': node });
    await fstab(`UUID="C0FFEE00-0000-4000-8000-000000000001" ${world.path('link')}/data ext4 defaults,nofail`);
    const report = await liveAndReplayed(world);
    expect(told(report)).toEqual([`configured-not-mounted ${point} warning safe`]);
  });

  it('is not repaired where a device is away, where udev is, or where files would be hidden', async () => {
    const { point, node } = await unmounted('full');
    writeFileSync(join(point, 'file'), '');
    await fstab(
      `${node} ${point} ext4 defaults 0 2`,
      `/dev/none1 ${world.directory('away')} ext4 nofail 0 2`,
      `UUID=0-0 ${world.directory('nobody-knows')} ext4 nofail 0 2`,
      `tmpfs ${world.path('no-directory')} tmpfs nofail 0 0`,
    );
    const report = await liveAndReplayed(world);
    expect(told(report)).toEqual([
      `configured-not-mounted ${point} critical refused`,
      `configured-not-mounted ${world.path('nobody-knows')} warning refused`,
      `configured-not-mounted ${world.path('no-directory')} warning refused`,
      `configured-not-mounted ${world.path('away')} info refused`,
    ]);
    const own = report.targets[0].findings.filter(({ code }: Report) => code === 'configured-not-mounted');
    expect(own.map(({ fix }: Report) => fix.reason)).toEqual([
      expect.stringContaining('is not empty'),
      expect.stringContaining('udev keeps no names here'),
      expect.stringContaining(`mkdir -p -- ${world.path('no-directory')} && mount ${world.path('no-directory')}`),
      expect.stringContaining('/dev/none1 is not there'),
    ]);
    expect((await fixAll()).code).toBe(1);
    expect(world.mountsAt(point)).toEqual([]);
  });

  it('is silent about what is mounted, or is not meant to be', async () => {
    const image = await world.image('there', 'ext4');
    await world.run(['ln', '-s', world.dir, world.path('link')]);
    const point = world.directory('bare');
    await fstab(
      '',
      `${image.node} ${world.path('link')}/there/ ext4 defaults 0 2`,
      `/dev/none1 ${point} ext4 noauto 0 0`,
      '/dev/none2 none swap noauto 0 0',
      `${point} ${point} none bind 0 0`,
      'proc /proc proc defaults 0 0',
    );
    const report = await liveAndReplayed(world);
    expect([told(report), unjudged(report)]).toEqual([[], []]);
  });

  it('could not tell what a garbled line means', async () => {
    await fstab('this is no line');
    const report = await liveAndReplayed(world);
    expect(told(report)).toEqual([]);
    expect(unjudged(report)).toMatchObject([{ subject: { name: '/etc/fstab' } }]);
  });
});

describe('swap', () => {
  it('that is configured and not in use is told; one in use is not', async () => {
    const nodes: string[] = [];
    for (const name of ['used', 'unused']) {
      const { point, node } = await unmounted(name);
      await world.run(['rmdir', point]);
      await world.run(['mkswap', node]);
      nodes.push(node);
    }
    const [used, unused] = nodes as [string, string];
    await fstab(`${used} none swap sw 0 0`, `${unused} none swap sw 0 0`, '/dev/none1 none swap sw 0 0');
    await world.run(['swapon', used]);
    try {
      const report = await liveAndReplayed(world);
      expect(told(report)).toEqual(['configured-not-mounted /dev/none1 warning refused', `configured-not-mounted ${unused} info refused`]);
    } finally {
      await world.run(['swapoff', used]);
    }
  });
});

describe('moved', () => {
  it('is told, with the place where it is now, and left to a person', async () => {
    const { point, node } = await world.image('data', 'ext4');
    const other = world.directory('other');
    await fstab(`${node} ${point} ext4 defaults 0 2`);
    await world.run(['mount', '--move', point, other]);
    const report = await liveAndReplayed(world);
    expect(told(report)).toEqual([`moved ${point} warning refused`]);
    expect(findingOf(report, 'moved').data).toMatchObject({ elsewhere: other });
  });
});

describe('with systemd', () => {
  it('mount-missed-late-device: started, and undone', async () => {
    const { point, node } = await unmounted('late');
    await fstab(`${node} ${point} ext4 nofail 0 2`);
    const env = await withSystemd({ [nameOf(point)]: unit(point, node) });
    const { report } = await asked(env, 'check', 'zombie-mounts');
    expect(told(report)).toEqual([`mount-missed-late-device ${point} warning safe`]);
    const recording = world.path('recording.tar.gz');
    await asked(env, 'record', 'zombie-mounts', '--output', recording);
    expect(told((await asked({}, 'check', 'zombie-mounts', '--from', recording)).report)).toEqual(told(report));
    const { code, report: fixed } = await fixAll(env);
    expect([code, outcomes(fixed)]).toEqual([0, ['mount-missed-late-device repaired']]);
    expect(fixed.repairs[0].steps.map(({ action }: Report) => action.argv)).toEqual([['systemctl', 'start', nameOf(point)]]);
    expect(world.mountsAt(point)).toHaveLength(1);
    expect((await asked(env, 'undo', '--yes')).code).toBe(0);
    expect(world.mountsAt(point)).toEqual([]);
  });

  it('unit-failed: forgotten and started again; a mount that still fails is a failed repair', async () => {
    const { point, node } = await unmounted('failing');
    const bad = world.directory('bad');
    await fstab(`${node} ${point} ext4 defaults 0 2`, `tmpfs ${bad} nonsense defaults 0 2`);
    const failed = { ActiveState: 'failed', SubState: 'failed', Result: 'exit-code' };
    const env = await withSystemd({
      [nameOf(point)]: unit(point, node, failed),
      [nameOf(bad)]: unit(bad, 'tmpfs', { ...failed, Type: 'nonsense' }),
    });
    const { report } = await asked(env, 'check', 'zombie-mounts');
    expect(told(report)).toEqual([`unit-failed ${point} critical safe`, `unit-failed ${bad} critical safe`]);
    const { code, report: fixed } = await fixAll(env);
    expect([code, outcomes(fixed)]).toEqual([2, ['unit-failed failed', 'unit-failed repaired']]);
    expect(world.mountsAt(point)).toHaveLength(1);
  });

  it('is not started where systemd has not read the change, and not judged where systemctl says nothing', async () => {
    const { point, node } = await unmounted('data');
    await fstab(`${node} ${point} ext4 defaults 0 2`);
    const env = await withSystemd({ [nameOf(point)]: unit(point, node, { NeedDaemonReload: 'yes', ActiveEnterTimestampMonotonic: '9' }) });
    const { report } = await asked(env, 'check', 'zombie-mounts');
    expect(told(report)).toEqual([`configured-not-mounted ${point} critical refused`]);
    expect(report.targets[0].findings[0].fix.reason).toContain('systemctl daemon-reload');

    writeFileSync(world.path('bin/systemctl'), '#!/bin/sh\necho "Failed to connect to bus" >&2\nexit 1\n');
    const { report: without } = await asked(env, 'check', 'zombie-mounts');
    expect(told(without)).toEqual([`configured-not-mounted ${point} critical refused`]);
    expect(unjudged(without)).toMatchObject([{ subject: { name: 'systemd' }, why: expect.stringContaining('Failed to connect to bus') }]);
  });

  it('is silent about masked and inactive units, and about those whose condition did not hold', async () => {
    const point = world.directory('masked');
    await fstab(`/dev/none1 ${point} ext4 defaults 0 2`);
    const env = await withSystemd({
      [nameOf(point)]: unit(point, '/dev/none1', { LoadState: 'masked' }),
      'sys-kernel-config.mount': unit('/sys/kernel/config', 'configfs', { UnitFileState: 'static', SourcePath: '' }),
      'mnt-conditional.mount': unit('/mnt/conditional', '/dev/none2', {
        UnitFileState: 'enabled',
        SourcePath: '',
        ConditionTimestampMonotonic: '77',
      }),
    });
    const { report } = await asked(env, 'check', 'zombie-mounts');
    expect([told(report), unjudged(report)]).toEqual([[], []]);
  });
});

describe('automount-target-gone', () => {
  it('is told without an access, and idle automounts are healthy', async () => {
    const [gone, away, idle] = [await autofs(world, 'gone'), await autofs(world, 'away'), await autofs(world, 'idle')];
    const { node } = await unmounted('disk');
    await world.run(['ln', '-s', `${idle.point}/below`, world.path('link')]);
    await fstab(
      `/dev/none1 ${gone.point} ext4 x-systemd.automount 0 0`,
      `/dev/none2 ${away.point} ext4 nofail,x-systemd.automount 0 0`,
      `${node} ${idle.point} ext4 x-systemd.automount 0 0`,
      `tmpfs ${world.path('link')}/tmp tmpfs defaults 0 0`,
    );
    const waiting = { ActiveState: 'active', SubState: 'waiting', Type: '' };
    const env = await withSystemd({
      [nameOf(gone.point)]: unit(gone.point, '/dev/none1'),
      [nameOf(away.point)]: unit(away.point, '/dev/none2'),
      [nameOf(idle.point)]: unit(idle.point, node),
      [nameOf(gone.point).replace(/mount$/, 'automount')]: unit(gone.point, '', waiting),
      [nameOf(away.point).replace(/mount$/, 'automount')]: unit(away.point, '', waiting),
      [nameOf(idle.point).replace(/mount$/, 'automount')]: unit(idle.point, '', waiting),
    });
    const { report } = await asked(env, 'check', 'zombie-mounts');
    expect(told(report)).toEqual([
      `automount-target-gone ${gone.point} warning refused`,
      `automount-target-gone ${away.point} info refused`,
    ]);
    expect(unjudged(report)).toMatchObject([{ subject: { name: join(idle.point, 'below/tmp') } }]);
    await fixAll(env);
    expect([gone.asked(), away.asked(), idle.asked()]).toEqual([0, 0, 0]);
  });
});

/** The kernel lets one mount over a dead one; sshfs itself does not. */
async function diskOverDead(name = 'data'): Promise<{ point: string; disk: Image }> {
  await withOpenProc(world);
  const dead = await world.sshfs(name);
  await dead.kill();
  const disk = await unmounted(`${name}.disk`);
  await world.run(['mount', '-o', 'nosuid,noatime', disk.node, dead.point]);
  return { point: dead.point, disk };
}

describe('stacked', () => {
  it('the same source twice', async () => {
    const point = world.directory('twice');
    await world.sshfs('remote', { point, options: ['fsname=nas:/export'] });
    await world.sshfs('again', { point, options: ['fsname=nas:/export'] });
    await until(() => world.mountsAt(point).length === 2);
    const holder = world.hold(['sleep', 'infinity'], point);
    await until(() => world.cwdOf(holder.pid as number) === point);
    const report = await liveAndReplayed(world);
    expect(told(report)).toEqual([`stacked ${point} warning refused`]);
    const finding = findingOf(report, 'stacked');
    expect(finding).toMatchObject({ confidence: 'medium', data: { layers: 2, below: 'same source' } });
    expect(finding.fix.reason).toContain(`sleep (pid ${holder.pid} of root, cwd)`);
    expect((await asked({}, 'fix', 'zombie-mounts', '--auto', 'disruptive')).code).toBe(1);
    expect(world.mountsAt(point)).toHaveLength(2);
  });

  it('a disk over a dead sshfs: taken off, and mounted again once the dead one is gone', async () => {
    const { point, disk } = await diskOverDead();
    const [before] = world.mountsAt(point).slice(1);
    const report = await liveAndReplayed(world);
    expect(told(report)).toEqual([`stacked ${point} warning disruptive`]);
    const finding = findingOf(report, 'stacked');
    expect(finding).toMatchObject({ confidence: 'high', data: { layers: 2, below: 'dead' } });
    expect(finding.fix.steps.map(({ action }: Report) => action.argv.slice(0, 2))).toEqual([
      ['umount', '-c'],
      ['umount', '-c'],
      ['mount', '-t'],
    ]);
    expect((await fixAll()).code).toBe(1);
    const { code, report: fixed } = await asked({}, 'fix', 'zombie-mounts', '--auto', 'disruptive');
    expect([code, outcomes(fixed)]).toEqual([0, ['stacked repaired']]);
    const { options, superOptions } = before as NonNullable<typeof before>;
    expect(world.mountsAt(point)).toMatchObject([{ source: disk.node, options, superOptions }]);
    expect((await world.run(['cat', join(point, 'precious')])).stdout).toBe('data\n');
    const after = (await world.check()).report;
    expect([told(after), unjudged(after)]).toEqual([[], []]);
  });

  it('is left alone where the upper one is held, carries a mount, or is an sshfs itself', async () => {
    const held = await diskOverDead('held');
    const holder = world.hold(['sleep', 'infinity'], held.point);
    await until(() => world.cwdOf(holder.pid as number) === held.point);
    const carrying = await diskOverDead('carrying');
    await world.run(['mkdir', join(carrying.point, 'inner')]);
    await world.run(['mount', '-t', 'tmpfs', 'tmpfs', join(carrying.point, 'inner')]);
    const below = await world.sshfs('below');
    await below.kill();
    const above = await world.sshfs('above');
    await world.run(['mount', '--bind', above.point, below.point]);
    const report = await liveAndReplayed(world);
    const reasons = [held.point, carrying.point, below.point].map((point) => findingOf(report, 'stacked', point).fix.reason);
    expect(reasons).toEqual([
      expect.stringContaining(`sleep (pid ${holder.pid} of root, cwd) would keep it busy`),
      expect.stringContaining(`other mounts lie on it (${join(carrying.point, 'inner')})`),
      expect.stringContaining('its daemon would end with it'),
    ]);
    const before = world.mounts();
    await asked({}, 'fix', 'zombie-mounts', '--auto', 'disruptive');
    expect(world.mounts()).toEqual(before);
  });

  it('is silent about a bind onto itself, another file system on top, and one tmpfs on another', async () => {
    const { point } = await world.image('disk', 'ext4');
    await world.run(['mount', '--bind', point, point]);
    const other = world.directory('other');
    await world.run(['mount', '--bind', point, other]);
    await world.run(['mount', '-t', 'tmpfs', 'tmpfs', other]);
    await world.run(['mount', '-t', 'tmpfs', 'tmpfs', other]);
    const report = await liveAndReplayed(world);
    expect([told(report), unjudged(report)]).toEqual([[], []]);
  });
});

describe('mounted-over-data', () => {
  it('sees what a wanted mount hides, and leaves nothing behind', async () => {
    const disk = await world.image('disk', 'ext4');
    const inside = join(disk.point, 'inside');
    mkdirSync(world.inside(inside));
    writeFileSync(world.inside(join(inside, 'hidden')), '');
    const full = world.directory('full');
    writeFileSync(join(full, 'hidden'), '');
    const below = await world.image('below', 'ext4', { point: inside });
    const over = await world.image('over', 'ext4', { point: full });
    const plain = await world.image('plain', 'ext4');
    await fstab(
      `${disk.node} ${disk.point} ext4`,
      `${below.node} ${inside} ext4`,
      `${over.node} ${full} ext4`,
      `${plain.node} ${plain.point} ext4`,
    );
    const before = world.mounts();
    const report = await liveAndReplayed(world);
    // The directory for the inner one was made on both sides of the outer one.
    expect(told(report).toSorted()).toEqual(
      [disk.point, inside, full].map((point) => `mounted-over-data ${point} info refused`).toSorted(),
    );
    expect(world.mounts()).toEqual(before);
    expect((await world.run(['ls', full])).stdout).not.toContain('hidden');
  });

  it('an ordinary user is told what was not looked at', async () => {
    const { point, node } = await world.image('plain', 'ext4');
    await fstab(`${node} ${point} ext4`);
    const state = world.directory('state-of-nobody');
    await world.run(['chmod', '755', world.dir]);
    await world.run(['chown', '65534', state]);
    const { stdout } = await world.stdoctor(['check', 'zombie-mounts', '--json'], {
      env: { STDOCTOR_STATE_DIR: state },
      prefix: ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups'],
    });
    const report = JSON.parse(stdout);
    expect([told(report), unjudged(report)]).toEqual([[], []]);
  });
});
