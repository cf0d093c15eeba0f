import { ask, defineFact, outputOf, seenAt, Unknown, whyNot } from '../check/asking.ts';
import type { Asking, Probe, Seen, Subject } from '../check/types.ts';

/** `going-back`: its taking back was begun. */
const STATES = ['not-begun', 'begun', 'done', 'going-back', 'taken-back'] as const;
type StepState = (typeof STATES)[number];

/** A repair of ours that was begun and never ended, as the journal tells. */
export interface InterruptedRepair {
  run: string;
  /** Id of the finding it was to end. */
  finding: string;
  at: string;
  /** Who called for it. */
  by: string;
  /** The host as it was named, and its identity; absent: the host whose journal it is. */
  host?: string;
  machine?: string;
  subject: Subject;
  summary: string;
  /** It was being taken back. */
  goesBack: boolean;
  steps: { title: string; state: StepState }[];
}

export interface Interrupted {
  seen: Seen;
  repairs: InterruptedRepair[];
}

const JOURNAL: Probe = { kind: 'journal' };

/** Repairs that were begun from here and never ended. */
export const interrupted = defineFact('interrupted', function* (): Asking<Interrupted> {
  const answer = yield* ask(JOURNAL);
  if (answer.state !== 'ok') {
    throw new Unknown(`the journal of repairs could not be read: ${whyNot(answer)}`);
  }
  let read: unknown;
  try {
    read = JSON.parse(Buffer.from(outputOf(answer), 'latin1').toString('utf8'));
  } catch {
    // Said below.
  }
  if (!Array.isArray(read) || !read.every(isInterruptedRepair)) {
    throw new Unknown('the list of interrupted repairs is of an unknown format');
  }
  return { seen: seenAt(JOURNAL, answer), repairs: read };
});

/** A recording may hold anything in its place. */
function isInterruptedRepair(entry: unknown): entry is InterruptedRepair {
  const { run, finding, at, by, host, machine, subject, summary, goesBack, steps } = (entry ?? {}) as Partial<InterruptedRepair>;
  const name = subject?.name as { base64?: unknown } | string | undefined;
  return (
    [run, finding, at, by, summary, subject?.kind].every((field) => typeof field === 'string') &&
    (typeof name === 'string' || typeof name?.base64 === 'string') &&
    [host, machine].every((field) => field === undefined || typeof field === 'string') &&
    typeof goesBack === 'boolean' &&
    Array.isArray(steps) &&
    steps.every((step) => typeof step?.title === 'string' && STATES.includes(step.state))
  );
}
