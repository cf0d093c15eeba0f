/** One mount is asked whether it answers, so that nothing can hang: see each step's limit. */
import { meanwhile, pause, run, seenAt, whyNot } from '../check/asking.ts';
import type { Answer, Asking, Probe, Seen } from '../check/types.ts';
import type { Name } from '../names.ts';
import { ERRNO, errnoAtEnd, errnoName } from './errno.ts';
import { connectionOf, daemonsOf, fuseDaemons, onlyFor, waitingOn } from './fuse.ts';
import { isFuse } from './mount-kinds.ts';
import { type Mount, mountTable } from './mountinfo.ts';
import { self } from './process.ts';
import { xfsShutdown } from './xfs.ts';

export type Reach = { seen: Seen } & (
  | { state: 'answers'; lateMs?: number }
  | { state: 'errno'; call: 'statfs' | 'stat' | 'readdir'; errno: number; line: string; statfsAnswers: boolean }
  | {
      state: 'silent';
      call: 'statfs' | 'stat' | 'readdir';
      limitMs: number;
      /** The kernel function in which the child slept at the limit. */
      wchan?: string;
      /** The child that SIGKILL did not end. */
      leaked?: number;
      /** Callers waiting on the FUSE connection, sampled while the question was open. */
      waiting: number[];
      /** The same after the child was given up. */
      waitingAfter?: number;
      /** statfs answered, this long after it was asked. */
      statfsMs?: number;
    }
  | { state: 'unknown'; why: string }
);

/** An answer later than this is called late, and silence is looked at more closely. */
export const LATE_FUSE = 2000;
const LATE_NETWORK = 5000;
const LIMIT_FUSE = 7000;
const LIMIT_NETWORK = 10_000;
export const LIMIT_LOCAL = 5000;
/** The daemon is stopped: what is left to learn comes at once. */
const LIMIT_STOPPED = 1000;
const SAMPLE_EVERY = 1500;
export const RETRY_AFTER = 1000;
/** Errors that may be over a second later, see `mayPass`. Dead connections and stale handles do not come back. */
const PASSING: ReadonlySet<number> = new Set([ERRNO.EIO, ERRNO.ETIMEDOUT, ERRNO.EHOSTDOWN, ERRNO.EAGAIN, ERRNO.EINTR]);

/** Of the network. */
export function* askAlone(mount: Mount): Asking<Reach> {
  return yield* askWithLimits(mount, [], LATE_NETWORK, LIMIT_NETWORK);
}

export function* askFuse(mount: Mount): Asking<Reach> {
  const only = onlyFor(mount);
  const me = yield* self();
  let as: string[] = [];
  if (only !== undefined && only.uid !== me.uid) {
    if (me.uid !== 0) {
      const seen = (yield* mountTable()).seen;
      return { state: 'unknown', why: `only uid ${only.uid} may look into it (no allow_other)`, seen };
    }
    as = ['setpriv', '--reuid', String(only.uid), '--regid', String(only.gid), '--clear-groups'];
  }
  const daemons = daemonsOf(mount, yield* fuseDaemons());
  const stopped = daemons.processes.length > 0 && daemons.processes.every(({ state }) => state === 'T' || state === 't');
  return yield* askWithLimits(mount, as, LATE_FUSE, stopped ? LIMIT_STOPPED : LIMIT_FUSE);
}

/** statfs first: FUSE never caches it, while attributes and listings may come from the cache of a daemon that is stopped. */
export function* askWithLimits(mount: Mount, as: readonly string[], lateMs: number, limitMs: number): Asking<Reach> {
  const statfs = yield* askOne(mount, 'statfs', [...as, ...statfsArgv(mount.point)], lateMs, limitMs);
  if (statfs.state !== 'answers') {
    return statfs;
  }
  // The mount point may be a file, or deny a listing: then the listing adds nothing.
  const listing = [...as, ...listingArgv(mount.point)];
  const readdir = yield* askOne(mount, 'readdir', listing, lateMs, limitMs);
  const statfsMs = statfs.lateMs;
  switch (readdir.state) {
    case 'answers':
      return statfsMs === undefined ? readdir : { ...readdir, lateMs: statfsMs };
    case 'errno':
      if ((readdir.errno === ERRNO.EACCES || readdir.errno === ERRNO.EPERM) && !isFuse(mount)) {
        return statfs;
      }
      return { ...readdir, statfsAnswers: true };
    case 'silent':
      return { ...readdir, ...(statfsMs !== undefined && { statfsMs }) };
    case 'unknown':
      return readdir;
  }
}

function* askOne(
  mount: Mount,
  call: 'statfs' | 'readdir',
  argv: readonly Name[],
  lateMs: number,
  limitMs: number,
  retry = 0,
): Asking<Reach> {
  // The device is part of the question: a child that hangs on this superblock says nothing about a later one at the same path.
  const take = retry === 0 ? `device ${mount.device}` : `device ${mount.device}, retry ${retry}`;
  const probe: Probe & { kind: 'run' } = { kind: 'run', argv, take };
  const question = run(argv, { take, limitMs, suspect: true });
  const [answer, waiting] = isFuse(mount) ? yield* meanwhile(question, sample(mount, call, lateMs, limitMs)) : [yield* question, undefined];
  const seen = seenAt(probe, answer);
  if (answer.state === 'timed-out') {
    const after = isFuse(mount) ? yield* waitingOn(connectionOf(mount), `after ${call}`) : undefined;
    return {
      state: 'silent',
      call,
      limitMs: answer.limitMs,
      waiting: waiting ?? [],
      seen,
      ...(answer.wchan !== undefined && { wchan: answer.wchan }),
      ...(answer.leaked !== undefined && { leaked: answer.leaked.pid }),
      ...(after?.count !== undefined && { waitingAfter: after.count }),
    };
  }
  if (answer.state !== 'ok') {
    return { state: 'unknown', why: whyNot(answer), seen };
  }
  const errno = answer.code === 0 ? undefined : errnoAtEnd(answer.err);
  if (answer.code === 0) {
    return isAnswer(call, answer)
      ? { state: 'answers', seen, ...(answer.ms > lateMs && { lateMs: answer.ms }) }
      : { state: 'unknown', why: `${call} was answered in an unknown format`, seen };
  }
  if (errno === undefined) {
    return { state: 'unknown', why: whyNot(answer), seen };
  }
  if (call === 'statfs' && errno === ERRNO.ENOSYS) {
    // Its daemon has no statfs, and said so.
    return { state: 'answers', seen, ...(answer.ms > lateMs && { lateMs: answer.ms }) };
  }
  if (retry < 2 && (yield* mayPass(mount, errno))) {
    yield* pause(RETRY_AFTER);
    return yield* askOne(mount, call, argv, lateMs, limitMs, retry + 1);
  }
  return { state: 'errno', call, errno, line: answer.err.trim(), statfsAnswers: false, seen };
}

/** `65735546 262144000 262144000`: type in hex, blocks, free blocks. A listing may be empty. */
function isAnswer(call: 'statfs' | 'readdir', answer: Answer & { state: 'ok' }): boolean {
  return call === 'readdir' || /^[0-9a-f]+ \d+ \d+\n$/.test(Buffer.from(answer.out).toString('latin1'));
}

function* sample(mount: Mount, call: string, lateMs: number, limitMs: number): Asking<number[]> {
  const counts: number[] = [];
  for (let at = lateMs; at < limitMs; at += SAMPLE_EVERY) {
    yield* pause(at === lateMs ? lateMs : SAMPLE_EVERY);
    const waiting = yield* waitingOn(connectionOf(mount), `${call} at ${at} ms`);
    if (waiting.count !== undefined) {
      counts.push(waiting.count);
    }
  }
  return counts;
}

/** An XFS of which the kernel says that it has shut itself down fails until it is mounted anew. */
export function* mayPass(mount: Mount, errno: number): Asking<boolean> {
  const settled = mount.fstype === 'xfs' && errno === ERRNO.EIO && (yield* xfsShutdown(mount.device)) !== undefined;
  return PASSING.has(errno) && !settled;
}

export function statfsArgv(point: Name): Name[] {
  return ['stat', '-f', '-c', '%t %b %f', '--', point];
}

export function listingArgv(point: Name): Name[] {
  return ['find', point, '-mindepth', '1', '-maxdepth', '1', '-print', '-quit'];
}

export function isDead(errno: number): boolean {
  return errno === ERRNO.ENOTCONN || errno === ERRNO.ECONNABORTED;
}

/** What was learned, as a clause. */
export function sentenceOf(found: Reach): string {
  switch (found.state) {
    case 'answers':
      return found.lateMs === undefined ? 'it answers' : `it answers after ${(found.lateMs / 1000).toFixed(1)} s`;
    case 'errno':
      return `${found.call} says ${errnoName(found.errno)}`;
    case 'silent':
      return `${found.call} had no answer within ${found.limitMs / 1000} s${found.leaked === undefined ? '' : `, and its child (pid ${found.leaked}) is deaf to SIGKILL and was left behind`}`;
    case 'unknown':
      return found.why;
  }
}
