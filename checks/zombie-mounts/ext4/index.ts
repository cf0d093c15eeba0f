import type { Part } from '../data.ts';
import { judgeExt4 } from './detect.ts';
import { planExt4 } from './plan.ts';

export const ext4: Part = {
  codes: {
    'fs-shutdown-ext4': '{subject}: this ext4 has stopped itself; every write fails',
  },
  many: {
    'fs-shutdown-ext4': 'are an ext4 that has stopped itself',
  },
  judge: judgeExt4,
  plan: (finding, facts) => planExt4(finding as Parameters<typeof planExt4>[0], facts),
};
