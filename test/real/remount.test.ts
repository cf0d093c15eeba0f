/** What is dead and wanted is brought back by the same plan that takes it away. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findingOf, found, liveAndReplayed, outcomes } from './compare.ts';
import { changedBefore, said } from './midway.ts';
import { fstabOf, nameOf, sshfsAt, systemdIn, unit, wantedSshfs } from './wanted.ts';
import { type Report, until, World } from './world.ts';

let world: World;
beforeEach(async () => {
  world = await World.open();
});
afterEach(() => world.close());

const commands = (finding: Report): string[][] => finding.fix.steps.map(({ action }: Report) => action.argv);

/** Source, type and options: what a new mount has in common with the one before. */
function shown(point: string) {
  return world.mountsAt(point).map(({ source, fstype, options, superOptions }) => ({ source, fstype, options, superOptions }));
}

describe('fuse-dead that is wanted', () => {
  it('by /etc/fstab: unmounted and mounted again as it was, without anybody, and undone', async () => {
    const mount = await wantedSshfs(world, 'data');
    const before = shown(mount.point);
    await mount.kill();
    const finding = findingOf(await liveAndReplayed(world), 'fuse-dead');
    expect(finding.fix).toMatchObject({ state: 'available', risk: 'safe' });
    expect(commands(finding)).toEqual([
      ['umount', '-c', mount.point],
      ['mount', mount.point],
    ]);
    const { code, report } = await world.fix('--auto', 'safe');
    expect([code, outcomes(report)]).toEqual([0, ['fuse-dead repaired']]);
    expect(shown(mount.point)).toEqual(before);
    expect(await world.tried(['cat', join(mount.point, 'hello')])).toBe('hello\n');
    expect((await world.check()).code).toBe(0);

    expect((await world.stdoctor(['undo', '--yes'])).code).toBe(1);
    expect(world.mountsAt(mount.point)).toEqual([]);
    await until(() => sshfsAt(world, mount.point).length === 0);
  });

  it('by a unit of systemd: restarted, which --auto safe leaves alone, with the dead one in its place', async () => {
    const mount = await wantedSshfs(world, 'data', { systemd: true });
    const before = shown(mount.point);
    await mount.kill();
    const finding = findingOf((await world.check()).report, 'fuse-dead');
    expect(finding.fix.risk).toBe('disruptive');
    expect(commands(finding)).toEqual([
      ['umount', '-c', mount.point],
      ['systemctl', 'restart', nameOf(mount.point)],
    ]);
    const safe = await world.fix('--auto', 'safe');
    expect([safe.code, outcomes(safe.report)]).toEqual([1, ['fuse-dead skipped']]);
    expect(world.mountsAt(mount.point)).toHaveLength(1);
    const { code, report } = await world.fix('--auto', 'disruptive');
    expect([code, outcomes(report)]).toEqual([0, ['fuse-dead repaired']]);
    expect(shown(mount.point)).toEqual(before);
    expect((await world.check()).code).toBe(0);
  });

  it('and held: detached from its holders, who keep what is dead, and mounted again', async () => {
    const mount = await wantedSshfs(world, 'data');
    const holder = world.hold(['sleep', 'infinity'], mount.point);
    await until(() => world.cwdOf(holder.pid as number) === mount.point);
    await mount.kill();
    const { code, report } = await world.fix('--auto', 'disruptive');
    expect([code, outcomes(report)]).toEqual([0, ['fuse-dead repaired']]);
    expect(report.repairs[0].steps.map(({ action }: Report) => action.argv[0])).toEqual(['umount', 'mount']);
    expect(world.mountsAt(mount.point)).toHaveLength(1);
    expect(await world.tried(['cat', join(mount.point, 'hello')])).toBe('hello\n');
    expect(holder.exitCode).toBeNull();
  });

  it('is not mounted onto files that came to lie in the directory', async () => {
    const mount = await wantedSshfs(world, 'data');
    await mount.kill();
    const put = async () => writeFileSync(join(mount.point, 'precious'), '');
    const ran = await changedBefore(5, world, ['fix', 'zombie-mounts', '--auto', 'safe', '--json'], put);
    expect([ran.code, said(ran)]).toEqual([4, [expect.stringContaining(`expected an empty directory at ${mount.point}`)]]);
    expect(world.mountsAt(mount.point)).toEqual([]);
    expect(found((await world.check()).report)).toEqual([`configured-not-mounted ${mount.point}`]);

    await world.run(['sh', '-c', 'exec mount "$1" > "$1.said" 2>&1', 'sh', mount.point]);
    process.kill(sshfsAt(world, mount.point)[0] as number, 'SIGKILL');
    await until(() => sshfsAt(world, mount.point).length === 0);
    const { report } = await world.check();
    expect(found(report)).toEqual([`fuse-dead ${mount.point}`, `mounted-over-data ${mount.point}`]);
    expect(commands(findingOf(report, 'fuse-dead'))).toEqual([['umount', '-c', mount.point]]);
  });

  it('stays away where systemd does not know it as it is configured now, and where nothing wants it', async () => {
    const mount = await wantedSshfs(world, 'data');
    const changed = unit(mount.point, `host:${mount.source}`, { Type: 'fuse.sshfs', NeedDaemonReload: 'yes' });
    Object.assign(world.env, await systemdIn(world, { [nameOf(mount.point)]: changed }));
    await mount.kill();
    const unwanted = await world.sshfs('unwanted');
    await unwanted.kill();
    const { report } = await world.check();
    for (const point of [mount.point, unwanted.point]) {
      expect(commands(findingOf(report, 'fuse-dead', point))).toEqual([['umount', '-c', point]]);
    }
  });

  it('is left alone where something else is configured there', async () => {
    const mount = await world.sshfs('data');
    await fstabOf(world, `/dev/none1 ${mount.point} ext4 nofail 0 2`);
    await mount.kill();
    expect(commands(findingOf((await world.check()).report, 'fuse-dead'))).toEqual([['umount', '-c', mount.point]]);
  });
});

describe('fuse-hung that is wanted', () => {
  it('and for which nobody waits any more is unmounted, and mounted again', async () => {
    const mount = await wantedSshfs(world, 'data');
    await world.freeze(mount.daemon);
    const finding = findingOf(await liveAndReplayed(world), 'fuse-hung');
    expect(commands(finding).map(([program]) => program)).toEqual(['umount', 'mount']);
    const { code, report } = await world.fix('--auto', 'disruptive');
    expect([code, outcomes(report)]).toEqual([0, ['fuse-hung repaired']]);
    expect(await world.tried(['cat', join(mount.point, 'hello')])).toBe('hello\n');
  });
});

describe('fuse-hung that is wanted, with callers', () => {
  it('is aborted after its name is typed, unmounted, and mounted again', async () => {
    const mount = await wantedSshfs(world, 'data');
    mount.silence();
    const terminal = await world.terminal(['fix', 'zombie-mounts']);
    await terminal.waitFor(/Type \S+ to go on/, 40_000);
    await terminal.type(mount.point);
    await terminal.waitFor(/1 repaired/, 60_000);
    expect(await terminal.ended()).toBe(0);
    expect(world.mountsAt(mount.point)).toHaveLength(1);
    expect(await world.tried(['cat', join(mount.point, 'hello')])).toBe('hello\n');
  });
});

describe('healthy twins', () => {
  it('wanted, mounted and alive is silent', async () => {
    const mount = await wantedSshfs(world, 'data');
    mkdirSync(join(mount.source, 'more'));
    expect(found(await liveAndReplayed(world))).toEqual([]);
  });
});
