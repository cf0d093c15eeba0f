import { describe, expect, it } from 'vitest';
import { DISK, GROUP, INACTIVE, type LvmHost, lvmRound, reportText, VOLUME } from '../../../test/fake-lvm.ts';
import { absent, fakeTarget } from '../../../test/fake-target.ts';
import { examine } from '../../check/condition.ts';
import { Round } from '../../engine/round.ts';
import { mayBeActivated, volumeActive, volumeWhole } from './activation.ts';
import { type Lvm, lvm, lvmIfHere } from './index.ts';
import { parseReport } from './report.ts';
import { diskWarnings } from './warnings.ts';

const gather = (host: LvmHost): Promise<Lvm> => lvmRound(host).gather(lvm());

describe('lvm', () => {
  it('takes the rows of one volume together, hidden ones without their brackets, and "unknown" for what it is', async () => {
    const lvs = [
      VOLUME,
      { ...VOLUME, devices: '/dev/sdb(7)' },
      { ...VOLUME, ...INACTIVE, lv_uuid: 'b', lv_name: '[lvol0_pmspare]', lv_attr: 'ewi-------', lv_role: 'private,pool,spare' },
    ];
    const { volumes, groups, disks } = await gather({ lvs });
    expect(volumes).toMatchObject([
      { name: 'vm1', isActive: true, isSuspended: false, isOpen: false, device: '253:26', devices: '/dev/sda(0),/dev/sdb(7)', tags: [] },
      { name: 'lvol0_pmspare', isActive: false, isSuspended: false, isOpen: undefined, device: undefined, isInvalidSnapshot: false },
    ]);
    expect(groups).toMatchObject([{ name: 'vg0', autoactivates: true, isShared: false, missingDisks: 0, free: 1543503872 }]);
    expect(disks).toMatchObject([{ name: '/dev/sda', device: '8:0', isMissing: false, isDuplicate: false }]);
  });

  it('judges what came with exit code 5, and leaves disks out that carry no label', async () => {
    const pvs = [DISK, { ...DISK, pv_name: '/dev/vda', pv_uuid: '', vg_name: '', pv_attr: '---' }];
    const { disks, warnings } = await gather({ pvs, code: 5, err: '  WARNING: something\n\n' });
    expect(disks.map(({ name }) => name)).toEqual(['/dev/sda']);
    expect(warnings.map(({ excerpt }) => excerpt)).toEqual(['WARNING: something']);
  });

  it('asks again without the fields that an older LVM does not know', async () => {
    const asked: string[] = [];
    const { volumes, groups } = await lvmRound({ unknown: ['lv_autoactivation', 'vg_autoactivation', 'vg_shared'] }, asked).gather(lvm());
    expect([volumes[0]?.autoactivates, groups[0]?.autoactivates, groups[0]?.isShared]).toEqual([undefined, undefined, false]);
    expect(asked).toHaveLength(6);
  });

  it('waits for no lock', async () => {
    const asked: string[] = [];
    await lvmRound({}, asked).gather(lvm());
    expect(asked.filter((words) => !words.includes(' --nolocking '))).toEqual([]);
  });

  it('is not here without its tools', async () => {
    const target = fakeTarget(() => absent());
    expect(await new Round(target, Date.now() + 5000).gather(lvmIfHere())).toBeUndefined();
  });

  it('is unknown to whoever may not ask', async () => {
    const err = '  WARNING: Running as a non-root user. Functionality may be unavailable.\n';
    await expect(gather({ lvs: [], vgs: [], pvs: [], err })).rejects.toThrow('non-root');
  });
});

describe('parseReport', () => {
  const text = reportText('lv', [VOLUME]);

  it('leaves notices out that stand before the report and within it', () => {
    const notice = '  Consider pruning vg0 VG archive with more then 8 MiB in 8192 files (see archiving settings in lvm.conf).\n';
    expect(parseReport(notice + text.replace('[\n', '[\n  Interrupted...\n'), 'lv')).toEqual([VOLUME]);
  });

  it.each([
    ['nothing', ''],
    ['half of it', text.slice(0, 400)],
    ['no report', '  {\n      "report": [\n      ]\n  }\n'],
    ['another one', reportText('vg', [])],
  ])('knows %s for what it is', (_, broken) => {
    expect(parseReport(broken, 'lv')).toBeUndefined();
  });

  it('is unknown where a field is lacking', async () => {
    const { lv_attr: _attr, ...less } = VOLUME;
    await expect(gather({ lvs: [less] })).rejects.toThrow("LVM's report has no lv_attr");
  });
});

describe('diskWarnings', () => {
  const warn = (...lines: string[]) =>
    diskWarnings({ warnings: lines.map((excerpt) => ({ source: 'pvs', at: '2026-11-03T09:00:00.000Z', excerpt })) });

  it('tells missing disks with where they were seen last', () => {
    const { missing } = warn(
      "WARNING: Couldn't find device with uuid 1fQ7aa-Pf.",
      'WARNING: VG vg0 is missing PV 1fQ7aa-Pf (last written to /dev/vda).',
    );
    expect([...missing].map(([uuid, { lastSeen }]) => [uuid, lastSeen])).toEqual([['1fQ7aa-Pf', '/dev/vda']]);
  });

  it('tells disks that came back with old metadata, and those that are there twice', () => {
    const { returned, duplicates, preferred } = warn(
      'WARNING: ignoring metadata seqno 44 on /dev/vda for seqno 45 on /dev/vdb for VG vg0.',
      'WARNING: Inconsistent metadata found for VG vg0.',
      'See vgck --updatemetadata to correct inconsistency.',
      'WARNING: VG vg0 was previously updated while PV /dev/vda was missing.',
      'WARNING: Not using device /dev/vdb for PV eeJhf1-6Jfd.',
      'WARNING: PV eeJhf1-6Jfd prefers device /dev/vdd because device is used by LV.',
    );
    expect(returned.get('vg0')?.map(({ disk }) => disk)).toEqual(['/dev/vda', '/dev/vda']);
    expect(duplicates.get('eeJhf1-6Jfd')?.map(({ disk }) => disk)).toEqual(['/dev/vdb']);
    expect(preferred.get('eeJhf1-6Jfd')?.excerpt).toContain('/dev/vdd');
  });
});

describe('claims about volumes', () => {
  const named = { volume: 'vg0/vm1', uuid: VOLUME.lv_uuid };
  const whole = volumeWhole({ mapper: '/dev/mapper/vg0-vm1' });

  it.each([
    ['whole', whole, {}, undefined],
    ['of a group that lacks a disk', whole, { vgs: [{ ...GROUP, vg_missing_pv_count: '1' }] }, '1 disks of volume group vg0 are missing'],
    ['partial', whole, { lvs: [{ ...VOLUME, lv_health_status: 'partial' }] }, 'it is partial'],
    ['of several hosts', whole, { vgs: [{ ...GROUP, vg_shared: 'shared' }] }, 'vg0 is shared with other hosts'],
    ['of another name', whole, { lvs: [{ ...VOLUME, lv_dm_path: '/dev/mapper/x' }] }, 'LVM knows no such volume'],
    ['active with its node', volumeActive(named), { node: 'block special file fd:1a' }, undefined],
    ['active without a node', volumeActive(named), {}, 'exit code 1: stat: cannot statx: No such file or directory'],
    ['active, its node another one', volumeActive(named), { node: 'block special file fd:1b' }, 'its node is block special file fd:1b'],
    ['suspended', volumeActive(named), { lvs: [{ ...VOLUME, lv_suspended: 'suspended' }] }, 'it is suspended'],
    ['active already', mayBeActivated(named), {}, 'it is active'],
    ['inactive', mayBeActivated(named), { lvs: [{ ...VOLUME, ...INACTIVE }] }, undefined],
    [
      'flagged',
      mayBeActivated(named),
      { lvs: [{ ...VOLUME, ...INACTIVE, lv_skip_activation: 'skip activation' }] },
      'it is flagged to be skipped',
    ],
    [
      'partial and inactive',
      mayBeActivated(named),
      { lvs: [{ ...VOLUME, ...INACTIVE, lv_attr: '-wi-----p-', lv_health_status: 'partial' }] },
      'a disk that it lies on is missing',
    ],
    [
      'a raid1 that lost a leg',
      mayBeActivated(named),
      { lvs: [{ ...VOLUME, ...INACTIVE, lv_attr: 'rwi---r-p-', lv_layout: 'raid,raid1', lv_health_status: 'partial' }] },
      undefined,
    ],
    [
      'on a disk that is there twice',
      mayBeActivated(named),
      { lvs: [{ ...VOLUME, ...INACTIVE }], pvs: [DISK, { ...DISK, pv_name: '/dev/sdb', pv_attr: 'd--', pv_duplicate: 'duplicate' }] },
      'vg0 has a disk that is there twice (/dev/sdb)',
    ],
  ])('judge one %s', async (_, claim, host: LvmHost, found) => {
    const held = await lvmRound(host).gather(examine(claim));
    expect(held.holds ? undefined : held.found).toBe(found);
  });
});
