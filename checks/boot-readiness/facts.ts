/** What this check needs to know. */
import { defineFact, NotHere, Unknown } from '../../src/check/asking.ts';
import type { Asking, Facts, Seen } from '../../src/check/types.ts';
import { bootFiles, imageContents } from '../../src/facts/boot-files.ts';
import { attempt, type Unjudged, unjudgedFile } from '../../src/facts/consumers/consumer.ts';
import { type Crypttab, crypttab } from '../../src/facts/consumers/crypttab.ts';
import { guestsWithChains } from '../../src/facts/consumers/index.ts';
import { libvirtMountPoints } from '../../src/facts/consumers/libvirt.ts';
import { deviceLinks } from '../../src/facts/device-links.ts';
import { namedDevices } from '../../src/facts/device-names.ts';
import { deviceTags } from '../../src/facts/device-tags.ts';
import { type Fstab, fstab } from '../../src/facts/fstab.ts';
import { followLinks } from '../../src/facts/links.ts';
import { type Looked, lookAt } from '../../src/facts/look.ts';
import { type Lvm, lvmIfHere } from '../../src/facts/lvm/index.ts';
import { layers } from '../../src/facts/lvm/layers.ts';
import { mayHang } from '../../src/facts/mount-kinds.ts';
import { mountUsers } from '../../src/facts/mount-users.ts';
import { mountOf, mountTable } from '../../src/facts/mountinfo.ts';
import { nfsExports } from '../../src/facts/nfs-exports.ts';
import { self } from '../../src/facts/process.ts';
import { bootOrder } from '../../src/facts/start-order.ts';
import { swaps } from '../../src/facts/swaps.ts';
import { init, units } from '../../src/facts/units.ts';
import { fromByteString, type Name, toByteString } from '../../src/names.ts';
import { type BootLine, isImage, isLate, readLines, sourceDevice } from './lines-of-fstab.ts';
import { type ByHand, isByHand } from './missing-line/by-hand.ts';

const LIMIT = 2000;

export interface Lines {
  seen: Seen;
  lines: BootLine[];
  unjudged: Unjudged[];
  /** Why some targets are taken as they are written: what is mounted there may not be known. */
  why?: string;
}

/** Whether this host boots by itself; `hasSystemd` undefined: it could not be told. */
const boots = defineFact('boot-readiness.boots', function* (): Asking<{ hasSystemd: boolean | undefined }> {
  const found = yield* init();
  if (found?.container === true) {
    throw new NotHere('this is a container: its host boots, and not it');
  }
  if (found?.systemd === false) {
    const read = yield* attempt(fstab());
    if (!('why' in read) && read.lines.length + read.strange.length === 0) {
      throw new NotHere('no systemd runs here, and /etc/fstab names nothing');
    }
    const own = yield* self();
    if (own.uid < 0) {
      throw new Unknown('/proc could not be read');
    }
    if (!own.seesAllProcesses) {
      throw new NotHere('this is a container: its host boots, and not it');
    }
  }
  return { hasSystemd: found?.systemd };
});

/** The lines of /etc/fstab, with what their names lead to and what is mounted at their places. */
const lines = defineFact('boot-readiness.lines', function* (): Asking<Lines> {
  const { hasSystemd } = yield* boots();
  const read: Fstab | { why: string } = yield* attempt(fstab());
  if ('why' in read) {
    return { seen: { source: '/etc/fstab', at: '' }, lines: [], unjudged: [unjudgedFile('/etc/fstab', read.why)] };
  }
  const unjudged = read.strange.map(({ number, text }): Unjudged => {
    const why = `line ${number} is of no known format: ${text.slice(0, 80)}`;
    return { subject: { kind: 'file', name: '/etc/fstab', key: `line ${number}` }, why };
  });
  const table = yield* mountTable();
  const named = yield* namedDevices(read.lines.flatMap((line) => sourceDevice(line) ?? []));
  const points = new Set(table.mounts.map(({ point }) => toByteString(point)));
  const open = read.lines
    .map(({ target }) => target)
    .filter((target) => toByteString(target).startsWith('/') && !points.has(toByteString(target)));
  const resolved = open.length === 0 ? new Map<string, Name>() : yield* followLinks(open, table);
  const isLost = open.some((target) => !resolved.has(toByteString(target)));
  return {
    seen: read.seen,
    lines: readLines(read.lines, { hasSystemd: hasSystemd !== false, table, named, resolved }),
    unjudged,
    ...(isLost && { why: 'links on the way to a target of /etc/fstab could not be followed' }),
  };
});

interface Crypt extends Crypttab {
  seen: Seen;
  why?: string;
}

const crypt = defineFact('boot-readiness.crypt', function* (): Asking<Crypt> {
  yield* boots();
  const read = yield* attempt(crypttab());
  return 'why' in read ? { seen: { source: '/etc/crypttab', at: '' }, lines: [], strange: [], why: read.why } : read;
});

/** What the names in crypttab lead to, and the names of what it opens. By name, one character a byte. */
const cryptDevices = defineFact('boot-readiness.crypt-devices', function* () {
  const { lines: found } = yield* crypt();
  return yield* namedDevices(found.flatMap(({ name, source }) => [source, fromByteString(`/dev/mapper/${toByteString(name)}`)]));
});

const tags = defineFact('boot-readiness.tags', function* () {
  yield* boots();
  return yield* deviceTags();
});

const stack = defineFact('boot-readiness.stack', function* () {
  yield* boots();
  return yield* layers();
});

const links = defineFact('boot-readiness.links', function* () {
  yield* boots();
  return yield* deviceLinks();
});

const guests = defineFact('boot-readiness.guests', function* () {
  yield* boots();
  return yield* guestsWithChains();
});

/** Files that have to be there at boot: images, swap files and keys. By path, one character a byte. */
const files = defineFact('boot-readiness.files', function* (): Asking<ReadonlyMap<string, Looked | { state: 'not-looked'; why: string }>> {
  const wanted = [
    ...(yield* lines()).lines.filter(isImage).map(({ line }) => line.source),
    ...(yield* crypt()).lines.flatMap(({ key }) => (key === undefined || !/^\/(?!dev\/)[^:]+$/.test(key) ? [] : [fromByteString(key)])),
  ];
  const table = yield* mountTable();
  const looked = new Map<string, Looked | { state: 'not-looked'; why: string }>();
  const open: Name[] = [];
  const resolved = wanted.length === 0 ? new Map<string, Name>() : yield* followLinks(wanted, table);
  for (const path of wanted) {
    const way = resolved.get(toByteString(path));
    const on = way === undefined ? undefined : mountOf(table, way);
    if (on === undefined || mayHang(on)) {
      looked.set(toByteString(path), { state: 'not-looked', why: 'the way there leads through a mount that may hang' });
    } else {
      open.push(path);
    }
  }
  for (const [path, found] of open.length === 0 ? [] : yield* lookAt(open, LIMIT)) {
    looked.set(path, found);
  }
  return looked;
});

/** Mounts that nothing would mount at the next boot. */
const byHand = defineFact('boot-readiness.by-hand', function* (): Asking<ByHand> {
  const { lines: configured, unjudged, why } = yield* lines();
  const known = yield* units();
  const table = yield* mountTable();
  if (unjudged.some(({ subject }) => subject.key === undefined)) {
    return { mounts: [] };
  }
  const pools = yield* attempt(libvirtMountPoints());
  const unknown = why ?? (known.state === 'unknown' ? known.why : 'why' in pools ? pools.why : undefined);
  if (unknown !== undefined || 'why' in pools) {
    return { mounts: [], why: unknown ?? '' };
  }
  const wanted = new Set(configured.flatMap(({ line, point }) => [toByteString(line.target), point]));
  const managed = new Set([
    ...pools,
    ...(known.state === 'known' ? known.units : []).flatMap(({ where, fragmentPath }) =>
      where !== undefined && fragmentPath !== '' ? [toByteString(where)] : [],
    ),
  ]);
  return {
    mounts: table.mounts.filter(
      (mount) => isByHand(mount, table) && !wanted.has(toByteString(mount.point)) && !managed.has(toByteString(mount.point)),
    ),
  };
});

/** Asked only where something could be started before its storage, or stands on what is mounted by hand. */
const order = defineFact('boot-readiness.order', function* () {
  const { hasSystemd } = yield* boots();
  const isAsked = hasSystemd === true && (yield* pointsInQuestion()).length > 0;
  return isAsked ? yield* bootOrder() : undefined;
});

const users = defineFact('boot-readiness.users', function* () {
  const { hasSystemd } = yield* boots();
  return hasSystemd === true ? yield* mountUsers(yield* pointsInQuestion()) : { files: [] };
});

const pointsInQuestion = defineFact('boot-readiness.points', function* (): Asking<Name[]> {
  const late = (yield* lines()).lines.filter((line) => isLate(line) && line.mounted !== undefined).map(({ point }) => point);
  const { mounts } = yield* byHand();
  return [...new Set([...late, ...mounts.map(({ point }) => toByteString(point))])].map(fromByteString);
});

const exported = defineFact('boot-readiness.exports', function* () {
  const { mounts } = yield* byHand();
  return mounts.length === 0 ? undefined : yield* nfsExports();
});

const swapped = defineFact('boot-readiness.swaps', function* () {
  yield* boots();
  return yield* swaps();
});

/** Asked only where a name of the kind that volumes have leads nowhere. */
const lvm = defineFact('boot-readiness.lvm', function* (): Asking<Lvm | { why: string } | undefined> {
  const missing = (yield* lines()).lines.some(
    ({ line, device }) => device?.state === 'missing' && /^\/dev\/(?!disk\/)[^/]+\/[^/]+$/.test(toByteString(line.source)),
  );
  return missing ? yield* attempt(lvmIfHere()) : undefined;
});

const boot = defineFact('boot-readiness.boot-files', function* () {
  yield* boots();
  return yield* bootFiles();
});

/** What the initramfs of the newest kernel holds: asked only where the root stands on more than a disk. */
const initramfs = defineFact('boot-readiness.initramfs', function* () {
  const below = yield* stack();
  const table = yield* mountTable();
  const root = table.mounts.find(({ id, point }) => table.visible.has(id) && toByteString(point) === '/');
  const { kernels, images } = yield* boot();
  const image = images.get(kernels[0] ?? '');
  const isStacked = below.devices.some(({ device, type }) => device === root?.device && !['disk', 'part'].includes(type));
  return isStacked && image !== undefined ? yield* imageContents(image.path) : undefined;
});

export const needs = {
  boots,
  lines,
  crypt,
  cryptDevices,
  tags,
  stack,
  links,
  guests,
  files,
  byHand,
  order,
  users,
  exported,
  swapped,
  lvm,
  boot,
  initramfs,
  units,
  table: mountTable,
};

export type BootFacts = Facts<typeof needs>;
