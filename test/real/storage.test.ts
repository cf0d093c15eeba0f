import { chmodSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findingOf, found, liveAndReplayed, outcomes } from './compare.ts';
import { type Report, until, World } from './world.ts';

let world: World;
beforeEach(async () => {
  world = await World.open();
});
afterEach(() => world.close());

/** `fix`, while a command that it runs (`$real`, with its own arguments) does more, or less, than it should. */
async function fixWhile(command: string, script: string, auto = 'disruptive'): Promise<{ code: number; report: Report }> {
  const directory = world.directory('wrapped');
  const path = join(directory, command);
  const real = (await world.run(['sh', '-c', `command -v ${command}`])).stdout.trim();
  writeFileSync(path, `#!/bin/sh\nPATH=${process.env['PATH']}\nreal=${real}\n${script}\n`);
  chmodSync(path, 0o755);
  const ran = await world.stdoctor(['fix', 'zombie-mounts', '--json', '--auto', auto], {
    env: { PATH: `${directory}:${process.env['PATH']}` },
  });
  return { code: ran.code, report: JSON.parse(ran.stdout) };
}

function reasonOf(report: Report): string {
  return report.repairs[0].reason;
}

describe('bind-source-deleted', () => {
  it('of a directory: made again with its mode, and bound with the options it had', async () => {
    const source = world.directory('source');
    const point = world.directory('point');
    await world.run(['chmod', '2750', source]);
    await world.run(['mount', '--bind', '-o', 'nosuid,nodev,noexec', source, point]);
    const options = world.mountsAt(point)[0]?.options;
    rmSync(source, { recursive: true });

    const report = await liveAndReplayed(world);
    expect(found(report)).toEqual([`bind-source-deleted ${point}`]);
    expect(findingOf(report, 'bind-source-deleted')).toMatchObject({
      severity: 'critical',
      confidence: 'certain',
      fix: { risk: 'disruptive' },
    });
    const { code, report: fixed } = await world.fix('--auto', 'disruptive');
    expect([code, outcomes(fixed)]).toEqual([0, ['bind-source-deleted repaired']]);
    expect(world.mountsAt(point)).toMatchObject([{ root: source, options }]);
    expect((await world.run(['stat', '-c', '%a', source])).stdout).toBe('2750\n');
    writeFileSync(join(source, 'new'), 'seen\n');
    expect((await world.run(['cat', join(point, 'new')])).stdout).toBe('seen\n');
  });

  it('of a file that an editor replaced: the old content is kept before the new one is bound', async () => {
    const [source, point] = [world.path('source'), world.path('point')];
    writeFileSync(source, 'old\n');
    writeFileSync(point, '');
    await world.run(['mount', '--bind', source, point]);
    writeFileSync(`${source}.new`, 'new\n');
    renameSync(`${source}.new`, source);
    expect((await world.run(['cat', point])).stdout).toBe('old\n');

    const report = await liveAndReplayed(world);
    expect(findingOf(report, 'bind-source-deleted')).toMatchObject({ severity: 'warning', fix: { risk: 'disruptive' } });
    const { code, report: fixed } = await world.fix('--auto', 'disruptive');
    expect([code, outcomes(fixed)]).toEqual([0, ['bind-source-deleted repaired']]);
    expect((await world.run(['cat', point])).stdout).toBe('new\n');
    const rescue = join(world.state, 'rescue', fixed.run.id);
    expect(readdirSync(rescue).map((name) => readFileSync(join(rescue, name), 'utf8'))).toEqual(['old\n']);
  });

  it('of a file that is gone: its content comes back from the mount', async () => {
    const [source, point] = [world.path('source'), world.path('point')];
    writeFileSync(source, 'only copy\n');
    writeFileSync(point, '');
    await world.run(['mount', '--bind', source, point]);
    rmSync(source);
    expect(found(await liveAndReplayed(world))).toEqual([`bind-source-deleted ${point}`]);
    expect(outcomes((await world.fix('--auto', 'disruptive')).report)).toEqual(['bind-source-deleted repaired']);
    expect(readFileSync(source, 'utf8')).toBe('only copy\n');
  });

  it('of several files that were replaced: each old content is kept', async () => {
    for (const name of ['a', 'b']) {
      const [source, point] = [world.path(`${name}.conf`), world.path(`${name}.point`)];
      writeFileSync(source, `old ${name}\n`);
      writeFileSync(point, '');
      await world.run(['mount', '--bind', source, point]);
      writeFileSync(`${source}.new`, 'new\n');
      renameSync(`${source}.new`, source);
    }
    const { code, report } = await world.fix('--auto', 'disruptive');
    expect([code, outcomes(report)]).toEqual([0, ['bind-source-deleted repaired', 'bind-source-deleted repaired']]);
    const rescue = join(world.state, 'rescue', report.run.id);
    expect(readdirSync(rescue).map((name) => readFileSync(join(rescue, name), 'utf8'))).toEqual(['old a\n', 'old b\n']);
  });

  it('with a holder is refused, and names it: by its working directory, or by an open file', async () => {
    const [source, point] = [world.directory('source'), world.directory('point')];
    const [file, filePoint] = [world.path('file'), world.path('file.point')];
    writeFileSync(file, 'x');
    writeFileSync(filePoint, '');
    await world.run(['mount', '--bind', source, point]);
    await world.run(['mount', '--bind', file, filePoint]);
    const inside = world.hold(['sleep', 'infinity'], point);
    const reader = world.hold(['sh', '-c', 'exec sleep infinity < "$1"', 'sh', filePoint]);
    // Its directory is no longer the one at this path, and it holds nothing of the mount.
    const elsewhere = world.directory('elsewhere');
    const stranger = world.hold(['sleep', 'infinity'], elsewhere);
    const named = (pid: number | undefined) => readFileSync(`/proc/${pid}/comm`, 'utf8') === 'sleep\n';
    await until(() => [inside, reader, stranger].every(({ pid }) => named(pid)) && world.cwdOf(stranger.pid as number) === elsewhere);
    rmSync(elsewhere, { recursive: true });
    rmSync(source, { recursive: true });
    rmSync(file);
    const other = world.directory('other');
    world.directory('elsewhere');
    await world.run(['mount', '--bind', other, elsewhere]);
    rmSync(other, { recursive: true });

    const report = await liveAndReplayed(world);
    const holders = (at: string) => findingOf(report, 'bind-source-deleted', at).data.holders;
    expect(holders(point)).toMatchObject([{ pid: inside.pid, name: 'sleep', by: ['cwd'] }]);
    expect(holders(filePoint)).toMatchObject([{ pid: reader.pid, name: 'sleep', by: ['fd 0'] }]);
    expect(holders(elsewhere)).toEqual([]);
    expect(world.cwdOf(stranger.pid as number)).toBe(`${elsewhere} (deleted)`);
    expect(findingOf(report, 'bind-source-deleted', point).fix).toMatchObject({
      state: 'refused',
      reason: `sleep (pid ${inside.pid} of root, cwd) would keep it busy: stop them first`,
    });
    expect(findingOf(report, 'bind-source-deleted', elsewhere).fix).toMatchObject({ state: 'available' });
  });

  it('that somebody enters before the unmount is stale there, not a command that fails', async () => {
    const [source, point] = [world.directory('source'), world.directory('point')];
    await world.run(['mount', '--bind', source, point]);
    rmSync(source, { recursive: true });
    const flag = world.path('flag');
    const holder = world.hold(['sh', '-c', `until [ -e ${flag} ]; do sleep 0.05; done; cd ${point} && exec sleep infinity`]);
    const entered = `until [ "$(cat /proc/${holder.pid}/comm)" = sleep ] && [ "$(readlink /proc/${holder.pid}/cwd)" != / ]`;
    const { code, report } = await fixWhile('mv', `$real "$@" && touch ${flag} && ${entered}; do sleep 0.05; done`);
    expect([code, outcomes(report)]).toEqual([4, ['bind-source-deleted stale']]);
    expect(reasonOf(report)).toContain(`expected nobody holding ${point}, found sleep (pid ${holder.pid} of root, cwd)`);
    expect(report.repairs[0].steps.map(({ outcome }: Report) => outcome)).toEqual(['proven', 'proven', 'stale', 'not-done']);
    expect(world.mountsAt(point)).toHaveLength(1);
  });

  it('at whose place something is mounted between unmount and bind is stale there', async () => {
    const [source, point] = [world.directory('source'), world.directory('point')];
    await world.run(['mount', '--bind', source, point]);
    rmSync(source, { recursive: true });
    const { code, report } = await fixWhile('umount', `$real "$@" && mount -t tmpfs stranger ${point}`);
    expect([code, outcomes(report)]).toEqual([4, ['bind-source-deleted stale']]);
    expect(reasonOf(report)).toMatch(new RegExp(`expected nothing mounted at ${point}, found mount \\d+ \\(tmpfs, stranger, `));
    expect(world.mountsAt(point)).toMatchObject([{ source: 'stranger' }]);
  });

  it('of a file whose copy is cut short is not taken for the file by the next run', async () => {
    const [source, point] = [world.path('source'), world.path('point')];
    writeFileSync(source, 'only copy\n');
    writeFileSync(point, '');
    await world.run(['mount', '--bind', source, point]);
    rmSync(source);
    const cut = await fixWhile('cp', 'for last; do :; done; printf only > "$last"; exit 1');
    expect([cut.code, outcomes(cut.report)]).toEqual([2, ['bind-source-deleted failed']]);
    expect(existsSync(source)).toBe(false);
    const { code, report } = await world.fix('--auto', 'disruptive');
    expect([code, outcomes(report)]).toEqual([0, ['bind-source-deleted repaired']]);
    expect(readFileSync(source, 'utf8')).toBe('only copy\n');
  });

  it('of a file that comes back while its copy is named replaces nothing', async () => {
    const [source, point] = [world.path('source'), world.path('point')];
    writeFileSync(source, 'mine\n');
    writeFileSync(point, '');
    await world.run(['mount', '--bind', source, point]);
    rmSync(source);
    const { code, report } = await fixWhile('mv', `echo theirs > ${source}; exec $real "$@"`);
    expect([code, outcomes(report)]).toEqual([2, ['bind-source-deleted failed']]);
    expect(readFileSync(source, 'utf8')).toBe('theirs\n');
    expect((await world.run(['cat', point])).stdout).toBe('mine\n');
  });

  it('is not a directory that is called deleted', async () => {
    const source = world.directory('source/deleted');
    const point = world.directory('point');
    await world.run(['mount', '--bind', source, point]);
    expect(found(await liveAndReplayed(world))).toEqual([]);
  });
});

describe('loop-backing-deleted', () => {
  it('is copied, proven byte for byte, and stays found: unproven, exit 1', async () => {
    const image = await world.image('image');
    rmSync(image.file);
    const report = await liveAndReplayed(world);
    expect(found(report)).toEqual([`loop-backing-deleted ${image.point}`]);
    expect(findingOf(report, 'loop-backing-deleted')).toMatchObject({
      severity: 'critical',
      confidence: 'certain',
      data: { node: image.node, backing: image.file },
      fix: { risk: 'safe' },
    });

    const { code, report: fixed } = await world.fix('--auto', 'safe');
    expect([code, outcomes(fixed)]).toEqual([1, ['loop-backing-deleted unproven']]);
    const rescue = join(world.state, 'rescue', fixed.run.id);
    const copy = join(rescue, readdirSync(rescue)[0] as string);
    expect(copy).toMatch(/_image\.img$/);
    expect(reasonOf(fixed)).toContain(copy);
    expect(existsSync(copy)).toBe(true);
    expect(world.mountsAt(image.point)).toHaveLength(1);

    const rescued = world.directory('rescued');
    await world.run(['mount', '-o', 'loop,nouuid', copy, rescued]);
    expect((await world.run(['cat', join(rescued, 'precious')])).stdout).toBe('data\n');
    await world.run(['umount', rescued]);
  });

  it('with a process that holds it open: writes wait while it is copied, and go on afterwards', async () => {
    const image = await world.image('image', 'ext4');
    const writer = world.hold(['sh', '-c', 'while :; do date >> log; sync log; done'], image.point);
    rmSync(image.file);
    const finding = findingOf(await liveAndReplayed(world), 'loop-backing-deleted');
    expect(finding.data.holders.map(({ pid }: { pid: number }) => pid)).toContain(writer.pid);
    expect(finding.fix).toMatchObject({ risk: 'disruptive' });
    expect(finding.fix.steps[0].action.argv).toEqual(['fsfreeze', '-f', image.point]);
    const { code, report } = await world.fix('--auto', 'disruptive');
    expect([code, outcomes(report)]).toEqual([1, ['loop-backing-deleted unproven']]);
    const size = () => Number(readFileSync(world.inside(join(image.point, 'log'))).length);
    const after = size();
    await expect.poll(size, { timeout: 10_000 }).toBeGreaterThan(after);
  });

  it('is not copied over a file that is there already', async () => {
    const image = await world.image('image', 'ext4');
    rmSync(image.file);
    const script = `$real "$@"; for run in ${world.state}/rescue/*; do echo half > $run/$(echo ${image.file} | sed 's:/:_:g; s:^_::'); done`;
    const { code, report } = await fixWhile('sync', script, 'safe');
    expect([code, outcomes(report)]).toEqual([1, ['loop-backing-deleted refused']]);
    expect(reasonOf(report)).toMatch(/expected nothing at \S+_image\.img, found a file/);
  });

  it('is found when another file was renamed over the image', async () => {
    const image = await world.image('image', 'ext4');
    writeFileSync(world.path('other'), '');
    renameSync(world.path('other'), image.file);
    expect(found(await liveAndReplayed(world))).toEqual([`loop-backing-deleted ${image.point}`]);
  });

  it('is not a file whose name ends in (deleted)', async () => {
    await world.image('image (deleted)', 'ext4');
    const image = await world.image('plain', 'ext4');
    renameSync(image.file, `${image.file} (deleted)`);
    expect(found(await liveAndReplayed(world))).toEqual([]);
  });
});

describe('loop-backing-short', () => {
  it('is found with what is missing, and nothing is run', async () => {
    const image = await world.image('image', 'ext4');
    truncateSync(image.file, 20 * 1024 * 1024);
    const report = await liveAndReplayed(world);
    expect(found(report)).toEqual([`loop-backing-short ${image.point}`]);
    const finding = findingOf(report, 'loop-backing-short');
    expect(finding).toMatchObject({ severity: 'critical', data: { missing: 12 * 1024 * 1024 }, fix: { state: 'refused' } });
    const { code, report: fixed } = await world.fix('--auto', 'disruptive');
    expect([code, outcomes(fixed)]).toEqual([1, ['loop-backing-short refused']]);
  });

  it('is not a loop device with a size limit that fits, or an offset', async () => {
    const image = await world.image('image', 'ext4');
    await world.run(['umount', image.point]);
    const big = world.path('big.img');
    await world.run(['sh', '-c', `{ head -c 1048576 /dev/zero; cat "$1"; head -c 1048576 /dev/zero; } > "$2"`, 'sh', image.file, big]);
    await world.run(['mount', '-o', `loop,offset=1048576,sizelimit=${32 * 1024 * 1024}`, big, image.point]);
    expect(found(await liveAndReplayed(world))).toEqual([]);
  });
});

describe('fs-shutdown-xfs', () => {
  it('is found, mounted anew with its options, and the data is there', async () => {
    const image = await world.image('image');
    await world.run(['umount', image.point]);
    await world.run(['mount', '-o', 'nosuid,noatime', image.node, image.point]);
    const options = world.mountsAt(image.point)[0]?.options;
    await world.run(['xfs_io', '-x', '-c', 'shutdown -f', image.point]);

    const report = await liveAndReplayed(world);
    expect(found(report)).toEqual([`fs-shutdown-xfs ${image.point}`]);
    const finding = findingOf(report, 'fs-shutdown-xfs');
    expect(finding).toMatchObject({ severity: 'critical', confidence: 'certain', fix: { risk: 'disruptive' } });
    expect(finding.evidence.map(({ excerpt }: { excerpt: string }) => excerpt).join('\n')).toMatch(/hutting down|shutdown/i);
    const { code, report: fixed } = await world.fix('--auto', 'disruptive');
    expect([code, outcomes(fixed)]).toEqual([0, ['fs-shutdown-xfs repaired']]);
    expect(world.mountsAt(image.point)[0]?.options).toBe(options);
    expect((await world.run(['cat', join(image.point, 'precious')])).stdout).toBe('data\n');
  });

  it('on a loop device that its last unmount frees: the image is mounted anew', async () => {
    const image = await world.image('image', 'xfs', { by: 'mount' });
    await world.run(['xfs_io', '-x', '-c', 'shutdown -f', image.point]);
    expect(found(await liveAndReplayed(world))).toEqual([`fs-shutdown-xfs ${image.point}`]);
    const { code, report } = await world.fix('--auto', 'disruptive');
    expect([code, outcomes(report)]).toEqual([0, ['fs-shutdown-xfs repaired']]);
    expect((await world.run(['cat', join(image.point, 'precious')])).stdout).toBe('data\n');
  });

  it('is not repaired while something keeps the old one alive: a holder, a bind, a deleted image', async () => {
    const image = await world.image('image');
    const bind = world.directory('bind');
    await world.run(['mount', '--bind', image.point, bind]);
    await world.run(['xfs_io', '-x', '-c', 'shutdown -f', image.point]);
    expect(findingOf(await liveAndReplayed(world, 'bound'), 'fs-shutdown-xfs').fix.reason).toContain(bind);
    await world.run(['umount', '-c', bind]);
    rmSync(image.file);
    const report = await liveAndReplayed(world, 'deleted');
    expect(found(report)).toEqual([`fs-shutdown-xfs ${image.point}`, `loop-backing-deleted ${image.point}`]);
    expect(findingOf(report, 'fs-shutdown-xfs').fix).toMatchObject({ state: 'refused' });
  });

  it('whose device was given to another file between unmount and mount is stale there', async () => {
    const image = await world.image('image');
    const other = world.path('other.img');
    await world.run(['truncate', '-s', '320M', other]);
    await world.run(['xfs_io', '-x', '-c', 'shutdown -f', image.point]);
    const { code, report } = await fixWhile('umount', `$real "$@" && losetup -d ${image.node} && losetup ${image.node} ${other}`);
    expect([code, outcomes(report)]).toEqual([4, ['fs-shutdown-xfs stale']]);
    expect(reasonOf(report)).toContain(`of ${image.file}, found ${image.node}, 335544320 bytes at 0 of ${other}`);
    expect(world.mountsAt(image.point)).toEqual([]);
  });

  it('whose device is gone, or whose place is taken, between unmount and mount is stale there', async () => {
    const image = await world.image('image');
    await world.run(['xfs_io', '-x', '-c', 'shutdown -f', image.point]);
    const taken = await fixWhile('umount', `$real "$@" && losetup -d ${image.node} && mount -t tmpfs stranger ${image.point}`);
    expect([taken.code, outcomes(taken.report)]).toEqual([4, ['fs-shutdown-xfs stale']]);
    expect(reasonOf(taken.report)).toMatch(new RegExp(`expected nothing mounted at ${image.point}, found mount \\d+ \\(tmpfs, stranger, `));
  });

  it('whose image was replaced between unmount and mount is stale there', async () => {
    const image = await world.image('image', 'xfs', { by: 'mount' });
    await world.run(['xfs_io', '-x', '-c', 'shutdown -f', image.point]);
    const { code, report } = await fixWhile(
      'umount',
      `$real "$@" && cp ${image.file} ${image.file}.new && mv ${image.file}.new ${image.file}`,
    );
    expect([code, outcomes(report)]).toEqual([4, ['fs-shutdown-xfs stale']]);
    expect(reasonOf(report)).toMatch(/expected \S+image\.img to be inode \d+ on device \d+, 335544320 bytes, found inode /);
    expect(world.mountsAt(image.point)).toEqual([]);
  });

  it('caused by a short image names the loop device, and is not mounted anew', async () => {
    const image = await world.image('image');
    truncateSync(image.file, 0);
    await world.run(['sh', '-c', 'echo 3 > /proc/sys/vm/drop_caches; touch "$1"/new; sync -f "$1"', 'sh', image.point], { ok: false });
    await world.run(['xfs_io', '-x', '-c', 'shutdown -f', image.point], { ok: false });
    const report = await liveAndReplayed(world);
    expect(found(report)).toEqual([`fs-shutdown-xfs ${image.point}`, `loop-backing-short ${image.point}`]);
    expect(findingOf(report, 'fs-shutdown-xfs')).toMatchObject({ cause: { kind: 'loop', name: image.node }, fix: { state: 'refused' } });
  });

  it('is not a healthy or read-only one', async () => {
    const image = await world.image('image');
    expect(found(await liveAndReplayed(world))).toEqual([]);
    await world.run(['mount', '-o', 'remount,ro', image.point]);
    expect(found(await liveAndReplayed(world, 'read-only'))).toEqual([]);
  });
});
