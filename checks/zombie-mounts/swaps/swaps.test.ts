import { describe, expect, it } from 'vitest';
import type { LoopDevice } from '../../../src/facts/loop.ts';
import type { Swap } from '../../../src/facts/swaps.ts';
import type { ZombieFacts } from '../facts.ts';
import { seekSwaps } from './detect.ts';
import { swaps } from './index.ts';

const seen = { source: '/proc/swaps', at: '2026-11-03T09:00:00.000Z' };
const LOOP = {
  device: '7:6',
  node: '/dev/loop6',
  backing: '/srv/sw',
  deleted: false,
  offset: 0,
  size: 16777216,
  autoclear: false,
  seen,
} as const;
const FOUND = { state: 'found', size: 16777216, inode: 1, device: 1 } as const;

function judge(swap: Partial<Swap>, more: { availableMemory?: number; blocks?: string; lost?: boolean } = {}) {
  const one: Swap = { name: '/dev/loop6', type: 'partition', deleted: false, size: 16380, used: 8, ...swap };
  const lost = { name: 'vg-swap', evidence: { ...seen, excerpt: 'vg-swap: 0 1 error' } };
  const facts = {
    swaps: { seen, swaps: [one], unjudged: [], availableMemory: more.availableMemory ?? 1000 },
    blocks: { seen, names: new Map(), ...(more.blocks !== undefined && { why: more.blocks }) },
    lostMappings: { lost: new Map(more.lost ? [[one.device, lost]] : []), unjudged: new Map() },
  } as unknown as ZombieFacts;
  const { findings, unjudged } = seekSwaps(facts);
  const told = findings.map((finding) => {
    const plan = swaps.plan({ ...finding, id: 'x', check: 'zombie-mounts' }, facts);
    return [finding.severity, finding.confidence, (finding.data as { fault: string }).fault, 'refused' in plan ? plan.refused : ''];
  });
  return unjudged?.length ? [...told, 'unjudged'] : told;
}

const loop = (more: Partial<LoopDevice>): Partial<Swap> => ({ device: LOOP.device, loop: { ...LOOP, file: FOUND, ...more } });

describe('swap-backing', () => {
  it('on a deleted image, with what swapoff needs', () => {
    const gone = loop({ deleted: true, file: { state: 'gone' } });
    expect(judge(gone)).toMatchObject([['warning', 'certain', 'image deleted', expect.stringContaining('that fits: 1000 KiB')]]);
    expect(judge(gone, { availableMemory: 7 })).toMatchObject([
      [
        'warning',
        'certain',
        'image deleted',
        expect.stringContaining('does not fit: only 7 KiB of memory are free for it. Add another swap first'),
      ],
    ]);
  });

  it('on an image that is too short', () => {
    expect(judge(loop({ file: { ...FOUND, size: 4096 } }))).toMatchObject([
      ['critical', 'certain', 'image too short', expect.stringContaining('/srv/sw')],
    ]);
  });

  it('on a disk that is gone, or a mapping that leads nowhere', () => {
    const swapped = { name: '/dev/sdb2', deleted: true };
    expect(judge(swapped)).toMatchObject([['critical', 'high', 'disk gone', expect.stringContaining('swapoff /dev/sdb2')]]);
    expect(judge(swapped, { blocks: 'denied' })).toEqual(['unjudged']);
    expect(judge({ name: '/dev/dm-1', device: '253:1' }, { lost: true })).toMatchObject([
      ['critical', 'certain', 'device leads nowhere', expect.any(String)],
    ]);
  });

  it.each<[string, Partial<Swap>]>([
    ['a whole image', loop({})],
    ['an image that is literally named so', loop({ backing: '/srv/sw (deleted)' })],
    ['zram', { name: '/dev/zram0', device: '253:0' }],
    ['a logical volume', { name: '/dev/dm-1', device: '253:1' }],
    ['a file', { name: '/swapfile', type: 'file' }],
  ])('is none: %s', (_, swap) => {
    expect(judge(swap)).toEqual([]);
  });

  it('could not tell of an image that could not be looked at', () => {
    expect(judge(loop({ deleted: true, file: { state: 'unknown', why: 'denied' } }))).toEqual(['unjudged']);
  });
});
