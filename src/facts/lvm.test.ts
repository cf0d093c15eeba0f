import { describe, expect, it } from 'vitest';
import { absent, fakeTarget, said, wordsOf } from '../../test/fake-target.ts';
import { examine } from '../check/condition.ts';
import { Round } from '../engine/round.ts';
import { lvm, parseReport, volumeWhole } from './lvm.ts';

const report = (key: string, rows: object[]) => JSON.stringify({ report: [{ [key]: rows }] }, undefined, 2);
const LV = { vg_name: 'vg', lv_name: 'data', lv_uuid: 'a', lv_dm_path: '/dev/mapper/vg-data', lv_attr: '-wi-XX--X-', lv_health_status: '' };
const VG = { vg_name: 'vg', vg_missing_pv_count: '0', vg_shared: '', vg_clustered: '', vg_lock_type: '' };

function round(lvs: string, vgs: string, code = 0) {
  const target = fakeTarget((probe) => {
    const [tool] = wordsOf(probe).split(' ');
    return tool === 'lvs' ? said(lvs, code, 'WARNING: something\n') : tool === 'vgs' ? said(vgs, code) : absent('no such file');
  });
  return new Round(target, Date.now() + 5000);
}

describe('lvm', () => {
  it('takes the rows of one volume together, and hidden ones without their brackets', async () => {
    const lvs = report('lv', [LV, LV, { ...LV, lv_name: '[pool_tmeta]', lv_uuid: 'b' }]);
    // Of a device that cannot be read the rest is told, with exit code 5.
    const { volumes, groups } = await round(lvs, report('vg', [VG, { ...VG, vg_name: 'san', vg_lock_type: 'sanlock' }]), 5).gather(lvm());
    expect(volumes.map(({ group, name, attr }) => [group, name, attr])).toEqual([
      ['vg', 'data', '-wi-XX--X-'],
      ['vg', 'pool_tmeta', '-wi-XX--X-'],
    ]);
    expect(groups).toEqual([
      { name: 'vg', missingDisks: 0, isShared: false },
      { name: 'san', missingDisks: 0, isShared: true },
    ]);
  });

  it('leaves notices out that stand within the report', () => {
    const text = `  Consider pruning vg VG archive with more then 8 MiB in 8192 files.\n${report('lv', [LV]).replace('[\n', '[\n  Interrupted...\n')}`;
    expect(parseReport(text, 'lv')).toEqual([LV]);
  });

  it.each([
    ['nothing', ''],
    ['half of it', report('lv', [LV]).slice(0, 60)],
    ['a field less', report('lv', [{ ...LV, lv_attr: undefined }])],
  ])('is unknown where LVM says %s', async (_, text) => {
    await expect(round(text, report('vg', [VG])).gather(lvm())).rejects.toThrow(/lvs|LVM/);
  });
});

describe('volumeWhole', () => {
  it.each([
    ['with all its disks', LV, VG, undefined],
    ['in a group that lacks one', LV, { ...VG, vg_missing_pv_count: '1' }, '1 disks of volume group vg are missing'],
    ['that is partial', { ...LV, lv_health_status: 'partial' }, VG, 'it is partial'],
    ['of several hosts', LV, { ...VG, vg_shared: 'shared' }, 'vg is shared with other hosts'],
    ['of another name', { ...LV, lv_dm_path: '/dev/mapper/vg-other' }, VG, 'LVM knows no such volume'],
  ])('judges one %s', async (_, lv, vg, found) => {
    const held = await round(report('lv', [lv]), report('vg', [vg])).gather(examine(volumeWhole({ mapper: '/dev/mapper/vg-data' })));
    expect(held.holds ? undefined : held.found).toBe(found);
  });
});
