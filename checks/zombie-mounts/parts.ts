/** The kinds of trouble this check knows, in the order in which they are asked about a mount. */
import { binds } from './binds/index.ts';
import { configured } from './configured/index.ts';
import { connections } from './connections/index.ts';
import type { Part } from './data.ts';
import { devices } from './devices/index.ts';
import { ext4 } from './ext4/index.ts';
import { fuse } from './fuse/index.ts';
import { loops } from './loops/index.ts';
import { namespaces } from './namespaces/index.ts';
import { network } from './network/index.ts';
import { overlays } from './overlays/index.ts';
import { space } from './space/index.ts';
import { stacks } from './stacks/index.ts';
import { swaps } from './swaps/index.ts';
import { xfs } from './xfs/index.ts';

export const parts: readonly Part[] = [
  fuse,
  network,
  overlays,
  devices,
  xfs,
  ext4,
  binds,
  loops,
  space,
  swaps,
  configured,
  stacks,
  connections,
  namespaces,
];

/** The part whose code it is. */
export function partOf(code: string): Part | undefined {
  return parts.find(({ codes }) => Object.hasOwn(codes, code));
}
