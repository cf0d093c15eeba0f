/** One round of asking a target: each probe and each fact at most once, all of it before a deadline. */
import { setTimeout as sleep } from 'node:timers/promises';
import { sourceOf } from '../check/asking.ts';
import type { Answer, Asking, Probe, Target, Wish } from '../check/types.ts';
import { probeKey } from '../target/probe-key.ts';
import type { Listener } from './events.ts';

export class Round {
  readonly target: Target;
  readonly until: number;
  readonly #listen: Listener;
  readonly #answers = new Map<string, Promise<Answer>>();
  readonly #facts = new Map<string, Promise<unknown>>();

  /** until: milliseconds since the epoch. */
  constructor(target: Target, until: number, listen: Listener = () => {}) {
    this.target = target;
    this.until = until;
    this.#listen = listen;
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
        return this.#fact(wish.key, wish.gather);
    }
  }

  #ask(probe: Probe): Promise<Answer> {
    const key = probeKey(probe);
    let answer = this.#answers.get(key);
    if (answer === undefined) {
      const slow = probe.kind === 'run';
      if (slow) {
        this.#listen({ type: 'asked', key, source: sourceOf(probe) });
      }
      answer = this.target.ask(probe, this.until);
      this.#answers.set(key, answer);
      if (slow) {
        void answer.then(({ ms }) => this.#listen({ type: 'answered', key, ms }));
      }
    }
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

  #fact(key: string, gather: () => Asking<unknown>): Promise<unknown> {
    let fact = this.#facts.get(key);
    if (fact === undefined) {
      fact = this.#drive(gather());
      this.#facts.set(key, fact);
    }
    return fact;
  }
}
