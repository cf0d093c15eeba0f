import type { Confidence, Evidence, Found, Severity, Subject } from '../../../src/check/types.ts';
import { type BootJournal, type Moment, seconds, type UnitTime } from '../../../src/facts/boot-order.ts';
import type { Consumer } from '../../../src/facts/consumers/index.ts';
import type { Volume } from '../../../src/facts/lvm/index.ts';
import { wasNeverStarted } from '../../../src/facts/units.ts';
import { toByteString } from '../../../src/names.ts';
import { describeConsumers, lineOf, quote, type Sought, subjectOf, type VolumeData, volumeData } from '../data.ts';
import type { LvmFacts } from '../facts.ts';
import { type Candidate, candidatesOf } from './candidates.ts';
import { activationOf, type BootOrder, deviceUnit, disksOf, sourceUnit } from './facts.ts';

interface LateData extends VolumeData {
  /** Who was to start before it came up, for a sentence. */
  consumer: string;
  /** How late, for a sentence. */
  why: string;
}

export type LateFound = Found<'volume-activated-late', LateData>;

/** Somebody who was to be started before his volumes were there. */
export interface Late {
  consumer: Consumer;
  /** All that he needs. */
  volumes: readonly Volume[];
  /** Those that came too late, the last one last. */
  late: Volume[];
  /** What was started before, and did not wait. */
  starter: string;
  /** A clause. */
  why: string;
  severity: Severity;
  confidence: Confidence;
  evidence: Evidence[];
}

interface Told {
  late: Late[];
  unjudged: { subject: Subject; why: string }[];
}

export function seekLate(facts: LvmFacts): Sought {
  const { late, unjudged } = judgeLate(facts);
  const byVolume = Map.groupBy(late, (each) => each.late.at(-1) as Volume);
  return { findings: [...byVolume].map(([volume, all]) => finding(volume, all, facts)), unjudged };
}

function finding(volume: Volume, all: Late[], facts: LvmFacts): LateFound {
  return {
    code: 'volume-activated-late',
    severity: all.some(({ severity }) => severity === 'critical') ? 'critical' : 'warning',
    subject: subjectOf(volume),
    data: {
      ...volumeData(volume, facts),
      consumer: describeConsumers(all.map(({ consumer }) => consumer)),
      why: [...new Set(all.map(({ why }) => why))].join('; '),
    },
    confidence: all.some(({ confidence }) => confidence === 'high') ? 'high' : 'medium',
    evidence: [...new Set(all.flatMap(({ consumer, evidence }) => [...evidence, consumer.evidence])), lineOf(volume, facts.lvm)],
  };
}

export function judgeLate(facts: LvmFacts): Told {
  const { order, lvm, needed } = facts;
  const told: Told = { late: [], unjudged: [] };
  if (order === undefined) {
    return told;
  }
  for (const candidate of candidatesOf(lvm, needed)) {
    const { kind, name } = candidate.consumer;
    const judged = kind === 'mount' ? judgeMount(candidate, order) : judgeGuest(candidate, order, facts);
    if (judged !== undefined && 'unknown' in judged) {
      const why = `it is down, and whether its volumes came up in time could not be told: ${judged.unknown}`;
      told.unjudged.push({ subject: { kind, name }, why });
    } else if (judged !== undefined) {
      told.late.push(judged);
    }
  }
  return told;
}

/** A mount that was stopped since the boot was active before; one that an automount brings waits for its first access. */
function judgeMount({ consumer, volumes }: Candidate, { times, end, journal, mounts, automounts }: BootOrder): Late | Unknown | undefined {
  const unit = mounts.get(consumer.unit ?? '');
  if (unit === undefined || !wasNeverStarted(unit) || unit.hasJob || unit.isConditionUnmet || automounts.has(unit.id)) {
    return undefined;
  }
  if ('why' in times || end === undefined || 'why' in end) {
    return { unknown: 'why' in times ? times.why : end !== undefined && 'why' in end ? end.why : 'nobody asked' };
  }
  const source = sourceUnit(unit);
  // What it is mounted from may be made from the volume, and not be there: LUKS that is locked.
  if (!toByteString(unit.what).startsWith('/dev/') || times.units.get(source)?.activeState !== 'active') {
    return undefined;
  }
  const gaveUp = journal.givenUp.get(source) ?? journal.givenUp.get(unit.id);
  const missed = gaveUp ?? end.ended;
  if (missed === undefined) {
    return { unknown: 'systemd is still starting what is wanted at boot' };
  }
  const came = cameUp(volumes, times.units);
  const late = came.filter(({ at }) => at.us > missed.us);
  const last = late.at(-1);
  if (last === undefined) {
    // The line may be newer than the boot, or the device came during it, after systemd had given it up.
    return keepsBoot(journal, came.at(-1)?.at) ? undefined : lostIn(journal);
  }
  return {
    consumer,
    volumes,
    late: late.map(({ volume }) => volume),
    starter: unit.id,
    why: `${seconds(last.at.us - missed.us)} after ${gaveUp === undefined ? 'the boot had ended' : 'systemd had given it up'}; it is not tried again`,
    severity: consumer.nofail ? 'warning' : 'critical',
    confidence: gaveUp === undefined ? 'medium' : 'high',
    evidence: [
      missed.evidence,
      last.at.evidence,
      quote(last.at.evidence, `${unit.id}: ActiveState=${unit.activeState} Result=${unit.result}, never active since the boot`),
    ],
  };
}

/** What happened at this moment, and all since, is in the journal where it happened at all. */
function keepsBoot({ since }: BootJournal, moment: Moment | undefined): boolean {
  return since !== undefined && since < (moment?.us ?? Number.POSITIVE_INFINITY);
}

function lostIn({ why }: BootJournal): Unknown {
  return { unknown: why ?? 'the journal has lost the beginning of the boot' };
}

interface Unknown {
  /** Why it could not be told, as a clause. */
  unknown: string;
}

/** Where it ran since the boot, it was stopped by somebody, or it ended. */
function judgeGuest({ consumer, volumes }: Candidate, { times, journal }: BootOrder, { lvm }: LvmFacts): Late | Unknown | undefined {
  if ('why' in times) {
    return { unknown: times.why };
  }
  if (journal.machines.some((machine) => isMachineOf(machine, consumer))) {
    return undefined;
  }
  const first = firstStart(consumer.starters ?? [], times.units, journal);
  // A daemon that ends when it is idle is started again by its socket: systemd knows the last time, and the journal the first.
  const isFirst = keepsBoot(journal, first?.at);
  if (first === undefined) {
    return isFirst ? undefined : lostIn(journal);
  }
  const { at: began, unit } = first;
  const disks = disksOf(lvm);
  const activated = new Map(volumes.map(({ group }) => [group, activationOf(group, disks.get(group) ?? [], journal)]));
  const came = cameUp(volumes, times.units, activated);
  // Where its whole group came up before, somebody turned the volume off and on since.
  const late = came.filter(({ at, volume }) => at.us > began.us && (activated.get(volume.group)?.us ?? at.us) > began.us);
  const last = late.at(-1);
  if (last === undefined) {
    return came.length < volumes.length ? { unknown: 'systemd knows no device of some of them' } : isFirst ? undefined : lostIn(journal);
  }
  const by = activated.get(last.volume.group);
  return {
    consumer,
    volumes,
    late: late.map(({ volume }) => volume),
    starter: unit,
    why: `${seconds(last.at.us - began.us)} after ${unit} was started`,
    severity: 'warning',
    // Without systemd-machined, somebody may have started it and stopped it since.
    confidence: by === undefined || journal.machines.length === 0 ? 'medium' : 'high',
    evidence: [...new Set([began.evidence, last.at.evidence, ...(by === undefined ? [] : [by.evidence])])],
  };
}

/** libvirt leaves out what no machine may have in its name. */
function isMachineOf(machine: string, { name }: Consumer): boolean {
  const bare = (text: string) => text.replace(/[^A-Za-z0-9]/g, '');
  return bare(machine.replace(/^qemu-\d+-/, '')) === bare(toByteString(name));
}

/** When systemd learned of each, or else when its group was activated; in that order. */
function cameUp(
  volumes: readonly Volume[],
  units: ReadonlyMap<string, UnitTime>,
  activated: ReadonlyMap<string, Moment | undefined> = new Map(),
): { volume: Volume; at: Moment }[] {
  const known = volumes.flatMap((volume) => {
    const at = units.get(deviceUnit(volume))?.entered ?? activated.get(volume.group);
    return at === undefined ? [] : [{ volume, at }];
  });
  return known.toSorted((a, b) => a.at.us - b.at.us);
}

function firstStart(
  starters: readonly string[],
  units: ReadonlyMap<string, UnitTime>,
  { starts }: BootJournal,
): { unit: string; at: Moment } | undefined {
  const all = starters.flatMap((unit) =>
    [starts.get(unit), units.get(unit)?.began].flatMap((at) => (at === undefined ? [] : [{ unit, at }])),
  );
  return all.toSorted((a, b) => a.at.us - b.at.us)[0];
}
