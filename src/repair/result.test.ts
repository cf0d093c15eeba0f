import { expect, it } from 'vitest';
import type { Severity } from '../check/types.ts';
import { type Repair, type RepairOutcome, type RepairRun, repairExitCode } from './result.ts';

function runOf(outcomes: (RepairOutcome | [RepairOutcome, Severity])[], unknown: string[] = []): RepairRun {
  const repairs = outcomes.map((each) => {
    const [outcome, severity] = Array.isArray(each) ? each : [each, 'critical' as const];
    return { outcome, finding: { severity }, steps: [] } as unknown as Repair;
  });
  return { id: '', startedAt: '', durationMs: 0, version: '', target: { name: '', identity: '' }, repairs, unknown };
}

it.each([
  [[], [], 0],
  [['repaired', 'healed', 'undone'], [], 0],
  [['repaired', 'failed', 'stale', 'declined'], ['c: x'], 2],
  [['stale', 'declined', 'repaired'], ['c: x'], 4],
  [['repaired', 'declined'], ['c: x'], 1],
  [['unproven'], [], 1],
  [['skipped'], [], 1],
  [['planned'], [], 1],
  [['refused'], [], 1],
  [[['refused', 'warning']], [], 1],
  [[['refused', 'info']], [], 0],
  [[['planned', 'info']], [], 1],
  [['repaired'], ['c: x'], 3],
  [[['refused', 'info']], ['c: x'], 3],
  [[], ['c: x'], 3],
] as [(RepairOutcome | [RepairOutcome, Severity])[], string[], number][])('%j, unknown %j: %i', (outcomes, unknown, code) => {
  expect(repairExitCode(runOf(outcomes, unknown))).toBe(code);
});

it('an undo that could not take everything back: 1', () => {
  const run = runOf(['undone']);
  run.repairs[0] = { ...run.repairs[0], steps: [{ outcome: 'undone' }, { outcome: 'refused' }] } as Repair;
  expect(repairExitCode(run)).toBe(1);
});
