import type { Part } from '../data.ts';
import { seekThin } from './detect.ts';
import { planThin } from './plan.ts';

export const thin: Part = {
  codes: {
    'thin-pool-failed': '{subject}: this thin pool has failed; its volumes answer with errors',
    'thin-pool-needs-check': '{subject}: the metadata of this thin pool needs a check; it takes no writes until then',
    'thin-pool-metadata-full': '{subject}: this thin pool is out of room for metadata; writes to new places in its volumes fail',
    'thin-pool-data-full': '{subject}: this thin pool is full; writes to new places in its volumes {writers}',
  },
  seek: seekThin,
  plan: (finding, facts) => planThin(finding as Parameters<typeof planThin>[0], facts),
};
