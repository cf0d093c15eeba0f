/** Carries out one plan: looks again, then guards, journal, act and proof for each step. */
import { join } from 'node:path';
import type { Claim, Plan, Step } from '../check/types.ts';
import { makeDirectory } from '../directory.ts';
import { type CheckEntry, inspect } from '../engine/inspect.ts';
import type { FindingResult } from '../engine/result.ts';
import { messageOf, StdoctorError } from '../errors.ts';
import type { Closed, Who } from '../journal/entries.ts';
import { type References, refersTo } from '../journal/references.ts';
import { sameName, showName, toByteString } from '../names.ts';
import { masked } from '../secrets.ts';
import type { CostlyFacts } from '../state/costly-facts.ts';
import {
  carryOut,
  close,
  type Doing,
  examineAll,
  failureOf,
  foundAnother,
  giveBack,
  isUrgent,
  type Place,
  prove,
  resolveStep,
} from './acting.ts';
import { sameButForPlace, sameSteps, whatChanged } from './changes.ts';
import type { Repair, StepResult } from './result.ts';

export interface ApplyContext extends Doing {
  entry: CheckEntry;
  /** What earlier rounds gathered at great cost. */
  costly: CostlyFacts | undefined;
  /** Where copies of data in danger are put; by default below the state directory. */
  rescueDir: string | undefined;
  runId: string;
  version: string;
  who: Who;
  machine: string;
  boot: string | null;
  /** What earlier repairs of this run have made of files: the SHA-256, by path. */
  edited?: Map<string, string | null>;
}

export type Steps = Exclude<Plan, { refused: string }>;

/** Applies the plan of a finding, which somebody has agreed to. Never rejects for what the host does. */
export async function applyPlan(wanted: FindingResult, context: ApplyContext): Promise<Repair> {
  const { finding, summary, risk } = wanted;
  const { runId, journal } = context;
  let plan = wanted.plan as Steps;
  const repair = { finding, summary, plan, risk, run: null, steps: plan.steps.map(notDone) };

  const again = await look(wanted, context);
  if (again.state !== 'found') {
    return { ...repair, outcome: again.state === 'gone' ? 'healed' : 'stale', reason: again.why };
  }
  if (sameButForPlace(again.finding.plan, plan, context.edited ?? new Map())) {
    plan = again.finding.plan as Steps;
    repair.plan = plan;
  } else if (!sameSteps(again.finding.plan, plan)) {
    return { ...repair, outcome: 'stale', reason: await whatChanged(plan, again.finding.plan, context) };
  }

  const references = await makeReferences(plan, context);
  const place = { run: runId, plan: finding.id };
  journal.write(runId, finding.id, {
    event: 'opened',
    version: context.version,
    who: context.who,
    machine: context.machine,
    boot: context.boot,
    ...(context.target.reached !== undefined && { host: context.target.reached }),
    finding: masked(finding),
    summary,
    risk: risk ?? 'data-loss',
    steps: plan.steps,
    references,
    ...(plan.remains !== undefined && { remains: plan.remains }),
  });
  const all = plan.steps.map((_, index) => index);
  const ended = await goThrough(place, wanted, plan, all, references, [], context);
  for (const { action, outcome } of ended.steps) {
    if (action.kind === 'edit' && outcome === 'proven') {
      context.edited?.set(toByteString(action.path), action.becomes);
    }
  }
  return { ...repair, run: runId, ...ended };
}

/**
 * Takes these steps of an opened plan in order, gives back what they (and those begun before) borrowed, looks once more,
 * and closes the plan in the journal. Interrupted, it leaves the plan open for `resume`.
 */
export async function goThrough(
  place: Place,
  wanted: Pick<FindingResult, 'finding'>,
  plan: Steps,
  which: readonly number[],
  references: References,
  begun: number[],
  context: Doing & Pick<ApplyContext, 'entry' | 'costly'>,
): Promise<Pick<Repair, 'outcome' | 'reason' | 'steps'>> {
  const { journal, stop } = context;
  const { steps } = plan;
  const results = steps.map(notDone);
  const end = (as: Closed & Repair['outcome'], why: string | null) => close(place, as, why, results, journal);
  let ended: { outcome: 'failed' | 'stale' | 'refused'; reason: string } | undefined;
  for (const index of which) {
    if (isUrgent(stop)) {
      break;
    }
    const step = steps[index] as Step;
    try {
      const result = await applyStep(place, step, index, begun, references, steps.length, context);
      results[index] = result;
      if (result.outcome === 'not-done') {
        break;
      }
      if (result.outcome !== 'proven') {
        const outcome = result.outcome as 'failed' | 'stale' | 'refused';
        ended = { outcome, reason: `step ${index + 1} (${step.title}): ${result.why}` };
        break;
      }
    } catch (error) {
      // The journal cannot be written any more: no further step, but what was borrowed is given back.
      ended = { outcome: 'failed', reason: messageOf(error) };
      break;
    }
  }
  if (isUrgent(stop) && begun.length === 0 && which.length === steps.length) {
    end('refused', 'interrupted before anything was done');
    throw interrupted('nothing was done');
  }
  const running = results.find((result) => result.running === true);
  if (running !== undefined) {
    // Nothing is given back under it: the plan stays open until resume has seen its end.
    const reason = `${ended?.reason ?? running.why}. stdoctor resume says what became of it`;
    if (isUrgent(stop)) {
      throw interrupted(reason);
    }
    return { outcome: 'failed', reason, steps: results };
  }
  const kept: string[] = [];
  for (const index of begun.toReversed()) {
    const why = await giveBack(place, index, steps[index] as Step, references, context);
    kept.push(...(why === undefined ? [] : [why]));
  }
  const lost = context.target.lost?.();
  if (lost !== undefined && begun.length > 0 && results.some(isOpen(which))) {
    // What was done is not known any more: it stays open until resume has asked the host.
    return { outcome: 'failed', reason: `${ended?.reason ?? lost}. stdoctor resume asks the host what became of it`, steps: results };
  }
  if (isUrgent(stop) && ended?.outcome !== 'stale' && ended?.outcome !== 'refused' && results.some(isOpen(which))) {
    throw interrupted('some steps were done: stdoctor resume goes on or takes them back');
  }
  if (kept.length > 0) {
    // Stays open in the journal: every check says so until resume has given it back.
    return { outcome: 'failed', reason: [...(ended === undefined ? [] : [ended.reason]), ...kept].join('; '), steps: results };
  }
  if (ended !== undefined) {
    return end(ended.outcome, ended.reason);
  }
  const after = await look(wanted, context);
  const remains = plan.remains?.replaceAll('{rescue}', () => showName(references['rescue'] ?? '')) ?? null;
  if (after.state === 'gone') {
    return end('repaired', remains);
  }
  const still = after.state === 'found' ? `every step was proven, yet the fault is still found: ${after.finding.summary}` : after.why;
  return end('unproven', remains ?? still);
}

/** A step that was to be taken and is not proven. */
function isOpen(which: readonly number[]): (result: StepResult, index: number) => boolean {
  return (result, index) => which.includes(index) && result.outcome !== 'proven';
}

export function interrupted(what: string): StdoctorError {
  return new StdoctorError('STD_INTERRUPTED', `interrupted; ${what}`);
}

export type Look =
  | { state: 'found'; finding: FindingResult }
  | { state: 'gone'; why: string }
  /** Something else is found there now. */
  | { state: 'other'; why: string }
  | { state: 'unknown'; why: string };

/** Is the fault still there? Gone only where the check could judge the subject, and nothing else is wrong with it. */
export async function look(
  { finding: { id, subject } }: Pick<FindingResult, 'finding'>,
  { target, entry, costly, roundMs, listen }: Pick<ApplyContext, 'target' | 'entry' | 'costly' | 'roundMs' | 'listen'>,
): Promise<Look> {
  const { target: result } = await inspect(target, [entry], { until: Date.now() + roundMs, listen, costly });
  const check = result.checks[0];
  const same = result.findings.find(({ finding }) => finding.id === id);
  if (same !== undefined) {
    return { state: 'found', finding: same };
  }
  const other = result.findings.find(
    ({ finding }) => finding.severity !== 'info' && finding.subject.kind === subject.kind && sameName(finding.subject.name, subject.name),
  );
  if (other !== undefined) {
    return { state: 'other', why: `something else is found there now: ${other.summary}` };
  }
  if (check === undefined || (check.outcome === 'unknown' && check.unjudged.length === 0)) {
    return { state: 'unknown', why: `whether the fault is still there could not be told: ${check?.reason ?? 'no answer'}` };
  }
  const unjudged = check.unjudged.find((each) => each.subject.kind === subject.kind && sameName(each.subject.name, subject.name));
  return unjudged === undefined
    ? { state: 'gone', why: 'the fault is no longer found' }
    : { state: 'unknown', why: `whether the fault is still there could not be told: ${unjudged.why}` };
}

/** Names that this run gives: its own, and where it keeps things. */
async function makeReferences(plan: Steps, { target: { elsewhere }, runId, stateDir, rescueDir }: ApplyContext): Promise<References> {
  const state = elsewhere?.stateDir ?? stateDir;
  const rescue = rescueOf({ runId, stateDir: state, rescueDir });
  if (refersTo(plan.steps, 'rescue')) {
    await (elsewhere?.makeDirectory(rescue) ?? makeDirectory(rescue));
  }
  return { run: runId, state, rescue };
}

/** Where a run puts copies of data in danger. */
export function rescueOf({ runId, stateDir, rescueDir }: Pick<ApplyContext, 'runId' | 'stateDir' | 'rescueDir'>): string {
  return join(rescueDir ?? join(stateDir, 'rescue'), runId);
}

async function applyStep(
  place: Place,
  step: Step,
  index: number,
  begun: number[],
  references: References,
  of: number,
  doing: Doing,
): Promise<StepResult> {
  const { journal, listen } = doing;
  const started = Date.now();
  const { action, guards, proof, undo } = resolveStep(step, references);
  const tell = (state: 'guards' | 'acting' | 'proving' | 'proven' | 'failed') =>
    listen({ type: 'step', index, of, title: step.title, state });
  const end = (outcome: StepResult['outcome'], why: string | null, more: Partial<StepResult> = {}): StepResult => {
    tell(outcome === 'proven' ? 'proven' : 'failed');
    return { title: step.title, action, outcome, exitCode: null, output: '', durationMs: Date.now() - started, why, ...more };
  };

  tell('guards');
  const held = await examineAll(guards, doing);
  if (!held.holds) {
    return end(restsOnRun(step.guards[guards.indexOf(held.claim)]) ? 'refused' : 'stale', notHeld(held));
  }
  if (isUrgent(doing.stop)) {
    return notDone(step);
  }

  tell('acting');
  const deed = { of: 'step', step: index, action, proof, undo, limitMs: step.limitMs, begun: () => begun.push(index) } as const;
  const acted = await carryOut(place, deed, doing);
  const { code: exitCode, output } = acted;
  if (acted.running) {
    return end('failed', acted.why ?? null, { running: true, output });
  }

  tell('proving');
  const proven = await prove(proof, acted.ok, step.patienceMs, doing);
  if (!proven.holds) {
    const other = foundAnother(action, acted);
    return end(other === undefined ? 'failed' : 'stale', other ?? failureOf(acted, proven), { exitCode, output });
  }
  journal.write(place.run, place.plan, { event: 'proven', of: 'step', step: index });
  return end('proven', null, { exitCode, output });
}

/** What rests on a name of this run was never true or false before: that it does not hold is no change of the world. */
function restsOnRun(guard: Claim | undefined): boolean {
  return ['run', 'rescue', 'state'].some((name) => refersTo(guard, name));
}

export function notHeld({ expected, found }: { expected: string; found: string }): string {
  return `expected ${expected}, found ${found}; nothing was done from here on`;
}

export function notDone(step: Step): StepResult {
  return { title: step.title, action: step.action, outcome: 'not-done', exitCode: null, output: '', durationMs: 0, why: null };
}
