/** Where a mount that was replaced here lives on: what a repair has to know of those namespaces, and asks only then. */
import { all, defineFact, outputOf, read } from '../../../src/check/asking.ts';
import type { Answer, Asking } from '../../../src/check/types.ts';
import { serviceOf } from '../../../src/facts/cgroups.ts';
import { type Holder, holdersBehind } from '../../../src/facts/holders.ts';
import { type Mount, mountTable, parseMountinfo, visibleMounts } from '../../../src/facts/mountinfo.ts';
import { otherTables } from '../../../src/facts/namespaces.ts';
import { procLinks } from '../../../src/facts/proc-links.ts';
import { parseStat } from '../../../src/facts/process.ts';
import { isBelow, sameName } from '../../../src/names.ts';
import { foreigners, isReplaced, keyOf } from './facts.ts';

export interface Place {
  /** Every process that lives there. */
  residents: Resident[];
  mounts: Mount[];
  visible: ReadonlySet<number>;
  /** Who of them holds one of the mounts in question. */
  holders: Holder[];
}

export interface Resident {
  pid: number;
  startTime: string;
  /** The service of systemd it belongs to: of the system's own, not of a user's. */
  service: string | undefined;
}

/** By the pid that stands for the namespace. A place is left out where something of it could not be read. */
export const foreignPlaces = defineFact('zombie-mounts.foreign-places', function* (): Asking<ReadonlyMap<number, Place>> {
  const found = yield* foreigners();
  const { mounts: ours } = yield* mountTable();
  const known = found === undefined || 'unknown' in found ? [] : found.mounts;
  const keys = new Set(known.filter(({ mount }) => isReplaced(mount, ours)).map(({ mount }) => keyOf(mount)));
  const replaced = known.filter(({ mount }) => keys.has(keyOf(mount)));
  if (replaced.length === 0) {
    return new Map();
  }
  const { tables } = yield* otherTables('');
  const links = yield* procLinks(replaced.map(({ mount }) => mount.point));
  const places = new Map<number, Place>();
  for (const [pid, foreign] of Map.groupBy(replaced, ({ process }) => process.pid)) {
    const table = tables.find((each) => each.pid === pid);
    const residents = table === undefined ? undefined : yield* residentsOf(table.pids);
    if (table === undefined || residents === undefined) {
      continue;
    }
    const mounts = parseMountinfo(table.text);
    const own = links.links.filter((link) => residents.some((resident) => resident.pid === link.pid));
    const tell = yield* holdersBehind(own);
    const holders = tell(({ target }) => foreign.some(({ mount: { point } }) => sameName(target, point) || isBelow(target, point)));
    places.set(pid, { residents, mounts, visible: visibleMounts(mounts), holders });
  }
  return places;
});

/** undefined: one of them could not be looked at. */
function* residentsOf(pids: readonly number[]): Asking<Resident[] | undefined> {
  const answers = yield* all(pids.flatMap((pid) => [read(`/proc/${pid}/stat`, { take: 'resident' }), read(`/proc/${pid}/cgroup`)]));
  const residents: Resident[] = [];
  for (const [index, pid] of pids.entries()) {
    const [stat, cgroup] = answers.slice(2 * index, 2 * index + 2) as [Answer, Answer];
    const startTime = parseStat(outputOf(stat))?.startTime;
    if (startTime !== undefined && cgroup.state === 'ok') {
      residents.push({ pid, startTime, service: serviceOf(outputOf(cgroup)) });
    } else if (stat.state !== 'absent') {
      return undefined;
    }
  }
  return residents;
}

/** The one service to which all who live there belong. */
export function inService(place: Place | undefined): string | undefined {
  const [service, ...others] = new Set(place?.residents.map((resident) => resident.service));
  return others.length === 0 ? service : undefined;
}
