import { ask, defineFact, outputOf } from '../check/asking.ts';
import type { Asking } from '../check/types.ts';
import { type Name, toByteString } from '../names.ts';
import { hungAt } from './look.ts';

/** A child of an earlier run that no signal ends, as the target remembers it. */
export interface LeftBehind {
  pid: number;
  startTime: string;
  argv: Name[];
  /** What it had said when it was given up, base64. */
  out: string;
}

/** Paths on which bulk children of earlier runs still hang, with their pids: asking there again would add another one. */
export const stillHung = defineFact('still-hung', function* (): Asking<ReadonlyMap<string, number>> {
  const text = outputOf(yield* ask({ kind: 'left-behind' }));
  const children = text === '' ? [] : (JSON.parse(text) as LeftBehind[]);
  const hung = new Map<string, number>();
  for (const child of children) {
    const path = hungAt(child.argv, Buffer.from(child.out, 'base64'));
    if (path !== undefined) {
      hung.set(toByteString(path), child.pid);
    }
  }
  return hung;
});
