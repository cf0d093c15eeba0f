import type { Probe } from '../check/types.ts';

/** The identity of a probe: all but its limit and its slot. */
export function probeKey(probe: Probe): string {
  const { limitMs: _limit, suspect: _suspect, ...identity } = probe;
  return JSON.stringify(Object.fromEntries(Object.entries(identity).sort(([a], [b]) => (a < b ? -1 : 1))));
}
