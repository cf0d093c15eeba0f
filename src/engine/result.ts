/** What a run came to: all that a report may know. */
import type { Finding, Plan, Risk, Subject, Target } from '../check/types.ts';

export type CheckOutcome = 'healthy' | 'findings' | 'not-applicable' | 'unknown';

export interface CheckResult {
  id: string;
  title: string;
  outcome: CheckOutcome;
  reason: string | null;
  examined: number;
  unjudged: { subject: Subject; why: string }[];
  notes: { subject: Subject; text: string }[];
  /** So many are faulty that no repair may go on without a person: why. */
  tooMany: string | null;
  durationMs: number;
}

export interface FindingResult {
  finding: Finding;
  /** The sentence of its code, filled in. */
  summary: string;
  /** null: nothing this check finds can be repaired by us. */
  plan: Plan | null;
  /** Of the whole plan. */
  risk: Risk | null;
}

export interface HostHead {
  hostname: string | null;
  os: string | null;
  kernel: string | null;
  bootedAt: string | null;
  hardware: string | null;
}

export interface TargetResult {
  name: string;
  kind: Target['kind'];
  via: Target['via'];
  identity: string;
  /** Why it could not be asked at all, as a sentence; null where it was. */
  reason: string | null;
  host: HostHead;
  checks: CheckResult[];
  findings: FindingResult[];
}

export interface RunResult {
  id: string;
  startedAt: string;
  durationMs: number;
  version: string;
  targets: TargetResult[];
}

export interface Summary {
  critical: number;
  warning: number;
  info: number;
  unknown: number;
  healthy: number;
  notApplicable: number;
}

export function summarize(run: RunResult): Summary {
  const findings = run.targets.flatMap((target) => target.findings);
  const checks = run.targets.flatMap((target) => target.checks);
  const bySeverity = (severity: string) => findings.filter(({ finding }) => finding.severity === severity).length;
  const byOutcome = (outcome: CheckOutcome) => checks.filter((check) => check.outcome === outcome).length;
  return {
    critical: bySeverity('critical'),
    warning: bySeverity('warning'),
    info: bySeverity('info'),
    unknown: byOutcome('unknown'),
    healthy: byOutcome('healthy'),
    notApplicable: byOutcome('not-applicable'),
  };
}

/** 2 a critical finding, else 1 a warning, else 3 could not tell, else 0. */
export function exitCodeOf(run: RunResult): number {
  const { critical, warning } = summarize(run);
  const couldNotTell = run.targets.some(({ checks }) =>
    checks.some(({ outcome, unjudged }) => outcome === 'unknown' || unjudged.length > 0),
  );
  return critical > 0 ? 2 : warning > 0 ? 1 : couldNotTell ? 3 : 0;
}

const RISKS: readonly Risk[] = ['safe', 'disruptive', 'data-loss'];

/** The highest of its steps. */
export function riskOf(plan: Plan | null): Risk | null {
  return plan === null || 'refused' in plan ? null : (RISKS.findLast((risk) => plan.steps.some((step) => step.risk === risk)) ?? 'safe');
}

export function isAtMost(risk: Risk, allowed: Risk): boolean {
  return RISKS.indexOf(risk) <= RISKS.indexOf(allowed);
}
