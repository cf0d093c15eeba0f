/** What was meant, done and proven: one line an event, on the disk before and after each act. */
import { closeSync, fstatSync, fsyncSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Child, Finding, ResolvedAction, Step } from '../check/types.ts';
import { messageOf, StdoctorError } from '../errors.ts';
import type { References } from './references.ts';

export const JOURNAL_FILE = 'journal.jsonl';

export type Entry =
  | { event: 'opened'; who: string; machine: string; boot: string | null; finding: Finding; steps: Step[]; references: References }
  | { event: 'act' | 'release'; step: number; action: ResolvedAction }
  | { event: 'started'; step: number; child: Child }
  | { event: 'acted'; step: number; ok: boolean; code: number; log: string; why?: string }
  | { event: 'proven'; step: number }
  | { event: 'closed'; as: 'repaired' | 'unproven' | 'failed' | 'stale' | 'refused'; why?: string };

export class Journal {
  readonly #file: number;
  readonly #run: string;

  constructor(stateDir: string, run: string) {
    try {
      this.#file = openSync(join(stateDir, JOURNAL_FILE), 'a+', 0o600);
      endLastLine(this.#file);
    } catch (error) {
      throw new StdoctorError('STD_STATE_DIR', `the journal in ${stateDir} cannot be written: ${messageOf(error)}`, { cause: error });
    }
    this.#run = run;
  }

  /** On the disk when it returns. plan: the finding that the event belongs to. */
  write(plan: string, entry: Entry): void {
    const line = Buffer.from(`${JSON.stringify({ v: 1, at: new Date().toISOString(), run: this.#run, plan, ...entry })}\n`);
    try {
      for (let written = 0; written < line.length; ) {
        written += writeSync(this.#file, line, written);
      }
      fsyncSync(this.#file);
    } catch (error) {
      throw new StdoctorError('STD_STATE_DIR', `the journal cannot be written any more: ${messageOf(error)}`, { cause: error });
    }
  }

  close(): void {
    closeSync(this.#file);
  }
}

/** A crash may have cut off the last line: ours must not be glued to it. */
function endLastLine(file: number): void {
  const { size } = fstatSync(file);
  const last = Buffer.alloc(1);
  if (size > 0 && readSync(file, last, 0, 1, size - 1) === 1 && last.toString() !== '\n') {
    writeSync(file, '\n');
  }
}
