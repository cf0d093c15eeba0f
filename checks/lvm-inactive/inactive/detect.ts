import type { Found, Subject } from '../../../src/check/types.ts';
import type { Consumer } from '../../../src/facts/consumers/index.ts';
import type { Volume } from '../../../src/facts/lvm/index.ts';
import { sameName } from '../../../src/names.ts';
import {
  consumersOf,
  describeConsumers,
  lineOf,
  ourGroups,
  quote,
  type Sought,
  subjectOf,
  subjectOfGroup,
  type VolumeData,
  volumeData,
} from '../data.ts';
import type { LvmFacts } from '../facts.ts';
import { bootBlocks, type Cause, type CauseCode, causesOf } from './causes.ts';

export interface InactiveData extends VolumeData {
  /** Who needs it, for a sentence. */
  consumer: string;
  /** Why, for a sentence. */
  cause: string;
  causes: CauseCode[];
}

export type InactiveFound = Found<'volume-inactive' | 'volume-not-at-boot', InactiveData>;

export type GroupOffFound = Found<'group-not-at-boot', { group: string; volumes: string[]; consumer: string }>;

type PossibleFound = Found<'volume-possibly-needed', { name: string; candidates: string[]; list: string }>;

const SHOWN = 5;

/** In the order in which consumers need them: what others stand on comes first. */
export function seekInactive(facts: LvmFacts): Sought {
  const { lvm, needed, config } = facts;
  const groups = ourGroups(lvm);
  const findings: (InactiveFound | GroupOffFound | PossibleFound)[] = groupsOff(facts);
  const unjudged: { subject: Subject; why: string }[] = [...needed.unjudged];
  let isBootAsked = false;
  for (const [uuid, consumers] of needed.byVolume) {
    const volume = needed.volumes.get(uuid);
    const group = groups.get(volume?.group ?? '');
    if (volume === undefined || group === undefined) {
      continue;
    }
    if (volume.isActive === undefined) {
      unjudged.push({ subject: subjectOf(volume), why: `LVM cannot tell whether it is active (lv_attr ${volume.attr})` });
    } else if (!volume.isActive) {
      findings.push(inactive(volume, consumers, causesOf(volume, group, facts), facts));
    } else if (consumers.some(isAtBoot)) {
      isBootAsked = true;
      // The flag of the group is told once, of the group.
      const blocks = bootBlocks(volume, group, facts).filter(({ code }) => code !== 'autoactivation-group');
      findings.push(...(blocks.length > 0 ? [notAtBoot(volume, consumers.filter(isAtBoot), blocks, facts)] : []));
    }
  }
  if (isBootAsked && config !== undefined && 'why' in config) {
    unjudged.push({ subject: { kind: 'file', name: 'lvm.conf' }, why: `what is activated at boot: ${config.why}` });
  }
  if (isBootAsked && facts.boot !== undefined && facts.boot.isOff === undefined) {
    unjudged.push({
      subject: { kind: 'file', name: 'lvm.conf' },
      why: 'event_activation is 0, and what takes its place could not be told',
    });
  }
  findings.push(...possiblyNeeded(facts));
  return { examined: lvm.volumes.length, findings, unjudged };
}

function inactive(volume: Volume, consumers: readonly Consumer[], causes: Cause[], facts: LvmFacts): InactiveFound {
  const isCritical = consumers.some(({ atBoot, isUp }) => atBoot || isUp);
  const isProven = consumers.some(({ certainty }) => certainty === 'proven');
  const subject = causes[0]?.subject;
  return {
    code: 'volume-inactive',
    severity: isCritical ? 'critical' : 'warning',
    subject: subjectOf(volume),
    data: dataOf(volume, consumers, causes, facts),
    confidence: isProven ? 'certain' : 'medium',
    evidence: [lineOf(volume, facts.lvm), ...consumers.map(({ evidence }) => evidence), ...causes.map(({ evidence }) => evidence)],
    ...(subject !== undefined && { cause: subject }),
  };
}

function notAtBoot(volume: Volume, consumers: readonly Consumer[], blocks: Cause[], facts: LvmFacts): InactiveFound {
  return {
    code: 'volume-not-at-boot',
    severity: 'warning',
    subject: subjectOf(volume),
    data: dataOf(volume, consumers, blocks, facts),
    confidence: 'high',
    evidence: [lineOf(volume, facts.lvm), ...consumers.map(({ evidence }) => evidence), ...blocks.map(({ evidence }) => evidence)],
  };
}

function dataOf(volume: Volume, consumers: readonly Consumer[], causes: Cause[], facts: LvmFacts): InactiveData {
  return {
    ...volumeData(volume, facts),
    consumer: needs(consumers, 'it'),
    cause: causes.map(({ says }) => says).join('; '),
    causes: causes.map(({ code }) => code),
  };
}

/** Groups whose own flag keeps all of them off at boot, with somebody who needs a volume then. */
function groupsOff({ lvm, needed }: LvmFacts): GroupOffFound[] {
  const off = [...ourGroups(lvm).values()].filter(({ autoactivates }) => autoactivates === false);
  return off.flatMap((group): GroupOffFound[] => {
    const wanted = [...needed.byVolume].flatMap(([uuid, consumers]) => {
      const volume = needed.volumes.get(uuid);
      const atBoot = consumers.filter(isAtBoot);
      return volume?.group === group.name && atBoot.length > 0 ? [{ volume, atBoot }] : [];
    });
    if (wanted.length === 0) {
      return [];
    }
    const consumers = [...new Set(wanted.flatMap(({ atBoot }) => atBoot))];
    const first = wanted.map(({ volume }) => volume.fullName);
    return [
      {
        code: 'group-not-at-boot',
        severity: 'warning',
        subject: { ...subjectOfGroup(group.name), key: 'boot' },
        data: { group: group.name, volumes: first, consumer: needs(consumers, first.length > 1 ? 'volumes of it' : (first[0] as string)) },
        confidence: 'high',
        evidence: [quote(lvm.groupsSeen, `${group.name}: vg_autoactivation is off`), ...consumers.map(({ evidence }) => evidence)],
      },
    ];
  });
}

/** `the mount /data needs it` */
function needs(consumers: readonly Consumer[], what: string): string {
  return `${describeConsumers(consumers)} ${consumers.length > 1 ? 'need' : 'needs'} ${what}`;
}

/** The initramfs activates what these stand on by name, whatever the flags say. */
function isAtBoot({ kind, name, atBoot }: Consumer): boolean {
  return atBoot && !(kind === 'mount' && ['/', '/usr'].some((point) => sameName(point, name)));
}

/** A UUID is read from the volume, and what is not active cannot be read. */
function possiblyNeeded(facts: LvmFacts): PossibleFound[] {
  const { lvm, needed } = facts;
  if (needed.unresolved.length === 0) {
    return [];
  }
  const groups = ourGroups(lvm);
  const candidates = lvm.volumes.filter(
    (volume) =>
      volume.isActive === false &&
      !volume.role.includes('private') &&
      !volume.skipsActivation &&
      !volume.role.includes('snapshot') &&
      groups.has(volume.group) &&
      consumersOf(volume, facts).length === 0,
  );
  if (candidates.length === 0) {
    return [];
  }
  const names = candidates.map(({ fullName }) => fullName);
  const list = names.length > SHOWN ? `${names.slice(0, SHOWN).join(', ')} or ${names.length - SHOWN} others` : names.join(' or ');
  return needed.unresolved.map(({ consumer, name }): PossibleFound => {
    const { kind, name: called, evidence } = consumer;
    return {
      code: 'volume-possibly-needed',
      severity: 'warning',
      subject: { kind, name: called },
      data: { name, candidates: names, list },
      confidence: 'medium',
      evidence: [evidence, quote(lvm.seen, `not active: ${list}`)],
    };
  });
}
