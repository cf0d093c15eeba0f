/** Where paths lead, by reading links alone. */
import { outputOf, run } from '../check/asking.ts';
import type { Asking } from '../check/types.ts';
import { fromByteString, isBelow, type Name, toByteString } from '../names.ts';
import { parseErrors } from './look.ts';
import { mayHang } from './mount-kinds.ts';
import type { MountTable } from './mountinfo.ts';

const LIMIT = 2000;
const LINKS_AT_MOST = 40;

interface Way {
  walked: string;
  rest: string[];
  links: number;
}

/**
 * By path, one character a byte: where it leads, as mountinfo would name it. One child for each depth asks about all. What
 * lies on a mount that may hang, or on autofs, is not asked and taken as written. Ways that could not be told are left out.
 */
export function* followLinks(paths: readonly Name[], table: MountTable): Asking<ReadonlyMap<string, Name>> {
  const shown = table.mounts.filter(({ id }) => table.visible.has(id));
  const points = new Set(shown.map(({ point }) => toByteString(point)));
  const hanging = shown.filter(mayHang);
  const isAsked = (path: string) => !points.has(path) && !hanging.some(({ point }) => isBelow(fromByteString(path), point));
  const ways = new Map(
    paths.map((path): [string, Way] => [toByteString(path), { walked: '', rest: partsOf(toByteString(path)), links: 0 }]),
  );
  for (let open = [...ways.values()]; open.length > 0; open = open.filter(({ rest }) => rest.length > 0)) {
    const next = [...new Set(open.map(nextOf))].filter(isAsked);
    const links = next.length === 0 ? new Map<string, string>() : yield* readLinks(next);
    for (const way of open) {
      const path = nextOf(way);
      const found = isAsked(path) ? links.get(path) : '';
      if (found === undefined || way.links > LINKS_AT_MOST) {
        way.rest = [];
        way.links = Number.POSITIVE_INFINITY;
      } else if (found === '') {
        way.walked = path;
        way.rest.shift();
      } else {
        way.rest = [...partsOf(found), ...way.rest.slice(1)];
        way.walked = found.startsWith('/') ? '' : way.walked;
        way.links++;
      }
    }
  }
  const told = [...ways].filter(([, { links }]) => links <= LINKS_AT_MOST);
  return new Map(told.map(([path, { walked }]) => [path, fromByteString(walked === '' ? '/' : walked)]));
}

function partsOf(path: string): string[] {
  return path.split('/').filter((part) => part !== '' && part !== '.');
}

function nextOf({ walked, rest }: Way): string {
  return rest[0] === '..' ? walked.slice(0, Math.max(0, walked.lastIndexOf('/'))) || '/' : `${walked === '/' ? '' : walked}/${rest[0]}`;
}

/** By path: what a link there holds, empty for what is no link or not there. Those that could not be asked are left out. */
function* readLinks(paths: readonly string[]): Asking<ReadonlyMap<string, string>> {
  const argv = ['find', ...paths.map(fromByteString), '-maxdepth', '0', '-printf', '%p\\0%y\\0%l\\0'];
  const answer = yield* run(argv, { limitMs: LIMIT, suspect: true });
  const links = new Map<string, string>();
  if (answer.state !== 'ok') {
    return links;
  }
  const fields = outputOf(answer).split('\0');
  for (let index = 0; index + 3 < fields.length; index += 3) {
    links.set(fields[index] as string, fields[index + 1] === 'l' ? (fields[index + 2] as string) : '');
  }
  for (const [path, line] of parseErrors(answer.err)) {
    if (line.endsWith(': No such file or directory')) {
      links.set(path, '');
    }
  }
  return links;
}
