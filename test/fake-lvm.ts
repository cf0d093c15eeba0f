/** A host whose LVM reports what it is told. */
import { Round } from '../src/engine/round.ts';
import { fakeTarget, said, wordsOf } from './fake-target.ts';

/** As lvs of LVM 2.03.16 prints them. */
export const reportText = (key: string, rows: object[]) => {
  const lines = rows.map((row) => `                  ${JSON.stringify(row).replaceAll('","', '", "')}`).join(',\n');
  return `  {\n      "report": [\n          {\n              "${key}": [\n${lines}${lines && '\n'}              ]\n          }\n      ]\n  }\n  \n`;
};
export const VOLUME = {
  vg_name: 'vg0',
  lv_name: 'vm1',
  lv_full_name: 'vg0/vm1',
  lv_uuid: 'hhV9qP-CeID-cJws-tUEf-u2by-vND6-4gandz',
  lv_path: '/dev/vg0/vm1',
  lv_dm_path: '/dev/mapper/vg0-vm1',
  lv_attr: '-wi-a-----',
  lv_layout: 'linear',
  lv_role: 'public',
  lv_active: 'active',
  lv_suspended: '',
  lv_device_open: '',
  lv_skip_activation: '',
  lv_autoactivation: 'enabled',
  lv_when_full: '',
  lv_health_status: '',
  lv_check_needed: '',
  lv_merge_failed: 'unknown',
  lv_snapshot_invalid: 'unknown',
  lv_size: '41943040',
  lv_metadata_size: '',
  data_percent: '',
  metadata_percent: '',
  pool_lv: '',
  origin: '',
  lv_kernel_major: '253',
  lv_kernel_minor: '26',
  lv_permissions: 'writeable',
  lv_tags: '',
  devices: '/dev/sda(0)',
};
export const INACTIVE = {
  lv_attr: '-wi-------',
  lv_active: '',
  lv_suspended: 'unknown',
  lv_device_open: 'unknown',
  lv_permissions: 'unknown',
  lv_kernel_major: '-1',
  lv_kernel_minor: '-1',
};
export const GROUP = {
  vg_name: 'vg0',
  vg_uuid: 'CwuRRE-SK76-H1A7-u3T0-845A-54Wi-81tugE',
  vg_attr: 'wz--n-',
  vg_exported: '',
  vg_autoactivation: 'enabled',
  vg_partial: '',
  vg_clustered: '',
  vg_shared: '',
  vg_systemid: '',
  vg_lock_type: '',
  vg_size: '2139095040',
  vg_free: '1543503872',
  vg_extent_size: '4194304',
  pv_count: '2',
  vg_missing_pv_count: '0',
  lv_count: '8',
  vg_tags: '',
};
export const DISK = {
  pv_name: '/dev/sda',
  pv_uuid: 'eeJhf1-6Jfd-g3DD-3JaA-u9x8-Fc02-jfoslp',
  vg_name: 'vg0',
  pv_attr: 'a--',
  pv_missing: '',
  pv_in_use: 'used',
  pv_duplicate: '',
  pv_size: '1069547520',
  pv_free: '515899392',
  dev_size: '1073741824',
  pv_major: '8',
  pv_minor: '0',
};

export interface LvmHost {
  lvs?: object[];
  vgs?: object[];
  pvs?: object[];
  code?: number;
  err?: string;
  /** Fields this version does not know. */
  unknown?: string[];
  node?: string;
}

export function lvmRound(host: LvmHost, asked: string[] = []): Round {
  const target = fakeTarget((probe) => {
    const words = wordsOf(probe);
    const tool = words.split(' ')[0] as 'lvs' | 'vgs' | 'pvs';
    if (tool === ('stat' as string)) {
      return host.node === undefined ? said('', 1, 'stat: cannot statx: No such file or directory\n') : said(`${host.node}\n`);
    }
    asked.push(words);
    const fields = (words.split(' ').at(-1) ?? '').split(',');
    const lacking = host.unknown?.find((field) => fields.includes(field));
    if (lacking !== undefined) {
      return said('  {\n      "report": [\n      ]\n  }\n', 5, `  Logical Volume Fields\n    lv_all\n\n  Unrecognised field: ${lacking}\n`);
    }
    const rows = { lvs: host.lvs ?? [VOLUME], vgs: host.vgs ?? [GROUP], pvs: host.pvs ?? [DISK] }[tool];
    const known = rows.map((row) => Object.fromEntries(Object.entries(row).filter(([name]) => fields.includes(name))));
    return said(reportText({ lvs: 'lv', vgs: 'vg', pvs: 'pv' }[tool], known), host.code ?? 0, host.err ?? '');
  });
  return new Round(target, Date.now() + 5000);
}
