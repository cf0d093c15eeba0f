import { defineCheck } from '../../src/check/define.ts';
import { detect } from './detect.ts';
import { needs } from './facts.ts';
import { partOf, parts } from './parts.ts';
import { tooMany } from './too-many.ts';

export const check = defineCheck({
  meta: {
    id: 'zombie-mounts',
    title: 'Mounts that do not answer, stand on something gone, or are missing',
    area: 'mounts',
    scope: 'host',
    summary:
      'Mounts that are listed but dead, hung or shut down; whose source, device, layer or server is gone; that are full, moved, stacked or left behind; and what fstab or systemd wants and the kernel does not have.',
    references: ['proc_pid_mountinfo(5)', 'Documentation/filesystems/fuse.rst', 'xfs(5)', 'losetup(8)', 'fstab(5)', 'systemd.mount(5)'],
    codes: Object.assign({}, ...parts.map(({ codes }) => codes)) as Record<string, string>,
  },
  needs,
  detect,
  tooMany,
  plan: (finding, facts) => partOf(finding.code)?.plan(finding, facts) ?? { refused: 'there is no repair for it' },
});
