import type { Part } from '../data.ts';
import { seekSwaps } from './detect.ts';
import { planSwap } from './plan.ts';

export const swaps: Part = {
  codes: {
    'swap-backing': '{subject}: what this swap stands on is in trouble: {fault}',
  },
  many: {
    'swap-backing': 'are swap on something that is gone',
  },
  seek: seekSwaps,
  plan: (finding) => planSwap(finding as Parameters<typeof planSwap>[0]),
};
