import type { Found } from '../../../src/check/types.ts';
import type { Volume } from '../../../src/facts/lvm/index.ts';
import { shellLine } from '../../../src/names.ts';
import { lineOf, ourGroups, type Part, subjectOf, type VolumeData, volumeData } from '../data.ts';
import type { LvmFacts } from '../facts.ts';

type SnapshotFound = Found<'snapshot-invalid' | 'snapshot-merge-failed', VolumeData & { origin: string }>;

export const snapshots: Part = {
  codes: {
    'snapshot-invalid': '{subject}: this snapshot of {origin} ran out of room, and what it kept is lost',
    'snapshot-merge-failed': '{subject}: merging this snapshot into {origin} failed',
  },
  seek(facts) {
    const ours = ourGroups(facts.lvm);
    return { findings: facts.lvm.volumes.filter(({ group }) => ours.has(group)).flatMap((volume) => judge(volume, facts) ?? []) };
  },
  plan({ code, data }) {
    const { volume } = data as VolumeData;
    return code === 'snapshot-invalid'
      ? { refused: `only removing it is left, and that is yours to do: ${shellLine(['lvremove', '--', volume])}. Never merge it` }
      : { refused: `look why with dmesg; with its origin closed it is tried again: ${shellLine(['lvchange', '--refresh', '--', volume])}` };
  },
};

function judge(volume: Volume, facts: LvmFacts): SnapshotFound | undefined {
  const { attr, isInvalidSnapshot, mergeFailed, origin, dataPercent } = volume;
  const code =
    isInvalidSnapshot || /^....[IS]/.test(attr)
      ? 'snapshot-invalid'
      : mergeFailed || /^....[mM]/.test(attr)
        ? 'snapshot-merge-failed'
        : undefined;
  if (code === undefined) {
    return undefined;
  }
  return {
    code,
    severity: 'warning',
    subject: subjectOf(volume),
    data: { ...volumeData(volume, facts), origin: origin === '' ? 'its origin' : `${volume.group}/${origin}` },
    confidence: 'certain',
    evidence: [lineOf(volume, facts.lvm, dataPercent === undefined ? '' : `${dataPercent} % used`)],
  };
}
