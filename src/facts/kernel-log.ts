import { defineFact, outputOf, run, seenAt, whyNot } from '../check/asking.ts';
import type { Asking, Probe, Seen } from '../check/types.ts';

export interface KernelLog {
  seen: Seen;
  /** Oldest first, with their time stamps, one character a byte. The ring buffer may have lost older ones. */
  lines: string[];
  /** Why there are none. */
  why?: string;
}

/** What the kernel still remembers. Corroborates; its silence proves nothing. */
export const kernelLog = defineFact('kernel-log', function* (): Asking<KernelLog> {
  const probe: Probe & { kind: 'run' } = { kind: 'run', argv: ['dmesg', '--kernel', '--color=never'] };
  const answer = yield* run(probe.argv);
  const seen = seenAt(probe, answer);
  return answer.state === 'ok' && answer.code === 0
    ? { seen, lines: outputOf(answer).split('\n').filter(Boolean) }
    : { seen, lines: [], why: whyNot(answer) };
});
