/** Which services of systemd have something open below given mount points. */
import { defineFact, outputOf, run, whyNot } from '../check/asking.ts';
import type { Answer, Asking, Seen } from '../check/types.ts';
import { fromByteString, type Name, toByteString } from '../names.ts';
import { serviceOf } from './cgroups.ts';

export interface OpenFile {
  pid: number;
  service: string;
  /** One character a byte. */
  path: string;
  /** One of the points that were asked about, one character a byte. */
  point: string;
  seen: Seen;
}

export interface MountUsers {
  files: OpenFile[];
  /** Why there may be more. */
  why?: string;
}

const LIMIT = 10_000;
const END = '/dev/null';

/** Links in /proc are read, and nothing below the points is touched. One child for all processes. */
export const mountUsers = defineFact('mount-users', function* (points: Name[]): Asking<MountUsers> {
  const names = points.map(toByteString);
  if (names.length === 0) {
    return { files: [] };
  }
  const below = names.flatMap((name) => [
    '-o',
    '-lname',
    fromByteString(`${asPattern(name)}/*`),
    '-o',
    '-lname',
    fromByteString(asPattern(name)),
  ]);
  const answer = yield* run(
    [
      ...['find', '/proc', END, '-maxdepth', '3', '-regextype', 'posix-egrep'],
      ...['(', '-path', END, '-o', '-regex', '/proc/[0-9]+/(cwd|fd/[0-9]+)', '(', ...below.slice(1), ')', ')'],
      ...['-printf', '%p\\0%l\\0'],
    ],
    { limitMs: LIMIT, suspect: true },
  );
  const fields = outputOf(answer).split('\0');
  if (answer.state !== 'ok' || fields.at(-3) !== END) {
    return { files: [], why: answer.state === 'ok' ? 'the open files did not come whole' : whyNot(answer) };
  }
  const links: [pid: number, path: string][] = [];
  for (let at = 0; at + 3 < fields.length; at += 2) {
    links.push([Number((fields[at] as string).split('/')[2]), fields[at + 1] as string]);
  }
  const services = yield* servicesOf([...new Set(links.map(([pid]) => pid))]);
  if ('why' in services) {
    return { files: [], why: services.why };
  }
  const seen = { source: '/proc/*/fd', at: answer.at };
  const files = links.flatMap(([pid, path]): OpenFile[] => {
    const service = services.get(pid);
    const point = names.filter((name) => path === name || path.startsWith(`${name}/`)).toSorted((a, b) => b.length - a.length)[0];
    return service === undefined || point === undefined ? [] : [{ pid, service, path, point, seen }];
  });
  return { files, ...refused(answer) };
});

/** Processes come and go; those that may not be looked at are another matter. */
function refused(answer: Answer): { why?: string } {
  const line = answer.state === 'ok' ? answer.err.split('\n').find((each) => each.endsWith(': Permission denied')) : undefined;
  return line === undefined ? {} : { why: 'not every process could be looked at: it needs root' };
}

/** Without those that have ended meanwhile. */
function* servicesOf(pids: number[]): Asking<ReadonlyMap<number, string> | { why: string }> {
  if (pids.length === 0) {
    return new Map();
  }
  const answer = yield* run(['grep', '-sH', '', ...pids.map((pid) => `/proc/${pid}/cgroup`)]);
  if (answer.state !== 'ok' || !/^\/proc\/.*\n$/s.test(outputOf(answer))) {
    return { why: `of which service the processes are: ${answer.state === 'ok' ? 'the answer did not come whole' : whyNot(answer)}` };
  }
  const texts = new Map<number, string>();
  // /proc/972/cgroup:0::/system.slice/mariadb.service
  for (const [, pid, line] of outputOf(answer).matchAll(/^\/proc\/(\d+)\/cgroup:(.*)$/gm)) {
    texts.set(Number(pid), `${texts.get(Number(pid)) ?? ''}${line}\n`);
  }
  return new Map([...texts].flatMap(([pid, text]) => (serviceOf(text) === undefined ? [] : [[pid, serviceOf(text) as string] as const])));
}

/** Taken as it is, whatever stars and brackets it holds. */
function asPattern(path: string): string {
  return path.replace(/[\\*?[\]]/g, '\\$&');
}
