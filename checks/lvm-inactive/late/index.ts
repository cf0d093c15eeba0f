import type { Part } from '../data.ts';
import { seekLate } from './detect.ts';
import { planLate } from './plan.ts';

export const late: Part = {
  codes: { 'volume-activated-late': '{subject}: is active, and came up too late for {consumer}: {why}' },
  seek: seekLate,
  plan: (finding, facts) => planLate(finding as Parameters<typeof planLate>[0], facts),
};
