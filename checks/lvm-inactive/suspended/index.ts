import type { Finding, Found, Plan, Subject } from '../../../src/check/types.ts';
import { resumeMapping } from '../../../src/steps/resuming.ts';
import { isUsed, lineOf, type Part, refuseWithoutRights, type Sought, type VolumeData, volumeData } from '../data.ts';
import type { LvmFacts } from '../facts.ts';

type SuspendedFound = Found<'volume-suspended', VolumeData & { device: string; dm: string }>;

export const suspended: Part = {
  codes: { 'volume-suspended': '{subject}: this volume is suspended; whoever reads or writes it waits, and no signal ends that' },
  seek,
  plan: (finding, facts) => planSuspended(finding as Finding<SuspendedFound>, facts),
};

/** Also in groups of others: what is suspended here hangs here. */
function seek(facts: LvmFacts): Sought {
  const findings: SuspendedFound[] = [];
  const unjudged: { subject: Subject; why: string }[] = [];
  for (const volume of facts.lvm.volumes.filter(({ isSuspended }) => isSuspended)) {
    const subject: Subject = { kind: 'device', name: volume.mapper };
    const held = volume.device === undefined ? { why: 'LVM tells no device number' } : facts.suspended.get(volume.device);
    if (held !== undefined && 'why' in held) {
      unjudged.push({ subject, why: held.why });
    } else if (held !== undefined && volume.device !== undefined) {
      findings.push({
        code: 'volume-suspended',
        severity: isUsed(volume, facts) ? 'critical' : 'warning',
        subject,
        data: { ...volumeData(volume, facts), device: volume.device, dm: held.name },
        confidence: 'certain',
        evidence: [lineOf(volume, facts.lvm, 'suspended'), held.evidence],
      });
    }
  }
  return { findings, unjudged };
}

function planSuspended({ data }: Finding<SuspendedFound>, facts: LvmFacts): Plan {
  return refuseWithoutRights(facts) ?? { steps: [resumeMapping(data.device, data.dm, [], [])] };
}
