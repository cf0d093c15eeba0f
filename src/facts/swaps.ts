/** What the kernel swaps to. /proc/swaps is of the whole machine, not of a mount namespace. */
import { defineFact, outputOf, read, seenAt, whyNot } from '../check/asking.ts';
import type { Asking, Probe, Seen } from '../check/types.ts';
import { fromByteString, type Name } from '../names.ts';
import { blockDevices, kernelNameOf } from './block-devices.ts';
import { type LoopDevice, loopsBehind } from './loop.ts';

export interface Swap {
  /** As /proc/swaps names it, without the kernel's marker: `/dev/dm-1` for a logical volume, `/swapfile`. */
  name: Name;
  type: 'partition' | 'file';
  /** The node or file that was given has lost its name. */
  deleted: boolean;
  /** KiB. */
  size: number;
  used: number;
  /** `major:minor`; undefined for a file, and for a node that is not in /dev itself or whose device the kernel no longer has. */
  device?: string;
  loop?: LoopDevice;
}

export interface Swaps {
  seen: Seen;
  swaps: Swap[];
  /** KiB that could be taken without swapping. */
  availableMemory?: number;
  unjudged: { name: Name; why: string }[];
}

const LIST: Probe & { kind: 'read' } = { kind: 'read', path: '/proc/swaps' };
const DELETED = ' (deleted)';

export const swaps = defineFact('swaps', function* (): Asking<Swaps> {
  const list = yield* read(LIST.path);
  const seen = seenAt(LIST, list);
  const listed = parseSwaps(outputOf(list));
  if (listed?.length === 0) {
    return { seen, swaps: [], unjudged: [] };
  }
  const meminfo = outputOf(yield* read('/proc/meminfo'));
  // MemAvailable:   23816208 kB
  const available = /^MemAvailable: +(\d+) kB\n/m.exec(meminfo)?.[1];
  // A kernel that was built without swap has no such list.
  const found = list.state === 'absent' && /^SwapTotal: +0 kB\n/m.test(meminfo) ? [] : listed;
  if (found === undefined) {
    const why = list.state === 'ok' ? 'unknown format' : whyNot(list);
    return { seen, swaps: [], unjudged: [{ name: LIST.path, why: `what is swapped to cannot be read: ${why}` }] };
  }
  const { names } = found.length > 0 ? yield* blockDevices() : { names: new Map<string, string>() };
  const numbers = new Map([...names].map(([device, name]) => [name, device]));
  const named = found.map((swap) => {
    const device = swap.type === 'partition' ? numbers.get(kernelNameOf(swap.name) ?? '') : undefined;
    return { ...swap, ...(device !== undefined && { device }) };
  });
  const onLoops = named.flatMap(({ device }) => (device?.startsWith('7:') ? [device] : []));
  const { loops, unjudged } = onLoops.length > 0 ? yield* loopsBehind(onLoops) : { loops: [], unjudged: [] };
  return {
    seen,
    swaps: named.map((swap) => {
      const loop = loops.find(({ device }) => device === swap.device);
      return { ...swap, ...(loop !== undefined && { loop }) };
    }),
    ...(available !== undefined && { availableMemory: Number(available) }),
    unjudged: unjudged.map(({ device, why }) => ({ name: named.find((swap) => swap.device === device)?.name ?? device, why })),
  };
});

/** Undefined where the text is not whole or not of the format. */
export function parseSwaps(text: string): Swap[] | undefined {
  const [head, ...lines] = text.split('\n');
  if (!head?.startsWith('Filename\t') || lines.pop() !== '') {
    return undefined;
  }
  const found: Swap[] = [];
  for (const line of lines) {
    // /dev/loop6                              partition\t16380\t\t0\t\t-2
    const [, name, type, size, used] = /^([^ \t]+)[ \t]+(partition|file)[ \t]+(\d+)[ \t]+(\d+)[ \t]+-?\d+$/.exec(line) ?? [];
    if (name === undefined) {
      return undefined;
    }
    const path = name.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
    const deleted = path.endsWith(DELETED);
    found.push({
      name: fromByteString(deleted ? path.slice(0, -DELETED.length) : path),
      type: type as Swap['type'],
      deleted,
      size: Number(size),
      used: Number(used),
    });
  }
  return found;
}
