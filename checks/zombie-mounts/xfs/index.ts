import type { Part } from '../data.ts';
import { judgeXfs } from './detect.ts';
import { planXfs } from './plan.ts';

export const xfs: Part = {
  codes: {
    'fs-shutdown-xfs': '{subject}: this XFS has shut itself down; every access fails',
  },
  many: {
    'fs-shutdown-xfs': 'are an XFS that has shut itself down',
  },
  judge: judgeXfs,
  plan: (finding, facts) => planXfs(finding as Parameters<typeof planXfs>[0], facts),
};
