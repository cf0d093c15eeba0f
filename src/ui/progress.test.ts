import { expect, it } from 'vitest';
import { describe as describeState } from './progress.ts';

it('tells the step, the checks at work, and the slowest questions', () => {
  const asked = new Map([
    ['a', { source: 'stat -- /mnt/\u001b[31mslow', since: 1000 }],
    ['b', { source: 'stat -- /mnt/quick', since: 8900 }],
    ['c', { source: 'stat -- /mnt/slower', since: 0 }],
  ]);
  const checks = new Map([['zombie-mounts', 'Mounts that no longer answer']]);
  expect(describeState({ step: 'step 1 of 2, Unmount: acting', checks, asked }, 9000)).toBe(
    ['step 1 of 2, Unmount: acting', 'zombie-mounts', 'asking stat -- /mnt/slower (9 s)', 'asking stat -- /mnt/\\e[31mslow (8 s)'].join(
      '\n',
    ),
  );
});

it('says nothing where there is nothing to say', () => {
  expect(describeState({ step: undefined, checks: new Map(), asked: new Map() }, 0)).toBe('');
});
