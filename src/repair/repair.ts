/** From findings to repairs: asks for consent and applies what was agreed to. */
import { userInfo } from 'node:os';
import type { Risk, Target } from '../check/types.ts';
import type { Listener } from '../engine/events.ts';
import { type CheckEntry, inspect } from '../engine/inspect.ts';
import type { CheckResult, FindingResult } from '../engine/result.ts';
import { host } from '../facts/host.ts';
import { showName } from '../names.ts';
import { applyPlan } from './apply.ts';
import { Journal } from './journal.ts';
import type { Repair } from './result.ts';

/** What somebody said to a plan. */
export type Consent = { apply: true } | { apply: false; outcome: 'declined' | 'skipped' | 'planned'; reason: string };

export interface RepairOptions {
  target: Target;
  entries: readonly CheckEntry[];
  /** Ids of findings; empty means all. */
  findings: readonly string[];
  consent(offer: { finding: FindingResult; risk: Risk }): Promise<Consent>;
  /** Told of each repair as it ends. */
  ended?(repair: Repair): void;
  runId: string;
  /** Undefined where nothing will be applied. */
  stateDir: string | undefined;
  rescueDir: string | undefined;
  roundMs: number;
  /** Runs work while its progress is shown. */
  show<T>(title: string, work: (listen: Listener) => Promise<T>): Promise<T>;
}

export interface Repaired {
  identity: string;
  /** What could not be told, as `check: why`. */
  unknown: string[];
  repairs: Repair[];
  /** Ids that were asked for and are not found (any more). */
  missing: string[];
}

export async function repairFindings(options: RepairOptions): Promise<Repaired> {
  const { target, entries, roundMs } = options;
  const { target: result, round } = await options.show(`Asking ${target.name}`, (listen) =>
    inspect(target, entries, { until: Date.now() + roundMs, listen }),
  );
  const { bootId } = await round.gather(host());
  const wanted = result.findings.filter(({ finding }) => options.findings.length === 0 || options.findings.includes(finding.id));
  const repairs: Repair[] = [];
  const missing = options.findings.filter((id) => !wanted.some(({ finding }) => finding.id === id));
  let journal: Journal | undefined;
  try {
    for (const finding of wanted) {
      const repair = await repairOne(finding);
      repairs.push(repair);
      options.ended?.(repair);
    }
  } finally {
    journal?.close();
  }
  return { identity: result.identity, unknown: result.checks.flatMap(unknownOf), repairs, missing };

  async function repairOne(finding: FindingResult): Promise<Repair> {
    const { plan, risk } = finding;
    const without = { ...finding, steps: [] };
    if (plan === null || risk === null || 'refused' in plan) {
      return { ...without, outcome: 'refused', reason: plan === null || !('refused' in plan) ? 'there is no repair for it' : plan.refused };
    }
    const consent = await options.consent({ finding, risk });
    if (!consent.apply) {
      return { ...without, outcome: consent.outcome, reason: consent.reason };
    }
    const stateDir = options.stateDir as string;
    journal ??= new Journal(stateDir, options.runId);
    const entry = entries.find(({ id }) => id === finding.finding.check) as CheckEntry;
    const context = {
      target,
      entry,
      journal,
      runId: options.runId,
      stateDir,
      rescueDir: options.rescueDir,
      roundMs,
      who: who(),
      machine: result.identity,
      boot: bootId,
    };
    return options.show(`Repairing: ${finding.summary}`, (listen) => applyPlan(finding, { ...context, listen }));
  }
}

function unknownOf({ id, outcome, reason, unjudged }: CheckResult): string[] {
  const subjects = unjudged.map(({ subject, why }) => `${id}: ${subject.kind} ${showName(subject.name)}: ${why}`);
  return subjects.length === 0 && outcome === 'unknown' ? [`${id}: ${reason}`] : subjects;
}

function who(): string {
  const { uid, username } = userInfo();
  const sudo = process.env['SUDO_USER'];
  return `uid ${uid} (${username})${sudo === undefined ? '' : `, by sudo from ${sudo}`}`;
}
