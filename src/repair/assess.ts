/** What became of each step of a repair that was interrupted: from the journal, and from the host where the journal does not know. */
import { setTimeout as sleep } from 'node:timers/promises';
import { outputOf, read, Unknown } from '../check/asking.ts';
import type { Asking, Child } from '../check/types.ts';
import { Round } from '../engine/round.ts';
import { processesNaming } from '../facts/command-lines.ts';
import { holdersOf } from '../facts/holders.ts';
import { processOf } from '../facts/process.ts';
import { actTag } from '../journal/act-tag.ts';
import { deedOf, type Journaled } from '../journal/entries.ts';
import { type Doing, examineAll, logOf, resolveStep } from './acting.ts';

const LOOK_EVERY = 500;

export interface StepState {
  state: 'done' | 'not-done' | 'taken-back' | 'unknown';
  /** How that is known. */
  why: string;
}

/** One for each step, in order. Nothing of it may be running any more. */
export async function assess(repair: Journaled, doing: Doing): Promise<StepState[]> {
  const states: StepState[] = [];
  for (const index of repair.steps.keys()) {
    states.push(await assessStep(repair, index, doing));
  }
  return states;
}

async function assessStep(repair: Journaled, index: number, doing: Doing): Promise<StepState> {
  const undone = deedOf(repair, 'undo', index);
  if (undone?.proven) {
    return { state: 'taken-back', why: `taken back and proven at ${undone.at}` };
  }
  if (undone !== undefined) {
    const held = await examineAll(undone.proof, doing);
    if (held.holds && undone.proof.length > 0) {
      return { state: 'taken-back', why: 'what its taking back was to bring about holds now' };
    }
  }
  const deed = deedOf(repair, 'step', index);
  if (deed === undefined) {
    return { state: 'not-done', why: 'it was not begun' };
  }
  if (deed.proven && undone === undefined) {
    return { state: 'done', why: `done and proven at ${deed.ended?.at ?? deed.at}` };
  }
  const proof = await examineAll(deed.proof, doing);
  if (proof.holds && deed.proof.length > 0) {
    return { state: 'done', why: 'what it was to bring about holds now' };
  }
  if (deed.proof.length === 0 && deed.ended?.ok) {
    return { state: 'done', why: 'its command ended well' };
  }
  const { guards } = resolveStep(repair.steps[index] as Journaled['steps'][number], repair.references);
  const before = await examineAll(guards, doing);
  if (before.holds) {
    return { state: 'not-done', why: 'the host is as it was before it' };
  }
  const missing = proof.holds ? '' : `its result (${proof.expected}) is not there, found ${proof.found}; and `;
  return { state: 'unknown', why: `${missing}the host is not as it was before it: expected ${before.expected}, found ${before.found}` };
}

/** The command that still runs for this repair, of this boot; undefined where none does. */
async function stillRunning(repair: Journaled, boot: string | null, doing: Doing): Promise<Child | undefined> {
  const round = new Round(doing.target, Date.now() + doing.roundMs);
  const open = repair.deeds.filter(({ ended }) => ended === undefined);
  const begunAt = repair.takenUp.at(-1)?.boot ?? repair.boot;
  for (const { child, of, step } of begunAt === boot ? open : []) {
    const place = { run: repair.run, plan: repair.plan };
    const log = logOf(doing.stateDir, place, step, of);
    const unnamed = () => (repair.host === undefined ? writerOf(log) : parentOf(actTag(log)));
    const found = await round.gather(child === undefined ? unnamed() : alive(child));
    if (found !== undefined) {
      return found;
    }
  }
  return undefined;
}

function* alive(child: Child): Asking<Child | undefined> {
  const found = yield* processOf(child.pid);
  return found !== undefined && found.startTime === child.startTime && !'ZX'.includes(found.state) ? child : undefined;
}

/**
 * We may have been killed between the start of the command and the line that names it: then it holds its output file, and
 * leads a session. What it left behind for good, such as the ssh of an sshfs that it mounted, may hold the file for ever.
 */
function* writerOf(log: string): Asking<Child | undefined> {
  const { byPoint } = yield* holdersOf([log]);
  for (const { pid } of [...byPoint.values()].flat()) {
    // 2583 (umount) S PARENT GROUP SESSION …
    const session = outputOf(yield* read(`/proc/${pid}/stat`))
      .split(') ')
      .at(-1)
      ?.split(' ')[3];
    const found = session === String(pid) ? yield* processOf(pid) : undefined;
    if (found !== undefined) {
      return { pid: found.pid, startTime: found.startTime };
    }
  }
  return undefined;
}

/** The same on another host, where the parent of the command carries its tag. */
function* parentOf(tag: string): Asking<Child | undefined> {
  const { pids, gaps } = yield* processesNaming([tag]);
  const found = pids[0] === undefined ? undefined : yield* processOf(pids[0]);
  if (found === undefined && gaps.length > 0) {
    throw new Unknown(gaps.join('; '));
  }
  return found === undefined ? undefined : { pid: found.pid, startTime: found.startTime };
}

/** Of acts whose end was never told. */
async function collectOutput(repair: Journaled, { target, stateDir }: Doing): Promise<void> {
  for (const { of, step } of repair.deeds.filter(({ ended }) => ended === undefined)) {
    await target.collect?.(logOf(stateDir, { run: repair.run, plan: repair.plan }, step, of));
  }
}

/** Waits until nothing of it runs any more, no longer than one round of asking. Returns what still runs then. */
export async function waitForEnd(repair: Journaled, boot: string | null, doing: Doing): Promise<Child | undefined> {
  const until = Date.now() + doing.roundMs;
  for (;;) {
    const child = await stillRunning(repair, boot, doing);
    if (child === undefined) {
      await collectOutput(repair, doing);
    }
    if (child === undefined || Date.now() >= until) {
      return child;
    }
    doing.listen({ type: 'said', text: `waiting for process ${child.pid}, which an interrupted step left behind` });
    await sleep(LOOK_EVERY);
  }
}
