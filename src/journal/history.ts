import { join } from 'node:path';
import { messageOf, StdoctorError } from '../errors.ts';
import type { Journaled } from './entries.ts';
import { JOURNAL_FILE, readJournal } from './journal.ts';

/** All repairs that the journal tells of, oldest first. Refuses a journal that cannot be read or understood. */
export function readHistory(stateDir: string | undefined): Journaled[] {
  if (stateDir === undefined) {
    return [];
  }
  try {
    return readJournal(stateDir) ?? [];
  } catch (error) {
    const path = join(stateDir, JOURNAL_FILE);
    throw new StdoctorError('STD_BAD_JOURNAL', `the journal ${path} cannot be read: ${messageOf(error)}`, { cause: error });
  }
}
