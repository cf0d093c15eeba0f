import type { Part } from '../data.ts';
import { judgeFuse } from './detect.ts';
import { planFuse } from './plan.ts';

export const fuse: Part = {
  codes: {
    'fuse-dead': '{subject}: its FUSE daemon is gone; every access fails',
    'fuse-aborted': '{subject}: its FUSE connection was aborted; every access fails',
    'fuse-hung': '{subject}: its FUSE daemon does not answer; whoever touches it hangs',
    'fuse-stopped': '{subject}: its FUSE daemon is stopped by a signal; whoever touches it hangs',
    'sshfs-lost-ssh': '{subject}: sshfs has lost its connection to {source} and gets no new one; every access fails',
  },
  many: {
    'fuse-dead': 'have a dead FUSE daemon',
    'fuse-aborted': 'have an aborted FUSE connection',
    'fuse-hung': 'have a FUSE daemon that does not answer',
    'fuse-stopped': 'have a stopped FUSE daemon',
    'sshfs-lost-ssh': 'are an sshfs that gets no connection',
  },
  judge: judgeFuse,
  plan: (finding, facts) => planFuse(finding as Parameters<typeof planFuse>[0], facts),
};
