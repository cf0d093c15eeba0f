import { expect, it } from 'vitest';
import { describe as describeState } from './progress.ts';

it('tells the step, the checks at work, and the slowest questions', () => {
  const asked = new Map([
    ['a', { source: 'stat -- /mnt/\u001b[31mslow', since: 1000 }],
    ['b', { source: 'stat -- /mnt/quick', since: 8900 }],
    ['c', { source: 'stat -- /mnt/slower', since: 0 }],
  ]);
  const checks = new Map([['zombie-mounts', 'Mounts that no longer answer']]);
  expect(
    describeState({ step: { text: 'step 1 of 2, Copy: acting', since: 2000 }, said: '4096 bytes\u001b[31m', checks, asked }, 9000),
  ).toBe(
    [
      'step 1 of 2, Copy: acting (7 s)',
      '4096 bytes\\e[31m',
      'at work: zombie-mounts',
      'slow (9 s): stat -- /mnt/slower',
      'slow (8 s): stat -- /mnt/\\e[31mslow',
    ].join('\n'),
  );
});

it('counts what it does not name', () => {
  const asked = new Map(Array.from({ length: 6 }, (_, index) => [`${index}`, { source: `stat /mnt/${index}`, since: 0 }]));
  const checks = new Map(['a', 'b', 'c', 'd', 'e'].map((id) => [id, id]));
  expect(describeState({ step: undefined, said: '', checks, asked }, 600).split('\n')).toEqual([
    'at work: a, b, c and 2 more',
    'slow: stat /mnt/0',
    'slow: stat /mnt/1',
    'slow: stat /mnt/2',
    'slow: stat /mnt/3',
    'slow: 2 more questions',
  ]);
});

it('says nothing where there is nothing to say', () => {
  expect(describeState({ step: undefined, said: '', checks: new Map(), asked: new Map() }, 0)).toBe('');
});
