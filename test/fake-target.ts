import type { Answer, Probe, Target } from '../src/check/types.ts';

const AT = '2026-11-03T09:00:00.000Z';

/** An answer with exit code 0, or another one. The text is taken one character a byte. */
export function said(out: string | Uint8Array, code = 0, err = ''): Answer {
  return { state: 'ok', code, out: typeof out === 'string' ? Buffer.from(out, 'latin1') : out, err, at: AT, ms: 1 };
}

export function absent(why = 'it is not there'): Answer {
  return { state: 'absent', why, at: AT, ms: 1 };
}

export function timedOut(out = '', err = '', more: { wchan?: string; leaked?: { pid: number; startTime: string } } = {}): Answer {
  return { state: 'timed-out', out: Buffer.from(out, 'latin1'), err, limitMs: 2000, at: AT, ms: 2000, ...more };
}

/** A host that answers as it is told; `undefined` reads as absent. */
export function fakeTarget(
  answer: (probe: Probe, until: number) => Answer | undefined | Promise<Answer>,
  via: Target['via'] = 'local',
): Target & { asked: Probe[] } {
  const asked: Probe[] = [];
  return {
    name: 'fake',
    kind: 'host',
    via,
    asked,
    ask: async (probe, until) => {
      asked.push(probe);
      return (await answer(probe, until)) ?? absent();
    },
  };
}

/** The paths of a probe that reads, the words of one that runs. */
export function wordsOf(probe: Probe): string {
  return probe.kind === 'run' ? probe.argv.map(String).join(' ') : probe.kind === 'read' ? String(probe.path) : probe.kind;
}
