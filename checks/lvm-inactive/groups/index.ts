import type { Finding, Plan } from '../../../src/check/types.ts';
import { shellLine } from '../../../src/names.ts';
import type { Part } from '../data.ts';
import { type GroupData, type GroupFound, seekGroups } from './detect.ts';

export const groups: Part = {
  codes: {
    'group-partial': 'volume group {subject}: {missing} of {total} disks are missing: {disks}',
    'disk-returned': 'volume group {subject}: {disks} is back with old metadata, and LVM treats it as missing',
    'disk-duplicate': 'volume group {subject}: one disk is there more than once, as {disks}; LVM may be using the copy',
    'group-unknown': 'volume group {subject}: LVM knows none of this name, and {consumer}: {cause}',
    'disk-hidden': '{subject}: carries a disk that a volume group lacks, and LVM does not look at it: {cause}',
    'md-below-degraded': '{subject}: this md array below volume group {group} lacks members; LVM says nothing about that',
  },
  seek: seekGroups,
  plan: (finding) => ({ refused: refusal(finding as Finding<GroupFound>) }) satisfies Plan,
};

/** Nothing here heals without a person: the commands are shown, and never run. */
function refusal({ code, data, subject }: Finding<GroupFound>): string {
  const { group, nodes, missing, hidden } = data as GroupData;
  switch (code) {
    case 'group-partial':
      if (hidden.length === missing) {
        return `nothing is gone: let LVM look at ${hidden.join(' and ')} again`;
      }
      return `bring the disk back. Only if it is gone for good, and what lay on it with it: ${shellLine(['vgreduce', '--removemissing', '--test', '--', group])} shows what would be removed; without --test, and with --force, it destroys the volumes that had a part there`;
    case 'disk-returned':
      return `volumes on it may have been written to meanwhile. If it is the same, healthy disk: ${shellLine(['vgck', '--updatemetadata', '--', group])}; ${shellLine(['vgextend', '--restoremissing', '--', group, ...nodes])}; then lvchange --refresh of its raid volumes`;
    case 'disk-duplicate':
      return 'which of them is the right one only a person knows. Deactivate nothing: LVM would refuse to activate it again. Hide the copy with a filter or the devices file, give it a name of its own with vgimportclone, or mend the multipath';
    case 'group-unknown':
      return 'what lies below must come up first: mdadm --assemble, cryptsetup open, lvm lvmdevices --adddev; LVM activates the group by itself then';
    case 'disk-hidden':
      return `if it is meant to be used: ${shellLine(['lvm', 'lvmdevices', '--adddev', String(subject.name)])}, or take it out of global_filter in lvm.conf`;
    default:
      return `look with ${shellLine(['mdadm', '--detail', String(subject.name)])}, and add a disk to it`;
  }
}
