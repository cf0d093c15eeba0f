import { defineCheck } from '../../src/check/define.ts';
import { detect } from './detect.ts';
import { needs } from './facts.ts';
import { plan } from './plan.ts';
import { tooMany } from './too-many.ts';

export const check = defineCheck({
  meta: {
    id: 'zombie-mounts',
    title: 'Mounts that no longer answer, or stand on something deleted',
    area: 'mounts',
    scope: 'host',
    summary: 'Mounts that are listed but dead, hung or shut down, and mounts whose source or backing file is gone.',
    references: ['proc_pid_mountinfo(5)', 'Documentation/filesystems/fuse.rst', 'xfs(5)', 'losetup(8)'],
    codes: {
      'fuse-dead': '{subject}: its FUSE daemon is gone; every access fails',
      'fuse-aborted': '{subject}: its FUSE connection was aborted; every access fails',
      'fuse-hung': '{subject}: its FUSE daemon does not answer; whoever touches it hangs',
      'fuse-stopped': '{subject}: its FUSE daemon is stopped by a signal; whoever touches it hangs',
      'bind-source-deleted': '{subject}: a bind mount of something that has been deleted',
      'loop-backing-deleted': '{subject}: the image file behind {node} has been deleted; its data is gone with the last unmount',
      'loop-backing-short': '{subject}: the image file behind {node} lacks {missing} bytes at its end; reading them fails',
      'fs-shutdown-xfs': '{subject}: this XFS has shut itself down; every access fails',
    },
  },
  needs,
  detect,
  tooMany,
  plan,
});
