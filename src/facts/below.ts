/** What lies in the directories that mounts cover. */
import { all, defineFact, run, seenAt } from '../check/asking.ts';
import type { Asking, Probe } from '../check/types.ts';
import { fromByteString, type Name, toByteString } from '../names.ts';
import { bulkArgv, type Looked, parseBulk } from './look.ts';
import type { Mount } from './mountinfo.ts';

const LIMIT = 5000;
const AT_ONCE = 1000;
/** A directory that every system has, and that nothing below needs: covered in the child's own namespace. */
const WINDOW = '/sys';

/**
 * A rig: in a private mount namespace that dies with its child, `parent` alone, without what is mounted on it, is bound over
 * /sys and looked at there. Nothing of it reaches another namespace. For root, and for a parent that answers. By mount
 * point, one character a byte.
 */
export const below = defineFact('below', function* (parent: Name, points: Name[]): Asking<ReadonlyMap<string, Looked>> {
  const above = toByteString(parent) === '/' ? '' : toByteString(parent);
  const inside = new Map(points.map((point) => [WINDOW + toByteString(point).slice(above.length), toByteString(point)]));
  const paths = [...inside.keys()].map(fromByteString);
  const parts: Name[][] = [];
  for (let index = 0; index < paths.length; index += AT_ONCE) {
    parts.push(paths.slice(index, index + AT_ONCE));
  }
  const looked = yield* all(parts.map((part) => lookBelow(parent, part)));
  return new Map(looked.flatMap((each) => [...each]).map(([path, result]) => [inside.get(path) as string, result]));
});

function* lookBelow(parent: Name, paths: Name[]): Asking<Map<string, Looked>> {
  // find runs the two commands one after the other, the second only where the first succeeded: no shell reads the names.
  const bind = ['-exec', 'mount', '-n', '-c', '--bind', '--', parent, WINDOW, ';'];
  const probe: Probe & { kind: 'run' } = {
    kind: 'run',
    argv: ['unshare', '--mount', '--propagation', 'private', 'find', '/', '-maxdepth', '0', ...bind, '-exec', ...bulkArgv(paths), ';'],
  };
  const answer = yield* run(probe.argv, { limitMs: LIMIT, suspect: true });
  return parseBulk(paths, answer, seenAt(probe, answer));
}

/** The rig can show what this mount covers: it is no stack, and its name holds no `{}`, which find would replace. */
export function canLookBelow(mount: Mount, parent: Mount | undefined): parent is Mount {
  return (
    parent !== undefined &&
    parent.id !== mount.id &&
    toByteString(parent.point) !== toByteString(mount.point) &&
    !`${toByteString(mount.point)}${toByteString(parent.point)}`.includes('{}')
  );
}
