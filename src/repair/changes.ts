/** What became different between the making of a plan and now, in a sentence that names it then and now. */
import { isDeepStrictEqual } from 'node:util';
import { shortHash } from '../check/edit.ts';
import type { Plan, Step } from '../check/types.ts';
import { actionText, claimText } from '../check/wording.ts';
import { toByteString } from '../names.ts';
import { type Doing, examineAll } from './acting.ts';

/** True where both plans do the same, resting on the same. */
export function sameSteps(now: Plan | null, then: Plan | null): boolean {
  return (
    now !== null &&
    then !== null &&
    !('refused' in now) &&
    !('refused' in then) &&
    isDeepStrictEqual(now.steps.map(essence), then.steps.map(essence))
  );
}

/**
 * True where both plans do the same but for the place in files, because these are what earlier repairs of this run left:
 * `left`, by path (one character a byte), the SHA-256. The same lines give way to the same lines.
 */
export function sameButForPlace(now: Plan | null, then: Plan | null, left: ReadonlyMap<string, string | null>): boolean {
  if (now === null || then === null || 'refused' in now || 'refused' in then) {
    return false;
  }
  const isLeft = ({ action }: Step) => action.kind !== 'edit' || left.get(toByteString(action.path)) === action.was;
  return now.steps.some(({ action }) => action.kind === 'edit') && now.steps.every(isLeft) && linesOf(now.steps) === linesOf(then.steps);
}

/** What steps do, with the lines that edits change in the place of all that follows from where they stand. */
function linesOf(steps: readonly Step[]): string {
  const edits = steps.map(({ action }) => action).filter((action) => action.kind === 'edit');
  const hashes = edits.flatMap(({ was, becomes }) => [was, becomes]).filter((hash) => hash !== null);
  const plain = steps.map((step) => {
    const { action } = step;
    if (action.kind !== 'edit') {
      return essence(step);
    }
    const { path, content, verify, diff } = action;
    const changes = 'from' in content ? [] : content.changes.map((change) => ({ ...change, at: 0 }));
    const lines = diff.filter((line) => /^[-+]/.test(toByteString(line)));
    return essence({
      ...step,
      action: { kind: 'edit', path, was: null, becomes: null, content: { changes }, diff: lines, ...(verify && { verify }) },
    });
  });
  return hashes.reduce(
    (text, hash, index) => text.replaceAll(hash, `content ${index}`).replaceAll(shortHash(hash), `content ${index}`),
    JSON.stringify(plain),
  );
}

/** What a step does and rests on, without its prose. As JSON: a plan may have been a file. */
function essence({ action, risk, guards, proof, undo, release, releaseRefuses, patienceMs, limitMs }: Step): unknown {
  return JSON.parse(JSON.stringify({ action, risk, guards, proof, undo, release, releaseRefuses, patienceMs, limitMs }));
}

/** The first condition of the old plan that no longer holds, else the first difference between the plans. */
export async function whatChanged(then: Plan, now: Plan | null, doing: Pick<Doing, 'target' | 'roundMs'>): Promise<string> {
  return (await whatNoLongerHolds(then, doing)) ?? `${difference(then, now)}; nothing was done`;
}

/** The first condition of a plan's first step that does not hold now, of those that rest on no name of the run. */
export async function whatNoLongerHolds(plan: Plan, doing: Pick<Doing, 'target' | 'roundMs'>): Promise<string | undefined> {
  const first = 'refused' in plan ? undefined : plan.steps[0];
  const guards = (first?.guards ?? []).filter(({ args }) => !JSON.stringify(args).includes('"ref":'));
  // They may stand in a file: no image is read for as long as that wishes.
  const held = await examineAll(guards, doing, 0);
  return held.holds ? undefined : `expected ${held.expected}, found ${held.found}; nothing was done`;
}

function difference(then: Plan, now: Plan | null): string {
  if (now === null || 'refused' in now) {
    return now === null ? 'the fault is no longer found' : `it is not repaired any more: ${now.refused}`;
  }
  if ('refused' in then || then.steps.length !== now.steps.length) {
    return `the plan had ${'refused' in then ? 0 : then.steps.length} steps, now it would have ${now.steps.length}`;
  }
  for (const [index, old] of then.steps.entries()) {
    const step = now.steps[index] as Step;
    const nth = `step ${index + 1}`;
    if (!isDeepStrictEqual(JSON.parse(JSON.stringify(old.action)), JSON.parse(JSON.stringify(step.action)))) {
      return `${nth} was ${actionText(old.action)}, now it would be ${actionText(step.action)}`;
    }
    if (!isDeepStrictEqual(essence(old), essence(step))) {
      const claims = (each: Step) => [...each.guards, ...each.proof].map(claimText).join(', ');
      return claims(old) === claims(step)
        ? `${nth} (${actionText(step.action)}) had another risk, way back or time limit`
        : `${nth} (${actionText(step.action)}) rested on ${claims(old)}, now it would rest on ${claims(step)}`;
    }
  }
  return 'what would be done about it is the same';
}
