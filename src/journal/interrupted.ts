import type { InterruptedRepair } from '../facts/interrupted.ts';
import { deedOf, goesBack, type Journaled, lastRun } from './entries.ts';
import { readJournal } from './journal.ts';

/** Begun, never ended, and not at work now. `underWay`: the run that holds the lock. */
export function isInterrupted(repair: Journaled, underWay?: string): boolean {
  return repair.closed === undefined && lastRun(repair) !== underWay;
}

/** The interrupted repairs of a state directory, as a fact reads them. Throws a sentence where the journal cannot be understood. */
export function describeInterrupted(stateDir: string, underWay: string | undefined): InterruptedRepair[] {
  const repairs = (readJournal(stateDir) ?? []).filter((repair) => isInterrupted(repair, underWay));
  return repairs.map((repair) => ({
    run: repair.run,
    finding: repair.plan,
    at: repair.at,
    by: `${repair.who.sudoUser ?? repair.who.user}`,
    ...(repair.host !== undefined && { host: repair.host.name, machine: repair.machine }),
    subject: { kind: repair.finding.subject.kind, name: repair.finding.subject.name },
    summary: repair.summary,
    goesBack: goesBack(repair),
    steps: repair.steps.map(({ title }, index) => ({ title, state: stateOf(repair, index) })),
  }));
}

/** As the journal alone knows it. */
export function stateOf(repair: Journaled, index: number): 'not-begun' | 'begun' | 'done' | 'going-back' | 'taken-back' {
  const undone = deedOf(repair, 'undo', index);
  if (undone !== undefined) {
    return undone.proven ? 'taken-back' : 'going-back';
  }
  const deed = deedOf(repair, 'step', index);
  return deed === undefined ? 'not-begun' : deed.proven ? 'done' : 'begun';
}
