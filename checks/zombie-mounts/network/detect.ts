import type { Confidence, Evidence } from '../../../src/check/types.ts';
import { ERRNO } from '../../../src/facts/errno.ts';
import { isNetwork, isNfs } from '../../../src/facts/mount-kinds.ts';
import type { Mount } from '../../../src/facts/mountinfo.ts';
import { isDead, type Reach, sentenceOf } from '../../../src/facts/reach-questions.ts';
import { dataOf, holderEvidence, type Judgement, lineOf, type MountFound, quote, seconds, subjectOf } from '../data.ts';
import type { ZombieFacts } from '../facts.ts';

export type NetworkCode = 'nfs-stale' | 'nfs-server-gone' | 'cifs-gone' | '9p-gone' | 'virtiofs-gone';
export type NetworkFound = MountFound<NetworkCode>;

/** Errors by which a mount says that its server, or what joins them, is gone; tried three times before. */
export const GONE: Readonly<Record<Exclude<NetworkCode, 'nfs-stale'>, readonly number[]>> = {
  // soft, and softerr
  'nfs-server-gone': [ERRNO.EIO, ERRNO.ETIMEDOUT],
  'cifs-gone': [ERRNO.EHOSTDOWN, ERRNO.EAGAIN, ERRNO.EIO],
  '9p-gone': [ERRNO.EIO],
  'virtiofs-gone': [ERRNO.EIO],
};

/** Where the kernel lets callers wait for the other side. */
const WAITS_FOR_SERVER: Readonly<Record<Exclude<NetworkCode, 'nfs-stale'>, RegExp>> = {
  'nfs-server-gone': /^(rpc|nfs|xprt)/,
  'cifs-gone': /^(wait_for_response|smb|cifs)/,
  '9p-gone': /^p9_/,
  // It is FUSE, but keeps out of /sys/fs/fuse/connections.
  'virtiofs-gone': /^(request_wait_answer|fuse_|virtio_fs)/,
};

export function judgeNetwork(mount: Mount, found: Reach, facts: ZombieFacts): Judgement | undefined {
  const code = isNetwork(mount) ? codeOf(mount) : undefined;
  if (code === undefined) {
    return undefined;
  }
  if (found.state === 'errno' && found.errno === ERRNO.ESTALE && isNfs(mount)) {
    return { finding: gone('nfs-stale', mount, found, facts, 'certain') };
  }
  if (found.state === 'errno' && (GONE[code].includes(found.errno) || (code === 'virtiofs-gone' && isDead(found.errno)))) {
    return { finding: gone(code, mount, found, facts, 'medium') };
  }
  if (found.state !== 'silent') {
    return undefined;
  }
  if (found.statfsMs !== undefined) {
    return {
      unjudged: `it answered statfs after ${seconds(found.statfsMs)}, but no listing within ${seconds(found.limitMs)}: slow, or about to hang`,
    };
  }
  const words = facts.nfsWords.get(mount.id) ?? [];
  const progress = words.find(({ says }) => says === 'progress');
  if (progress !== undefined) {
    return { unjudged: `${sentenceOf(found)}, but its server answers others (${progress.evidence.excerpt}): slow` };
  }
  const said = words.some(({ says }) => says === 'not-responding');
  const waits = found.wchan !== undefined && WAITS_FOR_SERVER[code].test(found.wchan);
  if (!said && !waits) {
    return { unjudged: `${sentenceOf(found)}, and whether it waits for the server could not be seen` };
  }
  return {
    finding: gone(code, mount, found, facts, said ? 'high' : 'medium', [
      ...(waits ? [quote(found.seen, `its child slept in ${found.wchan}`)] : []),
      ...words.map(({ evidence }) => evidence),
    ]),
  };
}

function codeOf(mount: Mount): Exclude<NetworkCode, 'nfs-stale'> | undefined {
  switch (mount.fstype) {
    case 'nfs':
    case 'nfs4':
      return 'nfs-server-gone';
    case 'cifs':
    case 'smb3':
      return 'cifs-gone';
    case '9p':
      return '9p-gone';
    case 'virtiofs':
      return 'virtiofs-gone';
    default:
      return undefined;
  }
}

function gone(
  code: NetworkCode,
  mount: Mount,
  found: Reach & { state: 'errno' | 'silent' },
  facts: ZombieFacts,
  confidence: Confidence,
  more: Evidence[] = [],
): NetworkFound {
  return {
    code,
    severity: 'critical',
    subject: subjectOf(mount),
    data: dataOf(mount, facts, {}),
    confidence,
    evidence: [
      lineOf(mount, facts),
      quote(found.seen, found.state === 'errno' ? found.line : sentenceOf(found)),
      ...more,
      ...holderEvidence(mount, facts),
    ],
  };
}
