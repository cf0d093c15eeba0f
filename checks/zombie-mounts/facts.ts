/** What this check needs to know. Facts of one part alone lie with it. */
import { defineFact } from '../../src/check/asking.ts';
import type { Asking, Facts } from '../../src/check/types.ts';
import { ERRNO } from '../../src/facts/errno.ts';
import { type FuseDaemons, fuseDaemons } from '../../src/facts/fuse.ts';
import { type Holders, holdersOf } from '../../src/facts/holders.ts';
import { mountedLoops } from '../../src/facts/loop.ts';
import { isFuse } from '../../src/facts/mount-kinds.ts';
import { mountTable } from '../../src/facts/mountinfo.ts';
import { self } from '../../src/facts/process.ts';
import { isDead, type Reach, reach } from '../../src/facts/reach.ts';
import { bindSources, deletedBinds } from './binds/facts.ts';
import { shutdownMounts, shutdowns } from './xfs/facts.ts';

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

export const needs = { table: mountTable, reach, daemons, loops: mountedLoops, holders, bindSources, shutdownMounts, shutdowns, self };

export type ZombieFacts = Facts<typeof needs>;
