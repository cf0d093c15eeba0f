/** What this check needs to know. Facts of one part alone lie with it. */
import { defineFact } from '../../src/check/asking.ts';
import type { Asking, Facts } from '../../src/check/types.ts';
import { blockDevices, btrfsWithoutDisks, goneDevices, lostMappings } from '../../src/facts/block-devices.ts';
import { ERRNO } from '../../src/facts/errno.ts';
import { ext4Stops } from '../../src/facts/ext4.ts';
import { type FuseDaemons, fuseDaemons } from '../../src/facts/fuse.ts';
import { type Holders, holdersOf } from '../../src/facts/holders.ts';
import { type KernelHolder, kernelHoldersOf } from '../../src/facts/kernel-holders.ts';
import { mountedLoops } from '../../src/facts/loop.ts';
import { isFuse, isNetwork } from '../../src/facts/mount-kinds.ts';
import { type Mount, mountTable } from '../../src/facts/mountinfo.ts';
import { self } from '../../src/facts/process.ts';
import { reach } from '../../src/facts/reach.ts';
import { isDead, type Reach } from '../../src/facts/reach-questions.ts';
import { space } from '../../src/facts/space.ts';
import { suspendedMappings } from '../../src/facts/suspended.ts';
import { swaps } from '../../src/facts/swaps.ts';
import type { Name } from '../../src/names.ts';
import { bindSources, deletedBinds } from './binds/facts.ts';
import { configured } from './configured/facts.ts';
import { orphans } from './connections/facts.ts';
import { lostVolumes } from './devices/facts.ts';
import { stoppedElsewhere } from './ext4/facts.ts';
import { sshfsDaemons } from './fuse/facts.ts';
import { foreigners } from './namespaces/facts.ts';
import { foreignPlaces } from './namespaces/places.ts';
import { nfsWords, staleElsewhere } from './network/facts.ts';
import { overlays } from './overlays/facts.ts';
import { covered } from './stacks/facts.ts';
import { oddStacks } from './stacks/layers.ts';
import { shutdownMounts, shutdowns } from './xfs/facts.ts';

const daemons = defineFact('zombie-mounts.daemons', function* (): Asking<FuseDaemons | undefined> {
  const { mounts } = yield* mountTable();
  return mounts.some(isFuse) ? yield* fuseDaemons() : undefined;
});

/** Mount points that a repair would take away, or a person. */
const lostPoints = defineFact('zombie-mounts.lost-points', function* (): Asking<Name[]> {
  const table = yield* mountTable();
  const reached = yield* reach();
  const { loops } = yield* mountedLoops();
  const deletedLoops = new Set(loops.filter(({ deleted }) => deleted).map(({ device }) => device));
  const binds = new Set(deletedBinds(table));
  const broken = new Set([
    ...(yield* ext4Stops()).stops.keys(),
    ...(yield* goneDevices()).gone.keys(),
    ...(yield* lostMappings()).lost.keys(),
  ]);
  const layers = yield* overlays();
  const stacked = new Set(oddStacks(table, yield* daemons()).map(({ top }) => top));
  const lacks = ({ id }: Mount) => layers.get(id)?.some(({ state }) => state === 'missing') ?? false;
  return table.mounts
    .filter(
      (mount) =>
        lacks(mount) ||
        stacked.has(mount) ||
        binds.has(mount) ||
        deletedLoops.has(mount.device) ||
        broken.has(mount.device) ||
        isLost(mount, reached.get(mount.id)),
    )
    .map(({ point }) => point);
});

/** Who holds them. */
const holders = defineFact('zombie-mounts.holders', function* (): Asking<Holders | undefined> {
  const points = yield* lostPoints();
  return points.length > 0 ? yield* holdersOf(points) : undefined;
});

const kernelHolders = defineFact('zombie-mounts.kernel-holders', function* (): Asking<ReadonlyMap<string, KernelHolder[]>> {
  const points = yield* lostPoints();
  return points.length > 0 ? yield* kernelHoldersOf(points) : new Map();
});

function isLost(mount: Mount, found: Reach | undefined): boolean {
  return found?.state === 'silent' || (found?.state === 'errno' && (isDead(found.errno) || found.errno === ERRNO.EIO || isNetwork(mount)));
}

export const needs = {
  table: mountTable,
  reach,
  daemons,
  loops: mountedLoops,
  holders,
  kernelHolders,
  bindSources,
  shutdownMounts,
  shutdowns,
  self,
  blocks: blockDevices,
  goneDevices,
  lostMappings,
  lostVolumes,
  suspendedMappings,
  btrfs: btrfsWithoutDisks,
  ext4Stops,
  stoppedElsewhere,
  space,
  swaps,
  configured,
  covered,
  sshfsDaemons,
  nfsWords,
  staleElsewhere,
  overlays,
  orphans,
  foreigners,
  foreignPlaces,
};

export type ZombieFacts = Facts<typeof needs>;
