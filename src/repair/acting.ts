/** One act with the journal before and after it, and one proof with patience. What apply, resume and undo are made of. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { examine } from '../check/condition.ts';
import { leftoversOf, NOT_AS_IT_WAS } from '../check/edit.ts';
import type { Acted, Child, Claim, Edit, ResolvedAction, Step, Target } from '../check/types.ts';
import { makeDirectory } from '../directory.ts';
import type { Listener } from '../engine/events.ts';
import { Round } from '../engine/round.ts';
import { messageOf } from '../errors.ts';
import type { Closed, Purpose, Undo } from '../journal/entries.ts';
import type { Journal } from '../journal/journal.ts';
import { type References, resolveAction, resolveClaim } from '../journal/references.ts';
import type { Name } from '../names.ts';
import type { Repair } from './result.ts';

const DEFAULT_PATIENCE = 2000;
const LOOK_EVERY = 250;
const OUTPUT_AT_MOST = 2000;
const SAID_EVERY = 1000;
/** After an interruption, an act that would end anyway may. */
const LAST_WAIT = 3000;
const RELEASE_LIMIT = 60_000;

/** What carries a repair out. */
export interface Doing {
  target: Target;
  journal: Pick<Journal, 'write'>;
  stateDir: string;
  /** How long one round of asking may take. */
  roundMs: number;
  listen: Listener;
  /** Aborted when somebody wants it to end: the act under way may end, none is begun after it. */
  stop: AbortSignal;
}

/** A repair by its place in the journal. */
export interface Place {
  run: string;
  plan: string;
}

/** `running`: left to itself, nothing may be given back before it ends. */
export interface Deeded extends Acted {
  /** The last lines it printed. */
  output: string;
}

export interface DeedOptions {
  of: Purpose;
  step: number;
  action: ResolvedAction;
  proof?: Claim[];
  undo?: Undo;
  limitMs?: number | undefined;
  /** From here on it may have been done. */
  begun?(): void;
}

/** Where the output of an act is kept. */
export function logOf(stateDir: string, { run, plan }: Place, step: number, of: Purpose): string {
  return join(stateDir, 'runs', run, `${plan}-${step + 1}${of === 'step' ? '' : `-${of}`}.log`);
}

/** The end of a repair, in the journal and as a result. Where it cannot be written any more, it stays open there, and failed. */
export function close(
  { run, plan }: Place,
  as: Closed & Repair['outcome'],
  why: string | null,
  steps: Repair['steps'],
  journal: Doing['journal'],
): Pick<Repair, 'outcome' | 'reason' | 'steps'> {
  try {
    journal.write(run, plan, { event: 'closed', as, ...(why !== null && { why }) });
    return { outcome: as, reason: why, steps };
  } catch (error) {
    const reasons = new Set([...(why === null ? [] : [why]), messageOf(error)]);
    return { outcome: 'failed', reason: [...reasons].join('; '), steps };
  }
}

/** Journal, act, journal. Rejects only where the journal cannot be written. */
export async function carryOut(place: Place, deed: DeedOptions, doing: Doing): Promise<Deeded> {
  const { of, step, action, proof = [], undo } = deed;
  const { journal, stateDir } = doing;
  const { run, plan } = place;
  const log = logOf(stateDir, place, step, of);
  makeDirectory(join(stateDir, 'runs', run));
  journal.write(run, plan, { event: 'act', of, step, action, proof, ...(undo !== undefined && { undo }) });
  deed.begun?.();
  // A command that has begun is not let go of for want of the line that names it: whoever holds its output is it.
  const started = attempt((child: Child) => journal.write(run, plan, { event: 'started', of, step, child }));
  const acted = await act(action, log, deed.limitMs, doing, started);
  if (!acted.running) {
    const { ok, code, why } = acted;
    journal.write(run, plan, { event: 'acted', of, step, ok, code, log, ...(why !== undefined && { why }) });
    // It did not end by itself.
    if (action.kind === 'edit' && why !== undefined) {
      await sweep(place, step, action, doing);
    }
  }
  return { ...acted, output: lastOf(log) };
}

/** An edit that was cut off may have left the new file beside the old one. */
export async function sweep(place: Place, step: number, edit: Edit<Name>, doing: Doing): Promise<void> {
  const action: ResolvedAction = { kind: 'run', argv: ['rm', '-f', '--', ...leftoversOf(edit)] };
  await carryOut(place, { of: 'release', step, action, limitMs: RELEASE_LIMIT }, doing);
}

async function act(
  action: ResolvedAction,
  log: string,
  limitMs: number | undefined,
  { target, listen, stop }: Pick<Doing, 'target' | 'listen' | 'stop'>,
  started: (child: Child) => void,
): Promise<Omit<Deeded, 'output'>> {
  if (target.act === undefined) {
    return { ok: false, code: -1, why: `${target.name} can only be read` };
  }
  let pid: number | undefined;
  const done = target.act(action, log, (child) => {
    pid = child.pid;
    started(child);
  });
  const settled = new AbortController();
  const wait = (ms: number) => sleep(ms, undefined, { signal: settled.signal }).catch(() => never);
  const tooLong = limitMs === undefined ? never : wait(limitMs).then(() => `still running after ${limitMs / 1000} s`);
  const interrupted = untilUrgent(stop, settled.signal)
    .then(() => wait(LAST_WAIT))
    .then(() => 'interrupted while it ran');
  const telling = setInterval(() => listen({ type: 'said', text: lastLineOf(log) }), SAID_EVERY);
  try {
    const first = await Promise.race([done, tooLong, interrupted]);
    return typeof first === 'object'
      ? first
      : { ok: false, code: -1, running: true, why: `${first}, and left to itself as process ${pid ?? 'unknown'}` };
  } finally {
    settled.abort();
    clearInterval(telling);
  }
}

const never = new Promise<never>(() => {});

function untilUrgent(stop: AbortSignal, unless: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const look = () => isUrgent(stop) && resolve();
    look();
    stop.addEventListener('abort', look, { signal: unless });
  });
}

/** The end of a terminal lets the plan under way end; anything else lets only the act. */
export function isUrgent(stop: AbortSignal): boolean {
  return stop.aborted && stop.reason !== 'SIGHUP';
}

type Examined = { holds: true } | { holds: false; expected: string; found: string; claim: Claim };

/** All claims on one fresh look at the world; the first that does not hold. */
export async function examineAll(
  claims: readonly Claim[],
  { target, roundMs }: Pick<Doing, 'target' | 'roundMs'>,
  atLeastMs = longest(claims),
): Promise<Examined> {
  const round = new Round(target, Date.now() + Math.max(roundMs, atLeastMs));
  for (const claim of claims) {
    const held = await round.gather(examine(claim));
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

/** Until it holds or patience ends. After a command that failed there is nothing to wait for, but the proof decides. */
export async function prove(
  proof: readonly Claim[],
  ok: boolean,
  patienceMs: number | undefined,
  doing: Pick<Doing, 'target' | 'roundMs' | 'stop'>,
): Promise<Examined | { holds: false; expected: string; found: string }> {
  if (proof.length === 0) {
    return ok ? { holds: true } : { holds: false, expected: 'exit code 0', found: 'another' };
  }
  const until = Date.now() + (ok ? (patienceMs ?? DEFAULT_PATIENCE) : 0);
  for (;;) {
    const held = await examineAll(proof, doing);
    if (held.holds || Date.now() >= until || isUrgent(doing.stop)) {
      return held;
    }
    await sleep(LOOK_EVERY);
  }
}

/** What an act came to, where its proof does not hold. */
export function failureOf(acted: Deeded, proof: { expected: string; found: string }): string {
  return acted.ok
    ? `the command ended well, but expected ${proof.expected}, found ${proof.found}`
    : `${acted.why ?? `exit code ${acted.code}`}${acted.output === '' ? '' : `: ${acted.output.split('\n').at(-1)}`}`;
}

/** An edit that found another file than it was planned for has changed nothing: the world has changed, the step did not fail. */
export function foundAnother({ kind }: ResolvedAction, { code, output }: Deeded): string | undefined {
  return kind === 'edit' && code === NOT_AS_IT_WAS ? (output.split('\n').at(-1) as string) : undefined;
}

/** What a step rests on and how it is taken back, with every reference filled in. */
export function resolveStep(step: Step, references: References) {
  const { undo } = step;
  const claims = (list: readonly Claim[]) => list.map((claim) => resolveClaim(claim, references));
  return {
    action: resolveAction(step.action, references),
    guards: claims(step.guards),
    proof: claims(step.proof),
    undo: 'none' in undo ? undo : { action: resolveAction(undo.action, references), proof: claims(undo.proof) },
  };
}

/** Gives back what one step borrowed, whatever became of it and of the journal. Returns why it could not be given back. */
export async function giveBack(place: Place, index: number, step: Step, references: References, doing: Doing): Promise<string | undefined> {
  if (step.release === undefined) {
    return undefined;
  }
  const action = resolveAction(step.release, references);
  // What is wrong with the journal was said where it failed first; a file system left frozen would be worse than a missing line.
  const anyway = { ...doing, journal: { write: attempt(doing.journal.write.bind(doing.journal)) } };
  const given = await carryOut(place, { of: 'release', step: index, action, limitMs: RELEASE_LIMIT }, anyway).catch(async () => ({
    ...(await act(action, '/dev/null', RELEASE_LIMIT, doing, () => {})),
    output: '',
  }));
  if (given.ok || (await hasNothingToGive(given, step, references, doing))) {
    return undefined;
  }
  return `what step ${index + 1} borrowed could not be given back: ${failureOf(given, { expected: '', found: '' })}`;
}

/** Somebody else gave it back, or it was never borrowed: the release says so, and it is the same thing that it was asked of. */
async function hasNothingToGive({ output }: Deeded, { releaseRefuses }: Step, references: References, doing: Doing): Promise<boolean> {
  return (
    releaseRefuses !== undefined &&
    output.endsWith(releaseRefuses.says) &&
    (
      await examineAll(
        releaseRefuses.while.map((claim) => resolveClaim(claim, references)),
        doing,
      )
    ).holds
  );
}

function attempt<A extends unknown[]>(write: (...args: A) => void): (...args: A) => void {
  return (...args) => {
    try {
      write(...args);
    } catch {
      // Said where it fails for good.
    }
  };
}

/** The last lines of an output, which may be long. */
function lastOf(log: string): string {
  try {
    const file = openSync(log, 'r');
    try {
      const { size } = fstatSync(file);
      const tail = Buffer.alloc(Math.min(size, OUTPUT_AT_MOST));
      return tail
        .subarray(0, readSync(file, tail, 0, tail.length, size - tail.length))
        .toString('utf8')
        .trim();
    } finally {
      closeSync(file);
    }
  } catch (error) {
    return `(its output could not be read: ${messageOf(error)})`;
  }
}

function lastLineOf(log: string): string {
  return (
    lastOf(log)
      .split(/[\n\r]/)
      .at(-1) ?? ''
  );
}
