import { describe, expect, it } from 'vitest';
import { examine } from '../../src/check/condition.ts';
import type { Claim } from '../../src/check/types.ts';
import { autoactivation, groupWhole, volumeInactive } from '../../src/facts/lvm/activation.ts';
import { DISK, GROUP, INACTIVE, type LvmHost, lvmRound, VOLUME } from '../../test/fake-lvm.ts';
import { raidHealth } from './raid/plan.ts';
import { groupHasRoom, poolMetadata } from './thin/facts.ts';

const named = { volume: 'vg0/vm1', uuid: VOLUME.lv_uuid };
const POOL = {
  ...VOLUME,
  lv_attr: 'twi-aotz--',
  lv_layout: 'thin,pool',
  lv_metadata_size: '4194304',
  data_percent: '74.50',
  metadata_percent: '15.43',
};
const FULL = { ...POOL, lv_health_status: 'metadata_read_only', metadata_percent: '100.00' };
const pool = { pool: 'vg0/vm1', uuid: VOLUME.lv_uuid, size: 4194304 };
const RAID = { ...VOLUME, lv_layout: 'raid,raid1', lv_health_status: 'refresh needed' };

/** Found, where a claim does not hold. */
const CASES: [string, Claim, LvmHost, string | undefined][] = [
  ['a flag that is on', autoactivation({ of: 'vg0/vm1', on: true }), {}, undefined],
  [
    'a flag that is off',
    autoactivation({ of: 'vg0/vm1', on: true }),
    { lvs: [{ ...VOLUME, lv_autoactivation: '' }] },
    'autoactivation of vg0/vm1 off',
  ],
  ["a group's own flag", autoactivation({ of: 'vg0', on: false }), { vgs: [{ ...GROUP, vg_autoactivation: '' }] }, undefined],
  ['no flag at all', autoactivation({ of: 'vg0/vm1', on: false }), { unknown: ['lv_autoactivation'] }, 'LVM does not tell'],
  ['a whole group', groupWhole({ group: 'vg0' }), {}, undefined],
  ['a group that is nowhere', groupWhole({ group: 'vg9' }), {}, 'LVM knows no such group'],
  ['a disk that is back, and old', groupWhole({ group: 'vg0' }), { pvs: [{ ...DISK, pv_missing: 'missing' }] }, '1 of its 2 disks missing'],
  [
    'a disk twice',
    groupWhole({ group: 'vg0' }),
    { pvs: [DISK, { ...DISK, pv_name: '/dev/sdb', pv_duplicate: 'duplicate' }] },
    'a disk that is there twice (/dev/sdb)',
  ],
  ['an exported group', groupWhole({ group: 'vg0' }), { vgs: [{ ...GROUP, vg_exported: 'exported' }] }, 'vg0 is exported'],
  ['an active volume', volumeInactive(named), {}, '-wi-a-----'],
  ['an inactive one', volumeInactive(named), { lvs: [{ ...VOLUME, ...INACTIVE }] }, undefined],
  ['metadata that is full', poolMetadata({ ...pool, full: true }), { lvs: [FULL] }, undefined],
  [
    'metadata that is full, and no larger',
    poolMetadata({ ...pool, full: false }),
    { lvs: [FULL] },
    '100 % of 4194304 bytes, metadata_read_only',
  ],
  ['metadata with room, and no larger', poolMetadata({ ...pool, full: false }), { lvs: [POOL] }, '15.43 % of 4194304 bytes'],
  ['metadata with room', poolMetadata({ ...pool, full: false }), { lvs: [{ ...POOL, lv_metadata_size: '8388608' }] }, undefined],
  [
    'a pool in need of a check',
    poolMetadata({ ...pool, full: true }),
    { lvs: [{ ...FULL, lv_check_needed: 'check needed' }] },
    'it needs a check',
  ],
  ['room', groupHasRoom({ group: 'vg0', bytes: 1543503872 }), {}, undefined],
  ['too little room', groupHasRoom({ group: 'vg0', bytes: 1543503873 }), {}, '1543503872'],
  ['a leg that is back', raidHealth({ ...named, health: 'refresh needed' }), { lvs: [RAID] }, undefined],
  ['a leg that takes part again', raidHealth({ ...named, health: '' }), { lvs: [{ ...RAID, lv_health_status: '' }] }, undefined],
  [
    'a leg that is back, beside what is suspended',
    raidHealth({ ...named, health: 'refresh needed' }),
    { lvs: [RAID, { ...VOLUME, lv_uuid: 'x', lv_full_name: 'vg0/x', lv_suspended: 'suspended' }] },
    'vg0/x is suspended',
  ],
];

describe('claims', () => {
  it.each(CASES)('about %s', async (_, claim, host, found) => {
    const held = await lvmRound(host).gather(examine(claim));
    expect(held.holds ? undefined : held.found).toBe(found);
  });

  it.each(CASES)('about %s do not hold where LVM does not answer', async (_, claim) => {
    expect(await lvmRound({ code: 3 }).gather(examine(claim))).toMatchObject({ holds: false });
  });
});
