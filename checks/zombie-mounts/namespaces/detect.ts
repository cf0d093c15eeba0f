import type { Found } from '../../../src/check/types.ts';
import type { Mount } from '../../../src/facts/mountinfo.ts';
import { fromByteString, type Name, printable, showName } from '../../../src/names.ts';
import { quote, type Sought } from '../data.ts';
import type { ZombieFacts } from '../facts.ts';
import { type Foreign, isReplaced, keyOf } from './facts.ts';

export interface ForeignData {
  device: string;
  fstype: string;
  source: Name;
  processes: Foreign['process'][];
  /** The same source is mounted here anew, by another superblock: those processes work on the old one. */
  replaced: boolean;
}

export type ForeignFound = Found<'foreign-ns-holder', ForeignData>;

export function seekForeigners({ foreigners, table }: ZombieFacts): Sought {
  if (foreigners === undefined) {
    return { findings: [] };
  }
  if ('unknown' in foreigners) {
    return { findings: [], unjudged: [{ subject: { kind: 'host', name: 'other mount namespaces' }, why: foreigners.unknown }] };
  }
  const groups = Map.groupBy(foreigners.mounts, ({ mount }) => keyOf(mount));
  return {
    examined: groups.size,
    findings: [...groups.values()].map((group) => foreignFound(group, table.mounts)),
    unjudged: foreigners.unjudged.map(({ pid, why }) => ({
      subject: { kind: 'host', name: pid === 0 ? 'other mount namespaces' : `mount namespace of process ${pid}` },
      why,
    })),
  };
}

function foreignFound(group: readonly Foreign[], ours: readonly Mount[]): ForeignFound {
  const replacement = group.find((foreign) => isReplaced(foreign.mount, ours));
  const { mount } = replacement ?? (group[0] as Foreign);
  const byProcess = [...new Map(group.toReversed().map((foreign) => [foreign.process.pid, foreign])).values()].toReversed();
  const replaced = replacement !== undefined;
  return {
    code: 'foreign-ns-holder',
    severity: replaced ? 'warning' : 'info',
    subject: { kind: 'mount', name: mount.point, key: 'in another mount namespace' },
    data: {
      device: mount.device,
      fstype: mount.fstype,
      source: mount.source,
      processes: byProcess.map(({ process }) => process),
      replaced,
    },
    confidence: 'certain',
    evidence: byProcess.map(({ mount: { line }, seen, process }) =>
      quote(seen, `${showName(fromByteString(line))}: the namespace of ${describeProcess(process)}`),
    ),
  };
}

/** `sleep (pid 12, nginx.service)` */
export function describeProcess({ pid, name, unit }: Foreign['process']): string {
  return `${printable(name)} (pid ${pid}${unit === null ? '' : `, ${printable(unit)}`})`;
}
