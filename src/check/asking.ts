/** The words facts are written in. A fact is a generator: it yields what it wishes to know and receives the answer. */
import { type Name, shellLine, showName } from '../names.ts';
import type { Answer, Asking, Json, Probe, Seen } from './types.ts';

/** Could not tell. Whoever has other evidence catches it. */
export class Unknown extends Error {
  override name = 'Unknown';
}

/** The system is not in use here, and that is known. */
export class NotHere extends Error {
  override name = 'NotHere';
}

export function* ask(probe: Probe): Asking<Answer> {
  return (yield { wish: 'ask', probe }) as Answer;
}

export function* run(argv: readonly Name[], options: { limitMs?: number; suspect?: boolean; take?: string } = {}): Asking<Answer> {
  return yield* ask({ kind: 'run', argv, ...options });
}

export function* read(path: Name, options: { maxBytes?: number; take?: string } = {}): Asking<Answer> {
  return yield* ask({ kind: 'read', path, ...options });
}

export function* pause(ms: number): Asking<void> {
  yield { wish: 'pause', ms };
}

/** Runs all parts at the same time. Where some throw, the first of them (in order) is thrown after all have ended. */
export function* all<T>(parts: Asking<T>[]): Asking<T[]> {
  return (yield { wish: 'all', parts }) as T[];
}

/** Runs `during` beside `part`; `undefined` where `part` ended first. */
export function* meanwhile<T, U>(part: Asking<T>, during: Asking<U>): Asking<[T, U | undefined]> {
  return (yield { wish: 'meanwhile', part, during }) as [T, U | undefined];
}

/** What JSON gives back as it was: no Map, no bytes, nothing undefined. `Json` alone would bar every interface. */
type Stored<T> = Json | (object & { [K in keyof T]: T[K] extends Json ? T[K] : T[K] extends NoJson ? never : Stored<T[K]> });
type NoJson = undefined | bigint | symbol | ((...args: never) => unknown);

/** Gathered once for each target, round and arguments. */
export function defineFact<A extends Json[], T>(id: string, gather: (...args: A) => Asking<T>): (...args: A) => Asking<T>;
/** A costly fact: while the answer of `stamp`, a cheap question, is the same, what an earlier round or run gathered stands. */
export function defineFact<A extends Json[], T extends Stored<T>>(
  id: string,
  gather: (...args: A) => Asking<T>,
  stamp: (...args: A) => Asking<string>,
): (...args: A) => Asking<T>;
export function defineFact<A extends Json[], T>(id: string, gather: (...args: A) => Asking<T>, stamp?: (...args: A) => Asking<string>) {
  return function* (...args: A): Asking<T> {
    return (yield {
      wish: 'fact',
      key: `${id}${JSON.stringify(args)}`,
      gather: () => gather(...args),
      ...(stamp !== undefined && { stamp: () => stamp(...args) }),
    }) as T;
  };
}

/** How a probe is named in evidence and sentences. */
export function sourceOf(probe: Probe): string {
  switch (probe.kind) {
    case 'run':
      return shellLine(probe.argv);
    case 'read':
      return showName(probe.path);
    default:
      return probe.kind;
  }
}

export function seenAt(probe: Probe, answer: Answer): Seen {
  return { source: sourceOf(probe), at: answer.at };
}

/** Why an answer holds nothing to read, as a clause: 'no answer within 2 s'. */
export function whyNot(answer: Answer): string {
  switch (answer.state) {
    case 'ok':
      return `exit code ${answer.code}${lastLine(answer.err)}`;
    case 'absent':
      return answer.why;
    case 'errno':
      return `error number ${answer.errno}`;
    case 'timed-out':
      return `no answer within ${answer.limitMs / 1000} s`;
    case 'cut':
      return `no time left (${answer.why})`;
    case 'not-held':
      return `the recording does not hold it (${answer.why})`;
    default:
      return `${answer.state}: ${answer.why}`;
  }
}

function lastLine(text: string): string {
  const line = text.trim().split('\n').at(-1);
  return line ? `: ${line}` : '';
}

/** The output as text, one character a byte; `Unknown` unless the question was answered with exit code 0. */
export function expectOutput(probe: Probe, answer: Answer): string {
  if (answer.state !== 'ok' || answer.code !== 0) {
    throw new Unknown(`${sourceOf(probe)}: ${whyNot(answer)}`);
  }
  return outputOf(answer);
}

/** Output so far, one character a byte. Empty where there is none. */
export function outputOf(answer: Answer): string {
  if (answer.state !== 'ok' && answer.state !== 'timed-out') {
    return '';
  }
  // A view: it may be megabytes.
  const { buffer, byteOffset, byteLength } = answer.out;
  return Buffer.from(buffer, byteOffset, byteLength).toString('latin1');
}
