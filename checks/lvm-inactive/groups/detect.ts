import type { Evidence, Found, Subject } from '../../../src/check/types.ts';
import type { Consumer } from '../../../src/facts/consumers/index.ts';
import { idleMembers, lockedLuks } from '../../../src/facts/lvm/layers.ts';
import { diskWarnings } from '../../../src/facts/lvm/warnings.ts';
import { describeConsumers, ourGroups, quote, type Sought, subjectOfGroup } from '../data.ts';
import type { LvmFacts } from '../facts.ts';
import { describeGroup, hiddenDisks, type MissingDisk, missingDisks } from './disks.ts';

export interface GroupData {
  group: string;
  /** For a sentence. */
  disks: string;
  nodes: string[];
  uuids: string[];
  missing: number;
  total: number;
  /** Devices that carry missing disks, and that LVM does not look at. */
  hidden: string[];
}

interface UnknownGroupData {
  group: string;
  consumer: string;
  cause: string;
}

interface HiddenData {
  cause: string;
  uuid: string;
}

export type GroupFound =
  | Found<'group-partial' | 'disk-returned' | 'disk-duplicate' | 'md-below-degraded', GroupData>
  | Found<'group-unknown', UnknownGroupData>
  | Found<'disk-hidden', HiddenData>;

export function seekGroups(facts: LvmFacts): Sought {
  const { lvm, layers, arrays } = facts;
  const findings: GroupFound[] = [];
  const unjudged: { subject: Subject; why: string }[] = [];
  for (const name of ourGroups(lvm).keys()) {
    const missing = missingDisks(name, facts);
    const away = missing.filter(({ isBack }) => !isBack);
    const back = missing.filter(({ isBack }) => isBack);
    findings.push(...(away.length > 0 ? [partial(name, away, facts)] : []));
    findings.push(...(back.length > 0 ? [returned(name, back, facts)] : []));
    findings.push(...duplicates(name, facts));
  }
  findings.push(...unknownGroups(facts), ...hidden(facts), ...degradedArrays(facts));
  if (layers.why !== undefined) {
    unjudged.push({ subject: { kind: 'disk', name: 'all' }, why: `what lies on the disks: ${layers.why}` });
  }
  if (arrays.why !== undefined) {
    unjudged.push({ subject: { kind: 'file', name: '/proc/mdstat' }, why: arrays.why });
  }
  return { examined: lvm.groups.length + lvm.disks.length, findings, unjudged };
}

function dataOf(name: string, list: { name: string; uuid: string; says: string }[], { lvm }: LvmFacts): GroupData {
  const group = lvm.groups.find((each) => each.name === name);
  return {
    group: name,
    disks: list.map(({ says }) => says).join('; '),
    nodes: list.map((each) => each.name),
    uuids: [...new Set(list.map(({ uuid }) => uuid))],
    missing: group?.missingDisks ?? list.length,
    total: group?.disks ?? 0,
    hidden: [],
  };
}

function partial(name: string, away: MissingDisk[], facts: LvmFacts): GroupFound {
  const group = facts.lvm.groups.find((each) => each.name === name);
  const hidden = away.flatMap(({ hiddenAt }) => hiddenAt ?? []);
  const [hiddenAt] = hidden;
  return {
    code: 'group-partial',
    severity: 'warning',
    subject: subjectOfGroup(name),
    data: { ...dataOf(name, away, facts), hidden },
    confidence: 'certain',
    evidence: [...(group === undefined ? [] : [describeGroup(group, facts.lvm)]), ...away.flatMap(({ evidence }) => evidence)],
    ...(hiddenAt !== undefined && { cause: { kind: 'disk', name: hiddenAt } }),
  };
}

function returned(name: string, back: MissingDisk[], facts: LvmFacts): GroupFound {
  const warned = diskWarnings(facts.lvm).returned.get(name) ?? [];
  return {
    code: 'disk-returned',
    severity: 'warning',
    subject: { ...subjectOfGroup(name), key: 'returned' },
    data: { ...dataOf(name, back, facts), disks: back.map((disk) => disk.name).join(', ') },
    confidence: 'certain',
    evidence: [...back.flatMap(({ evidence }) => evidence), ...warned.map(({ evidence }) => evidence)],
  };
}

function duplicates(name: string, facts: LvmFacts): GroupFound[] {
  const { lvm } = facts;
  const copies = lvm.disks.filter((disk) => disk.group === name && disk.isDuplicate);
  if (copies.length === 0) {
    return [];
  }
  const warned = diskWarnings(lvm);
  const used = lvm.disks.filter((disk) => !disk.isDuplicate && copies.some(({ uuid }) => uuid === disk.uuid));
  const list = [...used, ...copies].map((disk) => ({ ...disk, says: disk.name }));
  const lines = copies.flatMap(({ uuid }) => [
    ...(warned.duplicates.get(uuid)?.map(({ evidence }) => evidence) ?? []),
    warned.preferred.get(uuid),
  ]);
  return [
    {
      code: 'disk-duplicate',
      severity: 'critical',
      subject: { ...subjectOfGroup(name), key: 'duplicate' },
      data: { ...dataOf(name, list, facts), disks: list.map(({ says }) => says).join(' and ') },
      confidence: 'certain',
      evidence: [
        ...copies.map((disk) => quote(lvm.disksSeen, `${disk.name}, pv_uuid ${disk.uuid}, ${name}: pv_duplicate`)),
        ...new Set(lines.filter((line) => line !== undefined)),
      ],
    },
  ];
}

/** LVM tells nothing of it, and why can only be guessed: a layer below that is not up hides it without a word. */
function unknownGroups(facts: LvmFacts): GroupFound[] {
  const { needed, arrays, layers } = facts;
  const layersDown: { says: string; evidence: Evidence }[] = [
    ...arrays.arrays
      .filter(({ state }) => state === 'inactive')
      .map(({ node, evidence }) => ({ says: `the md array ${node} did not start`, evidence })),
    ...[...Map.groupBy(idleMembers(layers, arrays.arrays), ({ uuid }) => uuid).values()].map((members) => ({
      says: `the md array of ${members.map(({ node }) => node).join(' and ')} was not assembled`,
      evidence: quote(layers.seen, members[0]?.line ?? ''),
    })),
    ...lockedLuks(layers).map(({ node, line }) => ({ says: `LUKS on ${node} is locked`, evidence: quote(layers.seen, line) })),
    ...hiddenDisks(facts).map(({ node, line }) => ({ says: `LVM does not look at ${node}`, evidence: quote(layers.seen, line) })),
  ];
  // It may be one that LVM could not read.
  const unknown = facts.lvm.lacks.length > 0 ? [] : [...needed.unknownGroups];
  return unknown.map(([group, wanted]): GroupFound => {
    const consumers = [...new Set(wanted.map(({ consumer }) => consumer))];
    const causes = layersDown.map(({ says }) => says);
    return {
      code: 'group-unknown',
      severity: severityOf(consumers, layersDown.length > 0),
      subject: subjectOfGroup(group),
      data: {
        group,
        consumer: `${describeConsumers(consumers)} ${consumers.length > 1 ? 'need' : 'needs'} ${wanted[0]?.name ?? group}`,
        cause: causes.length > 0 ? `it may be that ${causes.join(', or that ')}` : 'no disk that is there carries it',
      },
      confidence: 'medium',
      evidence: [
        quote(facts.lvm.groupsSeen, `no group ${group}`),
        ...consumers.map(({ evidence }) => evidence),
        ...layersDown.map(({ evidence }) => evidence),
      ],
    };
  });
}

/** Without a sign of what hides it, the name may have been left over in a file. */
function severityOf(consumers: readonly Consumer[], hasSign: boolean) {
  const isWanted = consumers.some(({ atBoot, isUp, nofail }) => isUp || (atBoot && (hasSign || !nofail)));
  return isWanted ? ('critical' as const) : ('warning' as const);
}

/** On purpose, perhaps: of guests, or of another host. Where a group lacks it, it is not. */
function hidden(facts: LvmFacts): GroupFound[] {
  const { lvm, layers, config } = facts;
  const missing = new Set(lvm.disks.filter(({ isMissing, name }) => isMissing && !name.startsWith('/')).map(({ uuid }) => uuid));
  const usesFile = config !== undefined && !('why' in config) && config.usesDevicesFile;
  return layers.devices
    .filter(({ signature, uuid, type }) => signature === 'LVM2_member' && type !== 'lvm' && missing.has(uuid))
    .map(
      ({ node, uuid, line }): GroupFound => ({
        code: 'disk-hidden',
        severity: 'warning',
        subject: { kind: 'disk', name: node },
        data: { uuid, cause: usesFile ? 'it is not in the devices file' : 'a filter or the devices file leaves it out' },
        confidence: 'high',
        evidence: [quote(layers.seen, line), quote(lvm.disksSeen, `pv_uuid ${uuid}: pv_missing`)],
      }),
    );
}

/** LVM says nothing about an array that lacks members. */
function degradedArrays(facts: LvmFacts): GroupFound[] {
  const { arrays, lvm } = facts;
  return arrays.arrays.flatMap(({ node, state, evidence }): GroupFound[] => {
    const disk = lvm.disks.find(({ name }) => name === node || name.startsWith(`${node}p`));
    if (state !== 'degraded' || disk === undefined || disk.group === '') {
      return [];
    }
    const data = dataOf(disk.group, [{ name: node, uuid: disk.uuid, says: node }], facts);
    return [
      {
        code: 'md-below-degraded',
        severity: 'warning',
        subject: { kind: 'disk', name: node },
        data,
        confidence: 'certain',
        evidence: [evidence],
      },
    ];
  });
}
