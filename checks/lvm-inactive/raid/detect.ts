import type { Found, Severity } from '../../../src/check/types.ts';
import { isRedundant } from '../../../src/facts/lvm/activation.ts';
import type { Volume } from '../../../src/facts/lvm/index.ts';
import { isUsed, lineOf, ourGroups, type Sought, subjectOf, subjectOfGroup, type VolumeData, volumeData } from '../data.ts';
import type { LvmFacts } from '../facts.ts';

type RaidCode = 'raid-degraded' | 'raid-refresh-needed' | 'raid-mismatches' | 'cache-disk-missing' | 'cache-failed' | 'writecache-error';

export type RaidFound = Found<RaidCode, VolumeData & { device: string | null }>;

/** Only what is active tells how its legs are: inactive ones look out of sync, and are not. */
export function seekRaid(facts: LvmFacts): Sought {
  const ours = ourGroups(facts.lvm);
  const sick = facts.lvm.volumes.filter((volume) => codeOf(volume) !== undefined);
  const own = sick.filter(({ group, role }) => ours.has(group) && !role.includes('private'));
  return { findings: own.flatMap((volume) => judge(volume, facts) ?? []) };
}

function judge(volume: Volume, facts: LvmFacts): RaidFound | undefined {
  const judged = codeOf(volume);
  if (judged === undefined) {
    return undefined;
  }
  const [code, severity] = judged;
  const isPartial = volume.health === 'partial';
  return {
    code,
    severity: code === 'cache-disk-missing' && isUsed(volume, facts) ? 'critical' : severity,
    subject: { ...subjectOf(volume), ...(code === 'cache-disk-missing' && { key: 'cache' }) },
    data: { ...volumeData(volume, facts), device: volume.device ?? null },
    confidence: 'certain',
    evidence: [lineOf(volume, facts.lvm, volume.devices)],
    ...(isPartial && { cause: subjectOfGroup(volume.group) }),
  };
}

function codeOf(volume: Volume): [RaidCode, Severity] | undefined {
  const { attr, health, layout, isActive } = volume;
  if (health === '' && attr[8] === '-') {
    return undefined;
  }
  if (/\b(write)?cache\b/.test(layout) && (health === 'partial' || attr[8] === 'p')) {
    return ['cache-disk-missing', 'warning'];
  }
  if (/\bcache\b/.test(layout) && (health === 'failed' || attr[8] === 'F')) {
    return ['cache-failed', 'critical'];
  }
  if (/\bwritecache\b/.test(layout) && attr[8] === 'E') {
    return ['writecache-error', 'critical'];
  }
  if (!isRedundant(volume) || !isActive) {
    return undefined;
  }
  if (health === 'partial') {
    return ['raid-degraded', 'warning'];
  }
  if (health === 'refresh needed') {
    return ['raid-refresh-needed', 'warning'];
  }
  return health === 'mismatches exist' ? ['raid-mismatches', 'warning'] : undefined;
}
