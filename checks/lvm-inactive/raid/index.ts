import type { Part } from '../data.ts';
import { seekRaid } from './detect.ts';
import { planRaid } from './plan.ts';

export const raid: Part = {
  codes: {
    'raid-degraded': '{subject}: this raid volume has lost a disk, and runs without it',
    'raid-refresh-needed': '{subject}: a leg of this raid volume was away, and does not take part yet',
    'raid-mismatches': '{subject}: the copies of this raid volume differ',
    'cache-disk-missing': '{subject}: a disk of this cached volume is missing, and with it what was not written back',
    'cache-failed': '{subject}: the cache of this volume has failed, and it answers with errors',
    'writecache-error': '{subject}: the write cache of this volume met errors',
  },
  seek: seekRaid,
  plan: (finding, facts) => planRaid(finding as Parameters<typeof planRaid>[0], facts),
};
