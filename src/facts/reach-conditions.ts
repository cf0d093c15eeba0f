/** What repairs rest on: whether a mount answers, and how it does not. */
import { defineCondition } from '../check/condition.ts';
import type { Asking, Holds } from '../check/types.ts';
import { type Name, showName } from '../names.ts';
import { errnoName } from './errno.ts';
import { isFuse, isNetwork } from './mount-kinds.ts';
import { mountTable, topAt } from './mountinfo.ts';
import { askAlone, askFuse, askWithLimits, isDead, LATE_FUSE, LIMIT_LOCAL, type Reach, sentenceOf } from './reach-questions.ts';

/** The mount point answers statfs and a listing. */
export const mountAnswers = defineCondition('mount-answers', function* (args: { point: Name }): Asking<Holds> {
  const found = yield* reachAt(args.point);
  return found.state === 'answers'
    ? { holds: true }
    : { holds: false, expected: `${showName(args.point)} answers`, found: sentenceOf(found) };
});

/** The FUSE connection behind the mount point is cut: nothing can be reached or lost through it any more. */
export const connectionDead = defineCondition('fuse-connection-dead', function* (args: { point: Name }): Asking<Holds> {
  const found = yield* reachAt(args.point);
  const dead = found.state === 'errno' && isDead(found.errno);
  return dead ? { holds: true } : { holds: false, expected: `ENOTCONN from ${showName(args.point)}`, found: sentenceOf(found) };
});

/** The mount point fails with this error. */
export const mountFails = defineCondition('mount-fails', function* (args: { point: Name; errno: number }): Asking<Holds> {
  const found = yield* reachAt(args.point);
  const fails = found.state === 'errno' && found.errno === args.errno;
  return fails
    ? { holds: true }
    : { holds: false, expected: `${errnoName(args.errno)} from ${showName(args.point)}`, found: sentenceOf(found) };
});

/** The mount point gives no answer at all, or one of these errors. */
export const mountSilent = defineCondition('mount-silent', function* (args: { point: Name; errnos: readonly number[] }): Asking<Holds> {
  const found = yield* reachAt(args.point);
  const silent = found.state === 'silent' && found.statfsMs === undefined;
  return silent || (found.state === 'errno' && args.errnos.includes(found.errno))
    ? { holds: true }
    : { holds: false, expected: `no answer from ${showName(args.point)}`, found: sentenceOf(found) };
});

/** One mount point alone, by the mount that is visible there. */
function* reachAt(point: Name): Asking<Reach> {
  const table = yield* mountTable();
  const mount = topAt(table, point);
  if (mount === undefined) {
    return { state: 'unknown', why: 'nothing is mounted there', seen: table.seen };
  }
  if (isFuse(mount)) {
    return yield* askFuse(mount);
  }
  // As patient as the look that found it: what is slow must not be taken for gone.
  return isNetwork(mount) ? yield* askAlone(mount) : yield* askWithLimits(mount, [], LATE_FUSE, LIMIT_LOCAL);
}
