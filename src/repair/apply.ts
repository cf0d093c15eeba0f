/** Carries out one plan: looks again, then guards, journal, act and proof for each step. */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { examine } from '../check/condition.ts';
import type { Acted, Claim, Holds, Plan, Step, Target } from '../check/types.ts';
import type { Listener } from '../engine/events.ts';
import { type CheckEntry, inspect } from '../engine/inspect.ts';
import type { FindingResult } from '../engine/result.ts';
import { Round } from '../engine/round.ts';
import { messageOf } from '../errors.ts';
import { sameName, showName } from '../names.ts';
import type { Journal } from './journal.ts';
import { type References, refersTo, resolveAction, resolveClaim } from './references.ts';
import type { Repair, StepResult } from './result.ts';

const DEFAULT_PATIENCE = 2000;
const LOOK_EVERY = 250;
const OUTPUT_AT_MOST = 2000;
const RELEASE_LIMIT = 60_000;

export interface ApplyContext {
  target: Target;
  entry: CheckEntry;
  journal: Journal;
  runId: string;
  stateDir: string;
  /** Where copies of data in danger are put; by default below the state directory. */
  rescueDir: string | undefined;
  /** How long one round of asking may take. */
  roundMs: number;
  listen: Listener;
  who: string;
  machine: string;
  boot: string | null;
}

type Steps = Exclude<Plan, { refused: string }>;

/** Applies the plan of a finding, which somebody has agreed to. Never rejects for what the host does. */
export async function applyPlan(wanted: FindingResult, context: ApplyContext): Promise<Repair> {
  const { finding, summary, risk } = wanted;
  const plan = wanted.plan as Steps;
  const repair = (outcome: Repair['outcome'], reason: string | null, steps: StepResult[] = plan.steps.map(notDone)): Repair => ({
    finding,
    summary,
    plan,
    risk,
    outcome,
    reason,
    steps,
  });

  const again = await look(wanted, context);
  if (again.state !== 'found') {
    return again.state === 'gone' ? repair('healed', again.why) : repair('stale', again.why);
  }
  if (
    again.finding.plan === null ||
    'refused' in again.finding.plan ||
    !isDeepStrictEqual(again.finding.plan.steps.map(essence), plan.steps.map(essence))
  ) {
    return repair('stale', 'the fault is still there, but what would be done about it has changed since the plan was made');
  }

  const references = makeReferences(plan, context);
  context.journal.write(finding.id, {
    event: 'opened',
    who: context.who,
    machine: context.machine,
    boot: context.boot,
    finding,
    steps: plan.steps,
    references,
  });
  const steps = plan.steps.map(notDone);
  const begun: number[] = [];
  let ended: { outcome: 'failed' | 'stale' | 'refused'; reason: string } | undefined;
  try {
    for (const [index, step] of plan.steps.entries()) {
      const result = await applyStep(step, index, begun, references, finding.id, plan.steps.length, context);
      steps[index] = result;
      if (result.outcome !== 'proven' && result.outcome !== 'not-done') {
        ended = { outcome: result.outcome, reason: `step ${index + 1} (${step.title}): ${result.why}` };
        break;
      }
    }
  } catch (error) {
    // The journal cannot be written any more: no further step, but what was borrowed is given back.
    ended = { outcome: 'failed', reason: messageOf(error) };
  }
  const kept = await release(plan.steps, begun, references, finding.id, context);
  if (kept.length > 0) {
    ended = { outcome: 'failed', reason: [...(ended === undefined ? [] : [ended.reason]), ...kept].join('; ') };
  }
  if (ended !== undefined) {
    context.journal.write(finding.id, { event: 'closed', as: ended.outcome, why: ended.reason });
    return repair(ended.outcome, ended.reason, steps);
  }
  const after = await look(wanted, context);
  const remains = plan.remains?.replaceAll('{rescue}', () => showName(references['rescue'] ?? ''));
  if (after.state === 'gone') {
    context.journal.write(finding.id, { event: 'closed', as: 'repaired' });
    return repair('repaired', remains ?? null, steps);
  }
  const reason =
    remains ?? (after.state === 'found' ? `every step was proven, yet the fault is still found: ${after.finding.summary}` : after.why);
  context.journal.write(finding.id, { event: 'closed', as: 'unproven', why: reason });
  return repair('unproven', reason, steps);
}

type Look = { state: 'found'; finding: FindingResult } | { state: 'gone'; why: string } | { state: 'unknown'; why: string };

/** Is the fault still there? Gone only where the check could judge the subject, and nothing else is wrong with it. */
async function look(wanted: FindingResult, { target, entry, roundMs, listen }: ApplyContext): Promise<Look> {
  const { target: result } = await inspect(target, [entry], { until: Date.now() + roundMs, listen });
  const check = result.checks[0];
  const subject = wanted.finding.subject;
  const same = result.findings.find(({ finding }) => finding.id === wanted.finding.id);
  if (same !== undefined) {
    return { state: 'found', finding: same };
  }
  const other = result.findings.find(
    ({ finding }) => finding.severity !== 'info' && finding.subject.kind === subject.kind && sameName(finding.subject.name, subject.name),
  );
  if (other !== undefined) {
    return { state: 'unknown', why: `something else is found there now: ${other.summary}` };
  }
  if (check === undefined || (check.outcome === 'unknown' && check.unjudged.length === 0)) {
    return { state: 'unknown', why: `whether the fault is still there could not be told: ${check?.reason ?? 'no answer'}` };
  }
  const unjudged = check.unjudged.find((each) => each.subject.kind === subject.kind && sameName(each.subject.name, subject.name));
  return unjudged === undefined
    ? { state: 'gone', why: 'the fault is no longer found' }
    : { state: 'unknown', why: `whether the fault is still there could not be told: ${unjudged.why}` };
}

/** What a step does and rests on, without its prose. */
function essence({ action, risk, guards, proof, undo, release }: Step) {
  return { action, risk, guards, proof, undo, release };
}

/** Names that this run gives: its own, and where it keeps things. */
function makeReferences(plan: Steps, { runId, stateDir, rescueDir }: ApplyContext): References {
  const rescue = join(rescueDir ?? join(stateDir, 'rescue'), runId);
  if (refersTo(plan.steps, 'rescue')) {
    mkdirSync(rescue, { recursive: true, mode: 0o700 });
  }
  return { run: runId, state: stateDir, rescue };
}

async function applyStep(
  step: Step,
  index: number,
  begun: number[],
  references: References,
  planId: string,
  of: number,
  context: ApplyContext,
): Promise<StepResult> {
  const { target, journal, listen } = context;
  const started = Date.now();
  const action = resolveAction(step.action, references);
  const tell = (state: 'guards' | 'acting' | 'proving' | 'proven' | 'failed') =>
    listen({ type: 'step', index, of, title: step.title, state });
  const end = (outcome: StepResult['outcome'], why: string | null, exitCode: number | null = null, output = ''): StepResult => {
    tell(outcome === 'proven' ? 'proven' : 'failed');
    return { title: step.title, action, outcome, exitCode, output, durationMs: Date.now() - started, why };
  };

  tell('guards');
  const held = await examineAll(step.guards, references, context);
  if (!held.holds) {
    // What rests on a name of this run was never true or false before: that it does not hold is no change of the world.
    return end(
      refersTo(held.claim, 'rescue') || refersTo(held.claim, 'state') ? 'refused' : 'stale',
      `expected ${held.expected}, found ${held.found}; nothing was done from here on`,
    );
  }

  tell('acting');
  const log = join(context.stateDir, 'runs', context.runId, `${planId}-${index + 1}.log`);
  mkdirSync(join(context.stateDir, 'runs', context.runId), { recursive: true, mode: 0o700 });
  journal.write(planId, { event: 'act', step: index, action });
  begun.push(index);
  const acted = await act(target, action, log, step.limitMs, (child) => journal.write(planId, { event: 'started', step: index, child }));
  journal.write(planId, { event: 'acted', step: index, log, ...acted });
  const output = lastOf(log);

  tell('proving');
  const proof = await prove(step, acted.ok, references, context);
  if (!proof.holds) {
    const why = acted.ok
      ? `the command ended well, but expected ${proof.expected}, found ${proof.found}`
      : `${acted.why ?? `exit code ${acted.code}`}${output === '' ? '' : `: ${output.split('\n').at(-1)}`}`;
    return end('failed', why, acted.code, output);
  }
  journal.write(planId, { event: 'proven', step: index });
  return end('proven', null, acted.code, output);
}

async function act(
  target: Target,
  action: ReturnType<typeof resolveAction>,
  log: string,
  limitMs: number | undefined,
  started: (child: { pid: number; startTime: string }) => void,
): Promise<Acted> {
  if (target.act === undefined) {
    return { ok: false, code: -1, why: `${target.name} can only be read` };
  }
  let pid: number | undefined;
  const done = target.act(action, log, (child) => {
    pid = child.pid;
    started(child);
  });
  if (limitMs === undefined) {
    return done;
  }
  const timer = new AbortController();
  const late = sleep(limitMs, undefined, { signal: timer.signal }).catch(() => undefined);
  const first = await Promise.race([done, late]);
  timer.abort();
  return (
    first ?? { ok: false, code: -1, why: `still running after ${limitMs / 1000} s as process ${pid ?? 'unknown'}, and left to itself` }
  );
}

/** Until it holds or patience ends. After a command that failed there is nothing to wait for, but the proof decides. */
async function prove(step: Step, ok: boolean, references: References, context: ApplyContext): Promise<Holds> {
  const until = Date.now() + (ok ? (step.patienceMs ?? DEFAULT_PATIENCE) : 0);
  for (;;) {
    const held = await examineAll(step.proof, references, context);
    if (held.holds || Date.now() >= until) {
      return held.holds && step.proof.length === 0 && !ok ? { holds: false, expected: 'exit code 0', found: 'another' } : held;
    }
    await sleep(LOOK_EVERY);
  }
}

type Examined = { holds: true } | { holds: false; expected: string; found: string; claim: Claim };

/** All claims on one fresh look at the world; the first that does not hold. */
async function examineAll(claims: readonly Claim[], references: References, { target, roundMs }: ApplyContext): Promise<Examined> {
  const round = new Round(target, Date.now() + Math.max(roundMs, longest(claims)));
  for (const claim of claims) {
    const held = await round.gather(examine(resolveClaim(claim, references)));
    if (!held.holds) {
      return { ...held, claim };
    }
  }
  return { holds: true };
}

/** Conditions that read whole images bring a limit of their own, which grows with the size. */
function longest(claims: readonly Claim[]): number {
  return claims.some(({ is }) => is === 'same-bytes') ? 24 * 3600 * 1000 : 0;
}

/** Gives back what steps borrowed, last first, whatever became of them and of the journal. Returns what could not be given back. */
async function release(
  steps: readonly Step[],
  begun: readonly number[],
  references: References,
  planId: string,
  { target, journal, runId, stateDir }: ApplyContext,
): Promise<string[]> {
  const kept: string[] = [];
  for (const index of begun.toReversed()) {
    const borrowed = steps[index]?.release;
    if (borrowed !== undefined) {
      const action = resolveAction(borrowed, references);
      try {
        journal.write(planId, { event: 'release', step: index, action });
      } catch {
        // Said where it failed first; a file system left frozen would be worse than a line that is missing.
      }
      const log = join(stateDir, 'runs', runId, `${planId}-${index + 1}-release.log`);
      const given = await act(target, action, log, RELEASE_LIMIT, () => {}).catch(() =>
        act(target, action, '/dev/null', RELEASE_LIMIT, () => {}),
      );
      if (!given.ok) {
        const why = given.why ?? `exit code ${given.code}${lastOf(log) === '' ? '' : `: ${lastOf(log)}`}`;
        kept.push(`what step ${index + 1} borrowed could not be given back: ${why}`);
      }
    }
  }
  return kept;
}

function notDone(step: Step): StepResult {
  return { title: step.title, action: step.action, outcome: 'not-done', exitCode: null, output: '', durationMs: 0, why: null };
}

function lastOf(log: string): string {
  try {
    return readFileSync(log, 'utf8').slice(-OUTPUT_AT_MOST).trim();
  } catch (error) {
    return `(its output could not be read: ${messageOf(error)})`;
  }
}
