/** Facts of this check alone: each asks only where there is something to ask about. */
import { all, defineFact } from '../../src/check/asking.ts';
import type { Asking, Evidence, Facts } from '../../src/check/types.ts';
import { ERRNO } from '../../src/facts/errno.ts';
import { type FuseDaemons, fuseDaemons } from '../../src/facts/fuse.ts';
import { type Holders, holdersOf } from '../../src/facts/holders.ts';
import { type Looked, lookAt } from '../../src/facts/look.ts';
import { mountedLoops } from '../../src/facts/loop.ts';
import { isFuse, isPseudo } from '../../src/facts/mount-kinds.ts';
import { isRootDeleted, type Mount, type MountTable, mountOf, mountTable, rootBeforeDeletion } from '../../src/facts/mountinfo.ts';
import { type Elsewhere, mountedElsewhere } from '../../src/facts/namespaces.ts';
import { self } from '../../src/facts/process.ts';
import { isDead, type Reach, reach } from '../../src/facts/reach.ts';
import { xfsShutdown } from '../../src/facts/xfs.ts';
import { fromByteString, type Name, toByteString } from '../../src/names.ts';

const LIMIT = 2000;

const daemons = defineFact('zombie-mounts.daemons', function* (): Asking<FuseDaemons | undefined> {
  const { mounts } = yield* mountTable();
  return mounts.some(isFuse) ? yield* fuseDaemons() : undefined;
});

/** Who holds the mounts that a repair would take away. */
const holders = defineFact('zombie-mounts.holders', function* (): Asking<Holders | undefined> {
  const table = yield* mountTable();
  const reached = yield* reach();
  const { loops } = yield* mountedLoops();
  const deletedLoops = new Set(loops.filter(({ deleted }) => deleted).map(({ device }) => device));
  const binds = new Set(deletedBinds(table));
  const points = table.mounts
    .filter((mount) => binds.has(mount) || deletedLoops.has(mount.device) || isLost(reached.get(mount.id)))
    .map(({ point }) => point);
  return points.length > 0 ? yield* holdersOf(points) : undefined;
});

function isLost(found: Reach | undefined): boolean {
  return found?.state === 'silent' || (found?.state === 'errno' && (isDead(found.errno) || found.errno === ERRNO.EIO));
}

export interface BindSource {
  /** Where the deleted thing was, as a path that can be used now; undefined where its file system is mounted nowhere. */
  path: Name | undefined;
  /** What is there now. */
  source: Looked | undefined;
  /** What the mount itself still shows. */
  mount: Looked | undefined;
}

/** By mount id, for bind mounts of something deleted. */
const bindSources = defineFact('zombie-mounts.bind-sources', function* (): Asking<ReadonlyMap<number, BindSource>> {
  const table = yield* mountTable();
  const deleted = deletedBinds(table);
  const found = yield* all(deleted.map((mount) => bindSource(mount, table)));
  return new Map(deleted.map((mount, index) => [mount.id, found[index] as BindSource]));
});

/** tmpfs holds real files, other pseudo file systems do not. */
export function deletedBinds(table: MountTable): Mount[] {
  return table.mounts.filter(
    (mount) => isRootDeleted(mount) && table.visible.has(mount.id) && (!isPseudo(mount) || mount.fstype === 'tmpfs'),
  );
}

function* bindSource(mount: Mount, table: MountTable): Asking<BindSource> {
  const path = sourcePath(mount, table);
  const looked = yield* lookAt([mount.point, ...(path === undefined ? [] : [path])], LIMIT);
  return { path, source: path === undefined ? undefined : looked.get(toByteString(path)), mount: looked.get(toByteString(mount.point)) };
}

/** `/srv/a//deleted` on a device that is also mounted at `/` with root `/` was `/srv/a`. */
function sourcePath(mount: Mount, table: MountTable): Name | undefined {
  const inside = toByteString(rootBeforeDeletion(mount));
  for (const other of table.mounts) {
    const root = toByteString(other.root);
    if (
      other.device !== mount.device ||
      isRootDeleted(other) ||
      !table.visible.has(other.id) ||
      !(root === '/' || inside.startsWith(`${root}/`))
    ) {
      continue;
    }
    const below = root === '/' ? inside : inside.slice(root.length);
    const path = fromByteString((toByteString(other.point) === '/' ? '' : toByteString(other.point)) + below);
    if (mountOf(table, path)?.id === other.id) {
      return path;
    }
  }
  return undefined;
}

/** By device: other mount namespaces that keep a shut-down XFS alive. */
const shutdownMounts = defineFact('zombie-mounts.shutdown-mounts', function* (): Asking<ReadonlyMap<string, Elsewhere>> {
  const devices = [...new Set((yield* failingXfs()).map(({ device }) => device))];
  const found = yield* all(devices.map((device) => mountedElsewhere(device)));
  return new Map(devices.map((device, index) => [device, found[index] as Elsewhere]));
});

/** By device: what the kernel said when it shut an XFS down. */
const shutdowns = defineFact('zombie-mounts.shutdowns', function* (): Asking<ReadonlyMap<string, Evidence>> {
  const devices = [...new Set((yield* failingXfs()).map(({ device }) => device))];
  const said = yield* all(devices.map((device) => xfsShutdown(device)));
  return new Map(devices.flatMap((device, index) => (said[index] === undefined ? [] : [[device, said[index]]])));
});

function* failingXfs(): Asking<Mount[]> {
  const table = yield* mountTable();
  const reached = yield* reach();
  return table.mounts.filter((mount) => {
    const found = reached.get(mount.id);
    return mount.fstype === 'xfs' && found?.state === 'errno' && found.errno === ERRNO.EIO;
  });
}

export const needs = { table: mountTable, reach, daemons, loops: mountedLoops, holders, bindSources, shutdownMounts, shutdowns, self };

export type ZombieFacts = Facts<typeof needs>;
