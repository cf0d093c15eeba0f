import type { Part } from '../data.ts';
import { seekDeletedBinds } from './detect.ts';
import { planBind } from './plan.ts';

export const binds: Part = {
  codes: {
    'bind-source-deleted': '{subject}: a bind mount of something that has been deleted',
  },
  many: {
    'bind-source-deleted': 'are binds of something deleted',
  },
  seek: seekDeletedBinds,
  plan: (finding, facts) => planBind(finding as Parameters<typeof planBind>[0], facts),
};
