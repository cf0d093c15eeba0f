/** The names that udev and device-mapper give to block devices, and which of them stay the same. */
import { defineFact, outputOf, run, seenAt, whyNot } from '../check/asking.ts';
import type { Asking, Probe, Seen } from '../check/types.ts';

export interface DeviceLinks {
  seen: Seen;
  /** `/dev/sda1` → `/dev/disk/by-id/…`, …, one character a byte. */
  byNode: ReadonlyMap<string, readonly string[]>;
  /** Why they are not all known. */
  why?: string;
}

/** Comes last: a listing without it is cut off. */
const END = '/dev/null';
const FOLDERS = ['/dev/disk', '/dev/mapper', '/dev/md', '/dev/zvol'];
const LIST: Probe & { kind: 'run' } = {
  kind: 'run',
  argv: ['find', ...FOLDERS, END, '(', '-type', 'l', '-o', '-path', END, ')', '-printf', '%p\\0%l\\0'],
};

export const deviceLinks = defineFact('device-links', function* (): Asking<DeviceLinks> {
  const answer = yield* run(LIST.argv);
  const seen = { ...seenAt(LIST, answer), source: 'find /dev/disk /dev/mapper' };
  const fields = outputOf(answer).split('\0');
  const isWhole = fields.at(-3) === END && fields.length % 2 === 1;
  if (answer.state !== 'ok' || !isWhole) {
    return { seen, byNode: new Map(), why: answer.state === 'ok' ? 'the names below /dev did not come whole' : whyNot(answer) };
  }
  const byNode = new Map<string, string[]>();
  for (let at = 0; at + 3 < fields.length; at += 2) {
    const path = fields[at] as string;
    const node = whereTo(path, fields[at + 1] as string);
    byNode.set(node, [...(byNode.get(node) ?? []), path]);
  }
  return { seen, byNode };
});

/** `/dev/disk/by-id/a`, `../../sda` → `/dev/sda` */
function whereTo(path: string, target: string): string {
  const parts = target.startsWith('/') ? [] : path.split('/').slice(0, -1);
  for (const part of target.split('/')) {
    if (part === '..') {
      parts.pop();
    } else if (part !== '' && part !== '.') {
      parts.push(part);
    }
  }
  return `/${parts.filter(Boolean).join('/')}`;
}

/** Names of a kind that the kernel counts through. */
export interface Counted {
  /** `sd`, `nvme`, `dm`, … */
  family: string;
  /** A virtual machine gets its disks in the order in which they are plugged in: that changes only by hand. */
  isFixed: boolean;
}

// Not among them: /dev/md0, which mdadm.conf gives; xvda and drbd0, which a configuration names; sr0 and fd0, which hold media.
const COUNTED: readonly [name: RegExp, family: string, isFixed?: true][] = [
  [/^\/dev\/sd[a-z]+\d*$/, 'sd'],
  [/^\/dev\/hd[a-z]+\d*$/, 'hd'],
  [/^\/dev\/nvme\d+n\d+(p\d+)?$/, 'nvme'],
  [/^\/dev\/dm-\d+$/, 'dm'],
  [/^\/dev\/md12[0-7](p\d+)?$/, 'md'],
  [/^\/dev\/loop\d+(p\d+)?$/, 'loop'],
  [/^\/dev\/rbd\d+(p\d+)?$/, 'rbd'],
  [/^\/dev\/bcache\d+(p\d+)?$/, 'bcache'],
  [/^\/dev\/zd\d+(p\d+)?$/, 'zd'],
  [/^\/dev\/pmem\d+(p\d+)?$/, 'pmem'],
  [/^\/dev\/vd[a-z]+\d*$/, 'vd', true],
  [/^\/dev\/mmcblk\d+(p\d+)?$/, 'mmcblk', true],
];

/** Whether a name was given in the order in which devices were found; undefined for one that says which device it is. */
export function countedName(path: string): Counted | undefined {
  const [, family, isFixed] = COUNTED.find(([name]) => name.test(path)) ?? [];
  return family === undefined ? undefined : { family, isFixed: isFixed === true };
}

/** The device as a whole, not a partition of it. */
export function isWholeDevice(node: string): boolean {
  return /^\/dev\/([shv]d[a-z]+|(nvme\d+n|mmcblk|dm-|md|loop|rbd|bcache|zd|pmem)\d+)$/.test(node);
}
