import type { Verdict } from '../../src/check/types.ts';
import type { Code, ZombieFound } from './detect.ts';

/** More mounts than this with one fault, and more than half of those examined, seldom break one by one. */
const MANY = 20;

const SHARED: Readonly<Record<Code, string>> = {
  'fuse-dead': 'have a dead FUSE daemon',
  'fuse-aborted': 'have an aborted FUSE connection',
  'fuse-hung': 'have a FUSE daemon that does not answer',
  'fuse-stopped': 'have a stopped FUSE daemon',
  'bind-source-deleted': 'are binds of something deleted',
  'loop-backing-deleted': 'stand on a deleted image file',
  'loop-backing-short': 'stand on an image file that is too short',
  'fs-shutdown-xfs': 'are an XFS that has shut itself down',
};

/** Why no repair may go on without a person. What a runtime minds itself (`info`) does not count. */
export function tooMany({ examined, findings }: Verdict<ZombieFound>): string | undefined {
  const counts = new Map<Code, number>();
  for (const { code } of findings.filter(({ severity }) => severity !== 'info')) {
    counts.set(code, (counts.get(code) ?? 0) + 1);
  }
  for (const [code, count] of counts) {
    if (count > MANY && count > examined / 2) {
      return `${count} of ${examined} mounts ${SHARED[code]}: so many at once rather have one cause; find it first, or repair them one by one with a person`;
    }
  }
  return undefined;
}
