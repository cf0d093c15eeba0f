/** Guests that libvirt knows, by its files: its daemon need not run. */
import { dirname } from 'node:path/posix';
import { defineFact, Unknown } from '../../check/asking.ts';
import type { Asking } from '../../check/types.ts';
import { fromByteString, showName, toByteString } from '../../names.ts';
import { commandLines } from '../command-lines.ts';
import { attempt, type Guest, type Guests, type Unjudged, unjudgedFile } from './consumer.ts';
import { decodeUtf8, type Files, readFiles, XML_SECRETS } from './files.ts';
import { type Domain, type Pool, parseDomain, parsePool } from './libvirt-xml.ts';

const DEFINED = '/etc/libvirt/qemu';
const AUTOSTARTED = '/etc/libvirt/qemu/autostart';
const POOLS = '/etc/libvirt/storage';
const LIVE = '/run/libvirt/qemu';
/** The daemon, of either kind, starts what is marked; the last one starts what ran when the host went down. */
const STARTERS = ['libvirtd.service', 'virtqemud.service', 'libvirt-guests.service'];

interface Read {
  /** One character a byte. */
  path: string;
  domain: Domain;
}

const FILES = { directories: [DEFINED, AUTOSTARTED, POOLS, LIVE], pattern: '*.xml', depth: 1, script: XML_SECRETS } as const;

export const libvirtGuests = defineFact('consumers.libvirt', function* (): Asking<Guests & { pids: number[] }> {
  const files = yield* attempt(readFiles(FILES));
  if ('why' in files) {
    return { guests: [], pids: [], unjudged: [{ subject: { kind: 'directory', name: '/etc/libvirt' }, why: files.why }] };
  }
  const { guests, unjudged } = guestsOf(files);
  const isRunning = guests.some(({ isUp }) => isUp) ? yield* attempt(commandLines()) : undefined;
  // A crash may leave the state of a guest that runs no more.
  const ended = (guest: Guest & { pid: number | undefined }) =>
    guest.pid !== undefined &&
    isRunning !== undefined &&
    !('why' in isRunning) &&
    isRunning.gaps.length === 0 &&
    isRunning.lines.length > 0 &&
    !isRunning.lines.some(({ pid }) => pid === guest.pid);
  const alive = guests.map((guest) => ({ ...guest, isUp: guest.isUp && !ended(guest) }));
  return {
    guests: alive.map(({ pid: _, ...guest }) => guest),
    pids: alive.flatMap(({ pid, isUp }) => (isUp && pid !== undefined ? [pid] : [])),
    unjudged,
  };
});

/** Where libvirt itself mounts storage pools, one character a byte. `Unknown` where a pool could not be read. */
export const libvirtMountPoints = defineFact('consumers.libvirt-pools', function* (): Asking<string[]> {
  const files = yield* readFiles(FILES);
  const unread = files.unjudged.find(({ subject }) => `${toByteString(subject.name)}/`.startsWith(`${POOLS}/`));
  if (unread !== undefined) {
    throw new Unknown(`${showName(unread.subject.name)}: ${unread.why}`);
  }
  const pools = [...files.texts].filter(([path]) => dirname(path) === POOLS).map(([, text]) => parsePool(decodeUtf8(text)));
  return pools.flatMap(({ type, directory }) =>
    ['fs', 'netfs'].includes(type) && directory !== undefined ? [toByteString(directory)] : [],
  );
});

/** `pid`: of the process that its state names. */
function guestsOf(files: Files): { guests: (Guest & { pid: number | undefined })[]; unjudged: Unjudged[] } {
  const unjudged = [...files.unjudged];
  const inDirectory = (directory: string) => [...files.texts].filter(([path]) => dirname(path) === directory);
  const parse = <T>([path, text]: [string, string], parser: (text: string) => T): T[] => {
    try {
      return [parser(decodeUtf8(text))];
    } catch (error) {
      if (!(error instanceof Unknown)) {
        throw error;
      }
      unjudged.push(unjudgedFile(fromByteString(path), error.message));
      return [];
    }
  };
  const pools = new Map(inDirectory(POOLS).flatMap((file) => parse(file, parsePool).map((pool): [string, Pool] => [pool.name, pool])));
  const domains = (directory: string) =>
    inDirectory(directory).flatMap((file) =>
      parse(file, (text) => parseDomain(text, pools)).map((domain): Read => ({ path: file[0], domain })),
    );
  const defined = domains(DEFINED);
  const live = domains(LIVE).filter(({ domain }) => domain.state !== undefined && domain.state !== 'shutoff');
  const started = new Set(
    files.listed
      .filter(({ path, type }) => type !== 'd' && dirname(path) === AUTOSTARTED)
      .map(({ path }) => path.slice(AUTOSTARTED.length + 1).replace(/\.once$/, '')),
  );
  const guests = [...defined, ...live.filter(({ domain }) => !defined.some((each) => isSame(each.domain, domain)))].map((own) => {
    const state = live.find(({ domain }) => isSame(domain, own.domain));
    const disks = state === undefined || state === own ? own.domain.disks : withoutTwins(state.domain.disks, own.domain.disks);
    for (const { target, pool, volume } of own.domain.unresolved) {
      const why = `its ${target} is volume ${volume} of the storage pool ${pool}, which ${POOLS} does not define`;
      unjudged.push({ subject: { kind: 'guest', name: own.domain.name }, why });
    }
    const atBoot = dirname(own.path) === DEFINED && started.has(own.path.slice(DEFINED.length + 1));
    const shown = own.domain.disks.map((disk) => `${disk.target}: ${disk.images.map(({ path }) => showName(path)).join(' on ')}`);
    return {
      kind: 'guest' as const,
      name: own.domain.name,
      atBoot,
      isUp: state !== undefined,
      disks: disks.map(({ images, closed }) => ({ images, closed })),
      evidence: {
        source: showName(fromByteString(own.path)),
        at: files.at,
        excerpt: [...shown, ...(atBoot ? ['autostart'] : [])].join('; '),
      },
      unit: null,
      starters: STARTERS,
      nofail: false,
      pid: state?.domain.pid,
    };
  });
  return { guests, unjudged };
}

function isSame(one: Domain, other: Domain): boolean {
  return one.uuid === other.uuid && one.name === other.name;
}

/** What runs tells more of a chain than what was defined. */
function withoutTwins(live: Domain['disks'], defined: Domain['disks']): Domain['disks'] {
  const open = new Set(live.flatMap(({ images }) => images.map(({ path }) => toByteString(path))));
  return [...live, ...defined.filter(({ images }) => !images.some(({ path }) => open.has(toByteString(path))))];
}
