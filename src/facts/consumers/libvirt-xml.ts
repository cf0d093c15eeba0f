/** Guests and storage pools as libvirt keeps them, https://libvirt.org/formatdomain.html and formatstorage.html */
import { Unknown } from '../../check/asking.ts';
import type { Disk, Image } from './consumer.ts';
import { attributeAt, type Element, elementsAt, parseXml, textAt } from './xml.ts';

export interface Domain {
  name: string;
  uuid: string;
  /** Of a guest that libvirt has started: its state, `running`, `paused`, … */
  state: string | undefined;
  pid: number | undefined;
  disks: (Disk & { target: string })[];
  /** Disks that are volumes of a pool that is not known. */
  unresolved: { target: string; pool: string; volume: string }[];
}

export interface Pool {
  name: string;
  /** `logical`, `dir`, … */
  type: string;
  /** Where its volumes lie; undefined where they are no files and no devices of a group. */
  directory: string | undefined;
}

/** A definition, or what libvirt keeps of a guest while that runs. */
export function parseDomain(text: string, pools: ReadonlyMap<string, Pool>): Domain {
  const root = parseXml(text);
  const domain = root.name === 'domstatus' ? elementsAt(root, 'domain')[0] : root;
  const name = domain === undefined ? undefined : textAt(domain, 'name');
  if (domain?.name !== 'domain' || name === undefined) {
    throw new Unknown(`it holds ${root.name}, and a domain with a name was expected`);
  }
  const disks: Domain['disks'] = [];
  const unresolved: Domain['unresolved'] = [];
  for (const disk of elementsAt(domain, 'devices', 'disk')) {
    const target = attributeAt(disk, 'target', 'dev') ?? 'disk';
    const chain = chainOf(disk, attributeAt(disk, 'driver', 'type') ?? 'raw', pools);
    // Where it is not there, the guest starts without it.
    if (attributeAt(disk, 'source', 'startupPolicy') === 'optional') {
      continue;
    }
    unresolved.push(...chain.unresolved.map((each) => ({ target, ...each })));
    if (chain.images.length > 0) {
      disks.push({ target, images: chain.images, closed: chain.closed });
    }
    for (const other of [...elementsAt(disk, 'mirror'), ...elementsAt(disk, 'source', 'dataStore')]) {
      disks.push(...sourcesOf(other).map((path) => ({ target, images: [{ path, format: 'raw' }], closed: true })));
    }
  }
  for (const other of [...elementsAt(domain, 'os', 'nvram'), ...elementsAt(domain, 'devices', 'filesystem')]) {
    const target = attributeAt(other, 'target', 'dir') ?? other.name;
    disks.push(...sourcesOf(other).map((path) => ({ target, images: [{ path, format: 'raw' }], closed: true })));
  }
  const pid = root.name === 'domstatus' ? Number(root.attributes['pid']) : Number.NaN;
  return {
    name,
    uuid: textAt(domain, 'uuid') ?? '',
    state: root.name === 'domstatus' ? (root.attributes['state'] ?? '') : undefined,
    pid: pid > 0 ? pid : undefined,
    disks,
    unresolved,
  };
}

interface Chain {
  images: Image[];
  closed: boolean;
  unresolved: { pool: string; volume: string }[];
}

/** A disk and what libvirt says lies below it. An empty `<backingStore/>` ends a chain; where there is none, nobody has looked. */
function chainOf(disk: Element, topFormat: string, pools: ReadonlyMap<string, Pool>): Chain {
  const images: Image[] = [];
  const unresolved: Chain['unresolved'] = [];
  let closed = false;
  let format = topFormat;
  for (let at: Element | undefined = disk; at !== undefined; ) {
    const [pool, volume] = [attributeAt(at, 'source', 'pool'), attributeAt(at, 'source', 'volume')];
    const paths = sourcesOf(at);
    if (pool !== undefined && volume !== undefined) {
      const known = pools.get(pool);
      if (known === undefined) {
        unresolved.push({ pool, volume });
      } else if (known.directory !== undefined) {
        paths.push(named(`${known.directory.replace(/\/$/, '')}/${volume}`));
      }
    }
    images.push(...paths.map((path) => ({ path, format })));
    // Of what lies elsewhere (a network, an unknown pool) nothing further down can be asked here.
    const isHere = paths.length > 0;
    const below: Element | undefined = elementsAt(at, 'backingStore')[0];
    closed = !isHere || (below !== undefined && elementsAt(below, 'source').length === 0);
    at = closed && isHere ? undefined : below;
    format = (below && attributeAt(below, 'format', 'type')) ?? 'raw';
  }
  return { images, closed, unresolved };
}

function sourcesOf(element: Element): string[] {
  return elementsAt(element, 'source').flatMap(({ attributes }) =>
    ['dev', 'file', 'dir'].flatMap((attribute) => (attributes[attribute] ? [named(attributes[attribute])] : [])),
  );
}

export function parsePool(text: string): Pool {
  const root = parseXml(text);
  const [name, type] = [textAt(root, 'name'), root.attributes['type']];
  if (root.name !== 'pool' || name === undefined || type === undefined) {
    throw new Unknown(`it holds ${root.name}, and a pool with a name and a type was expected`);
  }
  const target = textAt(root, 'target', 'path');
  // libvirt itself goes by the group's name, and a pool without one is called like its group.
  const directory = type === 'logical' ? `/dev/${textAt(root, 'source', 'name') ?? name}` : target;
  return {
    name,
    type,
    directory: ['logical', 'dir', 'fs', 'netfs'].includes(type) && directory !== undefined ? named(directory) : undefined,
  };
}

/** `Unknown` for what can be no path. */
function named(path: string): string {
  if (path.includes('\0') || !path.isWellFormed()) {
    throw new Unknown('it names a path that can be none');
  }
  return path;
}
