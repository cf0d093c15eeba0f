import { all, defineFact, outputOf, read, run } from '../check/asking.ts';
import { defineCondition } from '../check/condition.ts';
import type { Answer, Asking, Holds } from '../check/types.ts';
import { parseMountinfo } from './mountinfo.ts';

export interface MountedElsewhere {
  pid: number;
  /** Propagation groups of the mount there: `master:2` or `shared:2` takes part in what happens here. */
  tags: string[];
}

export interface Elsewhere {
  mounts: MountedElsewhere[];
  /** Namespaces were listed, this one among them. Some processes may have refused. */
  looked: boolean;
  complete: boolean;
}

/** Mounts of a superblock in other mount namespaces, by one process of each. */
export const mountedElsewhere = defineFact('mounted-elsewhere', function* (device: string): Asking<Elsewhere> {
  const own = outputOf(yield* run(['readlink', '/proc/self/ns/mnt'])).trim();
  const answer = yield* run([
    'find',
    '/proc',
    '-mindepth',
    '1',
    '-maxdepth',
    '3',
    '-regextype',
    'posix-egrep',
    '!',
    '-regex',
    '/proc/[0-9]+(/ns(/mnt)?)?',
    '-prune',
    '-o',
    '-type',
    'l',
    '-printf',
    '%p %l\\n',
  ]);
  let looked = false;
  const oneOfEach = new Map<string, number>();
  // /proc/2583/ns/mnt mnt:[4026531841]
  for (const match of outputOf(answer).matchAll(/^\/proc\/(\d+)\/ns\/mnt (\S+)$/gm)) {
    const [, pid, namespace] = match as unknown as [string, string, string];
    looked ||= namespace === own;
    if (namespace !== own && !oneOfEach.has(namespace)) {
      oneOfEach.set(namespace, Number(pid));
    }
  }
  const pids = [...oneOfEach.values()];
  const tables = yield* all(pids.map((pid) => read(`/proc/${pid}/mountinfo`, { maxBytes: 16 * 1024 * 1024 })));
  const mounts: MountedElsewhere[] = [];
  pids.forEach((pid, index) => {
    const text = outputOf(tables[index] as Answer);
    const found = text.endsWith('\n') ? parseMountinfo(text).find((mount) => mount.device === device) : undefined;
    if (found !== undefined) {
      mounts.push({ pid, tags: found.tags });
    }
  });
  return { mounts, looked, complete: own !== '' && answer.state === 'ok' && answer.code === 0 };
});

/** No other mount namespace that can be seen keeps this superblock alive. */
export const notMountedElsewhere = defineCondition('not-mounted-elsewhere', function* (args: { device: string }): Asking<Holds> {
  const { mounts, looked } = yield* mountedElsewhere(args.device);
  const pids = mounts.map(({ pid }) => pid).join(', ');
  const found = looked ? `still mounted in the mount namespace of process ${pids}` : 'the mount namespaces could not be listed';
  return looked && mounts.length === 0 ? { holds: true } : { holds: false, expected: `device ${args.device} mounted nowhere else`, found };
});
