/** What LVM says of its volumes, groups and disks: lvs(8), vgs(8) and pvs(8), put so that no lock is waited for. */
import { all, defineFact, Unknown } from '../../check/asking.ts';
import type { Asking, Evidence, Seen } from '../../check/types.ts';
import { type Report, type Row, report } from './report.ts';

export interface Volume {
  uuid: string;
  group: string;
  /** Without the brackets of a hidden one. */
  name: string;
  /** `vg/data` */
  fullName: string;
  /** `/dev/vg/data`; empty for what LVM shows nobody. */
  path: string;
  /** `/dev/mapper/vg-data`, a dash within a name doubled. */
  mapper: string;
  /** Ten characters, lvs(8). */
  attr: string;
  /** `linear`, `raid,raid1`, `thin,pool`, … */
  layout: string;
  /** `public`, `private,pool,spare`, … */
  role: string;
  /** undefined: LVM cannot tell. */
  isActive: boolean | undefined;
  isSuspended: boolean;
  /** undefined: it is not active. */
  isOpen: boolean | undefined;
  skipsActivation: boolean;
  /** Its own flag; undefined where this version has none. */
  autoactivates: boolean | undefined;
  whenFull: string;
  /** `partial`, `refresh needed`, …; empty where all is well. */
  health: string;
  needsCheck: boolean;
  mergeFailed: boolean;
  isInvalidSnapshot: boolean;
  size: number;
  metadataSize: number;
  dataPercent: number | undefined;
  metadataPercent: number | undefined;
  pool: string;
  origin: string;
  /** `major:minor`; undefined while it is not active. */
  device: string | undefined;
  tags: readonly string[];
  /** `/dev/sda(0),[unknown](5)`: what its segments lie on. */
  devices: string;
}

export interface Group {
  name: string;
  uuid: string;
  attr: string;
  isExported: boolean;
  /** undefined where this version has no such flag. */
  autoactivates: boolean | undefined;
  isPartial: boolean;
  /** Its volumes are activated by a lock manager, on one host of several. */
  isShared: boolean;
  /** The host it belongs to; empty for any. */
  systemId: string;
  free: number;
  extentSize: number;
  disks: number;
  missingDisks: number;
  tags: readonly string[];
}

export interface Disk {
  /** `/dev/sda`, or `[unknown]` where it is missing. */
  name: string;
  uuid: string;
  group: string;
  isMissing: boolean;
  /** The same disk is there under another name, which LVM uses instead. */
  isDuplicate: boolean;
  /** `major:minor`; undefined where it is missing. */
  device: string | undefined;
}

export interface Lvm {
  /** Of the volumes. */
  seen: Seen;
  groupsSeen: Seen;
  disksSeen: Seen;
  volumes: Volume[];
  groups: Group[];
  /** Those that carry LVM's label. */
  disks: Disk[];
  /** What LVM said besides, each line once. */
  warnings: Evidence[];
  /** Why something may be missing in all this, as clauses; empty where it is whole. */
  lacks: string[];
}

const VOLUME_FIELDS = [
  ...['vg_name', 'lv_name', 'lv_full_name', 'lv_uuid', 'lv_path', 'lv_dm_path', 'lv_attr', 'lv_layout', 'lv_role', 'lv_active'],
  ...['lv_suspended', 'lv_device_open', 'lv_skip_activation', 'lv_autoactivation', 'lv_when_full', 'lv_health_status'],
  ...['lv_check_needed', 'lv_merge_failed', 'lv_snapshot_invalid', 'lv_size', 'lv_metadata_size', 'data_percent', 'metadata_percent'],
  ...['pool_lv', 'origin', 'lv_kernel_major', 'lv_kernel_minor', 'lv_permissions', 'lv_tags', 'devices'],
];
const GROUP_FIELDS = [
  ...['vg_name', 'vg_uuid', 'vg_attr', 'vg_exported', 'vg_autoactivation', 'vg_partial', 'vg_clustered', 'vg_shared', 'vg_systemid'],
  ...['vg_lock_type', 'vg_size', 'vg_free', 'vg_extent_size', 'pv_count', 'vg_missing_pv_count', 'lv_count', 'vg_tags'],
];
const DISK_FIELDS = [
  ...['pv_name', 'pv_uuid', 'vg_name', 'pv_attr', 'pv_missing', 'pv_in_use', 'pv_duplicate', 'pv_size', 'pv_free', 'dev_size'],
  ...['pv_major', 'pv_minor'],
];

/** undefined: LVM's tools are not here. */
export const lvmIfHere = defineFact('lvm', function* (): Asking<Lvm | undefined> {
  const [volumes, groups, disks] = yield* all([
    report('lvs', 'lv', [], VOLUME_FIELDS),
    report('vgs', 'vg', ['--foreign', '--shared'], GROUP_FIELDS),
    report('pvs', 'pv', [], DISK_FIELDS),
  ]);
  if (volumes === undefined || groups === undefined || disks === undefined) {
    return undefined;
  }
  const warnings = warningsOf([volumes, groups, disks]);
  // An empty report, with exit code 0.
  const denied = warnings.find(({ excerpt }) => /non-root user|Permission denied/i.test(excerpt));
  if (denied !== undefined) {
    throw new Unknown(`${denied.source}: ${denied.excerpt}`);
  }
  return {
    seen: volumes.seen,
    groupsSeen: groups.seen,
    disksSeen: disks.seen,
    volumes: toVolumes(volumes.rows),
    groups: groups.rows.map(toGroup),
    disks: disks.rows.filter((row) => row['pv_uuid'] !== '').map(toDisk),
    warnings,
    lacks: [volumes, groups, disks].flatMap(({ lacks }) => lacks ?? []),
  };
});

export function* lvm(): Asking<Lvm> {
  const found = yield* lvmIfHere();
  if (found === undefined) {
    throw new Unknown("LVM's tools are not here");
  }
  return found;
}

/** A volume has a row for each of its segments, which differ in what they lie on. */
function toVolumes(rows: readonly Row[]): Volume[] {
  const volumes = new Map<string, Volume>();
  for (const row of rows) {
    const uuid = row['lv_uuid'] as string;
    const known = volumes.get(uuid);
    if (known === undefined) {
      volumes.set(uuid, toVolume(row));
    } else {
      known.devices += `,${row['devices']}`;
    }
  }
  return [...volumes.values()];
}

function toVolume(row: Row): Volume {
  const text = (name: string) => row[name] ?? '';
  const name = text('lv_name');
  const [active, open] = [row['lv_active'], row['lv_device_open']];
  return {
    uuid: text('lv_uuid'),
    group: text('vg_name'),
    name: name.startsWith('[') ? name.slice(1, -1) : name,
    fullName: row['lv_full_name'] ?? `${text('vg_name')}/${name}`,
    path: text('lv_path'),
    mapper: text('lv_dm_path'),
    attr: text('lv_attr'),
    layout: text('lv_layout'),
    role: text('lv_role'),
    isActive: active === 'active' ? true : active === '' ? false : undefined,
    isSuspended: row['lv_suspended'] === 'suspended',
    isOpen: open === 'unknown' ? undefined : open === 'open',
    skipsActivation: isSet(row['lv_skip_activation']),
    autoactivates: flag(row['lv_autoactivation']),
    whenFull: text('lv_when_full'),
    health: text('lv_health_status'),
    needsCheck: isSet(row['lv_check_needed']),
    mergeFailed: isSet(row['lv_merge_failed']),
    isInvalidSnapshot: isSet(row['lv_snapshot_invalid']),
    size: Number(text('lv_size')),
    metadataSize: Number(text('lv_metadata_size')),
    dataPercent: percent(row['data_percent']),
    metadataPercent: percent(row['metadata_percent']),
    pool: bare(text('pool_lv')),
    origin: bare(text('origin')),
    device: deviceOf(row['lv_kernel_major'], row['lv_kernel_minor']),
    tags: list(row['lv_tags']),
    devices: text('devices'),
  };
}

function toGroup(row: Row): Group {
  const text = (name: string) => row[name] ?? '';
  return {
    name: text('vg_name'),
    uuid: text('vg_uuid'),
    attr: text('vg_attr'),
    isExported: isSet(row['vg_exported']),
    autoactivates: flag(row['vg_autoactivation']),
    isPartial: isSet(row['vg_partial']),
    isShared: !/^(none)?$/.test(`${text('vg_shared')}${text('vg_clustered')}${text('vg_lock_type')}`),
    systemId: text('vg_systemid'),
    free: Number(text('vg_free')),
    extentSize: Number(text('vg_extent_size')),
    disks: Number(text('pv_count')),
    missingDisks: Number(text('vg_missing_pv_count')),
    tags: list(row['vg_tags']),
  };
}

function toDisk(row: Row): Disk {
  return {
    name: row['pv_name'] ?? '',
    uuid: row['pv_uuid'] ?? '',
    group: row['vg_name'] ?? '',
    isMissing: isSet(row['pv_missing']),
    isDuplicate: isSet(row['pv_duplicate']),
    device: deviceOf(row['pv_major'], row['pv_minor']),
  };
}

function warningsOf(reports: readonly Report[]): Evidence[] {
  const lines = new Map<string, Evidence>();
  for (const { warnings, seen } of reports) {
    for (const line of warnings) {
      lines.set(line, lines.get(line) ?? { ...seen, excerpt: line });
    }
  }
  return [...lines.values()];
}

/** A word where it is set, empty where it is not, `unknown` where that cannot be told (of what is not active). */
function isSet(value: string | undefined): boolean {
  return value !== undefined && value !== '' && value !== 'unknown';
}

function flag(value: string | undefined): boolean | undefined {
  return value === undefined ? undefined : value === 'enabled';
}

function percent(value: string | undefined): number | undefined {
  return value === undefined || value === '' ? undefined : Number(value);
}

function deviceOf(major: string | undefined, minor: string | undefined): string | undefined {
  return major === undefined || minor === undefined || major === '-1' || minor === '-1' ? undefined : `${major}:${minor}`;
}

const NONE: readonly string[] = [];

function list(value: string | undefined): readonly string[] {
  return value === undefined || value === '' ? NONE : value.split(',');
}

/** `[cache_cpool]` → `cache_cpool` */
function bare(name: string): string {
  return name.startsWith('[') ? name.slice(1, -1) : name;
}
