/** Does a mount answer? Asked so that nothing can hang: see each step's limit. */
import { all, defineFact, pause, run, seenAt, Unknown, whyNot } from '../check/asking.ts';
import type { Asking, Probe } from '../check/types.ts';
import { isBelow, type Name, showName, toByteString } from '../names.ts';
import { ERRNO, errnoAtEnd } from './errno.ts';
import { stillHung } from './left-behind.ts';
import { type Looked, lookAt } from './look.ts';
import { fateOf, isFuse, isPseudo, mayHang, runtimeOf } from './mount-kinds.ts';
import { type Mount, type MountTable, mountTable } from './mountinfo.ts';
import { askAlone, askFuse, LIMIT_LOCAL, listingArgv, mayPass, RETRY_AFTER, type Reach, statfsArgv } from './reach-questions.ts';

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
