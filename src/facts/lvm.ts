/** What LVM says of its volumes and groups, lvs(8) and vgs(8), put so that no lock is waited for. */
import { defineFact, outputOf, run, seenAt, sourceOf, Unknown, whyNot } from '../check/asking.ts';
import { defineCondition } from '../check/condition.ts';
import type { Asking, Holds, Probe, Seen } from '../check/types.ts';

const LIMIT = 15_000;

export interface Volume {
  group: string;
  /** Without the brackets of a hidden one. */
  name: string;
  /** `/dev/mapper/vg-data`, a dash within a name doubled. */
  mapper: string;
  /** Ten characters, lvs(8). */
  attr: string;
  /** `partial`, `refresh needed`, …; empty where all is well. */
  health: string;
}

export interface Group {
  name: string;
  missingDisks: number;
  /** Its volumes are activated by a lock manager, on one host of several. */
  isShared: boolean;
}

export interface Lvm {
  seen: Seen;
  volumes: Volume[];
  groups: Group[];
}

// --nolocking: while another command holds the lock, lvs would wait for it; what it tells without one is true.
const FORMAT = ['--nolocking', '--reportformat', 'json', '-qq'];
const LVS = ['lvs', '-a', ...FORMAT, '-o', 'vg_name,lv_name,lv_uuid,lv_dm_path,lv_attr,lv_health_status'];
const VGS = ['vgs', '-a', ...FORMAT, '-o', 'vg_name,vg_missing_pv_count,vg_shared,vg_clustered,vg_lock_type'];

export const lvm = defineFact('lvm', function* (): Asking<Lvm> {
  const volumes = yield* rowsOf(LVS, 'lv');
  const groups = yield* rowsOf(VGS, 'vg');
  // A volume has a row for each of its segments.
  const byUuid = new Map(volumes.rows.map((row) => [row['lv_uuid'], row]));
  return {
    seen: volumes.seen,
    volumes: [...byUuid.values()].map((row) => ({
      group: field(row, 'vg_name'),
      name: field(row, 'lv_name').replace(/^\[(.*)\]$/, '$1'),
      mapper: field(row, 'lv_dm_path'),
      attr: field(row, 'lv_attr'),
      health: field(row, 'lv_health_status'),
    })),
    groups: groups.rows.map((row) => ({
      name: field(row, 'vg_name'),
      missingDisks: Number(field(row, 'vg_missing_pv_count')),
      isShared: !/^(none)?$/.test(`${field(row, 'vg_shared')}${field(row, 'vg_clustered')}${field(row, 'vg_lock_type')}`),
    })),
  };
});

type Row = Readonly<Record<string, string>>;

function* rowsOf(argv: readonly string[], key: 'lv' | 'vg'): Asking<{ rows: Row[]; seen: Seen }> {
  const probe: Probe & { kind: 'run' } = { kind: 'run', argv };
  const answer = yield* run(argv, { limitMs: LIMIT, suspect: true });
  // Exit code 5 may come with a whole report: some device could not be read.
  if (answer.state !== 'ok' || (answer.code !== 0 && answer.code !== 5)) {
    throw new Unknown(`${sourceOf(probe)}: ${whyNot(answer)}`);
  }
  try {
    return { rows: parseReport(outputOf(answer), key), seen: seenAt(probe, answer) };
  } catch {
    throw new Unknown(`${sourceOf(probe)}: ${answer.code === 0 ? 'unknown format' : whyNot(answer)}`);
  }
}

/** `{"report":[{"lv":[{…}]}]}`, all values strings. Notices for people may stand among its lines. */
export function parseReport(text: string, key: string): Row[] {
  const lines = text.split('\n').filter((line) => /^\s*[[\]{}",]/.test(line));
  const { report } = JSON.parse(lines.join('\n')) as { report: readonly Record<string, Row[]>[] };
  return report.flatMap((part) => part[key] ?? []);
}

function field(row: Row, name: string): string {
  const value = row[name];
  if (typeof value !== 'string') {
    throw new Unknown(`LVM's report has no ${name}`);
  }
  return value;
}

/** Why a volume cannot be given its disks again; undefined where all of them are there. */
export function lacking({ volumes, groups }: Lvm, mapper: string): string | undefined {
  const volume = volumes.find((each) => each.mapper === mapper);
  const group = groups.find(({ name }) => name === volume?.group);
  if (volume === undefined || group === undefined) {
    return 'LVM knows no such volume';
  }
  if (group.missingDisks !== 0) {
    return `${group.missingDisks} disks of volume group ${group.name} are missing`;
  }
  if (/partial/.test(volume.health)) {
    return `it is ${volume.health}`;
  }
  return group.isShared ? `${group.name} is shared with other hosts` : undefined;
}

/** LVM knows this volume, by its node in /dev/mapper, and has all disks of its group. */
export const volumeWhole = defineCondition('volume-whole', function* (args: { mapper: string }): Asking<Holds> {
  const why = lacking(yield* lvm(), args.mapper);
  return why === undefined ? { holds: true } : { holds: false, expected: `${args.mapper} with all its disks`, found: why };
});
