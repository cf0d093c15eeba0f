/** The file: append-only, one line an event, on the disk before and after each act. */
import { closeSync, fchmodSync, fstatSync, fsyncSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf, StdoctorError } from '../errors.ts';
import { printable } from '../names.ts';
import { type Entry, fold, JOURNAL_VERSION, type Journaled, type Line } from './entries.ts';

export const JOURNAL_FILE = 'journal.jsonl';

const LINE_END = 0x0a;
const EVENTS: readonly Entry['event'][] = ['opened', 'taken-up', 'act', 'started', 'acted', 'proven', 'closed'];

export class Journal {
  readonly #file: number;
  /** What it held when it was opened. */
  readonly repairs: readonly Journaled[];

  /** Refuses a journal that cannot be written or understood. */
  constructor(stateDir: string) {
    const path = join(stateDir, JOURNAL_FILE);
    try {
      this.#file = openSync(path, 'a+', 0o600);
      fchmodSync(this.#file, 0o600);
    } catch (error) {
      throw new StdoctorError('STD_STATE_DIR', `the journal ${path} cannot be written: ${messageOf(error)}`, { cause: error });
    }
    try {
      const bytes = readFileSync(path);
      this.repairs = parseJournal(bytes);
      // A line is written with its end: without it, the writer was cut off before anything was done on its account.
      ftruncateSync(this.#file, bytes.lastIndexOf(LINE_END) + 1);
    } catch (error) {
      closeSync(this.#file);
      throw new StdoctorError('STD_BAD_JOURNAL', `the journal ${path} cannot be understood: ${messageOf(error)}`, { cause: error });
    }
  }

  /** On the disk when it returns. run and plan say whose event it is. */
  write(run: string, plan: string, entry: Entry): void {
    const line: Line = { v: JOURNAL_VERSION, at: new Date().toISOString(), run, plan, ...entry };
    const bytes = Buffer.from(`${JSON.stringify(line)}\n`);
    const { size } = fstatSync(this.#file);
    try {
      for (let written = 0; written < bytes.length; ) {
        written += writeSync(this.#file, bytes, written);
      }
      fsyncSync(this.#file);
    } catch (error) {
      // No half line before the next one.
      ftruncateSync(this.#file, size);
      throw new StdoctorError('STD_STATE_DIR', `the journal cannot be written any more: ${messageOf(error)}`, { cause: error });
    }
  }

  close(): void {
    closeSync(this.#file);
  }
}

/** undefined: there is no journal. Throws a sentence where it cannot be read or understood. */
export function readJournal(stateDir: string): Journaled[] | undefined {
  let bytes: Buffer;
  try {
    bytes = readFileSync(join(stateDir, JOURNAL_FILE));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      return undefined;
    }
    throw error;
  }
  return parseJournal(bytes);
}

/** A last line without its end is left out; any other that is no event of this version is an error with its number. */
function parseJournal(bytes: Buffer): Journaled[] {
  const whole = bytes.subarray(0, bytes.lastIndexOf(LINE_END) + 1).toString('utf8');
  return fold(whole.split('\n').slice(0, -1).map(parseLine));
}

function parseLine(text: string, index: number): Line {
  let read: unknown;
  try {
    read = JSON.parse(text);
  } catch {
    // Said below.
  }
  const { v, at, run, plan, event } = (read ?? {}) as Partial<Line>;
  if (typeof v === 'number' && v > JOURNAL_VERSION) {
    throw new Error(`line ${index + 1}: expected version ${JOURNAL_VERSION}, found version ${v} of a newer stdoctor`);
  }
  const known = v === JOURNAL_VERSION && [at, run, plan].every(isText) && EVENTS.includes(event as never);
  if (!known || !hasItsFields(read as Line)) {
    throw new Error(`line ${index + 1}: expected an event of a repair, found ${printable(text.slice(0, 60))}`);
  }
  return read as Line;
}

function isText(value: unknown): boolean {
  return typeof value === 'string';
}

function hasItsFields(line: Line): boolean {
  switch (line.event) {
    case 'opened':
      return (
        [line.finding?.id, line.finding?.check, line.finding?.subject?.kind, line.who?.user, line.summary, line.machine].every(isText) &&
        Array.isArray(line.steps) &&
        line.steps.every((step) => isText(step?.title) && typeof step.action === 'object' && typeof step.undo === 'object') &&
        typeof line.references === 'object'
      );
    case 'taken-up':
      return isText(line.by) && isText(line.who?.user) && (line.way === 'forward' || line.way === 'back');
    case 'closed':
      return isText(line.as);
    case 'act':
      return Number.isInteger(line.step) && typeof line.action === 'object' && Array.isArray(line.proof);
    case 'started':
      return Number.isInteger(line.step) && typeof line.child?.pid === 'number';
    default:
      return Number.isInteger(line.step);
  }
}
