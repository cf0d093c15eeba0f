import { ERRNO } from '../../../src/facts/errno.ts';
import { missingBytes } from '../../../src/facts/loop.ts';
import type { Mount } from '../../../src/facts/mountinfo.ts';
import type { Reach } from '../../../src/facts/reach-questions.ts';
import { dataOf, holderEvidence, type Judgement, lineOf, type MountFound, quote, subjectOf } from '../data.ts';
import type { ZombieFacts } from '../facts.ts';

export type XfsFound = MountFound<'fs-shutdown-xfs'>;

export function judgeXfs(mount: Mount, found: Reach, facts: ZombieFacts): Judgement | undefined {
  return mount.fstype === 'xfs' && found.state === 'errno' && found.errno === ERRNO.EIO && found.statfsAnswers
    ? { finding: xfsShutDown(mount, found, facts) }
    : undefined;
}

function xfsShutDown(mount: Mount, found: Reach & { state: 'errno' }, facts: ZombieFacts): XfsFound {
  const said = facts.shutdowns.get(mount.device);
  const loop = facts.loops.loops.find(({ device }) => device === mount.device);
  const fault = loop !== undefined && missingBytes(loop) > 0;
  return {
    code: 'fs-shutdown-xfs',
    severity: 'critical',
    subject: subjectOf(mount),
    data: dataOf(mount, facts, loop === undefined ? {} : { node: loop.node, backing: loop.backing }),
    confidence: said === undefined ? 'high' : 'certain',
    evidence: [
      lineOf(mount, facts),
      quote(found.seen, `${found.line} (while statfs answers)`),
      ...(said === undefined ? [] : [said]),
      ...holderEvidence(mount, facts),
    ],
    ...(fault && { cause: { kind: 'loop', name: loop.node } }),
  };
}
