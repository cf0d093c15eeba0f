import { describe, expect, it } from 'vitest';
import { absent, fakeTarget, said, timedOut } from '../../test/fake-target.ts';
import { Unknown } from '../check/asking.ts';
import type { Answer } from '../check/types.ts';
import { Round } from '../engine/round.ts';
import { interrupted } from './interrupted.ts';

function gather(answer: Answer) {
  return new Round(
    fakeTarget(() => answer),
    Date.now() + 5000,
  ).gather(interrupted());
}

const REPAIR = {
  run: '20261121T135705Z-a82d07',
  finding: 'fuse-dead-ae487098',
  at: '2026-11-21T13:57:05.450Z',
  by: 'root',
  subject: { kind: 'mount', name: '/mnt/é' },
  summary: 'its FUSE daemon is gone',
  goesBack: false,
  steps: [{ title: 'Unmount', state: 'begun' }],
};

describe('interrupted', () => {
  it('is what the journal tells, names that are not UTF-8 too', async () => {
    const odd = { ...REPAIR, subject: { kind: 'mount', name: { base64: '/w==' } } };
    const { repairs, seen } = await gather(said(Buffer.from(JSON.stringify([REPAIR, odd]))));
    expect(repairs).toEqual([REPAIR, odd]);
    expect(seen.source).toBe('journal');
  });

  it('is nothing where nothing is open', async () => {
    expect((await gather(said('[]'))).repairs).toEqual([]);
  });

  it.each([
    ['no such thing', absent()],
    ['denied', { state: 'denied', why: 'line 2: expected an event', at: '', ms: 0 }],
    ['unreachable', { state: 'unreachable', why: 'on a network mount', at: '', ms: 0 }],
    ['cut', { state: 'cut', why: '', at: '', ms: 0 }],
    ['late', timedOut('[]')],
  ] as [string, Answer][])('could not tell: %s', async (_, answer) => {
    await expect(gather(answer)).rejects.toThrow(Unknown);
  });

  const without = (key: keyof typeof REPAIR) => JSON.stringify([{ ...REPAIR, [key]: undefined }]);

  it.each([
    '',
    '{',
    '{}',
    'null',
    '[null]',
    '[7]',
    ...(Object.keys(REPAIR) as (keyof typeof REPAIR)[]).map(without),
    JSON.stringify([{ ...REPAIR, subject: { kind: 'mount', name: 7 } }]),
    JSON.stringify([{ ...REPAIR, steps: [null] }]),
    JSON.stringify([{ ...REPAIR, steps: [{ title: 'x', state: 'constructor' }] }]),
  ])('does not know %s', async (text) => {
    await expect(gather(said(text))).rejects.toThrow(Unknown);
  });
});
