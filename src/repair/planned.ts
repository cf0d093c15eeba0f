import type { Target } from '../check/types.ts';
import type { Listener } from '../engine/events.ts';
import { type CheckEntry, inspect, newRunId } from '../engine/inspect.ts';
import { host } from '../facts/host.ts';
import type { CostlyFacts } from '../state/costly-facts.ts';
import { hasSteps, notTold, unapplied } from './repair.ts';
import type { Repair, RepairRun } from './result.ts';
import type { SavedPlans } from './saved-plan.ts';

export interface PlanOptions {
  target: Target;
  /** What earlier runs gathered at great cost. */
  costly: CostlyFacts | undefined;
  entries: readonly CheckEntry[];
  /** Ids of findings; empty means all. */
  findings: readonly string[];
  /** For the asking, milliseconds since the epoch. */
  until: number;
  validMs: number;
  listen: Listener;
}

/** The plans of what is found now, as a file and as a result. */
export async function planFindings(
  { target, costly, entries, findings, until, validMs, listen }: PlanOptions,
  version: string,
): Promise<{ saved: SavedPlans; run: RepairRun; missing: string[] }> {
  const started = Date.now();
  const { target: result, identity, round } = await inspect(target, entries, { until, listen, costly });
  const { bootId, hostname } = await round.gather(host());
  // What is good to know and has no cure is nothing to plan, unless it was asked for.
  const plans = result.findings.filter((each) =>
    findings.length === 0 ? each.finding.severity !== 'info' || hasSteps(each.plan) : findings.includes(each.finding.id),
  );
  const unknown = notTold(result);
  const saved: SavedPlans = {
    version,
    madeAt: new Date(started).toISOString(),
    expiresAt: new Date(started + validMs).toISOString(),
    target: { name: hostname ?? target.name, kind: target.kind, via: target.via, identity, boot: bootId },
    plans,
    unknown,
  };
  const repairs = plans.map((finding): Repair => {
    const { plan } = finding;
    if (plan === null || 'refused' in plan) {
      return { ...unapplied(finding), outcome: 'refused', reason: plan?.refused ?? 'there is no repair for it' };
    }
    return { ...unapplied(finding), outcome: 'planned', reason: null };
  });
  const run: RepairRun = {
    id: newRunId(),
    startedAt: saved.madeAt,
    durationMs: Date.now() - started,
    version,
    target: { name: target.name, identity },
    repairs,
    unknown,
  };
  return { saved, run, missing: result.reason !== null ? [] : findings.filter((id) => !plans.some(({ finding }) => finding.id === id)) };
}
