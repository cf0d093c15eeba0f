/** Takes back what a repair did, newest step first: guarded by the step's own proof, proven by its own. */
import type { Step } from '../check/types.ts';
import { messageOf } from '../errors.ts';
import { deedOf, type Journaled, type Who } from '../journal/entries.ts';
import { carryOut, close, type Doing, examineAll, failureOf, foundAnother, isUrgent, prove, resolveStep } from './acting.ts';
import { interrupted, notDone, notHeld } from './apply.ts';
import type { StepState } from './assess.ts';
import type { Repair, StepResult } from './result.ts';

export interface TakeBackContext extends Doing {
  /** Of the run that takes back. */
  runId: string;
  who: Who;
  boot: string | null;
}

/**
 * Steps that would be taken back now, newest first, down to the first that cannot be: what lies under that one stays, for
 * it rests on it (a backup is not removed under a repair that stays). What only borrowed has been given back.
 */
export function wayBack(repair: Journaled, states: readonly StepState[]): { index: number; step: Step; cannot: string | null }[] {
  const back = [...repair.steps.entries()]
    .filter(([index, { release }]) => states[index]?.state === 'done' && release === undefined)
    .toReversed()
    .map(([index, step]) => ({ index, step, cannot: 'none' in step.undo ? step.undo.none : null }));
  const barrier = back.findIndex(({ cannot }) => cannot !== null);
  return barrier < 0 ? back : back.slice(0, barrier + 1);
}

/** `undone` where all that was done and can be taken back is; what cannot be says so. Closes the repair in the journal. */
export async function takeBack(
  repair: Journaled,
  states: readonly StepState[],
  context: TakeBackContext,
): Promise<Pick<Repair, 'outcome' | 'reason' | 'steps'>> {
  // An interrupted run may have taken some of them back.
  const results = repair.steps.map((step, index): StepResult => {
    const state = states[index];
    return state?.state === 'taken-back' ? { ...notDone(step), outcome: 'undone', why: state.why } : notDone(step);
  });
  const end = (as: 'undone' | 'failed' | 'stale' | 'refused', why: string | null) => close(repair, as, why, results, context.journal);
  const unknown = states.findIndex(({ state }) => state === 'unknown');
  if (unknown >= 0) {
    results[unknown] = { ...notDone(repair.steps[unknown] as Step), outcome: 'unknown', why: states[unknown]?.why ?? null };
    return end('refused', `whether step ${unknown + 1} was done cannot be known: ${states[unknown]?.why}`);
  }
  let kept: string | null = null;
  for (const { index, step, cannot } of wayBack(repair, states)) {
    const nth = `step ${index + 1} (${step.title})`;
    if (isUrgent(context.stop)) {
      throw interrupted('not everything was taken back: stdoctor resume goes on');
    }
    if (cannot !== null) {
      kept = `${nth} cannot be taken back: ${cannot}`;
      results[index] = { ...notDone(step), outcome: 'refused', why: cannot };
      break;
    }
    try {
      const result = await undoStep(repair, index, step, context);
      results[index] = result;
      if (result.outcome !== 'undone') {
        return end(result.outcome === 'stale' ? 'stale' : 'failed', `${nth}: ${result.why}`);
      }
    } catch (error) {
      if (isUrgent(context.stop)) {
        throw error;
      }
      results[index] = { ...notDone(step), outcome: 'failed', why: messageOf(error) };
      return end('failed', messageOf(error));
    }
  }
  const undone = results.some(({ outcome }) => outcome === 'undone');
  return end(undone || kept === null ? 'undone' : 'refused', kept ?? (undone ? null : 'nothing had been done'));
}

async function undoStep(repair: Journaled, index: number, step: Step, doing: Doing): Promise<StepResult> {
  const started = Date.now();
  const of = repair.steps.length;
  const tell = (state: 'guards' | 'acting' | 'proving' | 'proven' | 'failed') =>
    doing.listen({ type: 'step', index, of, title: `Take back: ${step.title}`, state });
  const deed = deedOf(repair, 'step', index);
  const { undo, proof } = resolveStep(step, repair.references);
  if ('none' in undo) {
    throw new Error('a step without a way back was to be taken back');
  }
  const end = (outcome: StepResult['outcome'], why: string | null, more: Partial<StepResult> = {}): StepResult => {
    tell(outcome === 'undone' ? 'proven' : 'failed');
    return { title: step.title, action: undo.action, outcome, exitCode: null, output: '', durationMs: Date.now() - started, why, ...more };
  };
  tell('guards');
  // Only what is still as the step left it is taken back.
  const held = await examineAll(deed?.proof ?? proof, doing);
  if (!held.holds) {
    return end('stale', notHeld(held));
  }
  if (isUrgent(doing.stop)) {
    throw interrupted('not everything was taken back: stdoctor resume goes on');
  }
  tell('acting');
  const acted = await carryOut(
    { run: repair.run, plan: repair.plan },
    { of: 'undo', step: index, action: undo.action, proof: undo.proof, limitMs: step.limitMs },
    doing,
  );
  if (acted.running && isUrgent(doing.stop)) {
    throw interrupted(`${acted.why}. stdoctor resume says what became of it`);
  }
  const more = { exitCode: acted.running ? null : acted.code, output: acted.output };
  tell('proving');
  const proven = await prove(undo.proof, acted.ok, step.patienceMs, doing);
  if (!proven.holds) {
    const other = foundAnother(undo.action, acted);
    return end(other === undefined ? 'failed' : 'stale', other ?? failureOf(acted, proven), more);
  }
  doing.journal.write(repair.run, repair.plan, { event: 'proven', of: 'undo', step: index });
  return end('undone', null, more);
}
