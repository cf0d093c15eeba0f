import { dirname, normalize } from 'node:path/posix';
import { defineFact, outputOf, run, Unknown, whyNot } from '../check/asking.ts';
import type { Asking, Seen } from '../check/types.ts';
import { fromByteString, type Name, toByteString } from '../names.ts';
import { type Inode, parseInode } from './in-use-inodes.ts';

export interface BlockDevice {
  /** `major:minor`, decimal. */
  device: string;
  /** The kernel's name: `dm-0`, `loop0p1`. */
  name: string;
  /** Its directory below /sys/devices. */
  directory: string;
}

/** A node below /dev, or a link there to one. */
export interface DeviceNode {
  path: Name;
  inode: Inode & { device: string };
}

export interface BlockDevices {
  seen: Seen;
  devices: ReadonlyMap<string, BlockDevice>;
  nodes: DeviceNode[];
  /** Path of a node or link, one character a byte → `major:minor`. */
  byPath: ReadonlyMap<string, string>;
}

const ARGV = [
  ...['find', '/sys/dev/block', '/dev', '-xdev', '-type', 'l', '-printf', '%p\\0l%l\\0'],
  ...['-o', '-type', 'b', '-exec', 'stat', '--printf', '%n\\0b%f %d %i %t:%T\\0', '{}', '+'],
];

/** All block devices of the machine, and their names below /dev. Follows no link, opens nothing. */
export const blockDevices = defineFact('in-use.block-devices', function* (): Asking<BlockDevices> {
  const answer = yield* run(ARGV);
  // A node that went away meanwhile makes find end with 1.
  if (answer.state !== 'ok' || answer.code > 1) {
    throw new Unknown(`the block devices could not be listed: ${whyNot(answer)}`);
  }
  const words = outputOf(answer).split('\0');
  const devices = new Map<string, BlockDevice>();
  const nodes: DeviceNode[] = [];
  const links = new Map<string, string>();
  for (let at = 0; at + 1 < words.length; at += 2) {
    const [path, value] = [words[at] as string, (words[at + 1] as string).slice(1)];
    const device = /^\/sys\/dev\/block\/(\d+:\d+)$/.exec(path)?.[1];
    if (device !== undefined) {
      // 259:0 → ../../devices/virtual/block/loop0/loop0p1; the kernel writes ! for a slash in a name.
      const directory = normalize(`/sys/dev/block/${value}`);
      devices.set(device, { device, name: directory.slice(dirname(directory).length + 1).replaceAll('!', '/'), directory });
    } else if (words[at + 1]?.startsWith('l')) {
      links.set(path, normalize(value.startsWith('/') ? value : `${dirname(path)}/${value}`));
    } else {
      const inode = parseInode(value);
      if (inode?.device !== undefined) {
        nodes.push({ path: fromByteString(path), inode: { ...inode, device: inode.device } });
        links.set(path, path);
      }
    }
  }
  if (devices.size === 0) {
    throw new Unknown('no block device is listed in /sys/dev/block');
  }
  return { seen: { source: '/sys/dev/block, /dev', at: answer.at }, devices, nodes, byPath: resolve(links, nodes) };
});

const HOPS = 10;

/** Links below /dev lead to nodes below /dev, /dev/vg/lv to /dev/dm-0, mostly at once. */
function resolve(links: ReadonlyMap<string, string>, nodes: readonly DeviceNode[]): Map<string, string> {
  const byPath = new Map(nodes.map(({ path, inode }) => [toByteString(path), inode.device]));
  const resolved = new Map<string, string>();
  for (const path of links.keys()) {
    let at: string | undefined = path;
    for (let hop = 0; hop < HOPS && at !== undefined && !byPath.has(at); hop++) {
      at = links.get(at);
    }
    const device = at === undefined ? undefined : byPath.get(at);
    if (device !== undefined) {
      resolved.set(path, device);
    }
  }
  return resolved;
}

/** All names of a device below /dev. */
export function namesOf({ devices, byPath }: BlockDevices, device: string): Name[] {
  const kernel = devices.get(device)?.name;
  const paths = [...byPath].filter(([, each]) => each === device).map(([path]) => path);
  return [...new Set([...(kernel === undefined ? [] : [`/dev/${kernel}`]), ...paths])].map(fromByteString);
}

/** The device, its partitions, and where it is a partition, its whole disk: use of any of them is use of it. */
export function relatedDevices({ devices }: BlockDevices, device: string): BlockDevice[] {
  const own = devices.get(device);
  if (own === undefined) {
    return [];
  }
  return [...devices.values()].filter(
    ({ directory }) => directory === own.directory || dirname(directory) === own.directory || directory === dirname(own.directory),
  );
}
