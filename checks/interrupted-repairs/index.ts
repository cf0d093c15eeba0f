import { defineCheck } from '../../src/check/define.ts';
import type { Found } from '../../src/check/types.ts';
import { type InterruptedRepair, interrupted } from '../../src/facts/interrupted.ts';

type InterruptedFound = Found<'repair-interrupted', { run: string; finding: string; at: string; by: string }>;

const STATES: Readonly<Record<InterruptedRepair['steps'][number]['state'], string>> = {
  'not-begun': 'not begun',
  begun: 'begun, its end is not known',
  done: 'done',
  'going-back': 'its taking back begun, the end of that is not known',
  'taken-back': 'taken back',
};

export const check = defineCheck({
  meta: {
    id: 'interrupted-repairs',
    title: 'Repairs that were begun and never ended',
    area: 'stdoctor',
    scope: 'run',
    summary: 'Repairs of stdoctor itself that a crash, a power failure or an interruption left between two steps. Always runs.',
    references: ['docs/repairs.md'],
    codes: { 'repair-interrupted': '{subject}: a repair was begun at {at} and never ended: stdoctor resume goes on, or takes it back' },
  },
  needs: { interrupted },
  detect({ interrupted: { repairs, seen } }) {
    const findings = repairs.map(
      ({ run, finding, at, by, host, subject, summary, goesBack, steps }): InterruptedFound => ({
        code: 'repair-interrupted',
        severity: 'critical',
        // Two runs may have begun to repair the same.
        subject: { ...subject, key: run },
        data: { run, finding, at, by },
        confidence: 'certain',
        evidence: [
          {
            ...seen,
            excerpt: `run ${run}${host === undefined ? '' : ` on ${host}`}, called for by ${by}${goesBack ? ', was taking back' : ''}: ${summary}; ${steps.map(({ title, state }, index) => `step ${index + 1} (${title}) ${STATES[state]}`).join('; ')}`,
          },
        ],
      }),
    );
    return { examined: repairs.length, findings, unjudged: [] };
  },
  plan: () => ({ refused: 'stdoctor resume shows what was done, and goes on with it or takes it back' }),
});
