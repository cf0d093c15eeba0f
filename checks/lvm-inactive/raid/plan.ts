import { defineCondition } from '../../../src/check/condition.ts';
import type { Asking, Finding, Holds, Plan } from '../../../src/check/types.ts';
import { groupWhole, refusesWriting } from '../../../src/facts/lvm/activation.ts';
import { lvm } from '../../../src/facts/lvm/index.ts';
import { groupUnlocked } from '../../../src/facts/lvm/locks.ts';
import { shellLine } from '../../../src/names.ts';
import { run } from '../../../src/steps/mounting.ts';
import { NO_WAIT, refuseWithoutRights } from '../data.ts';
import type { LvmFacts } from '../facts.ts';
import type { RaidFound } from './detect.ts';

/** An active raid volume, nothing of its group suspended, of this health; `''` where all is well. */
export const raidHealth = defineCondition('raid-health', function* (args: { volume: string; uuid: string; health: string }): Asking<Holds> {
  const { volumes } = yield* lvm();
  const volume = volumes.find(({ uuid, fullName }) => uuid === args.uuid && fullName === args.volume);
  const held = volumes.find((each) => each.group === volume?.group && each.isSuspended);
  const words = (health: string) => (health === '' ? 'in good health' : health);
  const not = (found: string): Holds => ({ holds: false, expected: `${args.volume} active and ${words(args.health)}`, found });
  if (volume === undefined || volume.isActive !== true) {
    return not(volume === undefined ? 'LVM knows no such volume' : 'it is not active');
  }
  // A refresh would resume it.
  if (held !== undefined) {
    return not(`${held.fullName} is suspended`);
  }
  return volume.health === args.health ? { holds: true } : not(words(volume.health));
});

export function planRaid({ code, data }: Finding<RaidFound>, facts: LvmFacts): Plan {
  const { volume, uuid, group } = data;
  if (code === 'raid-refresh-needed') {
    const stands = refusesWriting(facts.lvm, group);
    if (stands !== undefined) {
      return { refused: `first of all its group must be whole: ${stands}` };
    }
    return refuseWithoutRights(facts) ?? refresh(volume, uuid, group);
  }
  switch (code) {
    case 'raid-degraded':
      return {
        refused: `bring the disk back; it is refreshed then. If it is gone for good and ${group} has another disk with room: ${shellLine(['lvconvert', '--repair', '--', volume])}`,
      };
    case 'raid-mismatches':
      return {
        refused: `which copy is the right one LVM does not know: look at what uses it first. ${shellLine(['lvchange', '--syncaction', 'repair', '--', volume])} makes them equal, to the first one`,
      };
    case 'cache-disk-missing':
      return {
        refused: `bring the disk of its cache back; then close it, and ${anew(volume)}, for it goes on using the disk that left. Never activate it with --activationmode partial: that wedges it, and what the cache had not written back is on that disk alone`,
      };
    case 'cache-failed':
      return { refused: `it reads its metadata anew when it is activated: see that its disks are in order, close it, and ${anew(volume)}` };
    default:
      return { refused: `what its write cache holds can no longer be written back: copy what can still be read, and look at dmesg` };
  }
}

function anew(volume: string): string {
  return `${shellLine(['lvchange', '-an', '--', volume])}; ${shellLine(['lvchange', '-ay', '--', volume])}`;
}

function refresh(volume: string, uuid: string, group: string): Plan {
  return {
    steps: [
      {
        title: `Let ${volume} take its leg back`,
        why: 'A disk was away for a while and is back. LVM writes to it what it missed.',
        risk: 'safe',
        action: run('lvchange', ...NO_WAIT, '--refresh', '--', volume),
        guards: [raidHealth({ volume, uuid, health: 'refresh needed' }), groupWhole({ group }), groupUnlocked({ group })],
        proof: [raidHealth({ volume, uuid, health: '' })],
        patienceMs: 60_000,
        limitMs: 120_000,
        undo: { none: 'there is no way back to a raid that lacks a leg' },
      },
    ],
    remains: `Prove that its copies are equal, which takes a while: ${shellLine(['lvchange', '--syncaction', 'check', '--', volume])}; then lvs -o raid_mismatch_count must say 0.`,
  };
}
