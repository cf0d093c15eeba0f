import type { Part } from '../data.ts';
import { judgeNetwork } from './detect.ts';
import { planNetwork } from './plan.ts';

export const network: Part = {
  codes: {
    'nfs-stale': '{subject}: the server no longer knows what was mounted here (stale handle); every access fails',
    'nfs-server-gone': '{subject}: its NFS server {source} does not answer',
    'cifs-gone': '{subject}: its SMB server {source} does not answer',
    '9p-gone': '{subject}: the other side of this 9p mount does not answer',
    'virtiofs-gone': '{subject}: the other side of this virtiofs mount does not answer',
  },
  many: {
    'nfs-stale': 'have a stale NFS handle',
    'nfs-server-gone': 'have an NFS server that does not answer',
    'cifs-gone': 'have an SMB server that does not answer',
    '9p-gone': 'are 9p and do not answer',
    'virtiofs-gone': 'are virtiofs and do not answer',
  },
  judge: judgeNetwork,
  plan: (finding, facts) => planNetwork(finding as Parameters<typeof planNetwork>[0], facts),
};
