import type { Part } from '../data.ts';
import { seekInactive } from './detect.ts';
import { planGroup, planInactive } from './plan.ts';

export const inactive: Part = {
  codes: {
    'volume-inactive': '{subject}: is not active, and {consumer}: {cause}',
    'volume-not-at-boot': '{subject}: is active, and the next boot will leave it off: {cause}; {consumer}',
    'group-not-at-boot': 'volume group {subject}: its autoactivation is off, and {consumer}: the next boot will leave it off',
    'volume-possibly-needed': '{subject}: nothing answers to {name}; it may be a volume that is not active: {list}',
  },
  seek: seekInactive,
  plan(finding, facts) {
    if (finding.code === 'volume-possibly-needed') {
      return {
        refused:
          'which volume it is shows only once it is active: activate the one you think it is with lvchange -ay VG/LV, look at it with blkid, and run stdoctor check again',
      };
    }
    if (finding.code === 'group-not-at-boot') {
      return planGroup(finding as Parameters<typeof planGroup>[0], facts);
    }
    return planInactive(finding as Parameters<typeof planInactive>[0], facts);
  },
};
