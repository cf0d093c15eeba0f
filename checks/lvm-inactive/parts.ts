/** The kinds of trouble this check knows. */
import type { Part } from './data.ts';
import { groups } from './groups/index.ts';
import { inactive } from './inactive/index.ts';
import { late } from './late/index.ts';
import { raid } from './raid/index.ts';
import { snapshots } from './snapshots/index.ts';
import { suspended } from './suspended/index.ts';
import { tables } from './tables/index.ts';
import { thin } from './thin/index.ts';

export const parts: readonly Part[] = [groups, thin, raid, snapshots, suspended, tables, inactive, late];

/** The part whose code it is. */
export function partOf(code: string): Part | undefined {
  return parts.find(({ codes }) => Object.hasOwn(codes, code));
}
