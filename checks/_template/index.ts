import { all, defineFact, expectOutput, read, seenAt } from '../../src/check/asking.ts';
import { defineCheck } from '../../src/check/define.ts';
import type { Asking, Found, Probe, Seen } from '../../src/check/types.ts';

const OSRELEASE: Probe = { kind: 'read', path: '/proc/sys/kernel/osrelease' };

// A fact says what is, not what is wrong. Facts that a second check could use belong in src/facts.
const release = defineFact('template.release', function* (): Asking<{ seen: Seen; text: string }> {
  const [answer] = yield* all([read('/proc/sys/kernel/osrelease')]);
  return {
    seen: seenAt(OSRELEASE, answer as NonNullable<typeof answer>),
    text: expectOutput(OSRELEASE, answer as NonNullable<typeof answer>).trim(),
  };
});

type TemplateFound = Found<'template-old', { release: string }>;

export const check = defineCheck({
  meta: {
    id: 'template',
    title: 'What this check finds, for a list',
    area: 'kernel',
    scope: 'host',
    summary: 'What this check finds, in a sentence.',
    references: ['proc_sys_kernel(5)'],
    codes: { 'template-old': '{subject}: the kernel {release} is older than anything this program was tried on' },
  },
  needs: { release },
  detect({ release: { seen, text } }) {
    const findings: TemplateFound[] = [];
    if (/^[0-3]\./.test(text)) {
      const subject = { kind: 'kernel', name: text };
      findings.push({
        code: 'template-old',
        severity: 'warning',
        subject,
        data: { release: text },
        confidence: 'certain',
        evidence: [{ ...seen, excerpt: text }],
      });
    }
    return {
      examined: 1,
      findings,
      unjudged: /^\d+\.\d+/.test(text) ? [] : [{ subject: { kind: 'kernel', name: text }, why: 'its release is not of the known format' }],
    };
  },
});
