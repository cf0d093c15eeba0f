import type { Part } from '../data.ts';
import { seekStacks } from './detect.ts';
import { planStack } from './plan.ts';

export const stacks: Part = {
  codes: {
    stacked: '{subject}: {layers} mounts lie on each other; the one below: {below}',
    'mounted-over-data': '{subject}: the mount hides files that lie in the directory below it',
  },
  many: {
    stacked: 'hide another mount',
    'mounted-over-data': 'hide files',
  },
  seek: seekStacks,
  plan: (finding, facts) => planStack(finding as Parameters<typeof planStack>[0], facts),
};
