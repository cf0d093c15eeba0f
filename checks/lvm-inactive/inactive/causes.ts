/** Why a volume is not active, or will not be after the next boot. */
import type { Evidence, Subject } from '../../../src/check/types.ts';
import { duplicatesIn, lacksDisks } from '../../../src/facts/lvm/activation.ts';
import { isListed } from '../../../src/facts/lvm/config.ts';
import type { Group, Volume } from '../../../src/facts/lvm/index.ts';
import { describeLock } from '../../../src/facts/lvm/locks.ts';
import { lineOf, quote, subjectOfGroup } from '../data.ts';
import type { LvmFacts } from '../facts.ts';
import { describeGroup, missingDisks } from '../groups/disks.ts';

export type CauseCode =
  | 'disk-missing'
  | 'disk-hidden'
  | 'disk-duplicate'
  | 'skip-flag'
  | 'autoactivation-volume'
  | 'autoactivation-group'
  | 'autoactivation-list'
  | 'volume-list'
  | 'event-activation'
  | 'group-incomplete'
  | 'lock-held'
  | 'pool'
  | 'unknown';

export interface Cause {
  code: CauseCode;
  /** A clause. */
  says: string;
  evidence: Evidence;
  /** What else is at fault. */
  subject?: Subject;
}

/** What keeps it from being activated at boot, as far as it is settled beforehand. */
export function bootBlocks(volume: Volume, group: Group, facts: LvmFacts): Cause[] {
  const { lvm, config, boot } = facts;
  const blocks: Cause[] = [];
  if (volume.skipsActivation) {
    const says = 'it is flagged to be skipped (activation skip, k)';
    blocks.push({ code: 'skip-flag', says, evidence: lineOf(volume, lvm, 'lv_skip_activation set') });
  }
  if (volume.autoactivates === false) {
    const evidence = lineOf(volume, lvm, 'lv_autoactivation is off');
    blocks.push({ code: 'autoactivation-volume', says: 'its autoactivation is off', evidence });
  }
  if (group.autoactivates === false) {
    const evidence = quote(lvm.groupsSeen, `${group.name}: vg_autoactivation is off`);
    blocks.push({
      code: 'autoactivation-group',
      says: `autoactivation of its group ${group.name} is off`,
      evidence,
      subject: subjectOfGroup(group.name),
    });
  }
  if (config === undefined || 'why' in config) {
    return blocks;
  }
  const lists = [
    ['autoactivation-list', 'auto_activation_volume_list', config.autoActivationList],
    ['volume-list', 'volume_list', config.volumeList],
  ] as const;
  for (const [code, name, list] of lists) {
    if (list !== undefined && isListed(list, volume, group) === false) {
      const evidence = quote(config.seen, `${name}=${JSON.stringify(list)}`);
      blocks.push({ code, says: `${name} in lvm.conf leaves it out`, evidence });
    }
  }
  if (boot?.isOff) {
    const says = 'event_activation in lvm.conf is 0, and nothing else activates volumes at boot';
    blocks.push({ code: 'event-activation', says, evidence: quote(boot.seen, 'no lvm2-activation-generator') });
  }
  return blocks;
}

/** Why it is down, the weightiest first. Never empty. */
export function causesOf(volume: Volume, group: Group, facts: LvmFacts): Cause[] {
  const { lvm, locks } = facts;
  const causes: Cause[] = [];
  const missing = missingDisks(group.name, facts);
  const hidden = missing.filter(({ hiddenAt }) => hiddenAt !== undefined);
  const about = { evidence: describeGroup(group, lvm), subject: subjectOfGroup(group.name) };
  if (lacksDisks(volume)) {
    const says = `a disk that it lies on is missing (${missing.map(({ says: each }) => each).join('; ') || 'LVM does not tell which'})`;
    causes.push({
      code: hidden.length > 0 ? 'disk-hidden' : 'disk-missing',
      says,
      ...about,
      evidence: lineOf(volume, lvm, volume.devices),
    });
  }
  const twice = duplicatesIn(lvm, group.name);
  if (twice.length > 0) {
    const evidence = quote(lvm.disksSeen, twice.map((name) => `${name}: pv_duplicate`).join(', '));
    causes.push({ code: 'disk-duplicate', says: `a disk of ${group.name} is there twice (${twice.join(', ')})`, ...about, evidence });
  }
  const pool = volume.pool === '' ? undefined : lvm.volumes.find((each) => each.group === group.name && each.name === volume.pool);
  if (pool !== undefined && (pool.needsCheck || pool.health !== '')) {
    const says = `its pool ${pool.fullName} is ${pool.needsCheck ? 'in need of a check' : pool.health}`;
    causes.push({ code: 'pool', says, evidence: lineOf(pool, lvm), subject: { kind: 'device', name: pool.path || pool.mapper } });
  }
  causes.push(...bootBlocks(volume, group, facts));
  if (group.missingDisks > 0 && !lacksDisks(volume)) {
    const says = `its group was not complete when it should have come up: ${missing.map(({ says: each }) => each).join('; ') || `${group.missingDisks} of ${group.disks} disks are missing`}`;
    causes.push({ code: 'group-incomplete', says, ...about });
  }
  const lock = locks.held.get(group.name);
  if (lock !== undefined) {
    causes.push({ code: 'lock-held', says: `the lock of ${group.name} is held: ${describeLock(lock)}`, evidence: lock.evidence });
  }
  if (causes.length > 0) {
    return causes;
  }
  const says = 'nothing that LVM tells would keep it from coming up: it was deactivated, or its activation failed or came too early';
  return [{ code: 'unknown', says, evidence: lineOf(volume, lvm) }];
}
