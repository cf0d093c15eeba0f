import { all, defineFact, outputOf, pause, run, seenAt } from '../../../src/check/asking.ts';
import type { Asking, Evidence, Probe } from '../../../src/check/types.ts';
import { ERRNO } from '../../../src/facts/errno.ts';
import { kernelLog } from '../../../src/facts/kernel-log.ts';
import { fateOf, isNetwork, isNfs } from '../../../src/facts/mount-kinds.ts';
import { type Mount, mountTable, optionValue } from '../../../src/facts/mountinfo.ts';
import { type Elsewhere, mountedElsewhere } from '../../../src/facts/namespaces.ts';
import { reach } from '../../../src/facts/reach.ts';
import { toByteString } from '../../../src/names.ts';

/** How long the counters of a silent NFS mount are watched. */
const WATCHED = 3000;

export interface Word {
  /** `mountstats`: answers came meanwhile. `kernel-log`: the kernel says that the server does not respond. */
  says: 'progress' | 'no-progress' | 'not-responding';
  evidence: Evidence;
}

/** By mount id: what the kernel tells of the servers of silent NFS mounts. */
export const nfsWords = defineFact('zombie-mounts.nfs-words', function* (): Asking<ReadonlyMap<number, Word[]>> {
  const mounts = (yield* mountTable()).mounts.filter(isNfs);
  const reached = yield* reach();
  const silent = mounts.filter(({ id }) => reached.get(id)?.state === 'silent');
  if (silent.length === 0) {
    return new Map();
  }
  const { lines, seen } = yield* kernelLog();
  const before = yield* mountstats('before');
  yield* pause(WATCHED);
  const after = yield* mountstats('after');
  return new Map(
    silent.map((mount) => {
      const line = serverLine(lines, mount);
      const [first, second] = [before.received(mount), after.received(mount)];
      const words: Word[] = [];
      if (first !== undefined && second !== undefined) {
        const excerpt = `replies received from its server: ${first}, ${WATCHED / 1000} s later ${second}`;
        words.push({ says: second === first ? 'no-progress' : 'progress', evidence: { ...after.seen, excerpt } });
      }
      if (line !== undefined && / not responding|timed out/.test(line)) {
        words.push({ says: 'not-responding', evidence: { ...seen, excerpt: line } });
      }
      return [mount.id, words];
    }),
  );
});

/** The last that the kernel said of the server, by its name in the source or its address. */
function serverLine(lines: readonly string[], mount: Mount): string | undefined {
  // [ 4711.0] nfs: server nas not responding, still trying      [ 4890.2] nfs: server nas OK
  const name = toByteString(mount.source).replace(/:\/.*$/s, '');
  const names = [name, name.replace(/^\[(.*)\]$/, '$1'), optionValue(mount.superOptions, 'addr')];
  return lines.findLast((line) => names.some((each) => each !== undefined && each !== '' && line.includes(`nfs: server ${each} `)));
}

function* mountstats(take: string) {
  const probe: Probe & { kind: 'run' } = { kind: 'run', argv: ['cat', '/proc/self/mountstats'], take };
  const answer = yield* run(probe.argv, { take, suspect: true, limitMs: 2000 });
  const blocks = outputOf(answer).split(/^(?=device )/m);
  return {
    seen: seenAt(probe, answer),
    /** Replies on all transports of the mount; undefined where they are not told. */
    received: (mount: Mount): number | undefined => {
      // device nas:/export mounted on /mnt/nas with fstype nfs4 statvers=1.1
      //   xprt: tcp 0 1 2 0 11 5086 5080 0 5086 0 2 0 0      sends and receives are the 6th and 7th number
      const begin = `device ${mangled(mount.source)} mounted on ${mangled(mount.point)} with fstype ${mount.fstype} `;
      const block = blocks.find((each) => each.startsWith(begin)) ?? '';
      const counts = [...block.matchAll(/^\s*xprt:\s+tcp((?: \d+){7})/gm)].map(([, numbers = '']) => Number(numbers.trim().split(' ')[6]));
      return counts.length === 0 ? undefined : counts.reduce((sum, count) => sum + count, 0);
    },
  };
}

/** As the kernel escapes names in this table. */
function mangled(name: Mount['point']): string {
  return toByteString(name).replace(/[ \t\n\\]/g, (character) => `\\${character.charCodeAt(0).toString(8).padStart(3, '0')}`);
}

/** By device: other mount namespaces that keep a stale NFS mount alive. */
export const staleElsewhere = defineFact('zombie-mounts.stale-elsewhere', function* (): Asking<ReadonlyMap<string, Elsewhere>> {
  const reached = yield* reach();
  const stale = (yield* mountTable()).mounts.filter((mount) => {
    const found = reached.get(mount.id);
    return isNetwork(mount) && found?.state === 'errno' && found.errno === ERRNO.ESTALE;
  });
  const found = yield* all(stale.map(({ device, source }) => mountedElsewhere(device, source)));
  return new Map(stale.map((mount, index) => [fateOf(mount), found[index] as Elsewhere]));
});
