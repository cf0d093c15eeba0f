import type { Evidence, Subject } from '../../../src/check/types.ts';
import { kernelNameOf } from '../../../src/facts/block-devices.ts';
import { missingBytes } from '../../../src/facts/loop.ts';
import type { Swap } from '../../../src/facts/swaps.ts';
import { type Name, printable, showName } from '../../../src/names.ts';
import { quote, type Sought, type ZombieFound } from '../data.ts';
import type { ZombieFacts } from '../facts.ts';

export interface SwapData {
  fault: 'image deleted' | 'image too short' | 'disk gone' | 'device leads nowhere';
  /** The image file behind a loop device. */
  backing: Name | null;
  /** KiB. */
  size: number;
  used: number;
  /** KiB that can be taken without swapping; null where the kernel does not tell. */
  availableMemory: number | null;
}

interface Fault {
  fault: SwapData['fault'];
  severity: ZombieFound['severity'];
  confidence: ZombieFound['confidence'];
  evidence: Evidence;
}

export function seekSwaps(facts: ZombieFacts): Sought {
  const { swaps, seen, availableMemory, unjudged } = facts.swaps;
  return {
    examined: swaps.length,
    findings: swaps.flatMap((swap) => {
      const found = faultOf(swap, facts);
      if (found === undefined) {
        return [];
      }
      const { fault, severity, confidence, evidence } = found;
      const { size, used, loop } = swap;
      const data: SwapData = { fault, backing: loop?.backing ?? null, size, used, availableMemory: availableMemory ?? null };
      const own = quote(seen, `${showName(swap.name)}: ${size} KiB, ${used} of them used`);
      return [{ code: 'swap-backing', severity, subject: subjectOf(swap.name), data, confidence, evidence: [evidence, own] }];
    }),
    unjudged: [
      ...unjudged.map(({ name, why }) => ({ subject: subjectOf(name), why })),
      ...swaps.flatMap(({ name, loop }) =>
        loop?.file.state === 'unknown'
          ? [{ subject: subjectOf(name), why: `its image file could not be looked at: ${loop.file.why}` }]
          : [],
      ),
      ...swaps.flatMap(({ name, device, type }) =>
        type === 'partition' && device === undefined && facts.blocks.why !== undefined
          ? [{ subject: subjectOf(name), why: `whether its device is still there: ${facts.blocks.why}` }]
          : [],
      ),
    ],
  };
}

function faultOf({ name, type, deleted, device, loop }: Swap, { blocks, swaps, lostMappings }: ZombieFacts): Fault | undefined {
  const mapping = device === undefined ? undefined : lostMappings.lost.get(device);
  if (mapping !== undefined) {
    return { fault: 'device leads nowhere', severity: 'critical', confidence: 'certain', evidence: mapping.evidence };
  }
  // The node went with the disk.
  if (type === 'partition' && deleted && device === undefined && blocks.why === undefined && kernelNameOf(name) !== undefined) {
    const evidence = quote(swaps.seen, `${showName(name)} (deleted), and no such device in /sys/dev/block`);
    return { fault: 'disk gone', severity: 'critical', confidence: 'high', evidence };
  }
  if (loop === undefined) {
    return undefined;
  }
  const file = printable(showName(loop.backing));
  if (loop.deleted && loop.file.state === 'gone') {
    const armed = loop.autoclear ? '; the loop device goes with the last use (autoclear)' : '';
    const evidence = quote(loop.seen, `${file} (deleted)${armed}`);
    return { fault: 'image deleted', severity: 'warning', confidence: 'certain', evidence };
  }
  const missing = missingBytes(loop);
  return missing === 0
    ? undefined
    : {
        fault: 'image too short',
        severity: 'critical',
        confidence: 'certain',
        evidence: quote(loop.seen, `${file} lacks ${missing} of the ${loop.size} bytes of ${loop.node}`),
      };
}

function subjectOf(name: Name): Subject {
  return { kind: 'swap', name };
}
