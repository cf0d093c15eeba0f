/** What the parts of this check have in common. */
import type { Evidence, Finding, Found, Plan, Seen, Subject } from '../../src/check/types.ts';
import type { Consumer } from '../../src/facts/consumers/index.ts';
import { notOurs } from '../../src/facts/lvm/activation.ts';
import type { Group, Lvm, Volume } from '../../src/facts/lvm/index.ts';
import { type Name, showName } from '../../src/names.ts';
import type { LvmFacts } from './facts.ts';

export type LvmFound = Found<string, object>;

export interface Sought {
  /** How many subjects were judged. */
  examined?: number;
  findings: LvmFound[];
  unjudged?: { subject: Subject; why: string }[];
}

/** One kind of trouble: its codes, how it is found, and what is done about it. */
export interface Part {
  /** Code → sentence, as in a check's meta. */
  codes: Readonly<Record<string, string>>;
  seek(facts: LvmFacts): Sought;
  plan(finding: Finding<LvmFound>, facts: LvmFacts): Plan;
}

/** Somebody who needs a volume, as reports show him. */
export interface NeededBy {
  kind: Consumer['kind'];
  name: Name;
  atBoot: boolean;
  isUp: boolean;
  unit: string | null;
}

export interface VolumeData {
  /** `vg0/data` */
  volume: string;
  uuid: string;
  group: string;
  attr: string;
  neededBy: NeededBy[];
}

export function subjectOf({ path, mapper }: Volume): Subject {
  return { kind: 'device', name: path || mapper };
}

export function subjectOfGroup(group: string): Subject {
  return { kind: 'volume-group', name: group };
}

export function volumeData(volume: Volume, { needed }: Pick<LvmFacts, 'needed'>): VolumeData {
  const { fullName, uuid, group, attr } = volume;
  return { volume: fullName, uuid, group, attr, neededBy: consumersOf(volume, { needed }).map(toNeededBy) };
}

export function consumersOf({ uuid }: Volume, { needed }: Pick<LvmFacts, 'needed'>): readonly Consumer[] {
  return needed.byVolume.get(uuid) ?? [];
}

/** Somebody has it open, or it is wanted at boot. */
export function isUsed(volume: Volume, facts: Pick<LvmFacts, 'needed'>): boolean {
  return volume.isOpen === true || consumersOf(volume, facts).some(({ atBoot, isUp }) => atBoot || isUp);
}

function toNeededBy({ kind, name, atBoot, isUp, unit }: Consumer): NeededBy {
  return { kind, name, atBoot, isUp, unit };
}

/** It should be mounted, and its volume may be why it is not. */
export function isMissedMount({ kind, atBoot, isUp, certainty }: Consumer): boolean {
  return kind === 'mount' && atBoot && !isUp && certainty === 'proven';
}

const WORDS: Readonly<Record<Consumer['kind'], string>> = {
  mount: 'the mount',
  swap: 'the swap',
  crypt: 'the encrypted device',
  guest: 'the guest',
  process: 'the process',
  export: 'the export',
};

/** `the mount /data and the guest vm1` */
export function describeConsumers(consumers: readonly Pick<Consumer, 'kind' | 'name'>[]): string {
  const words = consumers.map(({ kind, name }) => `${WORDS[kind]} ${showName(name)}`);
  const more = words.length > 3 ? [`${words.length - 2} others`] : words.slice(-1);
  const first = words.length > 3 ? words.slice(0, 2) : words.slice(0, -1);
  return [first.join(', '), ...more].filter(Boolean).join(' and ');
}

/** The line of LVM's report that decided it. */
export function lineOf(volume: Volume, { seen }: Lvm, more = ''): Evidence {
  const { fullName, attr, isActive, health } = volume;
  const state = isActive === undefined ? 'unknown' : isActive ? 'active' : 'not active';
  return quote(seen, [fullName, `lv_attr ${attr}`, state, health && `health ${health}`, more].filter(Boolean).join(', '));
}

export function quote(seen: Seen, excerpt: string): Evidence {
  return { ...seen, excerpt };
}

/** Groups whose volumes are this host's to activate, by name. */
export function ourGroups({ groups, volumes }: Lvm): ReadonlyMap<string, Group> {
  return new Map(groups.filter((group) => notOurs(group, volumes) === undefined).map((group) => [group.name, group]));
}

export function refuseWithoutRights({ self }: Pick<LvmFacts, 'self'>): { refused: string } | undefined {
  return self.mayMount ? undefined : { refused: 'it needs root: run stdoctor fix as root' };
}

/** No lock is waited for: a command that meets one ends at once with exit code 5. */
export const NO_WAIT = ['--config', 'global/wait_for_locks=0'] as const;
