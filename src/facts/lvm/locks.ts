/** Who holds the lock of a volume group: every other LVM command on it waits meanwhile. */
import { all, defineFact, outputOf, read, run, seenAt, sourceOf, whyNot } from '../../check/asking.ts';
import { defineCondition } from '../../check/condition.ts';
import type { Answer, Asking, Evidence, Holds, Probe } from '../../check/types.ts';

export interface HeldLock {
  pid: number;
  /** The name of the process, or empty. */
  command: string;
  evidence: Evidence;
}

export interface GroupLocks {
  /** By group. */
  held: ReadonlyMap<string, HeldLock>;
  why?: string;
}

const LOCKS: Probe & { kind: 'read' } = { kind: 'read', path: '/proc/locks' };
const FILES: Probe & { kind: 'run' } = {
  kind: 'run',
  argv: ['find', '/run/lock/lvm', '-maxdepth', '1', '-printf', '%f %D %i\\n'],
};

/** Looked up, not tried: trying would hold it. */
export const groupLocks = defineFact('lvm-locks', function* (): Asking<GroupLocks> {
  const [files, locks] = (yield* all([run(FILES.argv), read('/proc/locks')])) as [Answer, Answer];
  if (files.state === 'ok' && files.code !== 0 && files.err.includes('No such file or directory')) {
    return { held: new Map() };
  }
  // V_vg0 24 40
  const entries = [...outputOf(files).matchAll(/^(\S+) (\d+) (\d+)$/gm)];
  const names = new Map(entries.map(([, name, device, inode]) => [`${asLocksShow(Number(device))}:${inode}`, name as string]));
  if (files.state !== 'ok' || ![...names.values()].includes('lvm')) {
    return { held: new Map(), why: `${sourceOf(FILES)}: ${files.state === 'ok' ? 'unknown format' : whyNot(files)}` };
  }
  const lines = outputOf(locks).split('\n').slice(0, -1);
  if (locks.state !== 'ok' || lines.some((line) => !/^\d+: /.test(line))) {
    return { held: new Map(), why: `${sourceOf(LOCKS)}: ${locks.state === 'ok' ? 'unknown format' : whyNot(locks)}` };
  }
  const held = new Map<string, HeldLock>();
  for (const line of lines) {
    // 1: FLOCK  ADVISORY  WRITE 585 00:18:40 0 EOF. A lock that is waited for has an arrow.
    const [, pid, inode] = /^\d+: FLOCK +\w+ +WRITE +(-?\d+) ([0-9a-f]+:[0-9a-f]+:\d+) /.exec(line) ?? [];
    const group = /^V_(.+)$/.exec(names.get(inode ?? '') ?? '')?.[1];
    if (pid !== undefined && group !== undefined) {
      const comm = outputOf(yield* read(`/proc/${pid}/comm`)).trim();
      held.set(group, { pid: Number(pid), command: comm, evidence: { ...seenAt(LOCKS, locks), excerpt: `${line} (V_${group})` } });
    }
  }
  return { held };
});

/** Nobody holds the lock of the group at this moment. */
export const groupUnlocked = defineCondition('group-unlocked', function* (args: { group: string }): Asking<Holds> {
  const { held, why } = yield* groupLocks();
  const lock = held.get(args.group);
  return lock === undefined && why === undefined
    ? { holds: true }
    : { holds: false, expected: `nobody to hold the lock of ${args.group}`, found: why ?? describeLock(lock as HeldLock) };
});

/** A device number as stat(2) has it → `00:18`, hex. */
function asLocksShow(device: number): string {
  const [major, minor] = [(device >>> 8) & 0xfff, (device & 0xff) | ((device >>> 12) & 0xfff00)];
  return [major, minor].map((part) => part.toString(16).padStart(2, '0')).join(':');
}

export function describeLock({ pid, command }: HeldLock): string {
  // A lock outlives the process that took it in those that inherited the file.
  return command === '' ? `who inherited it from pid ${pid}, which has ended, holds it` : `${command} (pid ${pid}) holds it`;
}
