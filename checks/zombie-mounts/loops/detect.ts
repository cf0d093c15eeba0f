import { type LoopDevice, missingBytes } from '../../../src/facts/loop.ts';
import { runtimeOf } from '../../../src/facts/mount-kinds.ts';
import type { Mount } from '../../../src/facts/mountinfo.ts';
import { printable, showName, toByteString } from '../../../src/names.ts';
import { dataOf, holderEvidence, lineOf, type MountFound, quote, type Sought, subjectOf } from '../data.ts';
import type { ZombieFacts } from '../facts.ts';

export type LoopFound = MountFound<'loop-backing-deleted' | 'loop-backing-short'>;

export function seekLoops(facts: ZombieFacts): Sought {
  const { loops, unjudged } = facts.loops;
  return {
    findings: loops.flatMap((loop) => judgeLoop(loop, facts)),
    unjudged: [
      ...unjudged.map(({ device, why }) => ({ subject: { kind: 'loop', name: device }, why })),
      ...loops.flatMap(({ node, file }) =>
        file.state === 'unknown'
          ? [{ subject: { kind: 'loop', name: node }, why: `its image file could not be looked at: ${file.why}` }]
          : [],
      ),
    ],
  };
}

function judgeLoop(loop: LoopDevice, facts: ZombieFacts): LoopFound[] {
  const mount = loopMount(loop, facts);
  const missing = missingBytes(loop);
  // Where the file could not be looked at, the marker may be part of its name: unjudged.
  const deleted = loop.deleted && loop.file.state === 'gone';
  if (mount === undefined || (!deleted && missing === 0)) {
    return [];
  }
  const snap = mount.fstype === 'squashfs' && runtimeOf(mount.point) === 'snapd';
  const data = dataOf(mount, facts, { node: loop.node, backing: loop.backing, missing });
  const found = { subject: subjectOf(mount), data, confidence: 'certain' as const };
  const file = printable(showName(loop.backing));
  if (deleted) {
    const evidence = [lineOf(mount, facts), quote(loop.seen, `${file} (deleted)`), ...holderEvidence(mount, facts)];
    return [{ ...found, code: 'loop-backing-deleted', severity: snap ? 'info' : 'critical', evidence }];
  }
  const size = loop.file.state === 'found' ? loop.file.size : 0;
  const excerpt = `${file} has ${size} bytes; ${loop.node} of ${loop.size} bytes begins at ${loop.offset}, so ${missing} are missing`;
  return [{ ...found, code: 'loop-backing-short', severity: 'critical', evidence: [lineOf(mount, facts), quote(loop.seen, excerpt)] }];
}

/** The mount that stands for a loop device: a visible one of its whole file system, with the shortest path. */
function loopMount(loop: LoopDevice, { table }: ZombieFacts): Mount | undefined {
  const rank = (mount: Mount) =>
    (table.visible.has(mount.id) ? 0 : 2e6) + (mount.root === '/' ? 0 : 1e6) + toByteString(mount.point).length;
  return table.mounts.filter(({ device }) => device === loop.device).toSorted((a, b) => rank(a) - rank(b))[0];
}
