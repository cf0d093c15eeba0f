import type { Finding, Found, Plan } from '../../../src/check/types.ts';
import { shellLine, shellWord } from '../../../src/names.ts';
import type { SpaceData } from './detect.ts';

/** Which files may go, or which limit may grow, is not ours to decide. */
export function planSpace({ subject, data }: Finding<Found<string, SpaceData>>): Plan {
  const point = subject.name;
  const most = `${shellLine(['du', '--inodes', '-x', '--', point])} | sort -n | tail`;
  if (data.of === 'quota') {
    const report = data.fstype === 'xfs' ? ['xfs_quota', '-x', '-c', 'report -p -b -i', data.source] : ['repquota', '-P', data.source];
    return {
      refused: `what may be deleted, or which limit may grow, only you know. The limits: ${shellLine(report)}; what takes most: ${most}`,
    };
  }
  const more =
    data.fstype === 'xfs'
      ? `the share of the blocks that inodes may take is raised by: xfs_growfs -m PERCENT ${shellWord(point)} (now: ${shellLine(['xfs_info', point])})`
      : 'ext4 has as many inodes as it was made with: only growing it (resize2fs) or making it anew (mkfs.ext4 -N) gives more';
  return { refused: `what may be deleted only you know. The directories with most files: ${most}; ${more}` };
}
