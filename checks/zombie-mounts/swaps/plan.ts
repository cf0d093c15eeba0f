import type { Finding, Found, Plan } from '../../../src/check/types.ts';
import { type Name, shellLine, shellWord } from '../../../src/names.ts';
import type { SwapData } from './detect.ts';

/** swapoff reads back all that is swapped out, or fails half-way and lets the kernel end processes: with a person only. */
export function planSwap({ subject, data }: Finding<Found<string, SwapData>>): Plan {
  const { fault, backing, used, availableMemory } = data;
  const off = shellLine(['swapoff', subject.name]);
  if (fault === 'disk gone' || fault === 'device leads nowhere') {
    return {
      refused: `the ${used} KiB swapped out there cannot be read back: processes that need them will be ended. Bring the disk back, or restart the machine; then: ${off}`,
    };
  }
  if (fault === 'image too short') {
    return {
      refused: `what was swapped beyond the end of ${backing === null ? 'the image' : shellWord(backing)} is lost, and processes that need it will be ended. Restart them, then: ${off}`,
    };
  }
  const fits =
    availableMemory === null
      ? 'whether that fits into memory cannot be told'
      : used < availableMemory
        ? `that fits: ${availableMemory} KiB of memory are free for it`
        : `that does not fit: only ${availableMemory} KiB of memory are free for it. Add another swap first`;
  return {
    refused: `it works until it is switched off, and is not there after a restart. By hand: ${off} brings ${used} KiB back into memory (${fits}); ${renew(subject.name, backing)}`,
  };
}

function renew(node: Name, backing: Name | null): string {
  const image = backing ?? 'IMAGE';
  return [
    ['losetup', '-d', node],
    ['mkswap', image],
    ['swapon', image],
  ]
    .map((argv) => shellLine(argv))
    .join('; ')
    .replace('; mkswap', `; make ${shellWord(image)} again; mkswap`);
}
