/** What scripts/record-lab-cases.ts is told to make and to find. */
import type { Expected } from '../src/check/tester.ts';
import type { Guest } from '../test/lab/guest.ts';

export interface Recorded extends Omit<Expected, 'source'> {
  name: string;
  how: string;
  make?(guest: Guest): Promise<unknown>;
}

/** In each group one fault follows the other in the same guest; what a fault took away stays away. */
export interface CaseGroup {
  check?: string;
  prepare(guest: Guest): Promise<unknown>;
  cases: Recorded[];
}

export const critical = (code: string, subject: string, risk: 'safe' | 'disruptive' | 'data-loss' | 'refused') => ({
  code,
  subject,
  severity: 'critical' as const,
  risk,
});
export const warning = (code: string, subject: string, risk: 'safe' | 'disruptive' | 'refused') => ({
  code,
  subject,
  severity: 'warning' as const,
  risk,
});
export const healthy = (...twinOf: string[]) => ({ outcome: 'healthy' as const, findings: [], twinOf });
export const sick = { outcome: 'findings' as const };
