/** What `resume` and `undo` share: repairs out of the journal, looked at on the host as it is now, and put before whoever decides. */
import { Unknown } from '../check/asking.ts';
import type { Child, Reached, Target } from '../check/types.ts';
import type { Listener } from '../engine/events.ts';
import { type CheckEntry, identityOf } from '../engine/inspect.ts';
import { Round } from '../engine/round.ts';
import { StdoctorError } from '../errors.ts';
import { host } from '../facts/host.ts';
import type { Journaled } from '../journal/entries.ts';
import { Journal } from '../journal/journal.ts';
import type { CostlyFacts } from '../state/costly-facts.ts';
import type { Doing } from './acting.ts';
import { type ApplyContext, interrupted, notDone } from './apply.ts';
import { assess, type StepState, waitForEnd } from './assess.ts';
import { type Repaired, who } from './repair.ts';
import type { Repair } from './result.ts';

export interface JournalledOptions {
  /** The host a repair was begun on: another one, or (undefined) this one. Asked once for each. */
  targetOf(host: Reached | undefined): Promise<Target>;
  entries: readonly CheckEntry[];
  runId: string;
  version: string;
  costly: CostlyFacts | undefined;
  stateDir: string;
  rescueDir: string | undefined;
  roundMs: number;
  ended?(repair: Repair): void;
  show<T>(title: string, work: (listen: Listener) => Promise<T>): Promise<T>;
  minded<T>(work: (stop: AbortSignal) => Promise<T>): Promise<T>;
}

/** A repair out of the journal, and what became of its steps. */
export interface Known {
  repair: Journaled;
  states: StepState[];
  /** The host was restarted since. */
  restarted: boolean;
}

export type Answer<Way> = { apply: true; way: Way } | { apply: false; outcome: 'declined' | 'planned' | 'skipped'; reason: string };

export interface Handling<Way> {
  /** Which repairs it is about, in the order they are dealt with. */
  choose(repairs: readonly Journaled[]): Journaled[];
  /** Why nothing can be done with it, as an outcome. */
  refuse(known: Known): string | undefined;
  decide(known: readonly Known[]): Promise<Answer<Way>[]>;
  carryOut(known: Known, way: Way, context: ApplyContext): Promise<Repair>;
}

export async function handle<Way>(options: JournalledOptions, handling: Handling<Way>): Promise<Repaired> {
  const { roundMs, stateDir } = options;
  const journal = new Journal(stateDir);
  const targets = new Map<string | undefined, Promise<Asked>>();
  const targetOf = (of: Reached | undefined) => {
    const asked = targets.get(of?.name) ?? askWho(options, of);
    targets.set(of?.name, asked);
    return asked;
  };
  try {
    const repairs: Repair[] = [];
    const open: (Known & { at: Asked })[] = [];
    const doing = ({ target }: Asked, listen: Listener, stop: AbortSignal): Doing => ({ target, journal, stateDir, roundMs, listen, stop });
    const end = (repair: Repair) => {
      repairs.push(repair);
      options.ended?.(repair);
    };
    const chosen = handling.choose(journal.repairs);
    for (const repair of chosen) {
      const at = await targetOf(repair.host);
      if (at.unreached !== undefined) {
        end(unchanged(repair, 'planned', `${at.target.name} could not be asked: ${at.unreached}`));
        continue;
      }
      const { identity, bootId } = at;
      const entry = options.entries.find(({ id }) => id === repair.finding.check);
      if (repair.machine !== identity || entry === undefined) {
        const why =
          entry === undefined
            ? `expected a check ${repair.finding.check}, which this version does not have`
            : `expected the machine it was made on (${repair.machine}), found ${identity}`;
        end(unchanged(repair, 'refused', why));
        continue;
      }
      // With it come the conditions that its steps rest on.
      await entry.load();
      const each = await options.show(`Looking at: ${repair.summary}`, async (listen): Promise<Known | Child | { unknown: string }> => {
        const looking = doing(at, listen, NEVER);
        const running = await waitForEnd(repair, bootId, looking).catch((error: unknown) => {
          if (error instanceof Unknown) {
            return { unknown: error.message };
          }
          throw error;
        });
        return running ?? { repair, states: await assess(repair, looking), restarted: repair.boot !== bootId };
      });
      if (!('repair' in each)) {
        const why =
          'pid' in each
            ? `a command of its interrupted step still runs as process ${each.pid}: do this again when that has ended, or wait longer with --deadline`
            : `whether a command of its interrupted step still runs could not be told: ${each.unknown}`;
        end(unchanged(repair, 'planned', why));
        continue;
      }
      const refusal = handling.refuse(each);
      if (refusal === undefined) {
        open.push({ ...each, at });
      } else {
        end(unchanged(repair, 'refused', refusal));
      }
    }
    const answers = open.length === 0 ? [] : await handling.decide(open);
    await options.minded(async (stop) => {
      for (const [index, each] of open.entries()) {
        if (stop.aborted) {
          throw interrupted('the repair under way was ended, and none was gone on with after it');
        }
        const answer = answers[index] as Answer<Way>;
        if (!answer.apply) {
          end(unchanged(each.repair, answer.outcome, answer.reason));
          continue;
        }
        const context = {
          entry: options.entries.find(({ id }) => id === each.repair.finding.check) as CheckEntry,
          costly: options.costly,
          rescueDir: options.rescueDir,
          runId: options.runId,
          version: options.version,
          who: who(),
          machine: each.at.identity,
          boot: each.at.bootId,
        };
        const work = (listen: Listener) => handling.carryOut(each, answer.way, { ...context, ...doing(each.at, listen, stop) });
        const dealtWith = await options.show(each.repair.summary, work).catch((error: unknown) => {
          // A journal that fails must not hide what became of the repairs before.
          if (error instanceof StdoctorError && error.code === 'STD_STATE_DIR' && repairs.length > 0) {
            return unchanged(each.repair, 'failed', error.message);
          }
          throw error;
        });
        end(dealtWith);
      }
      if (stop.aborted) {
        throw interrupted('the repair under way was ended');
      }
    });
    const { target, identity } = await targetOf(chosen[0]?.host);
    return { target: { name: target.name, identity }, unknown: [], repairs, missing: [] };
  } finally {
    journal.close();
    await Promise.allSettled([...targets.values()].map(async (asked) => (await asked).target.close?.()));
  }
}

/** A host, and who it says it is. */
interface Asked {
  target: Target;
  identity: string;
  bootId: string | null;
  /** Why it could not be asked. */
  unreached?: string;
}

async function askWho({ targetOf, roundMs }: JournalledOptions, of: Reached | undefined): Promise<Asked> {
  const target = await targetOf(of);
  const until = Date.now() + roundMs;
  const unreached = await target.reach?.(until);
  const known = await new Round(target, until).gather(host());
  return {
    target,
    identity: identityOf(known),
    bootId: known.bootId,
    ...(unreached !== undefined && { unreached: `${unreached.state}: ${unreached.why}` }),
  };
}

const NEVER = new AbortController().signal;

function unchanged(repair: Journaled, outcome: Repair['outcome'], reason: string): Repair {
  return { ...head(repair), outcome, reason, steps: repair.steps.map(notDone) };
}

/** A repair out of the journal as a result names it. */
export function head({ finding, summary, steps, remains, risk, run }: Journaled): Omit<Repair, 'outcome' | 'reason' | 'steps'> {
  return { finding, summary, plan: { steps, ...(remains !== undefined && { remains }) }, risk, run };
}
