import type { Subject, Verdict } from '../../src/check/types.ts';
import { isPseudo, runtimeOf } from '../../src/facts/mount-kinds.ts';
import type { Mount } from '../../src/facts/mountinfo.ts';
import { judgedMounts } from '../../src/facts/reach.ts';
import { answered, type Judgement, subjectOf, whyUnjudged, type ZombieFound } from './data.ts';
import type { ZombieFacts } from './facts.ts';
import { parts } from './parts.ts';
import { oddStacks } from './stacks/layers.ts';

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
  for (const sought of parts.map(({ seek }) => seek?.(facts))) {
    verdict.examined += sought?.examined ?? 0;
    verdict.findings.push(...(sought?.findings ?? []));
    verdict.unjudged.push(...(sought?.unjudged ?? []));
    verdict.notes.push(...(sought?.notes ?? []));
  }
  return verdict;
}

/** Mounts with storage behind them that no path reaches, whose superblock no visible mount stands for, and that no finding is about. */
function hiddenMounts({ table, daemons }: ZombieFacts): Mount[] {
  const shown = new Set(table.mounts.filter((mount) => table.visible.has(mount.id)).map(({ device }) => device));
  const dead = new Set(oddStacks(table, daemons).flatMap(({ odd, below }) => (below === 'dead' ? [odd] : [])));
  return table.mounts.filter(
    (mount) =>
      !table.visible.has(mount.id) &&
      !isPseudo(mount) &&
      !shown.has(mount.device) &&
      !dead.has(mount) &&
      runtimeOf(mount.point) === undefined,
  );
}

/** The first part that has something to say. */
function judge(mount: Mount, facts: ZombieFacts): Judgement {
  const found = facts.reach.get(mount.id);
  if (found === undefined) {
    return { unjudged: 'it was not asked' };
  }
  for (const part of parts) {
    const judgement = part.judge?.(mount, found, facts);
    if (judgement !== undefined) {
      return judgement;
    }
  }
  return found.state === 'answers' ? answered(found) : { unjudged: whyUnjudged(found) };
}
