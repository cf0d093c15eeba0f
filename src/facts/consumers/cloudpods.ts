/** Guests of Cloudpods, by the descriptions that its host agent keeps. */
import { createRequire } from 'node:module';
import { dirname } from 'node:path/posix';
import { defineFact, outputOf, run, Unknown, whyNot } from '../../check/asking.ts';
import type { Asking, Probe } from '../../check/types.ts';
import { fromByteString, isBelow, type Name, sameName, showName, toByteString } from '../../names.ts';
import { type CommandLine, commandLines } from '../command-lines.ts';
import { ERRNO, errnoAtEnd } from '../errno.ts';
import { followLinks } from '../links.ts';
import { mayHang } from '../mount-kinds.ts';
import { type MountTable, mountTable } from '../mountinfo.ts';
import { attempt, type Disk, type Guest, type Guests, type Unjudged, unjudgedFile } from './consumer.ts';
import { decodeUtf8, JSON_SECRETS, readFiles } from './files.ts';
import { disksOfQemu } from './qemu-words.ts';

const CONFIG = '/etc/yunion/host.conf';
const SERVERS = '/opt/cloud/workspace/servers';
// The NUL after it tells that it came whole. Nothing but the option that is looked for leaves the host.
const CONFIGURED: Probe & { kind: 'run' } = {
  kind: 'run',
  argv: [
    'find',
    '-L',
    CONFIG,
    '-maxdepth',
    '0',
    '-exec',
    'sed',
    '-nE',
    '/^[ \\t]*servers[-_]path[ \\t]*[:=]/p',
    '{}',
    ';',
    '-printf',
    '\\0',
  ],
};

export interface Server {
  uuid: string;
  name: string;
  /** It runs on another host, and is only described here. */
  isElsewhere: boolean;
  /** The host agent starts it when it comes up itself. */
  isDaemon: boolean;
  disks: Disk[];
  /** On storage that hosts share: the agent activates these when the guest starts, and where it runs. */
  onDemand: Disk[];
}

/** LVM of which several hosts see the disks, with or without a lock manager. */
const SHARED = new Set(['slvm', 'clvm']);

/** `Unknown` where it is no description of a guest. */
export function parseDescription(text: string): Server {
  let found: unknown;
  try {
    found = JSON.parse(text);
  } catch {
    throw new Unknown('it is not well-formed JSON');
  }
  const { uuid, name, is_volatile_host: isElsewhere, is_daemon: isDaemon, disks = [] } = asObject(found, 'it');
  if (typeof uuid !== 'string' || uuid === '') {
    throw new Unknown('it has no uuid');
  }
  if (disks !== null && !Array.isArray(disks)) {
    throw new Unknown('its disks are no list');
  }
  const own: Disk[] = [];
  const onDemand: Disk[] = [];
  for (const [index, each] of ((disks ?? []) as unknown[]).entries()) {
    const { path, format, storage_type: storage } = asObject(each, `its disk ${index}`);
    if (typeof path !== 'string' || path === '') {
      continue;
    }
    if (path.includes('\0') || !path.isWellFormed()) {
      throw new Unknown(`its disk ${index} has a path that can be none`);
    }
    const image = { path, format: typeof format === 'string' && format !== '' ? format : undefined };
    (SHARED.has(String(storage)) ? onDemand : own).push({ images: [image], closed: false });
  }
  return {
    uuid,
    name: typeof name === 'string' && name !== '' && name.isWellFormed() ? name : uuid,
    isElsewhere: isElsewhere === true,
    isDaemon: isDaemon === true,
    disks: own,
    onDemand,
  };
}

function asObject(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new Unknown(`${what} is no object`);
  }
  return value as Record<string, unknown>;
}

/** YAML, or lines of `servers_path = '/a'` as older versions write it. Undefined where no such option is set. */
export function parseServersPath(lines: string): string | undefined {
  // It takes longer to load than all the rest, and only hosts of Cloudpods have such a file.
  const { parse } = createRequire(import.meta.url)('yaml') as typeof import('yaml');
  for (const line of lines.split('\n').filter((each) => each.trim() !== '')) {
    let value: unknown;
    try {
      value = /^[ \t]*[\w-]+[ \t]*=/.test(line) ? parse(line.slice(line.indexOf('=') + 1)) : Object.values(parse(line) as object)[0];
    } catch {
      throw new Unknown(`servers_path is of no known format: ${line.trim()}`);
    }
    if (typeof value !== 'string' || !value.startsWith('/')) {
      throw new Unknown(`servers_path is ${JSON.stringify(value)}, and an absolute path was expected`);
    }
    return value;
  }
  return undefined;
}

function* serversPath(): Asking<string> {
  const answer = yield* run(CONFIGURED.argv);
  if (answer.state === 'ok' && answer.code !== 0 && errnoAtEnd(answer.err.trimEnd()) === ERRNO.ENOENT) {
    return SERVERS;
  }
  const text = outputOf(answer);
  if (answer.state !== 'ok' || answer.code !== 0) {
    throw new Unknown(whyNot(answer));
  }
  if (text.indexOf('\0') !== text.length - 1 || text === '') {
    throw new Unknown('it did not come whole');
  }
  return text === '\0' ? SERVERS : toByteString(parseServersPath(decodeUtf8(text.slice(0, -1))) ?? SERVERS);
}

export const cloudpodsGuests = defineFact('consumers.cloudpods', function* (): Asking<Guests & { pids: number[] }> {
  const path = yield* attempt(serversPath());
  if (typeof path !== 'string') {
    return { guests: [], pids: [], unjudged: [unjudgedFile(CONFIG, path.why)] };
  }
  const read = yield* attempt(descriptions(fromByteString(path)));
  if ('why' in read) {
    return { guests: [], pids: [], unjudged: [{ subject: { kind: 'directory', name: fromByteString(path) }, why: read.why }] };
  }
  const unjudged = [...read.unjudged];
  const servers = new Map<string, { server: Server; file: string }>();
  for (const [file, text] of read.texts) {
    try {
      const server = parseDescription(decodeUtf8(text));
      servers.set(server.uuid, servers.get(server.uuid) ?? { server, file });
    } catch (error) {
      if (!(error instanceof Unknown)) {
        throw error;
      }
      unjudged.push(unjudgedFile(fromByteString(file), error.message));
    }
  }
  const here = [...servers.values()].filter(({ server }) => !server.isElsewhere);
  const running = here.length === 0 ? { lines: [] } : yield* attempt(commandLines());
  const lines = 'why' in running ? [] : running.lines;
  const processes = here.map(({ server: { uuid } }) => lines.find(({ words }) => isServer(words, uuid)));
  return {
    guests: here.map(({ server, file }, index) => guestOf(server, file, processes[index], read.at)),
    pids: processes.flatMap((process) => (process === undefined ? [] : [process.pid])),
    unjudged,
  };
});

/** The description does not know whether it runs, and of most not whether it is to. */
function guestOf(
  { uuid, name, isDaemon, disks: own, onDemand }: Server,
  file: string,
  process: CommandLine | undefined,
  at: string,
): Guest {
  const disks = process === undefined ? own : [...own, ...onDemand];
  const excerpt = `${uuid}: ${disks.map(({ images }) => showName(images[0]?.path as Name)).join('; ')}`;
  return {
    kind: 'guest',
    name,
    atBoot: isDaemon,
    isUp: process !== undefined,
    disks: [...disks, ...(process === undefined ? [] : disksOfQemu(process.words))],
    evidence: { source: showName(fromByteString(file)), at, excerpt },
    unit: null,
    nofail: false,
  };
}

function isServer(words: readonly string[], uuid: string): boolean {
  return words[0]?.includes('qemu') === true && words.some((word) => word.includes(uuid));
}

/** A server's directory may be a link to one elsewhere. */
function* descriptions(servers: Name): Asking<{ at: string; texts: [path: string, text: string][]; unjudged: Unjudged[] }> {
  const table = yield* mountTable();
  const [resolved] = (yield* followLinks([servers], table)).values();
  if (resolved === undefined || mayHangAt(table, resolved)) {
    throw new Unknown(resolved === undefined ? 'the links on the way there could not be followed' : 'it lies on a mount that may hang');
  }
  const how = { pattern: 'desc', script: JSON_SECRETS };
  const files = yield* readFiles({ ...how, directories: [toByteString(resolved)], depth: 2 });
  const links = files.listed.filter(({ path, type }) => type === 'l' && dirname(path) === toByteString(resolved));
  const ways = yield* followLinks(
    links.map(({ path }) => fromByteString(path)),
    table,
  );
  const unjudged = links
    .filter(({ path }) => !ways.has(path) || mayHangAt(table, ways.get(path) as Name))
    .map(({ path }) => unjudgedFile(fromByteString(path), 'it is a link, and where it leads could not be looked at'));
  const elsewhere = [...ways.values()].filter((way) => !mayHangAt(table, way)).map(toByteString);
  const more = elsewhere.length === 0 ? undefined : yield* readFiles({ ...how, directories: elsewhere, depth: 1 });
  return {
    at: files.at,
    texts: [...files.texts, ...(more?.texts ?? [])],
    unjudged: [...files.unjudged, ...unjudged, ...(more?.unjudged ?? [])],
  };
}

function mayHangAt(table: MountTable, path: Name): boolean {
  return table.mounts.some((mount) => mayHang(mount) && (sameName(mount.point, path) || isBelow(path, mount.point)));
}
