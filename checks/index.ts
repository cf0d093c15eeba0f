// Written by scripts/generate.ts from each check's meta: npm run generate.
import type { CheckIndexEntry } from '../src/check/define.ts';

export const checks: readonly CheckIndexEntry[] = [
  {
    id: 'interrupted-repairs',
    title: 'Repairs that were begun and never ended',
    area: 'stdoctor',
    scope: 'run',
    summary: 'Repairs of stdoctor itself that a crash, a power failure or an interruption left between two steps. Always runs.',
    codes: {
      'repair-interrupted': '{subject}: a repair was begun at {at} and never ended: stdoctor resume goes on, or takes it back',
    },
    load: () => import('./interrupted-repairs/index.ts').then(({ check }) => check),
  },
  {
    id: 'zombie-mounts',
    title: 'Mounts that no longer answer, or stand on something deleted',
    area: 'mounts',
    scope: 'host',
    summary: 'Mounts that are listed but dead, hung or shut down, and mounts whose source or backing file is gone.',
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
    load: () => import('./zombie-mounts/index.ts').then(({ check }) => check),
  },
];
