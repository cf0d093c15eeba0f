import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, it } from 'vitest';
import type { Target } from '../../src/check/types.ts';
import { Round } from '../../src/engine/round.ts';
import { chainOf, type Levels, walkDown } from '../../src/facts/consumers/chains.ts';
import type { Disk } from '../../src/facts/consumers/consumer.ts';
import { consumers } from '../../src/facts/consumers/index.ts';
import { showName, toName } from '../../src/names.ts';
import { LocalTarget } from '../../src/target/local.ts';
import { RecordingTarget } from '../../src/target/record.ts';
import { ReplayTarget } from '../../src/target/replay.ts';
import { scratch } from '../scratch.ts';

const QEMU_IMG = spawnSync('qemu-img', ['--version']).status === 0;

const disk = (path: string, format?: string): Disk => ({ images: [{ path, format }], closed: false });

async function walk(disks: Disk[], target: Target = new LocalTarget(undefined)): Promise<{ chain: string[]; why: string | undefined }[]> {
  const levels: Levels = await new Round(target, Date.now() + 20_000).gather(walkDown(disks));
  return disks.map((each) => {
    const { images, why } = chainOf(each, levels);
    return { chain: images.map(({ path }) => showName(path)), why };
  });
}

async function create(path: string, ...base: string[]): Promise<string> {
  const below = base.length === 0 ? [] : ['-b', base[0] as string, '-F', base[1] ?? 'qcow2'];
  await execa('qemu-img', ['create', '-q', '-f', 'qcow2', ...below, path, '4M']);
  return path;
}

/** Of three images: the base by its whole path, the middle by a name beside the top. */
async function three(directory: string): Promise<[base: string, middle: string, top: string]> {
  const base = await create(join(directory, 'base é.qcow2'));
  const middle = await create(join(directory, 'middle.qcow2'), base);
  const top = await create(join(directory, 'top.qcow2'), 'middle.qcow2');
  return [base, middle, top];
}

/** A target that finds everything but qemu-img. */
function withoutQemuImg(): Target {
  const bin = join(scratch(), 'bin');
  mkdirSync(bin);
  for (const tool of ['find', 'head', 'grep', 'stat', 'sed', 'cat']) {
    const path = (process.env['PATH'] ?? '').split(delimiter).find((directory) => existsSync(join(directory, tool)));
    symlinkSync(join(path as string, tool), join(bin, tool));
  }
  const before = process.env['PATH'];
  process.env['PATH'] = bin;
  try {
    return new LocalTarget(undefined);
  } finally {
    process.env['PATH'] = before;
  }
}

describe.skipIf(!QEMU_IMG)('a chain of three images', () => {
  it('is walked from the top down', async () => {
    const [base, middle, top] = await three(scratch());
    expect(await walk([disk(top, 'qcow2'), disk(middle), disk(base, 'qcow2')])).toEqual([
      { chain: [base, middle, top], why: undefined },
      { chain: [base, middle], why: undefined },
      { chain: [base], why: undefined },
    ]);
  });

  it('is walked without qemu-img too, by its heads', async () => {
    const [base, middle, top] = await three(scratch());
    expect(await walk([disk(top, 'qcow2'), disk(middle)], withoutQemuImg())).toEqual([
      { chain: [base, middle, top], why: undefined },
      { chain: [base, middle], why: undefined },
    ]);
  });

  it('is found through a link to its top, from which relative names lead on', async () => {
    const directory = scratch();
    const [base, middle, top] = await three(directory);
    mkdirSync(join(directory, 'kept'));
    renameSync(top, join(directory, 'kept/top.qcow2'));
    symlinkSync('kept/top.qcow2', top);
    expect(await walk([disk(top, 'qcow2')])).toEqual([{ chain: [base, middle, top], why: undefined }]);
  });

  it('is found by names that are no UTF-8', async () => {
    const directory = scratch();
    const [base, middle, top] = await three(directory);
    const odd = Buffer.concat([Buffer.from(`${directory}/t\n' `), Buffer.from([0xe9, 0xff])]);
    renameSync(top, odd);
    const [found] = await walk([{ images: [{ path: toName(odd), format: 'qcow2' }], closed: false }]);
    expect(found).toEqual({ chain: [base, middle, `${directory}/t\\n' \\xe9\\xff`], why: undefined });
  });

  it('ends at what is gone, and says so', async () => {
    const [base, middle, top] = await three(scratch());
    rmSync(base);
    const [found] = await walk([disk(top, 'qcow2')]);
    expect(found?.chain).toEqual([base, middle, top]);
    expect(found?.why).toMatch(/base é\.qcow2 is not there/);
    rmSync(top);
    expect(await walk([disk(top, 'qcow2')])).toMatchObject([{ chain: [top], why: expect.stringMatching(/top\.qcow2 is not there/) }]);
  });

  it('that names itself comes to an end', async () => {
    const [base, middle, top] = await three(scratch());
    await execa('qemu-img', ['rebase', '-u', '-F', 'qcow2', '-b', top, base]);
    const [found] = await walk([disk(top, 'qcow2')]);
    expect(found?.chain).toEqual([base, middle, top]);
    expect(found?.why).toMatch(/which stands on it$/);
  });

  it('is judged from its recording as it was live', async () => {
    const [base, middle, top] = await three(scratch());
    const recording = new RecordingTarget(new LocalTarget(undefined));
    const live = await walk([disk(top)], recording);
    expect(live).toEqual([{ chain: [base, middle, top], why: undefined }]);
    const target = { name: 'here', kind: 'host', identity: '' } as const;
    const replay = new ReplayTarget({ version: '', takenAt: '', target, entries: recording.entries() });
    expect(await walk([disk(top)], replay)).toEqual(live);
  });

  it('whose images are no images is told of, each by itself', async () => {
    const directory = scratch();
    const [, , top] = await three(directory);
    const broken = join(directory, "it's broken");
    writeFileSync(broken, 'no image at all');
    const found = await walk([disk(broken, 'qcow2'), disk(directory, 'qcow2'), disk(top, 'qcow2'), disk(broken), disk(broken, 'raw')]);
    expect(found.map(({ why }) => why)).toEqual([
      expect.stringMatching(/not in qcow2 format/),
      expect.stringMatching(/no file and no block device/),
      undefined,
      undefined,
      undefined,
    ]);
  });
});

it('this host can be asked', async () => {
  const found = await new Round(new LocalTarget(undefined), Date.now() + 30_000).gather(consumers());
  expect(Array.isArray(found.consumers)).toBe(true);
  expect(found.unjudged.filter(({ subject }) => subject.kind === 'directory')).toEqual([]);
});
