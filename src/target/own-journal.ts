/** What the journal of this state directory tells of repairs that were begun and never ended. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { InterruptedRepair } from '../facts/interrupted.ts';
import type { Outcome } from './host-target.ts';

/** As src/journal calls it, which is loaded only where there is one. */
const JOURNAL_FILE = 'journal.jsonl';

/** Where what outlives a run is kept; why it is not touched; undefined where there is no such place. */
export type OwnState = string | { unusable: string } | undefined;

export function stateDirOf(state: OwnState): string | undefined {
  return typeof state === 'string' ? state : undefined;
}

/** Throws where the journal cannot be read or understood. */
export async function ownInterrupted(state: OwnState): Promise<readonly InterruptedRepair[] | Outcome> {
  if (typeof state === 'object') {
    return { state: 'unreachable', why: state.unusable };
  }
  if (state === undefined || statSync(join(state, JOURNAL_FILE), { throwIfNoEntry: false }) === undefined) {
    return [];
  }
  const [{ describeInterrupted }, { lockHolder }] = await Promise.all([import('../journal/interrupted.ts'), import('../state/lock.ts')]);
  return describeInterrupted(state, lockHolder(state)?.run);
}
