import type { Answer, Probe, Target, Unreached } from '../check/types.ts';
import { mask } from '../secrets.ts';
import { probeKey } from './probe-key.ts';

/** Wraps any target and keeps what was asked and answered. It cannot act. */
export class RecordingTarget implements Target {
  readonly name: string;
  readonly kind: Target['kind'];
  readonly via: Target['via'];
  readonly #inner: Target;
  readonly #entries = new Map<string, { probe: Probe; answer: Answer }>();

  constructor(inner: Target) {
    this.name = inner.name;
    this.kind = inner.kind;
    this.via = inner.via;
    this.#inner = inner;
  }

  async reach(until: number): Promise<Unreached | undefined> {
    return this.#inner.reach?.(until);
  }

  async ask(probe: Probe, until: number): Promise<Answer> {
    const answered = await this.#inner.ask(probe, until);
    // Questions of our own, as JSON: masking could break it, and the same paths stand in other probes.
    const answer = probe.kind === 'left-behind' || probe.kind === 'journal' ? answered : withoutSecrets(answered);
    this.#entries.set(probeKey(probe), { probe, answer });
    return answer;
  }

  /** In the order of their identity, so that two recordings of one state differ only where the state does. */
  entries(): { probe: Probe; answer: Answer }[] {
    return [...this.#entries].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, entry]) => entry);
  }
}

function withoutSecrets(answer: Answer): Answer {
  if (answer.state !== 'ok' && answer.state !== 'timed-out') {
    return answer;
  }
  const text = Buffer.from(answer.out).toString('latin1');
  const masked = mask(text);
  return { ...answer, out: masked === text ? answer.out : Buffer.from(masked, 'latin1'), err: mask(answer.err) };
}
