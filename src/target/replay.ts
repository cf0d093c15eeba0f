import { sourceOf } from '../check/asking.ts';
import type { Answer, Probe, Target } from '../check/types.ts';
import { probeKey } from './probe-key.ts';
import type { Recording } from './recording.ts';

/** A host that is not here: answers what the recording holds, and says so where it holds nothing. It cannot act. */
export class ReplayTarget implements Target {
  readonly name: string;
  readonly kind: 'host' | 'array' | 'cluster';
  readonly via = 'recording';
  readonly #answers: ReadonlyMap<string, Answer>;
  readonly #takenAt: string;

  constructor(recording: Recording) {
    this.name = recording.target.name;
    this.kind = recording.target.kind;
    this.#takenAt = recording.takenAt;
    this.#answers = new Map(recording.entries.map(({ probe, answer }) => [probeKey(probe), answer]));
  }

  ask(probe: Probe): Promise<Answer> {
    const answer = this.#answers.get(probeKey(probe));
    return Promise.resolve(answer ?? { state: 'not-held', why: sourceOf(probe), at: this.#takenAt, ms: 0 });
  }
}
