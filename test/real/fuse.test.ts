import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findingOf, found, liveAndReplayed, outcomes } from './compare.ts';
import { until, World } from './world.ts';

let world: World;
beforeEach(async () => {
  world = await World.open();
});
afterEach(() => world.close());

describe('fuse-dead', () => {
  it('is found, repaired by umount -c, proven, and nothing else is touched', async () => {
    const healthy = await world.sshfs('healthy');
    const dead = await world.sshfs('dead');
    await dead.kill();
    const before = world.mounts().filter(({ point }) => point !== dead.point);

    const report = await liveAndReplayed(world);
    expect(found(report)).toEqual([`fuse-dead ${dead.point}`]);
    const finding = findingOf(report, 'fuse-dead');
    expect(finding).toMatchObject({ severity: 'critical', confidence: 'certain', subject: { kind: 'mount', name: dead.point } });
    expect(finding.evidence.map(({ excerpt }: { excerpt: string }) => excerpt).join('\n')).toContain('Transport endpoint is not connected');
    expect(finding.fix).toMatchObject({
      state: 'available',
      risk: 'safe',
      steps: [{ action: { kind: 'run', argv: ['umount', '-c', dead.point] } }],
    });
    expect((await world.check()).code).toBe(2);

    const { code, report: fixed } = await world.fix('--auto', 'safe');
    expect(outcomes(fixed)).toEqual(['fuse-dead repaired']);
    expect(code).toBe(0);
    expect(world.mountsAt(dead.point)).toEqual([]);
    expect(world.mounts()).toEqual(before);
    const { report: after } = await world.check();
    expect([found(after), after.targets[0].checks[0].unjudged]).toEqual([[], []]);
    expect(world.mountsAt(healthy.point)).toHaveLength(1);
  });

  it('with a holder is offered as a lazy unmount, disruptive, that names the holder', async () => {
    const dead = await world.sshfs('dead');
    const holder = world.hold(['sleep', 'infinity'], dead.point);
    await until(() => world.cwdOf(holder.pid as number) === dead.point);
    await dead.kill();
    const finding = findingOf(await liveAndReplayed(world), 'fuse-dead');
    expect(finding.data.holders).toEqual([{ pid: holder.pid, name: 'sleep', user: 'root', by: ['cwd'], paths: [dead.point] }]);
    expect(finding.fix).toMatchObject({ risk: 'disruptive', steps: [{ action: { argv: ['umount', '-l', dead.point] } }] });

    const safe = await world.fix('--auto', 'safe');
    expect([safe.code, outcomes(safe.report)]).toEqual([1, ['fuse-dead skipped']]);
    expect(world.mountsAt(dead.point)).toHaveLength(1);
    const disruptive = await world.fix('--auto', 'disruptive');
    expect([disruptive.code, outcomes(disruptive.report)]).toEqual([0, ['fuse-dead repaired']]);
    expect(world.mountsAt(dead.point)).toEqual([]);
  });

  it('below which another mount lies is refused, with its name', async () => {
    const dead = await world.sshfs('dead');
    world.directory('dead.source/inner');
    await world.run(['mount', '-t', 'tmpfs', 'inner', `${dead.point}/inner`]);
    await dead.kill();
    const finding = findingOf(await liveAndReplayed(world), 'fuse-dead');
    expect(finding.fix).toMatchObject({ state: 'refused' });
    expect(finding.fix.reason).toContain(`${dead.point}/inner`);
    await world.run(['umount', '-l', `${dead.point}/inner`]);
  });

  it('is found without allow_other, asked as the user who mounted it', async () => {
    const as = { uid: 65534, gid: 65534 };
    const alive = await world.sshfs('alive', { as });
    const dead = await world.sshfs('dead', { as });
    await dead.kill();
    const report = await liveAndReplayed(world);
    expect(found(report)).toEqual([`fuse-dead ${dead.point}`]);
    expect(report.targets[0].checks[0].unjudged).toEqual([]);
    expect(outcomes((await world.fix('--auto', 'safe')).report)).toEqual(['fuse-dead repaired']);
    expect(world.mountsAt(alive.point)).toHaveLength(1);
  });

  it('and its binds are repaired one by one', async () => {
    const dead = await world.sshfs('dead');
    const bind = world.directory('bind');
    await world.run(['mount', '--bind', dead.point, bind]);
    await dead.kill();
    expect(found(await liveAndReplayed(world))).toEqual([`fuse-dead ${bind}`, `fuse-dead ${dead.point}`]);
    const { code, report } = await world.fix('--auto', 'safe');
    expect([code, outcomes(report)]).toEqual([0, ['fuse-dead repaired', 'fuse-dead repaired']]);
    expect([...world.mountsAt(bind), ...world.mountsAt(dead.point)]).toEqual([]);
  });
});

describe('fuse-aborted', () => {
  it('is told from dead by the daemon that still lives, and repaired', async () => {
    const mount = await world.sshfs('aborted');
    mount.stop();
    await mount.abort();
    const report = await liveAndReplayed(world);
    expect(found(report)).toEqual([`fuse-aborted ${mount.point}`]);
    expect(findingOf(report, 'fuse-aborted').data.daemons).toEqual([mount.daemon]);
    const { code, report: fixed } = await world.fix('--auto', 'safe');
    expect([code, outcomes(fixed)]).toEqual([0, ['fuse-aborted repaired']]);
    expect(world.mountsAt(mount.point)).toEqual([]);
  });
});

describe('fuse-stopped', () => {
  it('is found, and the daemon goes on: the mount answers again', async () => {
    const mount = await world.sshfs('stopped');
    mount.stop();
    const report = await liveAndReplayed(world);
    expect(found(report)).toEqual([`fuse-stopped ${mount.point}`]);
    expect(findingOf(report, 'fuse-stopped')).toMatchObject({
      confidence: 'certain',
      fix: { risk: 'safe', steps: [{ action: { argv: ['kill', '-CONT', String(mount.daemon)] } }] },
    });
    const { code, report: fixed } = await world.fix('--auto', 'safe');
    expect([code, outcomes(fixed)]).toEqual([0, ['fuse-stopped repaired']]);
    expect(world.childrenNaming(mount.point)).toEqual([]);
    expect((await world.run(['cat', `${mount.point}/hello`], { timeoutMs: 10_000 })).stdout).toBe('hello\n');
  });
});

describe('fuse-hung', () => {
  it('is found with its callers; --auto never aborts it; a second run adds no child', async () => {
    const mount = await world.sshfs('hung');
    mount.silence();
    const report = await liveAndReplayed(world);
    const finding = findingOf(report, 'fuse-hung', mount.point);
    expect(found(report)).toEqual([`fuse-hung ${mount.point}`]);
    expect(finding).toMatchObject({ severity: 'critical', confidence: 'high', fix: { risk: 'data-loss' } });
    const left = world.childrenNaming(mount.point);
    expect(left).toHaveLength(1);
    expect(finding.evidence.map(({ excerpt }: { excerpt: string }) => excerpt).join('\n')).toContain(`pid ${left[0]}`);

    const again = await world.check();
    expect(found(again.report)).toEqual([`fuse-hung ${mount.point}`]);
    const fixed = await world.fix('--auto', 'disruptive');
    expect([fixed.code, outcomes(fixed.report)]).toEqual([1, ['fuse-hung skipped']]);
    expect(world.mountsAt(mount.point)).toHaveLength(1);
    expect(world.childrenNaming(mount.point)).toEqual(left);
  });

  it('by whose daemon nothing was read has no callers left after the probe, and unmounts at once', async () => {
    const mount = await world.sshfs('mute', { options: ['max_conns=1'] });
    // Stopped, and continued as a tracer would show it: sleeping, never reading. A frozen cgroup is the everyday case.
    await world.freeze(mount.daemon);
    const report = await liveAndReplayed(world);
    const finding = findingOf(report, 'fuse-hung', mount.point);
    expect(finding.fix).toMatchObject({ risk: 'disruptive', steps: [{ action: { argv: ['umount', '-c', mount.point] } }] });
    const { code, report: fixed } = await world.fix('--auto', 'disruptive');
    expect([code, outcomes(fixed)]).toEqual([0, ['fuse-hung repaired']]);
    expect(world.mountsAt(mount.point)).toEqual([]);
  });

  it('is aborted after its name is typed at a terminal, and all callers are freed', async () => {
    const mount = await world.sshfs('hung');
    mount.silence();
    const terminal = await world.terminal(['fix', 'zombie-mounts']);
    await terminal.waitFor(/Type \S+ to go on/, 40_000);
    await terminal.type(mount.point);
    await terminal.waitFor(/1 repaired/, 60_000);
    expect(await terminal.ended()).toBe(0);
    expect(world.mountsAt(mount.point)).toEqual([]);
    await until(() => world.childrenNaming(mount.point).length === 0);
  });

  it('is left alone when something else is typed', async () => {
    const mount = await world.sshfs('hung');
    mount.silence();
    const terminal = await world.terminal(['fix', 'zombie-mounts']);
    await terminal.waitFor(/Type \S+ to go on/, 40_000);
    await terminal.type('yes');
    await terminal.waitFor(/1 declined/, 30_000);
    expect(await terminal.ended()).toBe(1);
    expect(world.mountsAt(mount.point)).toHaveLength(1);
  });
});
