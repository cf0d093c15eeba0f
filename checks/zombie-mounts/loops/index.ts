import type { Part } from '../data.ts';
import { seekLoops } from './detect.ts';
import { planLoop } from './plan.ts';

export const loops: Part = {
  codes: {
    'loop-backing-deleted': '{subject}: the image file behind {node} has been deleted; its data is gone with the last unmount',
    'loop-backing-short': '{subject}: the image file behind {node} lacks {missing} bytes at its end; reading them fails',
  },
  many: {
    'loop-backing-deleted': 'stand on a deleted image file',
    'loop-backing-short': 'stand on an image file that is too short',
  },
  seek: seekLoops,
  plan: (finding, facts) => planLoop(finding as Parameters<typeof planLoop>[0], facts),
};
