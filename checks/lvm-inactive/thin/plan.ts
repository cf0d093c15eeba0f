import type { Finding, Plan } from '../../../src/check/types.ts';
import { groupWhole, refusesWriting } from '../../../src/facts/lvm/activation.ts';
import type { Group, Volume } from '../../../src/facts/lvm/index.ts';
import { groupUnlocked } from '../../../src/facts/lvm/locks.ts';
import { shellLine } from '../../../src/names.ts';
import { run } from '../../../src/steps/mounting.ts';
import { keepMetadata } from '../backup.ts';
import { NO_WAIT, refuseWithoutRights } from '../data.ts';
import type { LvmFacts } from '../facts.ts';
import type { PoolFound } from './detect.ts';
import { groupHasRoom, poolMetadata } from './facts.ts';

const MIB = 2 ** 20;
/** thin_check(8), which LVM runs before it activates a pool, leaves the mark alone unless it is told. Neither takes lvconvert it off. */
const CLEARING = 'global/thin_check_options=["-q","--clear-needs-check-flag"]';

export function planThin({ code, data }: Finding<PoolFound>, facts: LvmFacts): Plan {
  const { lvm } = facts;
  const pool = lvm.volumes.find(({ uuid }) => uuid === data.uuid);
  const group = lvm.groups.find(({ name }) => name === data.group);
  if (pool === undefined || group === undefined) {
    return { refused: 'LVM knows the pool no longer' };
  }
  if (code === 'thin-pool-metadata-full') {
    return refuseWithoutRights(facts) ?? growMetadata(pool, group, facts);
  }
  if (code === 'thin-pool-data-full') {
    const free = `${Math.floor(group.free / MIB)} MiB of ${group.name} are free`;
    return {
      refused: `how much it may take is yours to say (${free}): ${shellLine(['lvextend', '-L', '+SIZE', '--', pool.fullName])}; or free some with fstrim in its volumes, or by removing snapshots. Then look at their file systems`,
    };
  }
  const first = `it is mended while nobody uses it: keep a backup of ${group.name}'s metadata (vgcfgbackup), and deactivate all its volumes and the pool itself`;
  const repair = `${shellLine(['lvconvert', '--repair', '--', pool.fullName])}. Keep the ${pool.name}_meta0 that is left: it is the old metadata`;
  const check = `${shellLine(['lvchange', '-ay', '--config', CLEARING, '--', pool.fullName])} checks the metadata and takes the mark off where they are sound`;
  return {
    refused:
      code === 'thin-pool-failed'
        ? `${first}; then ${repair}. If it is marked as in need of a check then, deactivate it once more: ${check}`
        : `${first}; then ${check}. Only if that is refused: ${repair}, and check once more, for the mark stays`,
  };
}

/** Doubled. The spare of the group, from which pools are repaired, grows with it. */
function growMetadata(pool: Volume, group: Group, facts: LvmFacts): Plan {
  const { fullName, uuid, metadataSize: size } = pool;
  const stands = refusesWriting(facts.lvm, group.name);
  if (stands !== undefined) {
    return { refused: `the metadata of ${group.name} must not be written now: ${stands}` };
  }
  if (pool.isSuspended || facts.lvm.volumes.some((each) => each.group === group.name && each.isSuspended)) {
    return { refused: 'a volume of its group is suspended: that comes first' };
  }
  const extents = Math.max(1, Math.ceil(size / group.extentSize));
  const more = extents * group.extentSize;
  const spare = facts.lvm.volumes.find((each) => each.group === group.name && /\bspare\b/.test(each.role));
  const bytes = more + Math.max(0, size + more - (spare?.size ?? 0));
  const command = (bigger: string) => ['lvextend', ...NO_WAIT, '--poolmetadatasize', `+${bigger}`, '--', fullName];
  if (!(size > 0) || group.free < bytes) {
    return {
      refused: `${group.name} has ${group.free} bytes free, and ${bytes} are needed with the spare: add a disk with vgextend, then ${shellLine(command(`${more}b`))}`,
    };
  }
  return {
    steps: [
      keepMetadata(group.name, fullName),
      {
        title: `Give ${fullName} more room for its metadata`,
        why: `It has ${size} bytes, all of them used: nothing can be written to a new place in any of its volumes. ${more} bytes more; the group's spare grows too.`,
        risk: 'safe',
        action: run(...command(`${more}b`)),
        guards: [
          poolMetadata({ pool: fullName, uuid, full: true, size }),
          groupHasRoom({ group: group.name, bytes }),
          groupWhole({ group: group.name }),
          groupUnlocked({ group: group.name }),
        ],
        proof: [poolMetadata({ pool: fullName, uuid, full: false, size })],
        patienceMs: 10_000,
        limitMs: 120_000,
        undo: { none: 'metadata cannot be made smaller' },
      },
    ],
    remains: 'File systems on its volumes may have stopped themselves when writes failed: run stdoctor check zombie-mounts.',
  };
}
