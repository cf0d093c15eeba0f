import type { Found } from '../../../src/check/types.ts';
import { describeLooked } from '../../../src/facts/look.ts';
import { type Name, showName } from '../../../src/names.ts';
import { holderEvidence, lineOf, quote, type Sought, subjectOf } from '../data.ts';
import type { ZombieFacts } from '../facts.ts';
import { oddStacks, type Stack } from './layers.ts';

export interface StackData {
  /** How many mounts lie at the place. */
  layers: number;
  /** What the one that is shown stands for. */
  source: Name;
  fstype: string;
  /** Why it is told: the mount below has no daemon any more, or is of the same source. */
  below: Stack['below'];
}

export type StackFound = Found<'stacked', StackData> | Found<'mounted-over-data', { source: Name; fstype: string }>;

export function seekStacks(facts: ZombieFacts): Sought {
  const over = judgeCovered(facts);
  return { ...over, findings: [...oddStacks(facts.table, facts.daemons).map((stack) => stacked(stack, facts)), ...over.findings] };
}

function stacked({ top, odd, layers, below }: Stack, facts: ZombieFacts): StackFound {
  return {
    code: 'stacked',
    severity: 'warning',
    subject: subjectOf(top),
    data: { layers, source: top.source, fstype: top.fstype, below },
    confidence: below === 'dead' ? 'high' : 'medium',
    evidence: [
      lineOf(odd, facts),
      lineOf(top, facts),
      ...(below === 'dead' && facts.daemons !== undefined
        ? [quote(facts.daemons.seen, `no process holds the FUSE connection of mount ${odd.id}`)]
        : []),
      ...holderEvidence(top, facts),
    ],
  };
}

function judgeCovered(facts: ZombieFacts): Sought {
  const { covered, table } = facts;
  const sought = {
    findings: [] as StackFound[],
    unjudged: [] as NonNullable<Sought['unjudged']>,
    notes: [] as NonNullable<Sought['notes']>,
  };
  if (covered.needsRoot) {
    sought.notes.push({
      subject: { kind: 'file', name: '/etc/fstab' },
      text: 'what lies below its mounts was not looked at: that needs root',
    });
  }
  for (const mount of table.mounts) {
    const looked = covered.looked.get(mount.id);
    if (looked === undefined || (looked.state === 'found' && (looked.type !== 'd' || looked.empty))) {
      continue;
    }
    if (looked.state === 'found') {
      sought.findings.push({
        code: 'mounted-over-data',
        severity: 'info',
        subject: subjectOf(mount),
        data: { source: mount.source, fstype: mount.fstype },
        confidence: 'medium',
        evidence: [
          lineOf(mount, facts),
          quote({ ...looked.seen, source: 'find, in a private mount namespace' }, `${showName(mount.point)} is not empty below the mount`),
        ],
      });
    } else {
      sought.unjudged.push({ subject: subjectOf(mount), why: `what lies below it: ${describeLooked(looked)}` });
    }
  }
  return sought;
}
