/** What the parts of this check have in common: what is told of a mount, and how a part is put together. */
import type { Evidence, Finding, Found, Plan, Seen, Subject } from '../../src/check/types.ts';
import { connectionOf } from '../../src/facts/fuse.ts';
import { describeHolders, type Holder } from '../../src/facts/holders.ts';
import { type KernelHolder, listKernelHolders } from '../../src/facts/kernel-holders.ts';
import { fateOf, isFuse, runtimeOf } from '../../src/facts/mount-kinds.ts';
import type { Mount } from '../../src/facts/mountinfo.ts';
import { judgedMounts } from '../../src/facts/reach.ts';
import { type Reach, sentenceOf } from '../../src/facts/reach-questions.ts';
import { fromByteString, type Name, sameName, showName, toByteString } from '../../src/names.ts';
import type { ZombieFacts } from './facts.ts';

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
  holders: Holder[];
  /** What in the kernel uses it, besides processes. */
  kernelHolders: KernelHolder[];
  /** Pids of the FUSE daemon. */
  daemons: number[];
  connection: number | null;
  waiting: number | null;
  node: string | null;
  backing: Name | null;
  missing: number | null;
}

export type MountFound<C extends string = string> = Found<C, MountData>;
/** Of any part; the data of what is no mount is its part's own. */
export type ZombieFound = Found<string, unknown>;

/** What is said about one mount. `finding` or `findings` of parts that judge mounts. */
export type Judgement = { finding: ZombieFound } | { unjudged: string } | { healthy: true; note?: string };

/** What a part found that is not the judgement of one mount. */
export interface Sought {
  /** How many subjects beyond the mounts were judged. */
  examined?: number;
  findings: ZombieFound[];
  unjudged?: { subject: Subject; why: string }[];
  notes?: { subject: Subject; text: string }[];
}

/** One kind of trouble: its codes, how it is found, and what is done about it. */
export interface Part {
  /** Code → sentence, as in a check's meta. */
  codes: Readonly<Record<string, string>>;
  /** Code → what so many mounts at once have, for the mass guard. */
  many: Readonly<Record<string, string>>;
  /** undefined: it has nothing to say about this mount. */
  judge?(mount: Mount, found: Reach, facts: ZombieFacts): Judgement | undefined;
  seek?(facts: ZombieFacts): Sought;
  plan(finding: Finding<ZombieFound>, facts: ZombieFacts): Plan;
}

export function subjectOf(mount: Mount): Subject {
  return { kind: 'mount', name: mount.point };
}

export function dataOf(mount: Mount, facts: ZombieFacts, more: Partial<MountData>): MountData {
  return {
    mountId: mount.id,
    device: mount.device,
    fstype: mount.fstype,
    source: mount.source,
    runtime: runtimeOf(mount.point) ?? null,
    alsoAt: facts.table.mounts.filter((other) => fateOf(other) === fateOf(mount) && other.id !== mount.id).map(({ point }) => point),
    holders: heldBy(mount, facts),
    kernelHolders: heldInKernel(mount, facts),
    daemons: [],
    connection: isFuse(mount) ? connectionOf(mount) : null,
    waiting: null,
    node: null,
    backing: null,
    missing: null,
    ...more,
  };
}

/** One mount stands for all of its superblock that are judged: of the whole file system, with the shortest path. */
export function standsForDevice(mount: Mount, { table }: ZombieFacts): boolean {
  const rank = ({ root, point }: Mount) => (sameName(root, '/') ? 0 : 1e6) + toByteString(point).length;
  return !judgedMounts(table).some(
    (other) => other.device === mount.device && (rank(other) < rank(mount) || (rank(other) === rank(mount) && other.id < mount.id)),
  );
}

export function heldBy(mount: Mount, facts: ZombieFacts): Holder[] {
  return facts.holders?.byPoint.get(toByteString(mount.point)) ?? [];
}

/** Besides processes. */
export function heldInKernel(mount: Mount, facts: ZombieFacts): KernelHolder[] {
  return facts.kernelHolders.get(toByteString(mount.point)) ?? [];
}

export function lineOf(mount: Mount, facts: ZombieFacts): Evidence {
  return quote(facts.table.seen, showName(fromByteString(mount.line)));
}

export function holderEvidence(mount: Mount, facts: ZombieFacts): Evidence[] {
  const held = heldBy(mount, facts);
  const inKernel = heldInKernel(mount, facts);
  return [
    ...(facts.holders !== undefined && held.length > 0 ? [quote(facts.holders.seen, `held by ${describeHolders(held)}`)] : []),
    ...(inKernel.length > 0
      ? [quote({ ...facts.table.seen, source: 'mountinfo, /proc/swaps, losetup --list' }, `used by ${listKernelHolders(inKernel)}`)]
      : []),
  ];
}

export function quote(seen: Seen, excerpt: string): Evidence {
  return { ...seen, excerpt };
}

export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

export function answered(found: Reach & { state: 'answers' }): Judgement {
  return found.lateMs === undefined ? { healthy: true } : { healthy: true, note: `slow: it answered after ${seconds(found.lateMs)}` };
}

export function whyUnjudged(found: Reach): string {
  const line = found.state === 'errno' ? `: ${found.line}` : '';
  return `${sentenceOf(found)}${line}`;
}
