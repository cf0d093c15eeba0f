import { describe, expect, it } from 'vitest';
import { absent, fakeTarget, said, wordsOf } from '../../test/fake-target.ts';
import type { Answer } from '../check/types.ts';
import { Round } from '../engine/round.ts';
import { parseSwaps, swaps } from './swaps.ts';

const HEAD = 'Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n';
const LOOP = '/dev/loop6                              partition\t16380\t\t8\t\t-2\n';
const FIND = 'find /sys/dev/block -mindepth 1 -maxdepth 1 -printf %f %l\\n';

it('parseSwaps', () => {
  expect(parseSwaps(HEAD)).toEqual([]);
  expect(parseSwaps(`${HEAD}${LOOP}/tmp/s\\040w\\134                             file\t\t16380\t\t0\t\t100\n`)).toEqual([
    { name: '/dev/loop6', type: 'partition', deleted: false, size: 16380, used: 8 },
    { name: '/tmp/s w\\', type: 'file', deleted: false, size: 16380, used: 0 },
  ]);
  expect(parseSwaps(`${HEAD}/dev/sdb2\\040(deleted)                   partition\t1\t\t0\t\t-2\n`)).toMatchObject([
    { name: '/dev/sdb2', deleted: true },
  ]);
  for (const text of ['', 'garbage\n', LOOP, `${HEAD}${LOOP.slice(0, -1)}`, `${HEAD}x\n`, HEAD.slice(0, -4)]) {
    expect(parseSwaps(text)).toBeUndefined();
  }
});

describe('swaps', () => {
  const gather = (answers: Record<string, string | Answer>) => {
    const all: Record<string, string | Answer> = {
      '/proc/self/mountinfo': '1 0 0:3 / / rw - tmpfs tmpfs rw\n2 1 0:22 / /sys rw - sysfs sysfs rw\n',
      '/proc/meminfo': 'MemTotal:       24684084 kB\nMemAvailable:   23816208 kB\nSwapTotal:       16380 kB\n',
      [FIND]: '7:6 ../../devices/virtual/block/loop6\n253:0 ../../devices/virtual/block/zram0\n253:1 ../../devices/virtual/block/dm-1\n',
      'left-behind': '[]',
      ...answers,
    };
    const asked = fakeTarget((probe) => {
      const answer = all[wordsOf(probe)];
      return typeof answer === 'string' ? said(answer) : answer;
    });
    return new Round(asked, Date.now() + 5000).gather(swaps()).then((found) => ({ found, asked: asked.asked.map(wordsOf) }));
  };

  it('asks for nothing more where nothing is swapped to', async () => {
    const { found, asked } = await gather({ '/proc/swaps': HEAD });
    expect(found).toMatchObject({ swaps: [], unjudged: [] });
    expect(asked).toEqual(['/proc/swaps']);
  });

  it('finds the device, and the loop behind it', async () => {
    const base = '/sys/dev/block/7:6';
    const { found } = await gather({
      '/proc/swaps': `${HEAD}${LOOP}/dev/dm-1 partition\t1\t\t0\t\t-2\n/dev/zram0 partition\t1\t\t0\t\t100\n/swap file\t1\t\t0\t\t1\n/dev/gone partition\t1\t\t0\t\t1\n`,
      [`${base}/loop/backing_file`]: '/srv/sw (deleted)\n',
      [`${base}/loop/offset`]: '0\n',
      [`${base}/loop/autoclear`]: '1\n',
      [`${base}/size`]: '32768\n',
      [`${base}/dev`]: '7:6\n',
    });
    expect(found.swaps.map(({ name, device }) => `${name} ${device}`)).toEqual([
      '/dev/loop6 7:6',
      '/dev/dm-1 253:1',
      '/dev/zram0 253:0',
      '/swap undefined',
      '/dev/gone undefined',
    ]);
    expect(found.availableMemory).toBe(23816208);
    expect(found.swaps[0]?.loop).toMatchObject({ node: '/dev/loop6', backing: '/srv/sw', deleted: true, autoclear: true });
  });

  it('could not tell of a loop that cannot be read', async () => {
    const { found } = await gather({ '/proc/swaps': HEAD + LOOP });
    expect(found.unjudged).toMatchObject([{ name: '/dev/loop6' }]);
  });

  it('knows a kernel without swap, and no other that hides the list', async () => {
    expect((await gather({ '/proc/meminfo': 'MemAvailable:   1 kB\nSwapTotal:              0 kB\n' })).found.unjudged).toEqual([]);
    for (const answer of [absent(), said(''), said('garbage'), said('', 1)]) {
      expect((await gather({ '/proc/swaps': answer })).found.unjudged).toMatchObject([{ name: '/proc/swaps' }]);
    }
  });
});
