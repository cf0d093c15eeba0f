/** The kinds of trouble this check knows. */
import type { Part } from './data.ts';
import { duplicates } from './duplicates/index.ts';
import { emergency } from './emergency/index.ts';
import { files } from './files/index.ts';
import { initramfs } from './initramfs/index.ts';
import { lines } from './lines/index.ts';
import { missingLine } from './missing-line/index.ts';
import { names } from './names/index.ts';
import { network } from './network/index.ts';
import { ordering } from './ordering/index.ts';

export const parts: readonly Part[] = [emergency, files, lines, names, duplicates, network, ordering, missingLine, initramfs];

/** The part whose code it is. */
export function partOf(code: string): Part | undefined {
  return parts.find(({ codes }) => Object.hasOwn(codes, code));
}
