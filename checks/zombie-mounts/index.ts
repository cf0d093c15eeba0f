import { defineCheck } from '../../src/check/define.ts';
import { detect } from './detect.ts';
import { needs } from './facts.ts';
import { partOf, parts } from './parts.ts';
import { tooMany } from './too-many.ts';

export const check = defineCheck({
  meta: {
    id: 'zombie-mounts',
    title: 'Mounts that no longer answer, or stand on something deleted',
    area: 'mounts',
    scope: 'host',
    summary: 'Mounts that are listed but dead, hung or shut down, and mounts whose source or backing file is gone.',
    references: ['proc_pid_mountinfo(5)', 'Documentation/filesystems/fuse.rst', 'xfs(5)', 'losetup(8)'],
    codes: Object.assign({}, ...parts.map(({ codes }) => codes)) as Record<string, string>,
  },
  needs,
  detect,
  tooMany,
  plan: (finding, facts) => partOf(finding.code)?.plan(finding, facts) ?? { refused: 'there is no repair for it' },
});
