import type { Probe } from '../check/types.ts';

/** The identity of a probe: all but its limit and its slot. */
export function probeKey(probe: Probe): string {
  const { limitMs: _limit, suspect: _suspect, ...identity } = probe;
  return JSON.stringify(Object.fromEntries(Object.entries(identity).sort(([a], [b]) => (a < b ? -1 : 1))));
}

/** A second try asks the same of the same: a child that hangs on one speaks for the other. */
export function hungKey(probe: Probe): string {
  const { take, ...rest } = probe;
  return probeKey(take === undefined ? probe : { ...rest, take: take.replace(/(^|, )retry \d+$/, '') });
}
