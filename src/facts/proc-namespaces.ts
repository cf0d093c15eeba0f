import { all, defineFact, outputOf, read } from '../check/asking.ts';
import type { Asking, Seen } from '../check/types.ts';
import { toByteString } from '../names.ts';
import { type Mount, parseMountinfo } from './mountinfo.ts';
import { type ProcScan, procScan } from './proc-scan.ts';

export interface NamespaceTable {
  /** The process whose table was read. */
  pid: number;
  /** It is the mount namespace from which is asked. */
  own: boolean;
  mounts: Mount[];
}

export interface MountNamespaces {
  seen: Seen;
  tables: NamespaceTable[];
  /** Why these may not be the mounts of the whole machine; empty where they are. */
  gaps: string[];
}

/** The mount table of every mount namespace, this one among them, each by one process in it. */
export const mountNamespaces = defineFact('in-use.mount-namespaces', function* (): Asking<MountNamespaces> {
  const scan = yield* procScan();
  const read = yield* all([...scan.namespaces].map(([namespace, members]) => tableOf(namespace, members)));
  const tables: NamespaceTable[] = [];
  const gaps: string[] = [...scan.gaps];
  for (const { namespace, pid, mounts, why } of read) {
    if (mounts !== undefined && pid !== undefined) {
      tables.push({ pid, own: namespace === scan.own, mounts });
    }
    if (why !== undefined) {
      gaps.push(why);
    }
  }
  if (!tables.some(({ own }) => own)) {
    gaps.push('the own mount namespace is not among those that were listed');
  }
  tables.sort((a, b) => Number(b.own) - Number(a.own));
  return { seen: { source: '/proc/*/mountinfo', at: scan.seen.at }, tables, gaps: [...gaps, ...unlisted(scan, tables)] };
});

interface ReadTable {
  namespace: string;
  pid?: number;
  mounts?: Mount[];
  why?: string;
}

/** Processes end meanwhile: the first that can be read speaks for all. */
function* tableOf(namespace: string, members: readonly { pid: number; wholeTable: boolean }[]): Asking<ReadTable> {
  let why: string | undefined;
  for (const { pid, wholeTable } of members) {
    const answer = yield* read(`/proc/${pid}/mountinfo`, { maxBytes: 16 * 1024 * 1024 });
    const text = outputOf(answer);
    if (answer.state === 'ok' && text !== '') {
      // A process with another root is shown the mounts below that only.
      const partly = { why: `mount namespace of process ${pid}: seen only from below another root` };
      return { namespace, pid, mounts: parseMountinfo(text), ...(!wholeTable && partly) };
    }
    if (answer.state !== 'absent' && answer.state !== 'ok') {
      why = `mount namespace of process ${pid}: its table could not be read`;
    }
  }
  return { namespace, ...(why !== undefined && { why }) };
}

/** Namespaces that live without a process: kept by a descriptor, or by a mount of their own file. */
function unlisted({ namespaces, heldNamespaces }: ProcScan, tables: readonly NamespaceTable[]): string[] {
  const mounted = tables.flatMap(({ mounts }) => mounts.filter(({ fstype }) => fstype === 'nsfs').map(({ root }) => toByteString(root)));
  const kept = new Set([...heldNamespaces, ...mounted.filter((root) => root.startsWith('mnt:['))]);
  return [...kept]
    .filter((namespace) => !namespaces.has(namespace))
    .map((namespace) => `mount namespace ${namespace}: no process is in it`);
}
