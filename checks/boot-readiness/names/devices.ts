/** Which names of a block device stay the same from boot to boot. */
import type { Tag, TaggedDevice } from '../../../src/facts/device-tags.ts';
import type { Labelled } from '../../../src/facts/lvm/layers.ts';
import type { BootFacts } from '../facts.ts';

type Known = Pick<BootFacts, 'tags' | 'links' | 'stack'>;

/** Parts of one whole: they carry its UUID, and nobody mounts them by it alone. */
const PARTS_OF_A_WHOLE = /(_member|_bluestore|^bcachefs|^drbd|^zfs.*|^bcache|^DM_)$/;
/** Names by what the device is, the most readable first. */
const BY_ID = ['ata-', 'nvme-', 'scsi-', 'virtio-', 'usb-', 'mmc-', 'wwn-', ''];
/** They say what is on it, not which it is; or change with the kernel's numbers. */
const NOT_BY_ID = /\/by-id\/(lvm-pv-uuid|dm-uuid|dm-name|md-uuid|md-name)/;

export function taggedAt(device: string, { tags }: Pick<BootFacts, 'tags'>): TaggedDevice | undefined {
  return tags.devices.find((each) => each.device === device);
}

/** Devices that answer to the same tag and are not the same thing twice: a stack, two paths, a volume and its snapshot. */
export function carriersOf(tag: Tag, value: string, known: Pick<BootFacts, 'tags' | 'stack'>): TaggedDevice[] {
  const all = known.tags.devices.filter(
    ({ tags, signature }) => tags[tag] === value && !PARTS_OF_A_WHOLE.test(signature) && !(signature === 'btrfs' && tag !== 'PARTUUID'),
  );
  const carriers: TaggedDevice[] = [];
  for (const each of all) {
    if (!carriers.some((other) => isSameThing(each, other, known))) {
      carriers.push(each);
    }
  }
  return carriers;
}

function isSameThing(a: TaggedDevice, b: TaggedDevice, { stack: { devices } }: Pick<BootFacts, 'stack'>): boolean {
  const isOnePath = a.wwn !== '' && a.wwn === b.wwn && a.tags.PARTUUID === b.tags.PARTUUID;
  const [aboveA, aboveB] = [closure(a.node, devices, upwards), closure(b.node, devices, upwards)];
  const [belowA, belowB] = [closure(a.node, devices, downwards), closure(b.node, devices, downwards)];
  const isVolume = (node: string) => devices.some((each) => each.node === node && ['lvm', 'mpath'].includes(each.type));
  return (
    isOnePath ||
    aboveA.has(b.node) ||
    aboveB.has(a.node) ||
    [...aboveA].some((node) => aboveB.has(node) && isVolume(node)) ||
    [...belowA].some((node) => belowB.has(node) && isVolume(node))
  );
}

/** The same device, or one that is made from the other: a path and its multipath map. */
export function isSameStack(a: string, b: string, { stack: { devices } }: Pick<BootFacts, 'stack'>): boolean {
  const nodes = (device: string) => devices.filter((each) => each.device === device).map(({ node }) => node);
  return (
    a === b ||
    nodes(a).some((one) => nodes(b).some((other) => closure(one, devices, upwards).has(other) || closure(other, devices, upwards).has(one)))
  );
}

/** What it is made from, and that from, and so on. */
export function belowOf(node: string, { stack: { devices } }: Pick<BootFacts, 'stack'>): string[] {
  return [...closure(node, devices, downwards)];
}

function upwards(node: string, devices: readonly Labelled[]): string[] {
  return devices.filter((each) => each.node === node).flatMap(({ above }) => above.map((name) => `/dev/${name.replaceAll('!', '/')}`));
}

function downwards(node: string, devices: readonly Labelled[]): string[] {
  const name = node.slice('/dev/'.length).replaceAll('/', '!');
  return devices.filter(({ above }) => above.includes(name)).map((each) => each.node);
}

function closure(from: string, devices: readonly Labelled[], next: typeof upwards): Set<string> {
  const found = new Set<string>();
  let open = [from];
  while (open.length > 0) {
    open = open.flatMap((node) => next(node, devices)).filter((node) => !found.has(node));
    for (const node of open) {
      found.add(node);
    }
  }
  return found;
}

/** For a file system, swap or LUKS: by what it holds, where nothing else holds the same. */
export function stableSource(device: string, known: Known): string | undefined {
  const tagged = taggedAt(device, known);
  if (tagged === undefined) {
    return undefined;
  }
  const { UUID: uuid, PARTUUID: partition } = tagged.tags;
  const mapped = namesOf(tagged.node, known).find((name) => name.startsWith('/dev/mapper/'));
  const isAlone = (tag: Tag, value: string | undefined) =>
    value !== undefined && known.stack.why === undefined && carriersOf(tag, value, known).length === 1;
  if (mapped !== undefined) {
    return mapped;
  }
  if (isAlone('UUID', uuid)) {
    return `UUID=${uuid}`;
  }
  return isAlone('PARTUUID', partition) ? `PARTUUID=${partition}` : stableNode(device, known);
}

/** For a device that is used as a whole, whatever is on it. */
export function stableNode(device: string, known: Pick<BootFacts, 'tags' | 'links'>): string | undefined {
  const tagged = taggedAt(device, known);
  const names = tagged === undefined ? [] : namesOf(tagged.node, known);
  const byId = names.filter((name) => name.startsWith('/dev/disk/by-id/') && !NOT_BY_ID.test(name));
  return (
    names.find((name) => /^\/dev\/(mapper|md|zvol)\//.test(name)) ??
    BY_ID.flatMap((start) => byId.find((name) => name.startsWith(`/dev/disk/by-id/${start}`)) ?? [])[0] ??
    names.find((name) => name.startsWith('/dev/disk/by-path/'))
  );
}

function namesOf(node: string, { links }: Pick<BootFacts, 'links'>): readonly string[] {
  return (links.byNode.get(node) ?? []).toSorted();
}
