import { ask, defineFact, outputOf, Unknown } from '../check/asking.ts';
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
  /** What it had complained of. */
  err?: string;
}

/** Paths on which bulk children of earlier runs still hang, with their pids: asking there again would add another one. */
export const stillHung = defineFact('still-hung', function* (): Asking<ReadonlyMap<string, number>> {
  const text = Buffer.from(outputOf(yield* ask({ kind: 'left-behind' })), 'latin1').toString('utf8');
  const hung = new Map<string, number>();
  for (const child of text === '' ? [] : parseChildren(text)) {
    const path = hungAt(child.argv, Buffer.from(child.out, 'base64'), child.err);
    if (path !== undefined) {
      hung.set(toByteString(path), child.pid);
    }
  }
  return hung;
});

/** A recording may hold anything in its place. */
function parseChildren(text: string): LeftBehind[] {
  let read: unknown;
  try {
    read = JSON.parse(text);
  } catch {
    // Said below.
  }
  if (!Array.isArray(read) || !read.every(isLeftBehind)) {
    throw new Unknown('the list of children of earlier runs is of an unknown format');
  }
  return read;
}

/** True for what has the shape of a remembered child. */
export function isLeftBehind(entry: unknown): entry is LeftBehind {
  const { pid, startTime, argv, out, err } = (entry ?? {}) as Record<string, unknown>;
  return (
    typeof pid === 'number' &&
    typeof startTime === 'string' &&
    typeof out === 'string' &&
    (err === undefined || typeof err === 'string') &&
    Array.isArray(argv) &&
    argv.every((word) => typeof word === 'string' || typeof word?.base64 === 'string')
  );
}
