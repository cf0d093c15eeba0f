/** The kinds of trouble this check knows, in the order in which they are asked about a mount. */
import { binds } from './binds/index.ts';
import type { Part } from './data.ts';
import { fuse } from './fuse/index.ts';
import { loops } from './loops/index.ts';
import { xfs } from './xfs/index.ts';

export const parts: readonly Part[] = [fuse, xfs, binds, loops];

/** The part whose code it is. */
export function partOf(code: string): Part | undefined {
  return parts.find(({ codes }) => Object.hasOwn(codes, code));
}
