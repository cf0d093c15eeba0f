import type { Finding } from '../../../src/check/types.ts';
import type { Part } from '../data.ts';
import { type ForeignFound, seekForeigners } from './detect.ts';
import { planForeign } from './plan.ts';

export const namespaces: Part = {
  codes: {
    'foreign-ns-holder': '{subject}: {source} is still mounted in another mount namespace, and stays busy',
  },
  many: {
    'foreign-ns-holder': 'are mounted only in other mount namespaces',
  },
  seek: seekForeigners,
  plan: (finding, facts) => planForeign(finding as unknown as Finding<ForeignFound>, facts),
};
