import type { Evidence } from '../../../src/check/types.ts';
import { ERRNO } from '../../../src/facts/errno.ts';
import { CONNECTIONS, connectionOf, type DaemonsOfMount, daemonsOf } from '../../../src/facts/fuse.ts';
import { isFuse } from '../../../src/facts/mount-kinds.ts';
import type { Mount } from '../../../src/facts/mountinfo.ts';
import { isDead, type Reach, sentenceOf } from '../../../src/facts/reach-questions.ts';
import { printable } from '../../../src/names.ts';
import {
  answered,
  dataOf,
  holderEvidence,
  type Judgement,
  lineOf,
  type MountFound,
  quote,
  seconds,
  subjectOf,
  whyUnjudged,
} from '../data.ts';
import type { ZombieFacts } from '../facts.ts';

export type FuseCode = 'fuse-dead' | 'fuse-aborted' | 'fuse-hung' | 'fuse-stopped' | 'sshfs-lost-ssh';
export type FuseFound = MountFound<FuseCode>;

/** Kernel functions of fs/fuse/dev.c: a caller whose request was sent, and one who may not send yet since the connection is not set up. */
const WAITS_FOR_ANSWER = 'request_wait_answer';
const WAITS_FOR_SETUP = 'fuse_get_req';

export function judgeFuse(mount: Mount, found: Reach, facts: ZombieFacts): Judgement | undefined {
  if (!isFuse(mount)) {
    return undefined;
  }
  const owners = facts.daemons === undefined ? undefined : daemonsOf(mount, facts.daemons);
  const stopped =
    owners !== undefined && owners.processes.length > 0 && owners.processes.every(({ state }) => state === 'T' || state === 't');
  if (found.state === 'answers') {
    return answered(found);
  }
  if (found.state === 'errno' && isDead(found.errno)) {
    return { finding: fuseDead(mount, found, owners, facts) };
  }
  if (found.state === 'silent' && stopped) {
    return { finding: fuseStopped(mount, found, owners, facts) };
  }
  if (found.state === 'silent') {
    return judgeSilent(mount, found, owners, facts);
  }
  if (
    found.state === 'errno' &&
    (found.errno === ERRNO.EACCES || found.errno === ERRNO.EPERM) &&
    owners?.processes.length === 0 &&
    owners.complete
  ) {
    // Nobody may look into it, and nobody holds its connection: proven without touching it.
    return { finding: fuseDead(mount, found, owners, facts) };
  }
  if (found.state === 'errno' && found.errno === ERRNO.EIO && mount.fstype === 'fuse.sshfs') {
    return judgeFailing(mount, found, facts);
  }
  return { unjudged: whyUnjudged(found) };
}

/** Asked three times by now, each of which made sshfs try to connect again. Without `reconnect` it would have ended, and its mount with it. */
function judgeFailing(mount: Mount, found: Reach & { state: 'errno' }, facts: ZombieFacts): Judgement {
  const daemon = facts.sshfsDaemons.get(mount.id);
  if (daemon?.reconnects !== true || daemon.channels === undefined) {
    return { unjudged: `${whyUnjudged(found)}; whether it has lost its ssh could not be seen` };
  }
  if (daemon.channels > 0) {
    return { unjudged: `${whyUnjudged(found)}; it has a connection, or is making one` };
  }
  return {
    finding: {
      code: 'sshfs-lost-ssh',
      severity: 'critical',
      subject: subjectOf(mount),
      data: dataOf(mount, facts, { daemons: [daemon.pid] }),
      confidence: 'high',
      evidence: [
        lineOf(mount, facts),
        quote(found.seen, `${found.line} (three times)`),
        quote(daemon.seen, 'sshfs, told to reconnect, has no connection to an ssh'),
        ...holderEvidence(mount, facts),
      ],
    },
  };
}

function judgeSilent(mount: Mount, found: Reach & { state: 'silent' }, owners: DaemonsOfMount | undefined, facts: ZombieFacts): Judgement {
  const samples = [...found.waiting, ...(found.leaked === undefined || found.waitingAfter === undefined ? [] : [found.waitingAfter])];
  const falls = samples.some((count, index) => count === 0 || (index > 0 && count < (samples[index - 1] as number)));
  if (found.wchan === WAITS_FOR_SETUP) {
    return { unjudged: `no answer within ${seconds(found.limitMs)}: its daemon is still starting, or hangs while it starts` };
  }
  if (found.statfsMs !== undefined) {
    return {
      unjudged: `it answered statfs after ${seconds(found.statfsMs)}, but no listing within ${seconds(found.limitMs)}: slow, or about to hang`,
    };
  }
  if (falls) {
    return {
      unjudged: `no answer within ${seconds(found.limitMs)}, but requests are being answered (${samples.join(', ')} waiting): slow`,
    };
  }
  if (samples.length < 2 && found.wchan !== WAITS_FOR_ANSWER) {
    return { unjudged: `${sentenceOf(found)}, and whether its daemon makes progress cannot be seen` };
  }
  return { finding: fuseHung(mount, found, samples, owners, facts) };
}

function fuseDead(mount: Mount, found: Reach, owners: DaemonsOfMount | undefined, facts: ZombieFacts): FuseFound {
  const alive = owners?.processes ?? [];
  const aborted = (found.state === 'errno' && found.errno === ERRNO.ECONNABORTED) || (alive.length > 0 && owners?.by === 'kernel');
  const line = found.state === 'errno' ? found.line : '';
  return {
    code: aborted ? 'fuse-aborted' : 'fuse-dead',
    severity: 'critical',
    subject: subjectOf(mount),
    data: dataOf(mount, facts, { daemons: alive.map(({ pid }) => pid) }),
    confidence: 'certain',
    evidence: [lineOf(mount, facts), quote(found.seen, line), ...daemonEvidence(mount, owners, facts), ...holderEvidence(mount, facts)],
  };
}

function fuseStopped(mount: Mount, found: Reach & { state: 'silent' }, owners: DaemonsOfMount, facts: ZombieFacts): FuseFound {
  return {
    code: 'fuse-stopped',
    severity: 'critical',
    subject: subjectOf(mount),
    data: dataOf(mount, facts, { daemons: owners.processes.map(({ pid }) => pid), waiting: found.waitingAfter ?? null }),
    confidence: owners.by === 'kernel' ? 'certain' : 'high',
    evidence: [lineOf(mount, facts), ...daemonEvidence(mount, owners, facts), quote(found.seen, sentenceOf(found))],
  };
}

function fuseHung(
  mount: Mount,
  found: Reach & { state: 'silent' },
  samples: number[],
  owners: DaemonsOfMount | undefined,
  facts: ZombieFacts,
): FuseFound {
  const slept = found.wchan === undefined ? '' : `; its child slept in ${found.wchan}`;
  const waiting = { source: `${CONNECTIONS}/${connectionOf(mount)}/waiting`, at: found.seen.at };
  return {
    code: 'fuse-hung',
    severity: 'critical',
    subject: subjectOf(mount),
    data: dataOf(mount, facts, { daemons: owners?.processes.map(({ pid }) => pid) ?? [], waiting: found.waitingAfter ?? null }),
    // Where statfs answers, every single listing may just be slow.
    confidence: found.call === 'statfs' ? 'high' : 'medium',
    evidence: [
      lineOf(mount, facts),
      quote(found.seen, `${sentenceOf(found)}${slept}`),
      ...(samples.length > 0 ? [quote(waiting, `callers waiting, over time: ${samples.join(', ')}`)] : []),
      ...daemonEvidence(mount, owners, facts),
      ...holderEvidence(mount, facts),
    ],
  };
}

function daemonEvidence(mount: Mount, owners: DaemonsOfMount | undefined, facts: ZombieFacts): Evidence[] {
  if (facts.daemons === undefined || owners === undefined) {
    return [];
  }
  const connection = connectionOf(mount);
  if (owners.processes.length > 0) {
    const list = owners.processes.map(({ pid, name, state }) => `${printable(name)} (pid ${pid}, state ${state})`).join(', ');
    return [quote(facts.daemons.seen, `connection ${connection} is held by ${list}`)];
  }
  return owners.complete ? [quote(facts.daemons.seen, `no process holds connection ${connection}`)] : [];
}
