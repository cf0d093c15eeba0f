import { defineFact, Unknown } from '../../../src/check/asking.ts';
import type { Asking, Seen, Subject } from '../../../src/check/types.ts';
import { type NamedDevice, namedDevices, namesDevice } from '../../../src/facts/device-names.ts';
import { type Fstab, type FstabLine, fstab, isMountedBySystem } from '../../../src/facts/fstab.ts';
import { followLinks } from '../../../src/facts/links.ts';
import { type Looked, lookAt } from '../../../src/facts/look.ts';
import { isPseudo } from '../../../src/facts/mount-kinds.ts';
import { type Mount, type MountTable, mountOf, mountTable, topAt } from '../../../src/facts/mountinfo.ts';
import { reach } from '../../../src/facts/reach.ts';
import type { Reach } from '../../../src/facts/reach-questions.ts';
import { type Swap, swaps } from '../../../src/facts/swaps.ts';
import { init, type Unit, type Units, units } from '../../../src/facts/units.ts';
import { type Name, sameName, showName, toByteString } from '../../../src/names.ts';

const LIMIT = 2000;

/** A mount that /etc/fstab or an enabled unit wants. */
export interface Wanted {
  /** As mountinfo would name it, links followed. */
  target: Name;
  source: Name;
  fstype: string;
  options: readonly string[];
  line: FstabLine | undefined;
  unit: Unit | undefined;
  /** Mounted on the first access. */
  byAutomount: boolean;
}

export interface Missing extends Wanted {
  /** undefined: its source is no block device. */
  device: NamedDevice | undefined;
  /** What lies at the target now, or why that was not looked at. */
  place: Looked | { state: 'not-looked'; why: string };
  /** Its source is a path that only an automount would lead to, or a mount that does not answer: which. */
  sourceBehind: string | undefined;
}

/** A swap line of /etc/fstab of which the kernel uses nothing. */
export interface UnusedSwap {
  line: FstabLine;
  unit: Unit | undefined;
  /** undefined: it is a file. */
  device: NamedDevice | undefined;
}

/** An automount of systemd that waits for its first access. */
export interface Idle {
  target: Name;
  source: Name;
  unit: Unit;
  nofail: boolean;
  device: NamedDevice | undefined;
}

export interface Configured {
  fstab: Fstab | { why: string };
  units: Units;
  mounted: Wanted[];
  missing: Missing[];
  idle: Idle[];
  unusedSwaps: UnusedSwap[];
  /** By `major:minor`: those of mounted file systems that hide their own (btrfs). By mount id. */
  devices: ReadonlyMap<number, string>;
  unjudged: { subject: Subject; why: string }[];
}

/** Nothing is asked of what is mounted: only about what is not. */
export const configured = defineFact('zombie-mounts.configured', function* (): Asking<Configured> {
  const table = yield* mountTable();
  const [lines, known] = [yield* readFstab(), yield* units()];
  const configuredLines = 'why' in lines ? [] : lines.lines;
  const wanted = yield* allWanted(configuredLines.filter(isMountedBySystem), known);
  const unitAt = unitsByPoint(known);
  const points = new Set(table.mounts.map(({ point }) => toByteString(point)));
  const isMounted = ({ target }: Wanted) => points.has(toByteString(target));
  const resolved = yield* followLinks(
    wanted.filter((each) => !isMounted(each)).flatMap((each) => [each.target, ...(hasPath(each) ? [each.source] : [])]),
    table,
  );
  const unjudged: Configured['unjudged'] = [];
  const byTarget = new Map<string, Wanted>();
  for (const each of wanted) {
    const target = isMounted(each) ? each.target : resolved.get(toByteString(each.target));
    if (target === undefined) {
      unjudged.push({ subject: { kind: 'mount', name: each.target }, why: 'the links on the way there could not be followed' });
      continue;
    }
    const unit = each.unit ?? unitAt.get(toByteString(target));
    // Somebody masked it so that it is not mounted.
    if (unit?.loadState !== 'masked' && !byTarget.has(toByteString(target))) {
      byTarget.set(toByteString(target), { ...each, target, unit });
    }
  }
  const all = [...byTarget.values()];
  const gone = all.filter((each) => !isMounted(each));
  const idle = idleAutomounts(table, known, all, unitAt);
  const swapping = yield* swapLines(configuredLines);
  const anonymous = gone.length === 0 ? [] : table.mounts.filter(isAnonymous);
  const sources = [...gone, ...idle, ...anonymous, ...swapping.lines].filter(hasDevice).map(({ source }) => source);
  const named = yield* namedDevices(sources);
  const deviceOf = (each: { source: Name; options?: readonly string[] }) =>
    hasDevice(each) ? named.get(toByteString(each.source)) : undefined;
  const reached = gone.length === 0 ? new Map<number, Reach>() : yield* reach();
  const places = yield* lookAtPlaces(
    gone.map(({ target }) => target),
    table,
    reached,
  );
  return {
    fstab: lines,
    units: known,
    mounted: all.filter(isMounted),
    missing: gone.map((each) => ({
      ...each,
      device: deviceOf(each),
      place: places.get(toByteString(each.target)) ?? { state: 'not-looked', why: 'it was not asked' },
      sourceBehind: hasPath(each) ? closedOnTheWay(resolved.get(toByteString(each.source)), table, reached) : undefined,
    })),
    idle: idle.map((each) => ({ ...each, device: deviceOf(each) })),
    unusedSwaps: swapping.lines
      .map((line): UnusedSwap => ({ line, device: deviceOf(line), unit: swapUnit(line, deviceOf(line), known) }))
      .filter((each) => each.unit?.loadState !== 'masked' && !isUsed(each, swapping.used)),
    devices: new Map(
      anonymous.flatMap(({ id, source }): [number, string][] => {
        const device = named.get(toByteString(source));
        return device?.state === 'there' ? [[id, device.device]] : [];
      }),
    ),
    unjudged: [...unjudged, ...swapping.unjudged],
  };
});

function* readFstab(): Asking<Fstab | { why: string }> {
  try {
    return yield* fstab();
  } catch (error) {
    if (error instanceof Unknown) {
      return { why: error.message };
    }
    throw error;
  }
}

/** Of both, the line stands for its generated unit. Twice the same target: the first counts. */
function* allWanted(lines: FstabLine[], known: Units): Asking<Wanted[]> {
  const found = yield* init();
  const wanted = lines
    // systemd-fstab-generator leaves lines with a device out in a container: the image's host is meant.
    .filter((line) => !(found?.container && namesDevice(line.source) && !isBind(line)))
    .map((line): Wanted => {
      const { target, source, fstype, options } = line;
      const byAutomount = options.includes('x-systemd.automount') || options.includes('comment=systemd.automount');
      return { target, source, fstype, options, line, unit: undefined, byAutomount };
    });
  const all = known.state === 'known' ? known.units : [];
  const enabled = all.filter(
    ({ kind, unitFileState, isConditionUnmet }) => kind === 'mount' && /^enabled(-runtime)?$/.test(unitFileState) && !isConditionUnmet,
  );
  return [
    ...wanted,
    ...enabled.flatMap((unit): Wanted[] =>
      unit.where === undefined
        ? []
        : [{ target: unit.where, source: unit.what, fstype: unit.fstype, options: [], line: undefined, unit, byAutomount: false }],
    ),
  ];
}

function unitsByPoint(known: Units): ReadonlyMap<string, Unit> {
  const mounts = known.state === 'known' ? known.units.filter(({ kind }) => kind === 'mount') : [];
  return new Map(mounts.flatMap((unit): [string, Unit][] => (unit.where === undefined ? [] : [[toByteString(unit.where), unit]])));
}

/** Those for swap, with what the kernel swaps to. A container swaps where its host does: none there. */
function* swapLines(lines: FstabLine[]): Asking<{ lines: FstabLine[]; used: Swap[]; unjudged: Configured['unjudged'] }> {
  const wanted = lines.filter(({ fstype, options }) => fstype === 'swap' && !options.includes('noauto'));
  if (wanted.length === 0 || (yield* init())?.container) {
    return { lines: [], used: [], unjudged: [] };
  }
  const { swaps: used, unjudged } = yield* swaps();
  const [unread] = unjudged;
  return unread === undefined
    ? { lines: wanted, used, unjudged: [] }
    : { lines: [], used, unjudged: wanted.map(({ source }) => ({ subject: { kind: 'swap', name: source }, why: unread.why })) };
}

function isUsed({ line, device }: UnusedSwap, used: Swap[]): boolean {
  return used.some((swap) => sameName(swap.name, line.source) || (device?.state === 'there' && swap.device === device.device));
}

function swapUnit({ source }: FstabLine, device: NamedDevice | undefined, known: Units): Unit | undefined {
  const names = [source, ...(device?.state === 'there' ? [device.path] : [])];
  const all = known.state === 'known' ? known.units : [];
  return all.find((unit) => unit.kind === 'swap' && names.some((name) => sameName(name, unit.what)));
}

/** Only where the mount that the target lies on is no autofs and answers. */
function* lookAtPlaces(
  targets: Name[],
  table: MountTable,
  reached: ReadonlyMap<number, Reach>,
): Asking<ReadonlyMap<string, Missing['place']>> {
  const places = new Map<string, Missing['place']>();
  const open: Name[] = [];
  for (const target of targets) {
    const where = closedOnTheWay(target, table, reached);
    if (where === undefined) {
      open.push(target);
    } else {
      places.set(toByteString(target), { state: 'not-looked', why: `the way there leads through ${where}, which does not answer` });
    }
  }
  for (const [target, looked] of open.length === 0 ? [] : yield* lookAt(open, LIMIT)) {
    places.set(target, looked);
  }
  return places;
}

/** The mount that a path, its links followed, lies on, where that is an autofs or does not answer. */
function closedOnTheWay(path: Name | undefined, table: MountTable, reached: ReadonlyMap<number, Reach>): string | undefined {
  if (path === undefined) {
    return 'links that could not be followed';
  }
  const on = mountOf(table, path);
  const answers = on !== undefined && (reached.get(on.id)?.state === 'answers' || (isPseudo(on) && on.fstype !== 'autofs'));
  return answers ? undefined : on === undefined ? 'no mount that is listed' : showName(on.point);
}

/** Automounts that wait while their mount is not there. */
function idleAutomounts(table: MountTable, known: Units, wanted: Wanted[], unitAt: ReadonlyMap<string, Unit>): Omit<Idle, 'device'>[] {
  const all = known.state === 'known' ? known.units : [];
  return all.flatMap((automount) => {
    const { kind, activeState, subState, where } = automount;
    if (kind !== 'automount' || activeState !== 'active' || subState !== 'waiting' || where === undefined) {
      return [];
    }
    const unit = unitAt.get(toByteString(where));
    const line = wanted.find(({ target }) => toByteString(target) === toByteString(where));
    if (topAt(table, where)?.fstype !== 'autofs' || unit === undefined || unit.activeState !== 'inactive') {
      return [];
    }
    // Only fstab knows the device as it was named: the unit has its path below /dev.
    return [{ target: where, source: line?.source ?? unit.what, unit, nofail: line?.options.includes('nofail') ?? false }];
  });
}

/** btrfs has a device number of its own making; its source is the device. */
function isAnonymous(mount: Mount): boolean {
  return mount.fstype === 'btrfs' && mount.device.startsWith('0:');
}

export function isBind({ options }: { options: readonly string[] }): boolean {
  return options.includes('bind') || options.includes('rbind');
}

/** Of a bind, or of an image for a loop device. */
function hasPath(wanted: Wanted): boolean {
  return /^\/(?!\/)/.test(toByteString(wanted.source)) && !hasDevice(wanted);
}

function hasDevice({ source, options }: { source: Name; options?: readonly string[] | string }): boolean {
  return namesDevice(source) && !(Array.isArray(options) && isBind({ options }));
}

/** Where a finding about a wanted mount says it is wanted. */
export function wantedBy(
  { line, unit }: Pick<Wanted, 'line' | 'unit'>,
  { fstab: read, units: known }: Configured,
): { seen: Seen; text: string } {
  if (line !== undefined && 'seen' in read) {
    return { seen: read.seen, text: `line ${line.number}: ${line.text}` };
  }
  const seen = known.state === 'known' ? known.seen : { source: 'systemctl show', at: '' };
  return { seen, text: unit === undefined ? '' : describeUnit(unit) };
}

export function describeUnit({ id, loadState, activeState, subState, result }: Unit): string {
  return `${id}: LoadState=${loadState} ActiveState=${activeState} SubState=${subState} Result=${result}`;
}
