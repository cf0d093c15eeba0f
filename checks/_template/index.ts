import { ask, defineFact, expectOutput, seenAt, Unknown } from '../../src/check/asking.ts';
import { defineCheck } from '../../src/check/define.ts';
import type { Found, Probe } from '../../src/check/types.ts';

const HOSTNAME: Probe = { kind: 'read', path: '/proc/sys/kernel/hostname' };

// A fact says what is, not what is wrong. One that a second check could use belongs in src/facts.
const hostname = defineFact('template.hostname', function* () {
  const answer = yield* ask(HOSTNAME);
  // The line's end proves that it is whole.
  const name = /^(\S+)\n$/.exec(expectOutput(HOSTNAME, answer))?.[1];
  if (name === undefined) {
    throw new Unknown('the kernel tells no host name');
  }
  return { name, seen: seenAt(HOSTNAME, answer) };
});

type TemplateFound = Found<'template-unnamed', { name: string }>;

export const check = defineCheck({
  meta: {
    id: 'template',
    title: 'What this check finds, for a list',
    area: 'host',
    scope: 'host',
    summary: 'What this check finds, in a sentence.',
    references: ['hostname(7)'],
    codes: { 'template-unnamed': '{subject}: the host has no name of its own' },
  },
  needs: { hostname },
  detect({ hostname: { name, seen } }) {
    const findings: TemplateFound[] = [];
    if (name === 'localhost' || name === '(none)') {
      findings.push({
        code: 'template-unnamed',
        severity: 'warning',
        subject: { kind: 'host', name },
        data: { name },
        confidence: 'certain',
        evidence: [{ ...seen, excerpt: name }],
      });
    }
    return { examined: 1, findings, unjudged: [] };
  },
});
