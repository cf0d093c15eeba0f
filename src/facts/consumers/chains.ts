/** From the images that guests name down to what these stand on. */
import { dirname, join } from 'node:path/posix';
import type { Asking } from '../../check/types.ts';
import { fromByteString, isBelow, type Name, sameName, showName, toByteString } from '../../names.ts';
import { followLinks } from '../links.ts';
import { isNetwork, mayHang } from '../mount-kinds.ts';
import { type MountTable, mountOf, mountTable } from '../mountinfo.ts';
import { attempt, type Disk, type Image, isAbsolute } from './consumer.ts';
import { keyOf, type Looked, lookAtImages } from './images.ts';
import { type SuspendedDevices, suspendedDevices } from './suspended-devices.ts';

const DEEP_AT_MOST = 64;

/** What was learned of each image that was asked, by `keyOf`. */
export type Levels = ReadonlyMap<string, Looked>;

/** Level by level, all guests at the same time. A raw image stands on nothing. */
export function* walkDown(disks: readonly Disk[]): Asking<Levels> {
  const levels = new Map<string, Looked>();
  let open = disks.flatMap(({ images, closed }) => (closed ? [] : images.slice(-1)));
  for (let depth = 0; depth < DEEP_AT_MOST; depth++) {
    const next = new Map(open.filter((image) => mayStand(image) && !levels.has(keyOf(image))).map((image) => [keyOf(image), image]));
    if (next.size === 0) {
      break;
    }
    for (const [key, looked] of yield* lookAtLevel([...next.values()])) {
      levels.set(key, looked);
    }
    open = [...next.keys()].flatMap((key) => {
      const looked = levels.get(key);
      return looked?.state === 'looked' && looked.below !== undefined ? [looked.below] : [];
    });
  }
  return levels;
}

function mayStand({ path, format }: Image): boolean {
  return format !== 'raw' && isAbsolute(path);
}

function* lookAtLevel(images: readonly Image[]): Asking<Map<string, Looked>> {
  const levels = new Map<string, Looked>();
  const unknown = (image: Image, why: string) => levels.set(keyOf(image), { state: 'unknown', why });
  const grounds = yield* attempt(groundsOf(images));
  if ('why' in grounds) {
    for (const image of images) {
      unknown(image, grounds.why);
    }
    return levels;
  }
  const byFormat = new Map<string | undefined, Map<string, Image[]>>();
  for (const image of images) {
    const path = grounds.resolved.get(toByteString(image.path));
    const why = path === undefined ? 'the links on the way there could not be followed' : whyNotOpened(path, grounds);
    if (path !== undefined && isServed(path, grounds.table)) {
      levels.set(keyOf(image), { state: 'looked', format: image.format ?? 'raw', below: undefined });
      continue;
    }
    if (path === undefined || why !== undefined) {
      unknown(image, why ?? '');
      continue;
    }
    const paths = byFormat.get(image.format) ?? new Map<string, Image[]>();
    paths.set(toByteString(path), [...(paths.get(toByteString(path)) ?? []), image]);
    byFormat.set(image.format, paths);
  }
  for (const [format, paths] of byFormat) {
    for (const [path, looked] of yield* lookAtImages([...paths.keys()], format)) {
      for (const image of paths.get(path) ?? []) {
        levels.set(keyOf(image), settled(looked, image));
      }
    }
  }
  return levels;
}

/** Where a name is relative, it is so to the image as that was named, which may be a link. */
function settled(looked: Looked, image: Image): Looked {
  if (looked.state !== 'looked' || looked.below === undefined) {
    return looked;
  }
  const path = toByteString(looked.below.path);
  // nbd://host/disk, rbd:pool/disk
  const isElsewhere = /^[A-Za-z][A-Za-z0-9+.-]*:/.test(path);
  return path.startsWith('/') || isElsewhere
    ? looked
    : { ...looked, below: { ...looked.below, path: fromByteString(join(dirname(toByteString(image.path)), path)) } };
}

interface Grounds {
  table: MountTable;
  resolved: ReadonlyMap<string, Name>;
  suspended: SuspendedDevices;
}

function* groundsOf(images: readonly Image[]): Asking<Grounds> {
  const table = yield* mountTable();
  const suspended = yield* suspendedDevices();
  const resolved = yield* followLinks(
    images.map(({ path }) => path),
    table,
  );
  return { table, resolved, suspended };
}

/** By another machine: it does not stand on a volume of this one. */
function isServed(path: Name, table: MountTable): boolean {
  const on = mountOf(table, path);
  return on !== undefined && isNetwork(on);
}

/** A clause, where opening it might never end. */
function whyNotOpened(path: Name, { table, suspended }: Grounds): string | undefined {
  const hanging = table.mounts.find((mount) => mayHang(mount) && (sameName(mount.point, path) || isBelow(path, mount.point)));
  if (hanging !== undefined) {
    return `it lies on ${showName(hanging.point)} (${hanging.fstype}), which may hang`;
  }
  const node = /^\/dev\/([^/]+)$/.exec(toByteString(path))?.[1];
  const on = mountOf(table, path);
  const isSuspended = (node !== undefined && suspended.names.has(node)) || (on !== undefined && suspended.numbers.has(on.device));
  return isSuspended ? 'its device is suspended, and whoever opens that would wait' : undefined;
}

export interface Chain {
  /** Base first. */
  images: Image[];
  /** Why this is not all of it. */
  why: string | undefined;
  /** The lowest known of them is not there. */
  gone: boolean;
}

/** One disk's images, as far down as is known. */
export function chainOf({ images, closed }: Disk, levels: Levels): Chain {
  const chain = [...images];
  let why: string | undefined;
  let gone = false;
  for (let at = closed ? undefined : chain.at(-1); at !== undefined; at = chain.at(-1)) {
    const looked = levels.get(keyOf(at));
    if (looked === undefined) {
      why = mayStand(at) ? `${showName(at.path)}: more than ${DEEP_AT_MOST} images stand on each other` : undefined;
      break;
    }
    if (looked.state !== 'looked') {
      why = looked.state === 'unknown' ? `${showName(at.path)}: ${looked.why}` : hiddenBy(at.path);
      gone = looked.state === 'absent';
      break;
    }
    const { below } = looked;
    if (below === undefined) {
      break;
    }
    if (chain.some(({ path }) => sameName(path, below.path))) {
      why = `${showName(at.path)} stands on ${showName(below.path)}, which stands on it`;
      break;
    }
    chain.push(below);
  }
  return { images: chain.reverse(), why, gone };
}

function hiddenBy(path: Name): string {
  return `${showName(path)} is not there: what it stands on can be told only when it is`;
}
