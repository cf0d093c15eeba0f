import type { Evidence, Found, Seen, Subject, Verdict } from '../../src/check/types.ts';
import { ERRNO } from '../../src/facts/errno.ts';
import { CONNECTIONS, connectionOf, type DaemonsOfMount, daemonsOf } from '../../src/facts/fuse.ts';
import { type Holder, listHolders } from '../../src/facts/holders.ts';
import { type LoopDevice, missingBytes } from '../../src/facts/loop.ts';
import { isFuse, isPseudo, runtimeOf } from '../../src/facts/mount-kinds.ts';
import { type Mount, rootBeforeDeletion } from '../../src/facts/mountinfo.ts';
import { isDead, judgedMounts, type Reach, sentenceOf } from '../../src/facts/reach.ts';
import { fromByteString, type Name, printable, showName, toByteString } from '../../src/names.ts';
import { deletedBinds, type ZombieFacts } from './facts.ts';

export type Code =
  | 'fuse-dead'
  | 'fuse-aborted'
  | 'fuse-hung'
  | 'fuse-stopped'
  | 'bind-source-deleted'
  | 'loop-backing-deleted'
  | 'loop-backing-short'
  | 'fs-shutdown-xfs';

/** What reports and plans may know of the mount. Names as in mountinfo. */
export interface MountData {
  mountId: number;
  device: string;
  fstype: string;
  source: Name;
  /** The runtime that minds this mount itself, or null. */
  runtime: string | null;
  /** Other mount points of the same superblock. */
  alsoAt: Name[];
  holders: { pid: number; name: string; by: string[] }[];
  /** Pids of the FUSE daemon. */
  daemons: number[];
  connection: number | null;
  waiting: number | null;
  node: string | null;
  backing: Name | null;
  missing: number | null;
}

export type ZombieFound = Found<Code, MountData>;

type Judgement = { finding: ZombieFound } | { unjudged: string } | { healthy: true; note?: string };

/** Kernel functions of fs/fuse/dev.c: a caller whose request was sent, and one who may not send yet since the connection is not set up. */
const WAITS_FOR_ANSWER = 'request_wait_answer';
const WAITS_FOR_SETUP = 'fuse_get_req';

export function detect(facts: ZombieFacts): Verdict<ZombieFound> {
  const verdict = {
    examined: 0,
    findings: [] as ZombieFound[],
    unjudged: [] as { subject: Subject; why: string }[],
    notes: [] as { subject: Subject; text: string }[],
  };
  const shutDown = new Set<string>();
  for (const mount of judgedMounts(facts.table)) {
    const subject = subjectOf(mount);
    if (mount.fstype === 'xfs' && shutDown.has(mount.device)) {
      verdict.examined++;
      continue;
    }
    const judgement = judge(mount, facts);
    if ('unjudged' in judgement) {
      verdict.unjudged.push({ subject, why: judgement.unjudged });
      continue;
    }
    verdict.examined++;
    if ('finding' in judgement) {
      verdict.findings.push(judgement.finding);
      shutDown.add(mount.device);
    } else if (judgement.note !== undefined) {
      verdict.notes.push({ subject, text: judgement.note });
    }
  }
  for (const mount of hiddenMounts(facts)) {
    verdict.unjudged.push({ subject: { ...subjectOf(mount), key: 'hidden' }, why: 'hidden below another mount, where no path reaches it' });
  }
  verdict.findings.push(...deletedBinds(facts.table).map((mount) => bindSourceDeleted(mount, facts)));
  verdict.findings.push(...facts.loops.loops.flatMap((loop) => judgeLoop(loop, facts)));
  for (const { device, why } of facts.loops.unjudged) {
    verdict.unjudged.push({ subject: { kind: 'loop', name: device }, why });
  }
  for (const loop of facts.loops.loops) {
    if (loop.file.state === 'unknown') {
      verdict.unjudged.push({ subject: { kind: 'loop', name: loop.node }, why: `its image file could not be looked at: ${loop.file.why}` });
    }
  }
  return verdict;
}

/** Mounts with storage behind them that no path reaches, and whose superblock no visible mount stands for. */
function hiddenMounts({ table }: ZombieFacts): Mount[] {
  const shown = new Set(table.mounts.filter((mount) => table.visible.has(mount.id)).map(({ device }) => device));
  return table.mounts.filter(
    (mount) => !table.visible.has(mount.id) && !isPseudo(mount) && !shown.has(mount.device) && runtimeOf(mount.point) === undefined,
  );
}

function judge(mount: Mount, facts: ZombieFacts): Judgement {
  const found = facts.reach.get(mount.id);
  if (found === undefined) {
    return { unjudged: 'it was not asked' };
  }
  if (isFuse(mount)) {
    return judgeFuse(mount, found, facts);
  }
  if (found.state === 'answers') {
    return answered(found);
  }
  if (mount.fstype === 'xfs' && found.state === 'errno' && found.errno === ERRNO.EIO && found.statfsAnswers) {
    return { finding: xfsShutDown(mount, found, facts) };
  }
  return { unjudged: whyUnjudged(found) };
}

function judgeFuse(mount: Mount, found: Reach, facts: ZombieFacts): Judgement {
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
  return { unjudged: whyUnjudged(found) };
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

function fuseDead(mount: Mount, found: Reach, owners: DaemonsOfMount | undefined, facts: ZombieFacts): ZombieFound {
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

function fuseStopped(mount: Mount, found: Reach & { state: 'silent' }, owners: DaemonsOfMount, facts: ZombieFacts): ZombieFound {
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
): ZombieFound {
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

function xfsShutDown(mount: Mount, found: Reach & { state: 'errno' }, facts: ZombieFacts): ZombieFound {
  const said = facts.shutdowns.get(mount.device);
  const loop = facts.loops.loops.find(({ device }) => device === mount.device);
  const fault = loop !== undefined && missingBytes(loop) > 0;
  return {
    code: 'fs-shutdown-xfs',
    severity: 'critical',
    subject: subjectOf(mount),
    data: dataOf(mount, facts, loop === undefined ? {} : { node: loop.node, backing: loop.backing }),
    confidence: said === undefined ? 'high' : 'certain',
    evidence: [
      lineOf(mount, facts),
      quote(found.seen, `${found.line} (while statfs answers)`),
      ...(said === undefined ? [] : [said]),
      ...holderEvidence(mount, facts),
    ],
    ...(fault && { cause: { kind: 'loop', name: loop.node } }),
  };
}

function bindSourceDeleted(mount: Mount, facts: ZombieFacts): ZombieFound {
  const runtime = runtimeOf(mount.point);
  const looked = facts.bindSources.get(mount.id)?.mount;
  const isFile = looked?.state === 'found' && looked.type !== 'd';
  const shows = isFile ? 'the mount still serves the old content' : 'the directory is empty for ever, and nothing can be created in it';
  return {
    code: 'bind-source-deleted',
    severity: runtime !== undefined ? 'info' : isFile ? 'warning' : 'critical',
    subject: subjectOf(mount),
    data: dataOf(mount, facts, { backing: rootBeforeDeletion(mount) }),
    confidence: 'certain',
    evidence: [
      lineOf(mount, facts),
      ...(looked?.state === 'found' ? [quote(looked.seen, `${looked.links} links left to it: ${shows}`)] : []),
    ],
  };
}

function judgeLoop(loop: LoopDevice, facts: ZombieFacts): ZombieFound[] {
  const mount = loopMount(loop, facts);
  const missing = missingBytes(loop);
  // Where the file could not be looked at, the marker may be part of its name: unjudged.
  const deleted = loop.deleted && loop.file.state === 'gone';
  if (mount === undefined || (!deleted && missing === 0)) {
    return [];
  }
  const snap = mount.fstype === 'squashfs' && runtimeOf(mount.point) === 'snapd';
  const data = dataOf(mount, facts, { node: loop.node, backing: loop.backing, missing });
  const found = { subject: subjectOf(mount), data, confidence: 'certain' as const };
  const file = printable(showName(loop.backing));
  if (deleted) {
    const evidence = [lineOf(mount, facts), quote(loop.seen, `${file} (deleted)`), ...holderEvidence(mount, facts)];
    return [{ ...found, code: 'loop-backing-deleted', severity: snap ? 'info' : 'critical', evidence }];
  }
  const size = loop.file.state === 'found' ? loop.file.size : 0;
  const excerpt = `${file} has ${size} bytes; ${loop.node} of ${loop.size} bytes begins at ${loop.offset}, so ${missing} are missing`;
  return [{ ...found, code: 'loop-backing-short', severity: 'critical', evidence: [lineOf(mount, facts), quote(loop.seen, excerpt)] }];
}

/** The mount that stands for a loop device: a visible one of its whole file system, with the shortest path. */
function loopMount(loop: LoopDevice, { table }: ZombieFacts): Mount | undefined {
  const rank = (mount: Mount) =>
    (table.visible.has(mount.id) ? 0 : 2e6) + (mount.root === '/' ? 0 : 1e6) + toByteString(mount.point).length;
  return table.mounts.filter(({ device }) => device === loop.device).toSorted((a, b) => rank(a) - rank(b))[0];
}

function answered(found: Reach & { state: 'answers' }): Judgement {
  return found.lateMs === undefined ? { healthy: true } : { healthy: true, note: `slow: it answered after ${seconds(found.lateMs)}` };
}

function whyUnjudged(found: Reach): string {
  const line = found.state === 'errno' ? `: ${found.line}` : '';
  return `${sentenceOf(found)}${line}`;
}

function subjectOf(mount: Mount): Subject {
  return { kind: 'mount', name: mount.point };
}

function dataOf(mount: Mount, facts: ZombieFacts, more: Partial<MountData>): MountData {
  return {
    mountId: mount.id,
    device: mount.device,
    fstype: mount.fstype,
    source: mount.source,
    runtime: runtimeOf(mount.point) ?? null,
    alsoAt: facts.table.mounts.filter((other) => other.device === mount.device && other.id !== mount.id).map(({ point }) => point),
    holders: heldBy(mount, facts),
    daemons: [],
    connection: isFuse(mount) ? connectionOf(mount) : null,
    waiting: null,
    node: null,
    backing: null,
    missing: null,
    ...more,
  };
}

function heldBy(mount: Mount, facts: ZombieFacts): Holder[] {
  return facts.holders?.byPoint.get(toByteString(mount.point)) ?? [];
}

function lineOf(mount: Mount, facts: ZombieFacts): Evidence {
  return quote(facts.table.seen, showName(fromByteString(mount.line)));
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

function holderEvidence(mount: Mount, facts: ZombieFacts): Evidence[] {
  const held = heldBy(mount, facts);
  if (facts.holders === undefined || held.length === 0) {
    return [];
  }
  return [quote(facts.holders.seen, `held by ${listHolders(held)}`)];
}

function quote(seen: Seen, excerpt: string): Evidence {
  return { ...seen, excerpt };
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
