/** Mounts and swap that /etc/fstab or a unit of systemd wants. */
import { defineFact } from '../../check/asking.ts';
import type { Asking, Evidence, Seen } from '../../check/types.ts';
import { fromByteString, type Name, sameName, showName, toByteString } from '../../names.ts';
import { type NamedDevice, namedDevices, namesDevice } from '../device-names.ts';
import { type FstabLine, fstab, isMountedBySystem } from '../fstab.ts';
import { followLinks } from '../links.ts';
import { type MountTable, mountTable } from '../mountinfo.ts';
import { type Swap, swaps } from '../swaps.ts';
import { init, type Unit, type Units, units } from '../units.ts';
import { attempt, type Consumer, isByContent, type Part, type Unjudged, unjudgedFile } from './consumer.ts';

/** A line or a unit that wants something mounted, or swapped to. */
export interface Wanted {
  kind: 'mount' | 'swap';
  /** Links in a mount point are not followed. Of swap, what is swapped to. */
  name: Name;
  source: Name;
  unit: Unit | undefined;
  nofail: boolean;
  evidence: Evidence;
}

/** A container mounts no devices by its fstab, and swaps where its host does. */
export const mountConsumers = defineFact('consumers.mounts', function* (): Asking<Part> {
  const unjudged: Unjudged[] = [];
  const lines = yield* attempt(fstab());
  if ('why' in lines) {
    unjudged.push(unjudgedFile('/etc/fstab', lines.why));
  } else {
    const strange = lines.strange.map(({ number, text }) => `line ${number} is of no known format: ${text}`);
    unjudged.push(...strange.map((why) => unjudgedFile('/etc/fstab', why)));
  }
  const known = yield* units();
  if (known.state === 'unknown') {
    unjudged.push({ subject: { kind: 'systemd', name: 'units' }, why: known.why });
  }
  const found = yield* init();
  const all = [
    ...('why' in lines || found?.container === true ? [] : wantedByFstab(lines.lines, lines.seen, known)),
    ...wantedByUnits(known),
  ];
  const first = new Map<string, Wanted>();
  for (const each of all.filter(({ unit }) => unit?.loadState !== 'masked')) {
    const key = `${each.kind} ${toByteString(each.name)}`;
    first.set(key, first.get(key) ?? each);
  }
  const wanted = [...first.values()];
  const looked = yield* areUp(wanted);
  unjudged.push(...looked.unjudged);
  return {
    consumers: wanted.map((each): Consumer => {
      const { kind, name, source, unit, nofail, evidence } = each;
      const isResolved = looked.named.get(toByteString(source))?.state === 'there';
      return {
        kind,
        name,
        atBoot: true,
        isUp: looked.up.has(each),
        needs: [source],
        certainty: isByContent(source) && !isResolved ? 'possible' : 'proven',
        evidence,
        unit: unit?.id ?? null,
        ...(unit?.needsReload && { needsReload: true }),
        nofail,
      };
    }),
    unjudged,
  };
});

function wantedByFstab(lines: readonly FstabLine[], seen: Seen, known: Units): Wanted[] {
  const all = known.state === 'known' ? known.units : [];
  const mounts = firstBy(all, (unit) => (unit.kind === 'mount' ? unit.where : undefined));
  const swapping = firstBy(all, (unit) => (unit.kind === 'swap' ? unit.what : undefined));
  return lines.flatMap((line): Wanted[] => {
    const isSwap = line.fstype === 'swap' && !line.options.includes('noauto');
    if (!isSwap && !isMountedBySystem(line)) {
      return [];
    }
    const { source, target, options } = line;
    const unit = isSwap
      ? (swapping.get(toByteString(source)) ?? swapping.get(toByteString(pathOf(source))))
      : mounts.get(toByteString(target));
    const evidence = { ...seen, excerpt: `line ${line.number}: ${showName(fromByteString(line.text))}` };
    const nofail = options.includes('nofail');
    return [{ kind: isSwap ? 'swap' : 'mount', name: isSwap ? source : target, source, unit, nofail, evidence }];
  });
}

function firstBy(units: readonly Unit[], nameOf: (unit: Unit) => Name | undefined): ReadonlyMap<string, Unit> {
  const first = new Map<string, Unit>();
  for (const unit of units) {
    const name = nameOf(unit);
    const key = name === undefined ? undefined : toByteString(name);
    if (key !== undefined && !first.has(key)) {
      first.set(key, unit);
    }
  }
  return first;
}

/** `UUID=a` → `/dev/disk/by-uuid/a`, as systemd names it. */
function pathOf(source: Name): Name {
  return fromByteString(
    toByteString(source).replace(/^(UUID|LABEL|PARTUUID|PARTLABEL)=/, (_, tag: string) => `/dev/disk/by-${tag.toLowerCase()}/`),
  );
}

/** Of those that systemd starts by itself, since they are enabled. Those that it makes from /etc/fstab are not. */
function wantedByUnits(known: Units): Wanted[] {
  if (known.state !== 'known') {
    return [];
  }
  return known.units.flatMap((unit): Wanted[] => {
    const { kind, where, what, unitFileState, isConditionUnmet, id } = unit;
    const name = kind === 'mount' ? where : what;
    if (kind === 'automount' || name === undefined || !/^enabled(-runtime)?$/.test(unitFileState) || isConditionUnmet) {
      return [];
    }
    const excerpt = `${id}: What=${showName(what)} UnitFileState=${unitFileState} ActiveState=${unit.activeState} Result=${unit.result}`;
    return [{ kind, name, source: what, unit, nofail: false, evidence: { ...known.seen, excerpt } }];
  });
}

interface Up {
  up: ReadonlySet<Wanted>;
  named: ReadonlyMap<string, NamedDevice>;
  unjudged: Unjudged[];
}

function* areUp(wanted: readonly Wanted[]): Asking<Up> {
  const mounts = wanted.filter(({ kind }) => kind === 'mount');
  const swapping = wanted.filter(({ kind }) => kind === 'swap');
  const named = yield* namedDevices(wanted.map(({ source }) => source).filter(namesDevice));
  const up = new Set<Wanted>();
  const unjudged: Unjudged[] = [];
  if (mounts.length > 0) {
    const table = yield* attempt(mountTable());
    if ('why' in table) {
      unjudged.push(unjudgedFile('/proc/self/mountinfo', table.why));
    } else {
      for (const each of yield* mounted(mounts, table)) {
        up.add(each);
      }
    }
  }
  if (swapping.length > 0) {
    const used = yield* swaps();
    // What lies below a loop device that is swapped to is of no concern here.
    const unread = used.unjudged.find(({ name }) => sameName(name, '/proc/swaps'));
    unjudged.push(...(unread === undefined ? [] : [unjudgedFile('/proc/swaps', unread.why)]));
    for (const each of swapping.filter((swap) => isUsed(swap, named, used.swaps))) {
      up.add(each);
    }
  }
  return { up, named, unjudged };
}

/** An automount that waits at the place is not the mount. */
function* mounted(mounts: readonly Wanted[], table: MountTable): Asking<Wanted[]> {
  const points = new Set(table.mounts.filter(({ fstype }) => fstype !== 'autofs').map(({ point }) => toByteString(point)));
  const isThere = (point: Name) => points.has(toByteString(point));
  const rest = mounts.filter(({ name }) => !isThere(name));
  const resolved = yield* followLinks(
    rest.map(({ name }) => name),
    table,
  );
  return mounts.filter(({ name }) => isThere(name) || isThere(resolved.get(toByteString(name)) ?? name));
}

function isUsed({ source }: Wanted, named: ReadonlyMap<string, NamedDevice>, used: readonly Swap[]): boolean {
  const device = named.get(toByteString(source));
  return used.some((swap) => sameName(swap.name, source) || (device?.state === 'there' && swap.device === device.device));
}
