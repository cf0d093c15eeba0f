import type { Found } from '../../../src/check/types.ts';
import { daemonsOf } from '../../../src/facts/fuse.ts';
import { describeLooked } from '../../../src/facts/look.ts';
import { isFuse, isPseudo, runtimeOf } from '../../../src/facts/mount-kinds.ts';
import type { Mount } from '../../../src/facts/mountinfo.ts';
import { type Name, sameName, showName, toByteString } from '../../../src/names.ts';
import { lineOf, quote, type Sought, subjectOf } from '../data.ts';
import type { ZombieFacts } from '../facts.ts';

export interface StackData {
  /** How many mounts lie at the place. */
  layers: number;
  /** What the one that is shown stands for. */
  source: Name;
  fstype: string;
  /** Why it is told: the mount below has no daemon any more, or is of the same source. */
  below: 'dead' | 'same source';
}

export type StackFound = Found<'stacked', StackData> | Found<'mounted-over-data', { source: Name; fstype: string }>;

export function seekStacks(facts: ZombieFacts): Sought {
  const over = judgeCovered(facts);
  return { ...over, findings: [...stacks(facts), ...over.findings] };
}

/** Mounts that lie on each other at one place, the lowest first. */
function stacks(facts: ZombieFacts): StackFound[] {
  const byPoint = new Map<string, Mount[]>();
  for (const mount of facts.table.mounts) {
    const key = toByteString(mount.point);
    byPoint.set(key, [...(byPoint.get(key) ?? []), mount]);
  }
  return [...byPoint.values()].flatMap((layers) => {
    const top = layers.find(({ id }) => facts.table.visible.has(id));
    const lower = layers.filter((mount) => mount !== top);
    if (top === undefined || lower.length === 0 || runtimeOf(top.point) !== undefined) {
      return [];
    }
    const dead = lower.find((mount) => isProvenDead(mount, facts));
    const twice = lower.find((mount) => isSecond(mount, top));
    const odd = dead ?? twice;
    return odd === undefined ? [] : [stacked(top, odd, layers.length, odd === dead ? 'dead' : 'same source', facts)];
  });
}

/** No path leads there: only the missing daemon tells. */
function isProvenDead(mount: Mount, { daemons, table }: ZombieFacts): boolean {
  const shown = table.mounts.some(({ id, device }) => device === mount.device && table.visible.has(id));
  if (!isFuse(mount) || daemons === undefined || shown) {
    return false;
  }
  const { processes, complete } = daemonsOf(mount, daemons);
  return processes.length === 0 && complete;
}

/** The same again, and not the one superblock bound onto itself, as is done to make a mount shared or read-only. */
function isSecond(mount: Mount, top: Mount): boolean {
  const isKind = mount.fstype === top.fstype && sameName(mount.source, top.source);
  // For these the source is a word, and says nothing: /dev/shm is often a tmpfs on a tmpfs.
  return isKind && mount.device !== top.device && !isPseudo(mount) && mount.fstype !== 'overlay';
}

function stacked(top: Mount, odd: Mount, layers: number, below: StackData['below'], facts: ZombieFacts): StackFound {
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
