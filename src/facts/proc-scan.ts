/** One look at all processes, without following a single link: what a link reads costs no I/O on what it leads to. */
import { defineFact, outputOf, run, Unknown, whyNot } from '../check/asking.ts';
import type { Answer, Asking, Seen } from '../check/types.ts';
import { fromByteString, type Name, showName, toByteString } from '../names.ts';
import { self } from './process.ts';

export interface OpenFile {
  pid: number;
  descriptor: number;
  /** What the link reads. Leaves out pipes, sockets and the like. */
  target: Name;
  /** The mount it was opened on, fdinfo's `mnt_id`: of one number space for all mount namespaces. */
  mountId?: number;
  /** The kernel's inode number, since Linux 5.14. */
  inode?: string;
}

export interface ProcScan {
  seen: Seen;
  files: OpenFile[];
  /** `mnt:[4026531841]` → its processes and threads; those that see its whole mount table first. */
  namespaces: ReadonlyMap<string, readonly { pid: number; wholeTable: boolean }[]>;
  /** The mount namespace from which is asked. */
  own: string | undefined;
  /** Mount namespaces that a descriptor keeps alive. */
  heldNamespaces: string[];
  /** Why this is not everything; empty where it is. */
  gaps: string[];
}

const LIMIT = 15_000;
const OWN = '/proc/self/ns/mnt';
// /proc/972/fd/3
const FILE = /^\/proc\/(\d+)\/fd\/(\d+)$/;
const WANTED = '/proc(/self/ns/mnt|/[0-9]+(/fd(/[0-9]+)?|/fdinfo(/[0-9]+)?|/root|/ns(/mnt)?|/task(/[0-9]+(/ns(/mnt)?)?)?)?)?';

/** Links that are wanted, below these paths or at them, and what the kernel says of the descriptors among them. */
function argvOf(paths: readonly string[]): string[] {
  return [
    ...['find', ...paths, '-maxdepth', '5', '-regextype', 'posix-egrep', '!', '-regex', WANTED, '-prune'],
    ...['-o', '-type', 'l', '-printf', '%p\\0%l\\0'],
    ...['-o', '-path', '/proc/*/fdinfo/*', '-exec', 'grep', '-HZE', '^(mnt_id|ino):', '{}', '+'],
  ];
}

/** Descriptors and mount namespaces of all processes. A thread's own table of descriptors (CLONE_FILES undone) is not seen. */
export const procScan = defineFact('proc-scan', function* (): Asking<ProcScan> {
  const answer = yield* run(argvOf([OWN, '/proc']), { limitMs: LIMIT });
  const { links, info } = parseScan(outputOf(answer), answer.state === 'ok');
  const { seesAllProcesses } = yield* self();
  const gaps = [...(seesAllProcesses ? [] : ['not every process is visible here']), ...refusals(answer, 'the processes')];
  const files = links
    .filter(([path, target]) => FILE.test(path) && target.startsWith('/'))
    .map(([path, target]) => fileOf(path, target, info));
  if (files.length > 0 && !files.some(({ mountId }) => mountId !== undefined)) {
    gaps.push('the kernel does not say on which mount a file is open');
  }
  const tasks = links.flatMap(taskOf);
  gaps.push(...(yield* endedLeaders(tasks)));
  const roots = new Map(links.filter(([path]) => path.endsWith('/root')));
  const namespaces = new Map<string, { pid: number; wholeTable: boolean }[]>();
  for (const { pid, leader, namespace } of tasks.toSorted((a, b) => a.pid - b.pid)) {
    const known = namespaces.get(namespace) ?? [];
    known.push({ pid, wholeTable: roots.get(`/proc/${leader}/root`) === '/' });
    namespaces.set(namespace, known);
  }
  for (const known of namespaces.values()) {
    known.sort((a, b) => Number(b.wholeTable) - Number(a.wholeTable));
  }
  return {
    seen: { source: '/proc/*/fd, fdinfo, root, ns/mnt', at: answer.at },
    files,
    namespaces,
    own: links.find(([path]) => path === OWN)?.[1],
    heldNamespaces: links.filter(([path, target]) => FILE.test(path) && target.startsWith('mnt:[')).map(([, target]) => target),
    gaps,
  };
});

/** Those of these descriptors that still lead where they led, or all where that is not known. */
export function* filesAgain(files: readonly OpenFile[]): Asking<OpenFile[]> {
  const paths = files.flatMap(({ pid, descriptor }) => [`/proc/${pid}/fd/${descriptor}`, `/proc/${pid}/fdinfo/${descriptor}`]);
  const answer = yield* run(argvOf(paths), { limitMs: LIMIT });
  if (answer.state !== 'ok') {
    return [...files];
  }
  const { links, info } = parseScan(outputOf(answer), true);
  const before = new Map(files.map((file) => [`/proc/${file.pid}/fd/${file.descriptor}`, toByteString(file.target)]));
  return links.filter(([path, target]) => before.get(path) === target).map(([path, target]) => fileOf(path, target, info));
}

function fileOf(path: string, target: string, info: Scanned['info']): OpenFile {
  const [, pid, descriptor] = FILE.exec(path) ?? [];
  return { pid: Number(pid), descriptor: Number(descriptor), target: fromByteString(target), ...info.get(path) };
}

/** A process, or a thread of one. */
interface Task {
  pid: number;
  leader: number;
  namespace: string;
}

function taskOf([path, namespace]: [path: string, target: string]): Task[] {
  // /proc/972/ns/mnt, /proc/972/task/973/ns/mnt
  const [, leader, thread] = /^\/proc\/(\d+)\/(?:task\/(\d+)\/)?ns\/mnt$/.exec(path) ?? [];
  return leader === undefined ? [] : [{ pid: Number(thread ?? leader), leader: Number(leader), namespace }];
}

/** A process whose first thread has ended lists no descriptors, though its other threads may have many. */
function* endedLeaders(tasks: readonly Task[]): Asking<string[]> {
  const suspects = withoutLeader(tasks);
  if (suspects.length === 0) {
    return [];
  }
  // Every process is like that for a moment when it ends.
  const answer = yield* run(argvOf(suspects.flatMap((pid) => [`/proc/${pid}/ns/mnt`, `/proc/${pid}/task`])), { limitMs: LIMIT });
  const still = answer.state === 'ok' ? withoutLeader(parseScan(outputOf(answer), true).links.flatMap(taskOf)) : suspects;
  return still.map((pid) => `process ${pid}: only some of its threads are left, and what they hold is not listed`);
}

function withoutLeader(tasks: readonly Task[]): number[] {
  const alive = new Set(tasks.filter(({ pid, leader }) => pid === leader).map(({ leader }) => leader));
  return [...new Set(tasks.map(({ leader }) => leader))].filter((leader) => !alive.has(leader));
}

interface Scanned {
  /** Path of a link → what it reads, one character a byte. Links that could not be read are left out. */
  links: [path: string, target: string][];
  /** Path of the descriptor's link → what its fdinfo says. */
  info: Map<string, { mountId?: number; inode?: string }>;
}

/** `path NUL target NUL` of links and `path NUL line NEWLINE` of fdinfo, mixed. */
function parseScan(text: string, whole: boolean): Scanned {
  const links: Scanned['links'] = [];
  const info: Scanned['info'] = new Map();
  for (let at = 0; at < text.length; ) {
    const middle = text.indexOf('\0', at);
    const path = text.slice(at, middle);
    // /proc/972/fdinfo/3
    const isInfo = path.startsWith('fdinfo/', path.indexOf('/', '/proc/'.length) + 1);
    const end = text.indexOf(isInfo ? '\n' : '\0', middle + 1);
    if (middle < 0 || end < 0 || !path.startsWith('/proc/')) {
      if (whole) {
        throw new Unknown(`find /proc printed something else than links: ${showName(fromByteString(text.slice(at, at + 80)))}`);
      }
      break;
    }
    const value = text.slice(middle + 1, end);
    at = end + 1;
    if (isInfo) {
      const link = path.replace('/fdinfo/', '/fd/');
      // mnt_id:\t27
      const [name, number] = value.split(/:\s+/);
      info.set(link, { ...info.get(link), ...(name === 'ino' ? { inode: number as string } : { mountId: Number(number) }) });
    } else if (value !== '') {
      links.push([path, value]);
    }
  }
  return { links, info };
}

/** What a child that looked at all processes could not read. Processes that ended meanwhile are no gap. */
export function refusals(answer: Answer, what: string): string[] {
  if (answer.state !== 'ok' || answer.code > 1) {
    return [`${what}: ${whyNot(answer)}`];
  }
  const lines = answer.err.split('\n').filter((line) => line !== '' && !/: No such (file or directory|process)$/.test(line));
  // find: '/proc/1/fd/0': Permission denied
  // grep: /proc/1/maps: Permission denied
  return [...new Set(lines.map((line) => line.replace(/^\w+: '?\/proc\/(\d+)\/.*: /, 'process $1: ')))];
}
