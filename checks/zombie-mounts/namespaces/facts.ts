import { all, defineFact, outputOf, pause, read, run, Unknown } from '../../../src/check/asking.ts';
import type { Answer, Asking, Seen } from '../../../src/check/types.ts';
import { groupPath } from '../../../src/facts/cgroups.ts';
import { isFuse, isPseudo, runtimeOf } from '../../../src/facts/mount-kinds.ts';
import { type Mount, mountTable, ownTableAgain, topAt } from '../../../src/facts/mountinfo.ts';
import { mountsIn, type OtherTable, otherTables } from '../../../src/facts/namespaces.ts';
import { self } from '../../../src/facts/process.ts';
import { sameName, toByteString } from '../../../src/names.ts';

/** A mount that is being made or unmounted in all namespaces at once has settled by then. */
const SETTLED_AFTER = 300;
/** Images that are made to be mounted for one service. */
const IMAGES: ReadonlySet<string> = new Set(['squashfs', 'erofs', 'iso9660']);

export interface Foreign {
  mount: Mount;
  seen: Seen;
  process: { pid: number; name: string; unit: string | null };
}

export interface Foreigners {
  mounts: Foreign[];
  unjudged: { pid: number; why: string }[];
}

/**
 * File systems of block devices and FUSE that are mounted only in other mount namespaces, which see our root and are of our
 * user namespace: those with a root or users of their own are containers, and mount for themselves. undefined: only root can know.
 */
export const foreigners = defineFact('zombie-mounts.foreigners', function* (): Asking<Foreigners | { unknown: string } | undefined> {
  const { uid } = yield* self();
  if (uid > 0) {
    return undefined;
  }
  const { looked, complete, tables, why } = yield* otherTables('');
  if (uid < 0 || !looked) {
    return { unknown: uid < 0 ? 'who we are could not be read' : (why ?? 'the mount namespaces could not be listed') };
  }
  try {
    const found = yield* mountedOnlyThere(tables);
    return complete || why === undefined ? found : { ...found, unjudged: [...found.unjudged, { pid: 0, why }] };
  } catch (error) {
    if (error instanceof Unknown) {
      return { unknown: error.message };
    }
    throw error;
  }
});

function* mountedOnlyThere(tables: readonly OtherTable[]): Asking<Foreigners> {
  const table = yield* mountTable();
  const root = topAt(table, '/');
  const early = tables.map((each) => ({ ...each, mounts: strangers(each, table.mounts, root) })).filter(({ mounts }) => mounts.length > 0);
  if (early.length === 0) {
    return { mounts: [], unjudged: [] };
  }
  yield* pause(SETTLED_AFTER);
  const again = yield* ownTableAgain('foreigners');
  const second = yield* otherTables('foreigners');
  const later = new Map(second.tables.map((each) => [each.pid, strangers(each, again.mounts, root)]));
  const unread = second.complete ? [] : early.filter(({ pid }) => !later.has(pid));
  const stayed = early.map((each) => ({
    ...each,
    mounts: each.mounts.filter((mount) =>
      later.get(each.pid)?.some(({ id, device, point }) => id === mount.id && device === mount.device && sameName(point, mount.point)),
    ),
  }));
  const settled = stayed.filter(({ mounts }) => mounts.length > 0);
  const users = yield* userNamespaces(settled.map(({ pid }) => pid));
  const own = users.get('self');
  const here = settled.filter(({ pid }) => own !== undefined && users.get(String(pid)) === own);
  const processes = yield* all(here.map(({ pid }) => processOfUnit(pid)));
  return {
    mounts: here.flatMap(({ mounts, seen }, index) =>
      mounts.map((mount) => ({ mount, seen, process: processes[index] as Foreign['process'] })),
    ),
    unjudged: [
      ...unread.map(({ pid }) => ({ pid, why: second.why ?? 'its mount table could not be read again' })),
      ...settled
        .filter(({ pid }) => own === undefined || users.get(String(pid)) === undefined)
        .map(({ pid }) => ({ pid, why: 'whether it is a container could not be read' })),
    ],
  };
}

/** Mounts of that table with storage of which our mounts know nothing; none where its root is another one than ours. */
function strangers(table: OtherTable, ours: readonly Mount[], root: Mount | undefined): Mount[] {
  const known = new Set(ours.map(({ device }) => device));
  const found = mountsIn(table, (device, point) => point === '/' || !known.has(device));
  const theirs = found.findLast(({ point }) => point === '/');
  if (root === undefined || theirs?.device !== root.device || !sameName(theirs.root, root.root)) {
    return [];
  }
  return found.filter(
    (mount) =>
      !known.has(mount.device) &&
      !isPseudo(mount) &&
      !IMAGES.has(mount.fstype) &&
      (isFuse(mount) || !mount.device.startsWith('0:') || toByteString(mount.source).startsWith('/dev/')) &&
      runtimeOf(mount.point) === undefined &&
      // It follows a mount that is still there somewhere.
      !mount.tags.some((tag) => tag.startsWith('master:')),
  );
}

function* userNamespaces(pids: readonly number[]): Asking<ReadonlyMap<string, string>> {
  if (pids.length === 0) {
    return new Map();
  }
  const links = ['self', ...pids].map((pid) => `/proc/${pid}/ns/user`);
  const answer = yield* run(['find', ...links, '-maxdepth', '0', '-printf', '%p %l\\n']);
  // /proc/2583/ns/user user:[4026531837]
  return new Map(
    [...outputOf(answer).matchAll(/^\/proc\/(\w+)\/ns\/user (user:\[\d+\])$/gm)].map(([, pid, namespace]) => [
      pid as string,
      namespace as string,
    ]),
  );
}

function* processOfUnit(pid: number): Asking<Foreign['process']> {
  const [comm, cgroup] = (yield* all([read(`/proc/${pid}/comm`), read(`/proc/${pid}/cgroup`)])) as [Answer, Answer];
  return { pid, name: outputOf(comm).trimEnd(), unit: unitOf(outputOf(cgroup)) ?? null };
}

/** The unit of systemd in /proc/PID/cgroup, else the whole path of the group; undefined for the topmost group. */
export function unitOf(cgroup: string): string | undefined {
  const path = groupPath(cgroup);
  const unit = path?.split('/').findLast((part) => /\.(service|scope|socket|mount)$/.test(part));
  return unit ?? (path === '/' ? undefined : path);
}

/** What one file system of another namespace has in common, bound to however many places. */
export function keyOf({ device, source, fstype }: Pick<Mount, 'device' | 'source' | 'fstype'>): string {
  return `${device} ${toByteString(source)} ${fstype}`;
}

/** The same source is mounted here at that place, by another superblock. */
export function isReplaced(mount: Mount, ours: readonly Mount[]): boolean {
  return ours.some(
    ({ point, source, fstype }) => sameName(point, mount.point) && sameName(source, mount.source) && fstype === mount.fstype,
  );
}
