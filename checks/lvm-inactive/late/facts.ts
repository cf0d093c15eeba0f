import type { Asking } from '../../../src/check/types.ts';
import { type BootJournal, bootEnd, bootJournal, type Moment, type UnitTimes, unitTimes } from '../../../src/facts/boot-order.ts';
import type { Lvm, Volume } from '../../../src/facts/lvm/index.ts';
import { type Unit, unitName, units } from '../../../src/facts/units.ts';
import { fromByteString } from '../../../src/names.ts';
import type { Candidate } from './candidates.ts';

export interface BootOrder {
  times: UnitTimes;
  /** Of the boot; undefined where nobody asks. */
  end: { ended: Moment | undefined } | { why: string } | undefined;
  journal: BootJournal;
  /** Mount units by id, and which of them an automount starts. */
  mounts: ReadonlyMap<string, Unit>;
  automounts: ReadonlySet<string>;
}

/** undefined: nobody is down whose volumes are up, or there is no systemd to tell. `disks`: of each group, `major:minor`. */
export function* bootOrder(candidates: readonly Candidate[], disks: ReadonlyMap<string, string[]>): Asking<BootOrder | undefined> {
  if (candidates.length === 0) {
    return undefined;
  }
  const known = yield* units();
  if (known.state === 'no-systemd') {
    return undefined;
  }
  const all = known.state === 'known' ? known.units : [];
  const mounts = new Map(all.filter(({ kind }) => kind === 'mount').map((unit) => [unit.id, unit]));
  const automounts = new Set(
    all
      .filter(({ kind, loadState }) => kind === 'automount' && loadState === 'loaded')
      .map(({ id }) => id.replace(/\.automount$/, '.mount')),
  );
  const missed = candidates.flatMap(({ consumer }) => (consumer.kind === 'mount' ? (mounts.get(consumer.unit ?? '') ?? []) : []));
  const starters = candidates.flatMap(({ consumer }) => consumer.starters ?? []);
  const volumes = candidates.flatMap((each) => each.volumes);
  const groups = [...new Set(volumes.map(({ group }) => group))];
  const sources = missed.map(sourceUnit);
  const activations = groups.flatMap((group) => activationUnits(group, disks.get(group) ?? []));
  const times = yield* unitTimes([...new Set([...volumes.map(deviceUnit), ...sources, ...starters])].toSorted());
  const end = missed.length === 0 ? undefined : yield* bootEnd();
  const journal = yield* bootJournal([...new Set([...activations, ...starters, ...sources, ...missed.map(({ id }) => id)])].toSorted());
  return { times, end, journal, mounts, automounts };
}

/** `dev-mapper-vg0\x2ddata.device` */
export function deviceUnit({ mapper }: Pick<Volume, 'mapper'>): string {
  return unitName(fromByteString(mapper), 'device');
}

/** What the mount unit waits for. */
export function sourceUnit({ what }: Pick<Unit, 'what'>): string {
  return unitName(what, 'device');
}

/** The transient unit that 69-lvm.rules starts for a complete group, and those of EL7 for each disk. */
function activationUnits(group: string, disks: readonly string[]): string[] {
  return [activationUnit(group), ...disks.map((device) => `lvm2-pvscan@${device}.service`)];
}

/** `lvm-activate-vg0.service`: systemd-run escapes what no unit may have in its name. */
function activationUnit(group: string): string {
  return `lvm-activate-${group.replace(/[^\w:.-]/g, (character) => `\\x${character.charCodeAt(0).toString(16)}`)}.service`;
}

/** When the group began to be activated at boot, as far as the journal tells. */
export function activationOf(group: string, disks: readonly string[], { starts }: BootJournal): Moment | undefined {
  const byEvent = starts.get(activationUnit(group));
  if (byEvent !== undefined || disks.length === 0) {
    return byEvent;
  }
  // The group is complete with the last of its disks.
  const scans = disks.flatMap((device) => starts.get(`lvm2-pvscan@${device}.service`) ?? []);
  return scans.length === disks.length ? scans.reduce((last, each) => (each.us > last.us ? each : last)) : undefined;
}

/** Group → its disks, `major:minor`. */
export function disksOf({ disks }: Pick<Lvm, 'disks'>): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const { group, device } of disks) {
    found.set(group, [...(found.get(group) ?? []), ...(device === undefined ? [] : [device])]);
  }
  return found;
}
