import type { Subject } from '../../../src/check/types.ts';
import { hasProjectQuota, type Space } from '../../../src/facts/space.ts';
import { type Name, sameName } from '../../../src/names.ts';
import { lineOf, quote, type Sought, subjectOf, type ZombieFound } from '../data.ts';
import type { ZombieFacts } from '../facts.ts';

export interface SpaceData {
  mountId: number;
  fstype: string;
  /** `quota`: the limit of the project whose directory is mounted there. */
  of: 'inodes' | 'quota';
  /** Inodes, or blocks of a quota. */
  free: number;
  total: number;
  source: Name;
}

/** Fewer inodes left than this share: a file system that grows will have none soon. */
const NEARLY = 0.01;

export function seekSpace(facts: ZombieFacts): Sought {
  const { spaces, unjudged } = facts.space;
  return {
    findings: spaces.flatMap((each) => judgeSpace(each, spaces, facts)),
    unjudged: unjudged.map(({ point, why }) => ({ subject: { kind: 'mount', name: point } satisfies Subject, why })),
  };
}

function judgeSpace(space: Space, spaces: readonly Space[], facts: ZombieFacts): ZombieFound[] {
  const { mount, inodes, freeInodes, blocks, usableBlocks, seen } = space;
  const limit = hasProjectQuota(mount) && !sameName(mount.root, '/') ? quotaOf(space, spaces) : inodesOf(space);
  if (limit === undefined) {
    return [];
  }
  const excerpt = `${mount.fstype}: ${freeInodes} of ${inodes} inodes and ${usableBlocks} of ${blocks} blocks are free`;
  const data: SpaceData = { mountId: mount.id, fstype: mount.fstype, source: mount.source, ...limit };
  return [
    {
      code: 'inodes-or-quota-full',
      severity: limit.free === 0 ? 'critical' : 'warning',
      subject: subjectOf(mount),
      data,
      confidence: limit.of === 'quota' ? 'high' : 'certain',
      evidence: [quote(seen, excerpt), lineOf(mount, facts)],
    },
  ];
}

type Limit = Pick<SpaceData, 'of' | 'free' | 'total'>;

/** XFS counts each free block as so many inodes: with no block left it has no inode left either, and is merely full. */
function inodesOf({ inodes, freeInodes, usableBlocks }: Space): Limit | undefined {
  const full = freeInodes === 0 && usableBlocks > 0;
  const nearly = freeInodes < inodes * NEARLY && freeInodes < usableBlocks;
  return inodes > 0 && (full || nearly) ? { of: 'inodes', free: freeInodes, total: inodes } : undefined;
}

/** Within a project statfs counts in its limits; without a mount of the whole beside it they cannot be told apart. */
function quotaOf({ mount, inodes, freeInodes, blocks, usableBlocks }: Space, spaces: readonly Space[]): Limit | undefined {
  const whole = spaces.find((other) => other.mount.device === mount.device && sameName(other.mount.root, '/'));
  if (whole !== undefined && blocks < whole.blocks && usableBlocks === 0 && whole.usableBlocks > 0) {
    return { of: 'quota', free: usableBlocks, total: blocks };
  }
  return whole !== undefined && inodes < whole.inodes && freeInodes === 0 && whole.freeInodes > 0
    ? { of: 'quota', free: freeInodes, total: inodes }
    : undefined;
}
