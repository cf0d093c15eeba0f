import type { Listener } from '../engine/events.ts';
import type { Asked } from '../report/report.ts';

const SLOWEST = 3;

/** Counts the commands that a target was asked by, and keeps the slowest. */
export class Tally {
  readonly #sources = new Map<string, string>();
  readonly #answered: { source: string; ms: number }[] = [];

  /** Listens too. */
  beside(listen: Listener): Listener {
    return (event) => {
      if (event.type === 'asked') {
        this.#sources.set(event.key, event.source);
      } else if (event.type === 'answered') {
        this.#answered.push({ source: this.#sources.get(event.key) ?? '', ms: event.ms });
      }
      listen(event);
    };
  }

  get asked(): Asked {
    return { commands: this.#sources.size, slowest: this.#answered.toSorted((a, b) => b.ms - a.ms).slice(0, SLOWEST) };
  }
}
