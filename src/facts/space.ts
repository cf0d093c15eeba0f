/** What local file systems have left. Asked in bulk, and only of those that answered. */
import { all, defineFact, outputOf, run, seenAt, whyNot } from '../check/asking.ts';
import type { Answer, Asking, Probe, Seen } from '../check/types.ts';
import { type Name, toByteString } from '../names.ts';
import { type Mount, mountTable, optionList } from './mountinfo.ts';
import { judgedMounts, reach } from './reach.ts';

/** As statfs counts: blocks in units of the file system, `usable` those an ordinary user may take. */
export interface Space {
  mount: Mount;
  seen: Seen;
  inodes: number;
  freeInodes: number;
  blocks: number;
  usableBlocks: number;
}

export interface Spaces {
  spaces: Space[];
  unjudged: { point: Name; why: string }[];
}

const AT_ONCE = 1000;
/** The file systems whose number of inodes is limited: by mkfs (ext), or by a share of the blocks (XFS, maxpct). */
const LIMITED = new Set(['ext2', 'ext3', 'ext4', 'xfs']);

/** One mount of each superblock; where project quotas are on, one of each directory of it that is mounted, for each may have a limit of its own. */
export const space = defineFact('space', function* (): Asking<Spaces> {
  const table = yield* mountTable();
  const reached = yield* reach();
  const asked = new Map<string, Mount>();
  for (const mount of judgedMounts(table)) {
    const key = hasProjectQuota(mount) ? `${mount.device} ${toByteString(mount.root)}` : mount.device;
    const writable = optionList(mount.options).includes('rw') && optionList(mount.superOptions).includes('rw');
    if (LIMITED.has(mount.fstype) && writable && reached.get(mount.id)?.state === 'answers' && !asked.has(key)) {
      asked.set(key, mount);
    }
  }
  const mounts = [...asked.values()];
  const chunks = Array.from({ length: Math.ceil(mounts.length / AT_ONCE) }, (_, index) =>
    mounts.slice(index * AT_ONCE, (index + 1) * AT_ONCE),
  );
  const parts = yield* all(chunks.map(askSpace));
  return { spaces: parts.flatMap(({ spaces }) => spaces), unjudged: parts.flatMap(({ unjudged }) => unjudged) };
});

export function hasProjectQuota({ superOptions }: Pick<Mount, 'superOptions'>): boolean {
  return optionList(superOptions).some((option) => option === 'prjquota' || option === 'pquota');
}

function* askSpace(mounts: Mount[]): Asking<Spaces> {
  const probe: Probe & { kind: 'run' } = {
    kind: 'run',
    argv: ['stat', '-f', '--printf', '%n\\0%c %d %b %a\\0', '--', ...mounts.map(({ point }) => point)],
  };
  return parseSpace(mounts, probe, yield* run(probe.argv));
}

/** `/mnt/a\0` `8192 8180 25844 23536\0`, in the order asked; those that failed are passed over. */
function parseSpace(mounts: readonly Mount[], probe: Probe, answer: Answer): Spaces {
  const seen = { ...seenAt(probe, answer), source: 'stat -f' };
  const found: Spaces = { spaces: [], unjudged: [] };
  const records = outputOf(answer).split('\0').slice(0, -1);
  let next = 0;
  for (const mount of mounts) {
    const fields = /^(\d+) (\d+) (\d+) (\d+)$/.exec(records[next + 1] ?? '');
    if (records[next] !== toByteString(mount.point) || fields === null) {
      const why = answer.state === 'ok' && answer.code === 0 ? 'unknown format' : whyNot(answer);
      found.unjudged.push({ point: mount.point, why: `how much is free on it could not be asked: ${why}` });
      continue;
    }
    const [inodes, freeInodes, blocks, usableBlocks] = fields.slice(1).map(Number) as [number, number, number, number];
    found.spaces.push({ mount, seen, inodes, freeInodes, blocks, usableBlocks });
    next += 2;
  }
  return found;
}
