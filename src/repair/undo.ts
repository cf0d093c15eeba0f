/** Takes back what a run did, the latest repair first. */
import { StdoctorError } from '../errors.ts';
import type { Journaled } from '../journal/entries.ts';
import { isInterrupted } from '../journal/interrupted.ts';
import { type Answer, handle, head, type JournalledOptions, type Known } from './journalled.ts';
import type { Repaired } from './repair.ts';
import { takeBack, wayBack } from './take-back.ts';

export interface UndoOptions extends JournalledOptions {
  /** The latest run that did something, where it is undefined. */
  run: string | undefined;
  decide(undoable: readonly Known[]): Promise<Answer<'back'>[]>;
}

export function undoRun(options: UndoOptions): Promise<Repaired> {
  return handle<'back'>(options, {
    choose: (repairs) => repairsOf(options.run, repairs).toReversed(),
    refuse: whyNot,
    decide: options.decide,
    carryOut: async ({ repair, states }, _way, context) => {
      const { journal, runId, who, boot } = context;
      journal.write(repair.run, repair.plan, { event: 'taken-up', way: 'back', by: runId, who, boot });
      return { ...head(repair), ...(await takeBack(repair, states, context)) };
    },
  });
}

function repairsOf(run: string | undefined, repairs: readonly Journaled[]): Journaled[] {
  if (run !== undefined) {
    const found = repairs.filter((repair) => repair.run === run);
    if (found.length === 0) {
      const known = [...new Set(repairs.map((repair) => repair.run))].slice(-3).join(', ');
      throw new StdoctorError(
        'STD_USAGE',
        `${run}: expected a run in the journal${known === '' ? ', which is empty' : ` such as ${known}`}`,
      );
    }
    return found;
  }
  const latest = repairs.findLast(
    (repair) => repair.deeds.length > 0 && repair.closed?.as !== 'undone' && repair.closed?.as !== 'begun-anew',
  );
  return latest === undefined ? [] : repairs.filter((repair) => repair.run === latest.run);
}

function whyNot({ repair, states }: Known): string | undefined {
  if (isInterrupted(repair)) {
    return 'it was interrupted: stdoctor resume goes on with it, or takes it back';
  }
  if (repair.closed?.as === 'undone') {
    return `it was taken back at ${repair.closed.at}`;
  }
  const back = wayBack(repair, states);
  if (back.length === 0) {
    const unknown = states.find(({ state }) => state === 'unknown');
    return unknown === undefined ? 'nothing was done' : `whether it was done cannot be known: ${unknown.why}`;
  }
  const [newest] = back as [(typeof back)[number]];
  return newest.cannot === null ? undefined : `step ${newest.index + 1} (${newest.step.title}) cannot be taken back: ${newest.cannot}`;
}
