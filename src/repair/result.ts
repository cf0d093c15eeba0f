import type { Action, Finding, Plan, ResolvedAction, Risk } from '../check/types.ts';

export type RepairOutcome =
  | 'repaired'
  | 'healed'
  | 'failed'
  | 'unproven'
  | 'stale'
  | 'declined'
  | 'refused'
  | 'skipped'
  | 'planned'
  | 'undone';

export interface StepResult {
  title: string;
  action: Action | ResolvedAction;
  outcome: 'proven' | 'failed' | 'stale' | 'refused' | 'not-done';
  exitCode: number | null;
  /** The last lines the command printed. */
  output: string;
  durationMs: number;
  /** Why it failed or was not done. */
  why: string | null;
}

export interface Repair {
  finding: Finding;
  summary: string;
  plan: Plan | null;
  risk: Risk | null;
  outcome: RepairOutcome;
  /** In a sentence, where the outcome alone does not say it. */
  reason: string | null;
  steps: StepResult[];
}

export interface RepairRun {
  id: string;
  startedAt: string;
  durationMs: number;
  version: string;
  target: { name: string; identity: string };
  repairs: Repair[];
  /** Checks that could not tell, as `check: why`. */
  unknown: string[];
}

/** 2 failed, else 4 stale, else 1 something remains, else 3 could not tell, else 0. */
export function repairExitCode(run: RepairRun): number {
  const has = (...outcomes: RepairOutcome[]) => run.repairs.some(({ outcome }) => outcomes.includes(outcome));
  if (has('failed')) {
    return 2;
  }
  if (has('stale')) {
    return 4;
  }
  // What is good to know and has no cure does not count.
  const remains = run.repairs.some(
    ({ outcome, finding }) =>
      ['unproven', 'declined', 'skipped', 'planned', 'refused'].includes(outcome) &&
      !(outcome === 'refused' && finding.severity === 'info'),
  );
  return remains ? 1 : run.unknown.length > 0 ? 3 : 0;
}
