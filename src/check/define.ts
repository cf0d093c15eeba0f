import type { AnyCheck, Check, CheckMeta, Found, Needs } from './types.ts';

/** Gives a check its types: facts follow from `needs`, codes from the findings. */
export function defineCheck<N extends Needs, F extends Found<string, unknown>>(check: Check<N, F>): Check<N, F> {
  return check;
}

/** A check in the list of all checks, which loads none of them. */
export interface CheckIndexEntry extends Pick<CheckMeta, 'id' | 'title' | 'area' | 'scope' | 'summary' | 'codes'> {
  load(): Promise<AnyCheck>;
}
