import type { Found } from '../../../src/check/types.ts';
import type { Volume } from '../../../src/facts/lvm/index.ts';
import { lineOf, ourGroups, type Sought, subjectOf, type VolumeData, volumeData } from '../data.ts';
import type { LvmFacts } from '../facts.ts';

type PoolCode = 'thin-pool-failed' | 'thin-pool-needs-check' | 'thin-pool-metadata-full' | 'thin-pool-data-full';

export interface PoolData extends VolumeData {
  /** Percent, as LVM tells it; null where it does not. */
  data: number | null;
  metadata: number | null;
  whenFull: string;
  /** For a sentence. */
  writers: string;
}

export type PoolFound = Found<PoolCode, PoolData>;

export function seekThin(facts: LvmFacts): Sought {
  const { lvm } = facts;
  const ours = ourGroups(lvm);
  const pools = lvm.volumes.filter((volume) => isThinPool(volume) && ours.has(volume.group));
  return { findings: pools.flatMap((pool) => judge(pool, facts) ?? []) };
}

function isThinPool({ attr }: Volume): boolean {
  return attr.startsWith('t');
}

/** The weightiest trouble of a pool: one leads to the next. */
function judge(pool: Volume, facts: LvmFacts): PoolFound | undefined {
  const code = codeOf(pool);
  if (code === undefined) {
    return undefined;
  }
  const { dataPercent, metadataPercent, whenFull } = pool;
  const usage = `data ${dataPercent ?? '?'} %, metadata ${metadataPercent ?? '?'} %, when full: ${whenFull}`;
  return {
    code,
    severity: 'critical',
    subject: subjectOf(pool),
    data: {
      ...volumeData(pool, facts),
      data: dataPercent ?? null,
      metadata: metadataPercent ?? null,
      whenFull,
      writers: whenFull === 'queue' ? 'wait, and fail after a minute' : 'fail',
    },
    confidence: 'certain',
    evidence: [lineOf(pool, facts.lvm, usage)],
  };
}

/** Of a pool that is down LVM tells no percentage. */
function codeOf({ attr, health, needsCheck, metadataPercent, dataPercent }: Volume): PoolCode | undefined {
  if (health === 'failed' || attr[8] === 'F') {
    return 'thin-pool-failed';
  }
  if (needsCheck || attr[4] === 'c' || attr[4] === 'C') {
    return 'thin-pool-needs-check';
  }
  if (health === 'metadata_read_only' || attr[8] === 'M' || metadataPercent === 100) {
    return 'thin-pool-metadata-full';
  }
  return health === 'out_of_data' || attr[8] === 'D' || dataPercent === 100 ? 'thin-pool-data-full' : undefined;
}
