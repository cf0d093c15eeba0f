/** One round of asking a target: each probe and each fact at most once, all of it before a deadline. */
import { setTimeout as sleep } from 'node:timers/promises';
import { NotHere, sourceOf, Unknown } from '../check/asking.ts';
import type { Answer, Asking, Json, Probe, Target, Wish } from '../check/types.ts';
import { host } from '../facts/host.ts';
import type { CostlyFacts } from '../state/costly-facts.ts';
import { probeKey } from '../target/probe-key.ts';
import type { Listener } from './events.ts';

type FactWish = Extract<Wish, { wish: 'fact' }>;

export class Round {
  readonly target: Target;
  readonly until: number;
  readonly #listen: Listener;
  readonly #costly: CostlyFacts | undefined;
  readonly #answers = new Map<string, Promise<Answer>>();
  readonly #facts = new Map<string, Promise<unknown>>();
  /** The round apart from which this one gathers. */
  #around: Round | undefined;
  /** Every question had its full answer. */
  #whole = true;

  /** until: milliseconds since the epoch. costly: what was gathered before, by this process or an earlier one. */
  constructor(target: Target, until: number, listen: Listener = () => {}, costly?: CostlyFacts) {
    this.target = target;
    this.until = until;
    this.#listen = listen;
    this.#costly = costly;
  }

  gather<T>(part: Asking<T>): Promise<T> {
    return this.#drive(part);
  }

  async #drive<T>(part: Asking<T>, stop?: AbortSignal): Promise<T> {
    let step = part.next();
    while (!step.done) {
      let value: unknown;
      try {
        value = await this.#fulfil(step.value, stop);
      } catch (error) {
        step = part.throw(error);
        continue;
      }
      step = stop?.aborted ? part.return(undefined as T) : part.next(value);
    }
    return step.value;
  }

  #fulfil(wish: Wish, stop: AbortSignal | undefined): Promise<unknown> {
    switch (wish.wish) {
      case 'ask':
        return this.#ask(wish.probe);
      case 'pause':
        return this.#pause(wish.ms, stop);
      case 'all':
        return this.#all(wish.parts, stop);
      case 'meanwhile':
        return this.#meanwhile(wish.part, wish.during, stop);
      case 'fact':
        return this.#fact(wish);
    }
  }

  #ask(probe: Probe): Promise<Answer> {
    const key = probeKey(probe);
    let answer = this.#answers.get(key);
    if (answer === undefined) {
      answer = this.#put(probe, key);
      this.#answers.set(key, answer);
    }
    return answer;
  }

  async #put(probe: Probe, key: string): Promise<Answer> {
    // What may hang is asked once, however many rounds are under way.
    const around = probe.suspect ? this.#around : undefined;
    const slow = probe.kind === 'run' && around === undefined;
    if (slow) {
      this.#listen({ type: 'asked', key, source: sourceOf(probe) });
    }
    const answer = await (around === undefined ? this.target.ask(probe, this.until) : around.#ask(probe));
    if (slow) {
      this.#listen({ type: 'answered', key, ms: answer.ms });
    }
    this.#whole &&= isFull(probe, answer);
    return answer;
  }

  async #pause(ms: number, stop: AbortSignal | undefined): Promise<void> {
    const time = this.target.via === 'recording' ? 0 : Math.min(ms, this.until - Date.now());
    if (time > 0) {
      await sleep(time, undefined, stop === undefined ? {} : { signal: stop }).catch(() => {});
    }
  }

  async #all(parts: Asking<unknown>[], stop: AbortSignal | undefined): Promise<unknown[]> {
    const ended = await Promise.allSettled(parts.map((part) => this.#drive(part, stop)));
    return ended.map((each) => {
      if (each.status === 'rejected') {
        throw each.reason;
      }
      return each.value;
    });
  }

  async #meanwhile(part: Asking<unknown>, during: Asking<unknown>, stop: AbortSignal | undefined): Promise<[unknown, unknown]> {
    if (this.target.via === 'recording') {
      return [await this.#drive(part, stop), await this.#drive(during)];
    }
    const ended = new AbortController();
    const first = this.#drive(part, stop).finally(() => ended.abort());
    const [value, beside] = await Promise.all([first, this.#drive(during, ended.signal)]);
    return [value, beside];
  }

  #fact(wish: FactWish): Promise<unknown> {
    let fact = this.#facts.get(wish.key);
    if (fact === undefined) {
      // A replay says what its recording says, and a recording holds the answers, not the stamp.
      const costly = this.target.via === 'recording' ? undefined : this.#costly;
      fact =
        wish.stamp === undefined || costly === undefined
          ? this.#drive(wish.gather())
          : this.#costlyFact(wish.key, wish.gather, wish.stamp, costly);
      this.#facts.set(wish.key, fact);
    }
    return fact;
  }

  async #costlyFact(key: string, gather: FactWish['gather'], stamp: () => Asking<string>, costly: CostlyFacts): Promise<unknown> {
    const { machineId } = await this.gather(host());
    const before = await this.gather(stampOf(stamp));
    if (machineId === null || before === undefined) {
      return this.#drive(gather());
    }
    const name = `${machineId} ${this.target.via} ${key}`;
    const kept = costly.get(name);
    if (kept?.stamp === before) {
      return kept.value;
    }
    // Answers that are older than the stamp would outlive this round under it.
    const apart = this.#apart();
    const value = await apart.gather(gather()).finally(() => {
      this.#whole &&= apart.#whole;
    });
    const afterwards = this.#apart();
    const after = await afterwards.gather(stampOf(stamp));
    if (after === before && apart.#whole && afterwards.#whole) {
      costly.put(name, { stamp: after, value: value as Json });
    }
    return value;
  }

  /** A round that remembers nothing of this one. */
  #apart(): Round {
    const round = new Round(this.target, this.until, this.#listen, this.#costly);
    round.#around = this;
    return round;
  }
}

/** Undefined where it could not be told. Saying nothing is not telling either. */
function* stampOf(stamp: () => Asking<string>): Asking<string | undefined> {
  try {
    return (yield* stamp()) || undefined;
  } catch (error) {
    if (error instanceof Unknown || error instanceof NotHere) {
      return undefined;
    }
    throw error;
  }
}

/** Not one that may be another the next time, though nothing changes: a time-out, a missing right, a tool to be installed. */
function isFull(probe: Probe, { state }: Answer): boolean {
  return state === 'ok' || (state === 'absent' && probe.kind !== 'run');
}
