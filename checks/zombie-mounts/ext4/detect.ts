import { missingBytes } from '../../../src/facts/loop.ts';
import type { Mount } from '../../../src/facts/mountinfo.ts';
import type { Reach } from '../../../src/facts/reach-questions.ts';
import { dataOf, holderEvidence, type Judgement, lineOf, type MountFound, standsForDevice, subjectOf } from '../data.ts';
import type { ZombieFacts } from '../facts.ts';

export type Ext4Found = MountFound<'fs-shutdown-ext4'>;

const CONFIDENCE = { options: 'certain', log: 'high', 'read-only': 'medium' } as const;

/** Listings and statfs still answer, from memory. */
export function judgeExt4(mount: Mount, _found: Reach, facts: ZombieFacts): Judgement | undefined {
  const { stops, unjudged } = facts.ext4Stops;
  const stop = stops.get(mount.device);
  if (stop === undefined) {
    const why = unjudged.get(mount.device);
    return why === undefined ? undefined : { unjudged: why };
  }
  if (!standsForDevice(mount, facts)) {
    return { healthy: true };
  }
  const loop = facts.loops.loops.find(({ device }) => device === mount.device);
  const fault = loop !== undefined && missingBytes(loop) > 0;
  return {
    finding: {
      code: 'fs-shutdown-ext4',
      severity: 'critical',
      subject: subjectOf(mount),
      data: dataOf(mount, facts, loop === undefined ? {} : { node: loop.node, backing: loop.backing }),
      confidence: CONFIDENCE[stop.by],
      evidence: [lineOf(mount, facts), ...stop.evidence, ...holderEvidence(mount, facts)],
      ...(fault && { cause: { kind: 'loop', name: loop.node } }),
    } satisfies Ext4Found,
  };
}
