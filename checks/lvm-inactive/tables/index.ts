import type { Found, Subject } from '../../../src/check/types.ts';
import { isTableUnknown } from '../../../src/facts/lvm/activation.ts';
import { errorTables } from '../../../src/facts/lvm/warnings.ts';
import { shellLine } from '../../../src/names.ts';
import { isUsed, lineOf, ourGroups, type Part, type Sought, type VolumeData, volumeData } from '../data.ts';
import type { LvmFacts } from '../facts.ts';

type TableFound = Found<'volume-table-error', VolumeData>;

export const tables: Part = {
  codes: {
    'volume-table-error': '{subject}: LVM calls this volume active, and its device leads to no disk: what is read and written fails',
  },
  seek,
  plan({ data }) {
    const { volume } = data as VolumeData;
    return {
      refused: `its device must be given its table again, once its group has all its disks, and while nobody has it open: close it (a mount: stdoctor fix zombie-mounts), then ${shellLine(['lvchange', '--refresh', '--', volume])}`,
    };
  },
};

/** Parts of others are made with such tables by LVM itself: only what LVM shows is judged. */
function seek(facts: LvmFacts): Sought {
  const { layers } = facts;
  const ours = ourGroups(facts.lvm);
  const errors = errorTables(facts.lvm);
  const findings: TableFound[] = [];
  const unjudged: { subject: Subject; why: string }[] = [];
  for (const volume of facts.lvm.volumes.filter(({ isActive, path, group }) => isActive === true && path !== '' && ours.has(group))) {
    const subject: Subject = { kind: 'device', name: volume.mapper };
    const evidence = errors.get(volume.fullName) ?? layers.lost?.get(volume.device ?? '')?.evidence;
    if (evidence !== undefined) {
      findings.push({
        code: 'volume-table-error',
        severity: isUsed(volume, facts) ? 'critical' : 'warning',
        subject,
        data: volumeData(volume, facts),
        confidence: 'certain',
        evidence: [evidence, lineOf(volume, facts.lvm)],
      });
    } else if (isTableUnknown(volume) && isUsed(volume, facts)) {
      unjudged.push({ subject, why: `LVM cannot tell the state of its device (lv_attr ${volume.attr})` });
    } else if (layers.leftOut?.has(volume.device ?? '')) {
      unjudged.push({ subject, why: 'lsblk leaves it out, and dmsetup does not tell why' });
    }
  }
  return { findings, unjudged };
}
