import type { Part } from '../data.ts';
import { seekSpace } from './detect.ts';
import { planSpace } from './plan.ts';

export const space: Part = {
  codes: {
    'inodes-or-quota-full': '{subject}: {free} of {total} left ({of}): files cannot be made although there is room',
  },
  many: {
    'inodes-or-quota-full': 'have no inode or no quota left',
  },
  seek: seekSpace,
  plan: (finding) => planSpace(finding as Parameters<typeof planSpace>[0]),
};
