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
    const sick = facts.lvm.volumes.filter((volume) => codeOf(volume) !== undefined && ours.has(volume.group));
    return { findings: sick.flatMap((volume) => judge(volume, facts) ?? []) };
  },
  plan({ code, data }) {
    const { volume, origin } = data as SnapshotFound['data'];
    const tryAgain = `${shellLine(['lvchange', '-an', '--', origin])}; ${shellLine(['lvchange', '-ay', '--', origin])}`;
    return code === 'snapshot-invalid'
      ? { refused: `only removing it is left, and that is yours to do: ${shellLine(['lvremove', '--', volume])}. Never merge it` }
      : {
          refused: `look why with dmesg, and bring the disk in order that it lies on. It is tried again when its origin is activated anew, which nobody may have open: ${tryAgain}. Until then what is not merged is read from the snapshot`,
        };
  },
};

function codeOf({ attr, isInvalidSnapshot, mergeFailed }: Volume): SnapshotFound['code'] | undefined {
  const [type, state] = [attr[0], attr[4]];
  if (isInvalidSnapshot || state === 'I' || state === 'S') {
    return 'snapshot-invalid';
  }
  // LVM says it of both, the snapshot and its origin.
  return type !== 'O' && (mergeFailed || state === 'm' || state === 'M') ? 'snapshot-merge-failed' : undefined;
}

function judge(volume: Volume, facts: LvmFacts): SnapshotFound | undefined {
  const { origin, dataPercent } = volume;
  const code = codeOf(volume);
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
