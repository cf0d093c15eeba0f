import { messageOf } from '../errors.ts';
import type { Asking, Claim, Holds, Json, Word } from './types.ts';

const conditions = new Map<string, (args: never) => Asking<Holds>>();

/** Arguments of a claim may be references to names that are made at run time. */
type Worded<A> = { [K in keyof A]: A[K] | Exclude<Word, string> };

/** A named condition: a fact with arguments that holds or does not. It must be harmless for any arguments. */
export function defineCondition<A extends { [key: string]: Json }>(id: string, look: (args: A) => Asking<Holds>) {
  if (conditions.has(id)) {
    throw new Error(`condition ${id} is defined twice`);
  }
  conditions.set(id, look);
  return (args: Worded<A>): Claim => ({ is: id, args: args as Json });
}

/** Looks whether a claim holds now. Could not tell means: does not hold. */
export function* examine(claim: Claim): Asking<Holds> {
  const look = conditions.get(claim.is);
  if (look === undefined) {
    return { holds: false, expected: `a condition named ${claim.is}`, found: 'this version knows none' };
  }
  try {
    return yield* look(claim.args as never);
  } catch (error) {
    // Arguments out of a file may be of any kind.
    return { holds: false, expected: `to be able to look at ${claim.is}`, found: messageOf(error) };
  }
}
