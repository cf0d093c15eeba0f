import type { Found } from '../../../src/check/types.ts';
import { CONNECTIONS } from '../../../src/facts/fuse.ts';
import { describeHolders, type Holder } from '../../../src/facts/holders.ts';
import { quote, type Sought } from '../data.ts';
import type { ZombieFacts } from '../facts.ts';
import type { Orphan, Orphans } from './facts.ts';

export type OrphanFound = Found<'orphan-fuse-conn', { connection: number; waiting: number | null; holders: Holder[] }>;

export function seekOrphans({ orphans }: ZombieFacts): Sought {
  if (orphans === undefined) {
    return { findings: [] };
  }
  if ('unknown' in orphans) {
    return { findings: [], unjudged: [{ subject: { kind: 'host', name: 'FUSE connections' }, why: orphans.unknown }] };
  }
  const { unsettled } = orphans;
  return {
    examined: orphans.orphans.length,
    findings: orphans.orphans.map((orphan) => orphanFound(orphan, orphans)),
    unjudged: (unsettled?.connections ?? []).map((connection) => ({
      subject: { kind: 'fuse-connection', name: String(connection) },
      why: `it is in no mount table that could be read, but ${unsettled?.why}`,
    })),
  };
}

function orphanFound({ connection, waiting, holders }: Orphan, { seen }: Orphans): OrphanFound {
  const counts = waiting.filter((count) => count !== undefined);
  const stuck = counts.length > 1 && counts.every((count, index) => count > 0 && count >= (counts[index - 1] ?? 0));
  const path = `${CONNECTIONS}/${connection}`;
  return {
    code: 'orphan-fuse-conn',
    // Whoever waits cannot be set free by any path; without them it only keeps something alive.
    severity: stuck ? 'warning' : 'info',
    subject: { kind: 'fuse-connection', name: String(connection) },
    data: { connection, waiting: counts.at(-1) ?? null, holders },
    confidence: 'high',
    evidence: [
      quote(seen, `${path} is there, and no mount table of any process shows device 0:${connection}`),
      ...(counts.length > 0 ? [quote({ source: `${path}/waiting`, at: seen.at }, `callers waiting, over time: ${counts.join(', ')}`)] : []),
      ...(holders.length > 0 ? [quote({ source: '/proc/*/fd, cwd, root, exe', at: seen.at }, `held by ${describeHolders(holders)}`)] : []),
    ],
  };
}
