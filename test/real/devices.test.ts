import { readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findingOf, found, liveAndReplayed, outcomes } from './compare.ts';
import { type Image, type Report, World } from './world.ts';

let world: World;
beforeEach(async () => {
  world = await World.open();
});
afterEach(() => world.close());

/** What is found on something of this world, or on this swap: /proc/swaps and other namespaces are of the whole machine. */
function foundHere(report: Report, ...swaps: string[]): string[] {
  return found(report).filter((line) => line.includes(world.dir) || swaps.some((node) => line.endsWith(` ${node}`)));
}

const shutDown = (point: string) => world.run(['xfs_io', '-x', '-c', 'shutdown', point]);

/** As after a real error, with errors=remount-ro. */
async function stopByError(image: Image): Promise<void> {
  await world.run(['umount', image.point]);
  await world.run(['tune2fs', '-e', 'remount-ro', image.node]);
  await world.run(['mount', '-o', 'noatime,nosuid', image.node, image.point]);
  await world.run(['sh', '-c', `echo t > /sys/fs/ext4/${image.node.slice('/dev/'.length)}/trigger_fs_error`]);
}

function fixById(report: Report, code: string, ...flags: string[]) {
  return world.stdoctor(['fix', findingOf(report, code).id, '--json', ...flags]);
}

describe('fs-shutdown-ext4', () => {
  it('after an error is unmounted, checked and mounted again as it was; only where its name is typed', async () => {
    const image = await world.image('data', 'ext4');
    await stopByError(image);
    expect((await world.run(['touch', join(image.point, 'new')], { ok: false })).stderr).toContain('Read-only file system');
    const report = await liveAndReplayed(world);
    expect(foundHere(report)).toEqual([`fs-shutdown-ext4 ${image.point}`]);
    const finding = findingOf(report, 'fs-shutdown-ext4');
    expect(finding).toMatchObject({ severity: 'critical', confidence: 'certain', fix: { risk: 'data-loss' } });
    expect(finding.evidence.map(({ excerpt }: Report) => excerpt).join('\n')).toMatch(/emergency_ro[\s\S]*Remounting filesystem read-only/);

    const alone = await fixById(report, 'fs-shutdown-ext4', '--auto', 'disruptive', '--yes');
    expect([alone.code, outcomes(JSON.parse(alone.stdout))]).toEqual([1, ['fs-shutdown-ext4 skipped']]);
    expect(world.mountsAt(image.point)).toMatchObject([{ superOptions: expect.stringContaining('emergency_ro') }]);

    const terminal = await world.terminal(['fix', finding.id]);
    await terminal.waitFor(/Type \S+ to go on/, 20_000);
    await terminal.type(image.point);
    expect(await terminal.ended()).toBe(0);
    expect(world.mountsAt(image.point)).toMatchObject([
      { options: 'rw,nosuid,noatime', superOptions: expect.not.stringContaining('emergency_ro') },
    ]);
    await world.run(['touch', join(image.point, 'new')]);
    expect((await world.run(['cat', join(image.point, 'precious')])).stdout).toBe('data\n');
    expect(readFileSync(`/sys/fs/ext4/${image.node.slice('/dev/'.length)}/errors_count`, 'utf8')).toBe('0\n');
    expect(foundHere((await world.check()).report)).toEqual([]);
    const rescue = join(world.state, 'rescue');
    expect(readdirSync(join(rescue, readdirSync(rescue)[0] as string))).toEqual([`dev_${image.node.slice('/dev/'.length)}.e2undo`]);
  });

  it('whose new mount fails is taken back to the byte', async () => {
    const image = await world.image('data', 'ext4');
    await shutDown(image.point);
    const finding = findingOf((await world.check()).report, 'fs-shutdown-ext4');
    // As it is on the disk, for whoever reads past the mount.
    const onDisk = async () => (await world.run(['sha256sum', image.file])).stdout;
    const before = await onDisk();
    const program = (await world.run(['sh', '-c', 'readlink -f "$(command -v mount)"'])).stdout.trim();
    writeFileSync(world.path('no-mount'), '#!/bin/sh\nexit 32\n', { mode: 0o755 });
    await world.run(['mount', '--bind', world.path('no-mount'), program]);
    const terminal = await world.terminal(['fix', finding.id]);
    await terminal.waitFor(/Type \S+ to go on/, 20_000);
    await terminal.type(image.point);
    expect(await terminal.ended()).toBe(2);
    await world.run(['umount', program]);
    expect(world.mountsAt(image.point)).toEqual([]);
    expect(await onDisk()).not.toBe(before);

    const undo = await world.stdoctor(['undo', '--json', '--yes']);
    expect(JSON.parse(undo.stdout).repairs[0].steps.map(({ outcome }: Report) => outcome)).toEqual(['refused', 'undone', 'not-done']);
    await world.run(['sync']);
    expect(await onDisk()).toBe(before);
  });

  it('by a shutdown is found once, though it is mounted twice, and refused', async () => {
    const image = await world.image('data', 'ext4');
    const bind = world.directory('another-place');
    await world.run(['mount', '--bind', image.point, bind]);
    await shutDown(image.point);
    const report = await liveAndReplayed(world);
    expect(foundHere(report)).toEqual([`fs-shutdown-ext4 ${image.point}`]);
    expect(findingOf(report, 'fs-shutdown-ext4').fix).toMatchObject({
      state: 'refused',
      reason: `it is mounted at ${bind} too, and is free only when all of them are unmounted`,
    });
  });

  it.each([
    [
      'with a holder',
      async (image: Image) => void world.hold(['sleep', 'infinity'], image.point),
      /^sleep \(pid \d+.*, cwd\) would keep it busy/,
    ],
    ['on a deleted image', async (image: Image) => rmSync(image.file), /stands on a deleted file/],
    ['on a short image', async (image: Image) => truncateSync(image.file, 20 * 1024 * 1024), /below it is at fault/],
  ])('%s is refused', async (_, spoil, reason) => {
    const image = await world.image('data', 'ext4');
    await spoil(image);
    await shutDown(image.point);
    await expect
      .poll(async () => findingOf((await world.check()).report, 'fs-shutdown-ext4').fix, { timeout: 10_000 })
      .toMatchObject({ state: 'refused', reason: expect.stringMatching(reason) });
  });

  it('on a loop device that goes with its unmount is refused, with what to do', async () => {
    const image = await world.image('data', 'ext4', { by: 'mount' });
    await shutDown(image.point);
    expect(findingOf((await world.check()).report, 'fs-shutdown-ext4').fix.reason).toContain(
      `losetup --find --show --offset 0 ${image.file}`,
    );
  });

  it('is none: read-only by hand, a read-only bind, errors recorded but mounted anew, errors=continue', async () => {
    const [byHand, bound, again, goesOn] = [
      await world.image('by-hand', 'ext4'),
      await world.image('bound', 'ext4'),
      await world.image('again', 'ext4'),
      await world.image('goes-on', 'ext4'),
    ];
    await world.run(['mount', '-o', 'remount,ro', byHand.point]);
    await world.run(['mount', '--bind', '-o', 'ro', bound.point, world.directory('read-only')]);
    await stopByError(again);
    await world.run(['umount', again.point]);
    await world.run(['mount', again.node, again.point]);
    await world.run(['sh', '-c', `echo t > /sys/fs/ext4/${goesOn.node.slice('/dev/'.length)}/trigger_fs_error`]);
    for (const { node } of [again, goesOn]) {
      expect(readFileSync(`/sys/fs/ext4/${node.slice('/dev/'.length)}/errors_count`, 'utf8')).not.toBe('0\n');
    }
    expect(foundHere(await liveAndReplayed(world))).toEqual([]);
  });
});

describe('inodes-or-quota-full', () => {
  async function fill(point: string, upTo: number): Promise<void> {
    const script = 'cd "$1" && mkdir many && seq -f many/%g 1 "$2" | xargs touch 2> /dev/null';
    await world.run(['sh', '-c', script, 'sh', point, String(upTo)], { ok: false });
  }

  it('of an ext4 and of an XFS that have blocks left', async () => {
    const [small, xfs] = [world.path('small.img'), world.path('xfs.img')];
    await world.run(['truncate', '-s', '32M', small]);
    await world.run(['mkfs.ext4', '-q', '-N', '64', small]);
    await world.run(['mount', '-o', 'loop', small, world.directory('ext4')]);
    await world.run(['truncate', '-s', '320M', xfs]);
    await world.run(['mkfs.xfs', '-q', '-i', 'maxpct=1', xfs]);
    await world.run(['mount', '-o', 'loop', xfs, world.directory('xfs')]);
    await fill(world.path('ext4'), 100);
    await fill(world.path('xfs'), 20_000);
    expect((await world.run(['touch', world.path('xfs/new')], { ok: false })).stderr).toContain('No space left on device');
    const report = await liveAndReplayed(world);
    expect(foundHere(report)).toEqual([`inodes-or-quota-full ${world.path('ext4')}`, `inodes-or-quota-full ${world.path('xfs')}`]);
    expect(findingOf(report, 'inodes-or-quota-full', world.path('ext4'))).toMatchObject({
      severity: 'critical',
      confidence: 'certain',
      data: { of: 'inodes', free: 0, total: 64 },
      fix: { state: 'refused', reason: expect.stringContaining('mkfs.ext4 -N') },
    });
    expect(findingOf(report, 'inodes-or-quota-full', world.path('xfs')).fix.reason).toContain('xfs_growfs -m');
  });

  it('is none: no block left, an image made to measure and mounted read-only', async () => {
    const [measured, full] = [world.path('measured.img'), await world.image('full', 'xfs')];
    const ext4 = await world.image('full-too', 'ext4');
    for (const { point } of [full, ext4]) {
      await world.run(['sh', '-c', 'dd if=/dev/zero of="$1" bs=1M 2> /dev/null', 'sh', join(point, 'zeros')], { ok: false });
      await world.run(['sync', '-f', point]);
    }
    await world.run(['truncate', '-s', '32M', measured]);
    await world.run(['mkfs.ext4', '-q', '-N', '64', measured]);
    await world.run(['mount', '-o', 'loop', measured, world.directory('measured')]);
    await fill(world.path('measured'), 100);
    await world.run(['mount', '-o', 'remount,ro', world.path('measured')]);
    expect((await world.run(['stat', '-f', '-c', '%d', world.path('measured')])).stdout).toBe('0\n');
    expect(foundHere(await liveAndReplayed(world))).toEqual([]);
  });

  it('is near with few inodes left, and blocks for more files', async () => {
    const small = world.path('small.img');
    await world.run(['truncate', '-s', '32M', small]);
    await world.run(['mkfs.ext4', '-q', '-N', '1024', small]);
    await world.run(['mount', '-o', 'loop', small, world.directory('ext4')]);
    await fill(world.path('ext4'), 1024 - 11 - 1 - 8);
    expect(findingOf((await world.check()).report, 'inodes-or-quota-full')).toMatchObject({
      severity: 'warning',
      data: { free: 8, total: 1024 },
    });
  });
});

describe('swap-backing', () => {
  /** Swap is of the whole machine: whatever happens, it is switched off again. */
  async function withSwap(swapOn: (file: string) => Promise<string>, look: (node: string, file: string) => Promise<void>): Promise<void> {
    const file = world.path('swap.img');
    await world.run(['dd', 'if=/dev/zero', `of=${file}`, 'bs=1M', 'count=16', 'status=none']);
    await world.run(['mkswap', '-q', file]);
    const node = await swapOn(file);
    try {
      await world.run(['swapon', node]);
      await look(node, file);
    } finally {
      await world.run(['swapoff', node], { ok: false });
      await world.run(['losetup', '-d', node], { ok: false });
    }
  }
  const onLoop = async (file: string) => (await world.run(['losetup', '-f', '--show', file])).stdout.trim();

  // An image that is cut short is not made here: pages of anybody's may lie in it.
  it('is a loop device whose image was deleted', async () => {
    await withSwap(onLoop, async (node, file) => {
      expect(foundHere(await liveAndReplayed(world), node)).toEqual([]);
      rmSync(file);
      const report = await liveAndReplayed(world);
      expect(foundHere(report, node)).toEqual([`swap-backing ${node}`]);
      expect(findingOf(report, 'swap-backing', node)).toMatchObject({
        severity: 'warning',
        confidence: 'certain',
        data: { fault: 'image deleted', backing: file },
        fix: { state: 'refused', reason: expect.stringMatching(`swapoff ${node} brings \\d+ KiB back into memory \\(that fits`) },
      });
    });
  });

  it('is no swap file, nor a loop on a file that is literally named so', async () => {
    const named = world.path('swap (deleted)');
    await withSwap(
      async (file) => {
        writeFileSync(named, readFileSync(file));
        return onLoop(named);
      },
      async (node) => expect(foundHere(await liveAndReplayed(world), node)).toEqual([]),
    );
    await withSwap(
      async (file) => {
        await world.run(['chmod', '600', file]);
        return file;
      },
      async (file) => expect(foundHere(await liveAndReplayed(world), file)).toEqual([]),
    );
  });
});

describe('device-gone', () => {
  it('is none where the list of the kernel is hidden: that could not be told', async () => {
    await world.image('data', 'ext4');
    await world.run(['mount', '--bind', world.directory('nothing'), '/sys/dev/block']);
    const { code, report } = await world.check();
    await world.run(['umount', '/sys/dev/block']);
    expect(foundHere(report)).toEqual([]);
    expect(code).toBe(3);
    expect(report.targets[0].checks[0].unjudged).toContainEqual({
      subject: { kind: 'directory', name: '/sys/dev/block' },
      why: expect.stringContaining('whether the disks below the mounts are still there'),
    });
  });
});
