/** Does a mount answer? Asked so that nothing can hang: see each step's limit. */
import { all, defineFact, meanwhile, pause, run, seenAt, Unknown, whyNot } from '../check/asking.ts';
import { defineCondition } from '../check/condition.ts';
import type { Answer, Asking, Holds, Probe, Seen } from '../check/types.ts';
import { isBelow, type Name, showName, toByteString } from '../names.ts';
import { ERRNO, errnoAtEnd, errnoName } from './errno.ts';
import { connectionOf, daemonsOf, fuseDaemons, onlyFor, waitingOn } from './fuse.ts';
import { stillHung } from './left-behind.ts';
import { type Looked, lookAt } from './look.ts';
import { fateOf, isFuse, isPseudo, mayHang, runtimeOf } from './mount-kinds.ts';
import { type Mount, type MountTable, mountTable, topAt } from './mountinfo.ts';
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
const LATE_FUSE = 2000;
const LATE_NETWORK = 5000;
const LIMIT_FUSE = 7000;
const LIMIT_NETWORK = 10_000;
const LIMIT_LOCAL = 5000;
/** The daemon is stopped: what is left to learn comes at once. */
const LIMIT_STOPPED = 1000;
const SAMPLE_EVERY = 1500;
const RETRY_AFTER = 1000;
/** Errors that may be over a second later, see `mayPass`. Dead connections and stale handles do not come back. */
const PASSING: ReadonlySet<number> = new Set([ERRNO.EIO, ERRNO.ETIMEDOUT, ERRNO.EHOSTDOWN, ERRNO.EAGAIN, ERRNO.EINTR]);

/** By mount id: each visible mount with storage behind it. Mounts of one superblock share the answer of one of them. */
export const reach = defineFact('reach', function* (): Asking<ReadonlyMap<number, Reach>> {
  const table = yield* mountTable();
  const asked = askedMounts(table);
  const hanging = judgedMounts(table).filter(mayHang);
  const wayMayHang = (mount: Mount) => mayHang(mount) || hanging.some((other) => isBelow(mount.point, other.point));
  const suspects = asked.filter(wayMayHang);
  const local = asked.filter((mount) => !wayMayHang(mount));
  const [quick, slow] = (yield* all<Map<number, Reach>>([askLocal(local), askForest(suspects)])) as [
    Map<number, Reach>,
    Map<number, Reach>,
  ];
  const byFate = new Map<string, Reach>();
  for (const mount of asked) {
    const found = quick.get(mount.id) ?? slow.get(mount.id);
    if (found !== undefined) {
      byFate.set(fateOf(mount), found);
    }
  }
  const reached = new Map<number, Reach>();
  for (const mount of judgedMounts(table)) {
    const found = byFate.get(fateOf(mount));
    if (found !== undefined) {
      reached.set(mount.id, found);
    }
  }
  return reached;
});

/** Visible mounts with storage behind them. Those of a container runtime only where they can hang: the runtime minds the rest. */
export function judgedMounts(table: MountTable): Mount[] {
  return table.mounts.filter(
    (mount) => table.visible.has(mount.id) && !isPseudo(mount) && (mayHang(mount) || runtimeOf(mount.point) === undefined),
  );
}

/** One mount of each superblock: binds share its fate. The one with the shortest path. */
function askedMounts(table: MountTable): Mount[] {
  const byFate = new Map<string, Mount>();
  for (const mount of judgedMounts(table)) {
    const other = byFate.get(fateOf(mount));
    if (other === undefined || toByteString(mount.point).length < toByteString(other.point).length) {
      byFate.set(fateOf(mount), mount);
    }
  }
  return [...byFate.values()];
}

function* askLocal(mounts: Mount[]): Asking<Map<number, Reach>> {
  const known = yield* stillHung();
  const points = mounts.map(({ point }) => point);
  const looked = yield* lookAt(points, LIMIT_LOCAL, known);
  const results = yield* all(mounts.map((mount) => settleLocal(mount, looked.get(toByteString(mount.point)))));
  return new Map(mounts.map((mount, index) => [mount.id, results[index] as Reach]));
}

function* settleLocal(mount: Mount, looked: Looked | undefined, retry = 0): Asking<Reach> {
  if (looked === undefined) {
    throw new Unknown(`nothing was learned about ${showName(mount.point)}`);
  }
  switch (looked.state) {
    case 'found':
      return { state: 'answers', seen: looked.seen };
    case 'silent':
      return { ...looked, call: 'stat', waiting: [] };
    case 'unknown':
      return looked;
    case 'errno':
      break;
  }
  if (looked.call === 'readdir' && (looked.errno === ERRNO.EACCES || looked.errno === ERRNO.EPERM)) {
    return { state: 'answers', seen: looked.seen };
  }
  if (retry < 2 && (yield* mayPass(mount, looked.errno))) {
    yield* pause(RETRY_AFTER);
    const again = yield* retried(mount.point, looked.call, retry + 1);
    return yield* settleLocal(mount, again, retry + 1);
  }
  const statfs = yield* run(statfsArgv(mount.point), { limitMs: LIMIT_LOCAL, suspect: true });
  const statfsAnswers = statfs.state === 'ok' && statfs.code === 0;
  return { state: 'errno', call: looked.call, errno: looked.errno, line: looked.line, statfsAnswers, seen: looked.seen };
}

/** An XFS of which the kernel says that it has shut itself down fails until it is mounted anew. */
function* mayPass(mount: Mount, errno: number): Asking<boolean> {
  const settled = mount.fstype === 'xfs' && errno === ERRNO.EIO && (yield* xfsShutdown(mount.device)) !== undefined;
  return PASSING.has(errno) && !settled;
}

/** The call that failed again, by a question of its own: the bulk question has its answer in this round. A listing follows a stat that now succeeds. */
function* retried(point: Name, call: 'stat' | 'readdir', retry: number): Asking<Looked> {
  const argv = call === 'stat' ? ['stat', '-c', '%h', '--', point] : listingArgv(point);
  const probe: Probe & { kind: 'run' } = { kind: 'run', argv, take: `retry ${retry}` };
  const answer = yield* run(probe.argv, { take: `retry ${retry}`, limitMs: LIMIT_LOCAL, suspect: true });
  const seen = seenAt(probe, answer);
  if (answer.state === 'timed-out') {
    return { state: 'silent', limitMs: answer.limitMs, seen, ...(answer.leaked !== undefined && { leaked: answer.leaked.pid }) };
  }
  if (answer.state !== 'ok') {
    return { state: 'unknown', why: whyNot(answer), seen };
  }
  if (answer.code === 0) {
    const found = { state: 'found', type: 'd', size: 0, inode: 0, device: 0, links: 0, empty: false, seen } as const;
    return call === 'stat' ? yield* retried(point, 'readdir', retry) : found;
  }
  const errno = errnoAtEnd(answer.err);
  return errno === undefined
    ? { state: 'unknown', why: whyNot(answer), seen }
    : { state: 'errno', errno, call, line: answer.err.trim(), seen };
}

function listingArgv(point: Name): Name[] {
  return ['find', point, '-mindepth', '1', '-maxdepth', '1', '-print', '-quit'];
}

/** Asks each mount after those above it: a way that leads through a silent mount is not gone. */
function* askForest(mounts: Mount[], above: readonly Mount[] = []): Asking<Map<number, Reach>> {
  const roots = mounts.filter((mount) => !mounts.some((other) => isBelow(mount.point, other.point)));
  const parts = yield* all(
    roots.map((mount) =>
      askTree(
        mount,
        mounts.filter((other) => isBelow(other.point, mount.point)),
        above,
      ),
    ),
  );
  return new Map(parts.flatMap((part) => [...part]));
}

function* askTree(mount: Mount, below: Mount[], above: readonly Mount[]): Asking<Map<number, Reach>> {
  const found = isFuse(mount) ? yield* askFuse(mount) : yield* askAlone(mount);
  if (found.state === 'answers') {
    return new Map([[mount.id, found], ...(yield* askForest(below, [...above, mount]))]);
  }
  const why = `the way there leads through ${showName(mount.point)}, which does not answer`;
  return new Map([[mount.id, found], ...below.map((each): [number, Reach] => [each.id, { state: 'unknown', why, seen: found.seen }])]);
}

function* askAlone(mount: Mount): Asking<Reach> {
  return yield* askWithLimits(mount, [], LATE_NETWORK, LIMIT_NETWORK);
}

function* askFuse(mount: Mount): Asking<Reach> {
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
function* askWithLimits(mount: Mount, as: readonly string[], lateMs: number, limitMs: number): Asking<Reach> {
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
  const [answer, waiting] = speaksFuse(mount)
    ? yield* meanwhile(question, sample(mount, call, lateMs, limitMs))
    : [yield* question, undefined];
  const seen = seenAt(probe, answer);
  if (answer.state === 'timed-out') {
    const after = speaksFuse(mount) ? yield* waitingOn(connectionOf(mount), `after ${call}`) : undefined;
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

/** virtiofs has no daemon on this machine, but a FUSE connection. */
function speaksFuse(mount: Mount): boolean {
  return isFuse(mount) || mount.fstype === 'virtiofs';
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

function statfsArgv(point: Name): Name[] {
  return ['stat', '-f', '-c', '%t %b %f', '--', point];
}

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

export function isDead(errno: number): boolean {
  return errno === ERRNO.ENOTCONN || errno === ERRNO.ECONNABORTED;
}

/** One mount point alone, by the mount that is visible there. */
function* reachAt(point: Name): Asking<Reach> {
  const table = yield* mountTable();
  const mount = topAt(table, point);
  if (mount === undefined) {
    return { state: 'unknown', why: 'nothing is mounted there', seen: table.seen };
  }
  return isFuse(mount) ? yield* askFuse(mount) : yield* askWithLimits(mount, [], LATE_FUSE, LIMIT_LOCAL);
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
