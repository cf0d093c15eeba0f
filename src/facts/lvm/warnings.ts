/** What LVM says on standard error about the disks of its groups. */
import type { Evidence } from '../../check/types.ts';
import type { Lvm } from './index.ts';

export interface DiskWarnings {
  /** UUID → where it was last seen, as far as that is told. */
  missing: ReadonlyMap<string, { lastSeen: string; evidence: Evidence }>;
  /** Group → disks that came back with metadata older than the group's. */
  returned: ReadonlyMap<string, { disk: string; evidence: Evidence }[]>;
  /** UUID of a disk that is there more than once → the names that are not used, and the line about each. */
  duplicates: ReadonlyMap<string, { disk: string; evidence: Evidence }[]>;
  /** UUID → the one that is used, and why. */
  preferred: ReadonlyMap<string, Evidence>;
}

/** `vg/data` → the line about its device, which answers all that is read and written with errors. */
export function errorTables({ warnings }: Pick<Lvm, 'warnings'>): ReadonlyMap<string, Evidence> {
  return new Map(
    warnings.flatMap((evidence) => {
      // WARNING: Detected error segment type does not match expected type striped for vg0/data.
      const [, volume] = /^WARNING: Detected error segment type does not match expected type \S+ for (\S+)\.$/.exec(evidence.excerpt) ?? [];
      return volume === undefined ? [] : [[volume, evidence] as const];
    }),
  );
}

export function diskWarnings({ warnings }: Pick<Lvm, 'warnings'>): DiskWarnings {
  const missing = new Map<string, { lastSeen: string; evidence: Evidence }>();
  const returned = new Map<string, { disk: string; evidence: Evidence }[]>();
  const duplicates = new Map<string, { disk: string; evidence: Evidence }[]>();
  const preferred = new Map<string, Evidence>();
  for (const evidence of warnings) {
    const line = evidence.excerpt;
    // WARNING: VG vg0 is missing PV 1fQ7… (last written to /dev/vda).
    const [, gone, lastSeen] = /^WARNING: VG \S+ is missing PV (\S+) \(last written to (.+)\)\.$/.exec(line) ?? [];
    // WARNING: Couldn't find device with uuid 1fQ7….
    const [, unseen] = /^WARNING: Couldn't find device with uuid (\S+)\.$/.exec(line) ?? [];
    // WARNING: VG vg0 was previously updated while PV /dev/vda was missing.
    const [, updated, back] = /^WARNING: VG (\S+) was previously updated while PV (.+) was missing\.$/.exec(line) ?? [];
    // WARNING: ignoring metadata seqno 44 on /dev/vda for seqno 45 on /dev/vdb for VG vg0.
    const [, old, of] = /^WARNING: ignoring metadata seqno \d+ on (.+) for seqno \d+ on .+ for VG (\S+)\.$/.exec(line) ?? [];
    // WARNING: Not using device /dev/vdb for PV 1fQ7….
    const [, unused, twice] = /^WARNING: Not using device (.+) for PV (\S+)\.$/.exec(line) ?? [];
    // WARNING: PV 1fQ7… prefers device /dev/vdd because device is used by LV.
    const [, chosen] = /^WARNING: PV (\S+) prefers device .+ because .+$/.exec(line) ?? [];
    if (gone !== undefined) {
      missing.set(gone, { lastSeen: lastSeen ?? '', evidence });
    } else if (unseen !== undefined && !missing.has(unseen)) {
      missing.set(unseen, { lastSeen: '', evidence });
    } else if (updated !== undefined && back !== undefined) {
      push(returned, updated, { disk: back, evidence });
    } else if (old !== undefined && of !== undefined) {
      push(returned, of, { disk: old, evidence });
    } else if (unused !== undefined && twice !== undefined) {
      push(duplicates, twice, { disk: unused, evidence });
    } else if (chosen !== undefined) {
      preferred.set(chosen, evidence);
    }
  }
  return { missing, returned, duplicates, preferred };
}

function push<T>(into: Map<string, T[]>, key: string, value: T): void {
  into.set(key, [...(into.get(key) ?? []), value]);
}
