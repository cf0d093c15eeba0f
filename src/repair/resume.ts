/** Repairs that were interrupted: gone on with, or taken back. The host is asked anew, the journal only says what to ask. */
import type { Step } from '../check/types.ts';
import { deedOf, goesBack, type Journaled } from '../journal/entries.ts';
import { isInterrupted } from '../journal/interrupted.ts';
import { showName } from '../names.ts';
import { close, examineAll, giveBack, type Place, sweep } from './acting.ts';
import { type ApplyContext, applyPlan, goThrough, look, notDone, type Steps } from './apply.ts';
import { sameSteps, whatChanged } from './changes.ts';
import { type Answer, type Handling, handle, head, type JournalledOptions, type Known } from './journalled.ts';
import type { Repaired } from './repair.ts';
import type { Repair, StepResult } from './result.ts';
import { takeBack } from './take-back.ts';

export type Way = 'forward' | 'back';

export interface ResumeOptions extends JournalledOptions {
  decide(interrupted: readonly Known[]): Promise<Answer<Way>[]>;
}

export function resumeRepairs(options: ResumeOptions): Promise<Repaired> {
  const handling: Handling<Way> = {
    choose: (repairs) => repairs.filter((repair) => isInterrupted(repair)),
    refuse: () => undefined,
    decide: options.decide,
    carryOut: (known, way, context) => (way === 'forward' && !goesBack(known.repair) ? goOn(known, context) : goBack(known, context)),
  };
  return handle(options, handling);
}

async function goBack({ repair, states }: Known, context: ApplyContext): Promise<Repair> {
  takeUp(repair, 'back', context);
  await sweepAll(repair, context);
  const kept = await giveBackAll(repair, await borrowedBy(repair, context), context);
  return kept.length > 0 ? notGivenBack(repair, states, kept) : { ...head(repair), ...(await takeBack(repair, states, context)) };
}

async function goOn({ repair, states }: Known, context: ApplyContext): Promise<Repair> {
  const { journal } = context;
  const wanted = { ...head(repair), plan: head(repair).plan as Steps };
  takeUp(repair, 'forward', context);
  await sweepAll(repair, context);
  const end = (as: 'healed' | 'stale' | 'refused', why: string): Repair => ({
    ...head(repair),
    ...close(repair, as, why, resultsOf(repair, states), journal),
  });

  for (const [index, { state }] of states.entries()) {
    if (state === 'done' && deedOf(repair, 'step', index)?.proven === false) {
      journal.write(repair.run, repair.plan, { event: 'proven', of: 'step', step: index });
    }
  }
  const now = await look(wanted, context);
  // What would have to be taken back is not made twice.
  const made = states.some(({ state }, index) => state === 'done' && !('none' in (repair.steps[index] as Step).undo));
  if (now.state === 'found' && sameSteps(now.finding.plan, wanted.plan) && states.some(({ state }) => state !== 'done') && !made) {
    // What was done so far has changed nothing of what it rests on: it is done from its beginning, in a run of its own.
    const kept = await giveBackAll(repair, await borrowedBy(repair, context), context);
    if (kept.length > 0) {
      return notGivenBack(repair, states, kept);
    }
    journal.write(repair.run, repair.plan, { event: 'closed', as: 'begun-anew', why: `by run ${context.runId}` });
    return withLeftovers(await applyPlan(now.finding, context), repair);
  }
  if (repair.deeds.length === 0) {
    return now.state === 'gone'
      ? end('healed', now.why)
      : end('stale', now.state === 'found' ? await whatChanged(wanted.plan, now.finding.plan, context) : now.why);
  }
  const unknown = states.findIndex(({ state }) => state === 'unknown');
  if (unknown >= 0) {
    const kept = await giveBackAll(repair, await borrowedBy(repair, context), context);
    const reason = `whether step ${unknown + 1} (${repair.steps[unknown]?.title}) was done cannot be known: ${states[unknown]?.why}`;
    return kept.length > 0 ? notGivenBack(repair, states, [reason, ...kept]) : end('refused', reason);
  }
  const first = states.findLastIndex(({ state }) => state === 'done') + 1;
  const which = [...repair.steps.keys()].slice(first);
  const borrowed = await borrowedBy(repair, context);
  const rest = await goThrough(placeOf(repair), wanted, wanted.plan, which, repair.references, borrowed, context);
  const before = resultsOf(repair, states);
  return {
    ...head(repair),
    ...rest,
    steps: rest.steps.map((result, index) => (which.includes(index) ? result : (before[index] as StepResult))),
  };
}

/** A copy that was begun before the interruption is named: it is never removed, for nobody knows whether it is whole. */
function withLeftovers(anew: Repair, { deeds, references }: Journaled): Repair {
  const rescue = references['rescue'];
  if (rescue === undefined || !JSON.stringify(deeds).includes(JSON.stringify(rescue).slice(1, -1))) {
    return anew;
  }
  const leftover = `what the interrupted run had copied lies in ${showName(rescue)}`;
  return { ...anew, reason: anew.reason === null ? leftover : `${anew.reason} (${leftover})` };
}

/** Stays open in the journal: every check says so until it has been given back. */
function notGivenBack(repair: Journaled, states: Known['states'], why: readonly string[]): Repair {
  return { ...head(repair), outcome: 'failed', reason: why.join('; '), steps: resultsOf(repair, states) };
}

function takeUp({ run, plan }: Journaled, way: Way, { journal, runId, who, boot }: ApplyContext): void {
  journal.write(run, plan, { event: 'taken-up', way, by: runId, who, boot });
}

/** What edits left behind that were never heard of again. */
async function sweepAll(repair: Journaled, context: ApplyContext): Promise<void> {
  for (const { step, action, ended } of repair.deeds) {
    if (action.kind === 'edit' && ended === undefined) {
      await sweep(placeOf(repair), step, action, context);
    }
  }
}

function placeOf({ run, plan }: Journaled): Place {
  return { run, plan };
}

function resultsOf(repair: Journaled, states: Known['states']): StepResult[] {
  return repair.steps.map((step, index) => {
    const state = states[index];
    const outcome = state?.state === 'done' ? 'proven' : state?.state === 'unknown' ? 'unknown' : 'not-done';
    return { ...notDone(step), outcome, why: state?.why ?? null };
  });
}

/**
 * Steps whose borrowed things were not given back. In the boot in which one was borrowed it is still there, whatever later
 * steps did to what proved it; else it is where the step's proof holds.
 */
async function borrowedBy(repair: Journaled, context: ApplyContext): Promise<number[]> {
  const borrowed: number[] = [];
  for (const [index, { release }] of repair.steps.entries()) {
    const deed = deedOf(repair, 'step', index);
    if (release !== undefined && deed !== undefined && !deedOf(repair, 'release', index)?.ended?.ok) {
      const here = deed.ended?.ok === true && repair.boot === context.boot;
      borrowed.push(...(here || (await examineAll(deed.proof, context)).holds ? [index] : []));
    }
  }
  return borrowed;
}

/** What could not be given back, as sentences. Where it is not known whether a thing was borrowed, that it cannot be given back says no. */
async function giveBackAll(repair: Journaled, borrowed: readonly number[], context: ApplyContext): Promise<string[]> {
  const kept: string[] = [];
  for (const index of borrowed.toReversed()) {
    const why = await giveBack(placeOf(repair), index, repair.steps[index] as Step, repair.references, context);
    const certain = deedOf(repair, 'step', index)?.ended?.ok === true;
    kept.push(...(why !== undefined && certain ? [why] : []));
  }
  return kept;
}
