/** What the journal holds: one line an event, and what these lines come to. */
import type { Child, Claim, Finding, Reached, ResolvedAction, Risk, Step } from '../check/types.ts';
import type { References } from './references.ts';

export const JOURNAL_VERSION = 1;

export interface Who {
  uid: number;
  user: string;
  /** Who called sudo; null without it. */
  sudoUser: string | null;
}

/** How to take a step back, with every reference filled in. */
export type Undo = { action: ResolvedAction; proof: Claim[] } | { none: string };

/** What an act is for: a step of the plan, taking one back, or giving back what one borrowed. */
export type Purpose = 'step' | 'undo' | 'release';

export type Closed = 'repaired' | 'healed' | 'unproven' | 'failed' | 'stale' | 'refused' | 'undone' | 'begun-anew';

export type Entry =
  | {
      event: 'opened';
      version: string;
      who: Who;
      machine: string;
      boot: string | null;
      /** How the host was reached; absent: it is the one the journal lies on. */
      host?: Reached;
      finding: Finding;
      summary: string;
      risk: Risk;
      steps: Step[];
      references: References;
      remains?: string;
    }
  /** Somebody goes on with an interrupted repair, or takes a repair back. `by` is the run that does. */
  | { event: 'taken-up'; way: 'forward' | 'back'; by: string; who: Who; boot: string | null }
  /** Proof and undo stand with the act, so that it can be judged and taken back whatever happens after it. */
  | { event: 'act'; of: Purpose; step: number; action: ResolvedAction; proof: Claim[]; undo?: Undo }
  | { event: 'started'; of: Purpose; step: number; child: Child }
  | { event: 'acted'; of: Purpose; step: number; ok: boolean; code: number; log: string; why?: string }
  | { event: 'proven'; of: Purpose; step: number }
  | { event: 'closed'; as: Closed; why?: string };

export type Line = { v: number; at: string; run: string; plan: string } & Entry;

type EntryOf<E extends Entry['event']> = Extract<Entry, { event: E }>;

/** One act, from the line before it to the last line about it. */
export interface Deed extends Omit<EntryOf<'act'>, 'event'> {
  at: string;
  child?: Child;
  ended?: Pick<EntryOf<'acted'>, 'ok' | 'code' | 'log' | 'why'> & { at: string };
  proven: boolean;
}

/** All that the journal tells of one plan that was carried out. */
export interface Journaled extends Omit<EntryOf<'opened'>, 'event'> {
  run: string;
  /** Id of the finding. */
  plan: string;
  at: string;
  deeds: Deed[];
  /** Later runs that went on with it or took it back, in order. */
  takenUp: (Omit<EntryOf<'taken-up'>, 'event'> & { at: string })[];
  /** undefined: it was begun and never ended. */
  closed?: { at: string; as: Closed; why?: string };
}

/** Throws a sentence where a line speaks of a plan that was never opened: then lines are missing. */
export function fold(lines: readonly Line[]): Journaled[] {
  const repairs = new Map<string, Journaled>();
  lines.forEach((line, index) => {
    const { v: _v, at, run, plan } = line;
    if (line.event === 'opened') {
      const { event: _event, ...opened } = line;
      repairs.set(`${run} ${plan}`, { ...opened, deeds: [], takenUp: [] });
      return;
    }
    const repair = repairs.get(`${run} ${plan}`);
    if (repair === undefined) {
      throw new Error(`line ${index + 1}: expected the plan ${plan} of run ${run} to have been opened, found ${line.event}`);
    }
    add(repair, line, at);
  });
  return [...repairs.values()];
}

function add(repair: Journaled, line: Exclude<Line, { event: 'opened' }>, at: string): void {
  switch (line.event) {
    case 'taken-up': {
      const { way, by, who, boot } = line;
      repair.takenUp.push({ at, way, by, who, boot });
      delete repair.closed;
      break;
    }
    case 'act': {
      const { of, step, action, proof, undo } = line;
      repair.deeds.push({ at, of, step, action, proof, proven: false, ...(undo !== undefined && { undo }) });
      break;
    }
    case 'closed':
      repair.closed = { at, as: line.as, ...(line.why !== undefined && { why: line.why }) };
      break;
    default: {
      const deed = deedOf(repair, line.of, line.step);
      if (deed !== undefined) {
        amend(deed, line, at);
      }
    }
  }
}

function amend(deed: Deed, line: EntryOf<'started' | 'acted' | 'proven'>, at: string): void {
  switch (line.event) {
    case 'started':
      deed.child = line.child;
      break;
    case 'acted': {
      const { ok, code, log, why } = line;
      deed.ended = { at, ok, code, log, ...(why !== undefined && { why }) };
      break;
    }
    case 'proven':
      deed.proven = true;
      break;
  }
}

/** The latest act of this kind on a step. */
export function deedOf(repair: Pick<Journaled, 'deeds'>, of: Purpose, step: number): Deed | undefined {
  return repair.deeds.findLast((deed) => deed.of === of && deed.step === step);
}

/** The run that wrote about it last. */
export function lastRun(repair: Journaled): string {
  return repair.takenUp.at(-1)?.by ?? repair.run;
}

/** It is being taken back, or was. */
export function goesBack(repair: Journaled): boolean {
  return repair.takenUp.at(-1)?.way === 'back';
}
