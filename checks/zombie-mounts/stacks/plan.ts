import type { Finding, Plan } from '../../../src/check/types.ts';
import { shellLine, showName } from '../../../src/names.ts';
import type { StackFound } from './detect.ts';

/** Which of two mounts is meant, and whether covered files are wanted, nobody but their owner knows. */
export function planStack(finding: Finding<StackFound>): Plan {
  const point = finding.subject.name;
  const away = shellLine(['umount', '-c', point]);
  if (finding.code === 'mounted-over-data') {
    return {
      refused: `whether the covered files are wanted is for you to say. To see them: unshare -m --propagation private, and there ${away}`,
    };
  }
  if (finding.data.below === 'dead') {
    return {
      refused: `the dead mount goes only after the one above it, which is in use. By hand, with its users stopped: ${away}, the same once more, then mount ${showName(finding.data.source)} again`,
    };
  }
  return { refused: `the upper mount hides the lower one, and which is meant is not known. By hand, with its users stopped: ${away}` };
}
