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
  /** `undone`: taken back. `unknown`: whether it was done cannot be known. */
  outcome: 'proven' | 'failed' | 'stale' | 'refused' | 'not-done' | 'undone' | 'unknown';
  exitCode: number | null;
  /** The last lines the command printed. */
  output: string;
  durationMs: number;
  /** Why it failed or was not done. */
  why: string | null;
  /** Its command was left to itself. */
  running?: boolean;
}

export interface Repair {
  finding: Finding;
  summary: string;
  plan: Plan | null;
  risk: Risk | null;
  /** The run it stands under in the journal; null where nothing was journalled. */
  run: string | null;
  outcome: RepairOutcome;
  /** In a sentence, where the outcome alone does not say it. */
  reason: string | null;
  steps: StepResult[];
}

/** Good to know and without a cure: it counts for nothing, and a person who repairs is not told of it. */
export function isOnlyToKnow({ outcome, finding }: Pick<Repair, 'outcome' | 'finding'>): boolean {
  return outcome === 'refused' && finding.severity === 'info';
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
  // An undo that could not take everything back.
  const partly = run.repairs.some(({ outcome, steps }) => outcome === 'undone' && steps.some((step) => step.outcome === 'refused'));
  // What is good to know and has no cure does not count.
  const remains = run.repairs.some(
    (repair) => ['unproven', 'declined', 'skipped', 'planned', 'refused'].includes(repair.outcome) && !isOnlyToKnow(repair),
  );
  return remains || partly ? 1 : run.unknown.length > 0 ? 3 : 0;
}
