import type { Plan } from '../check/types.ts';
import { exitCodeOf, type FindingResult, type RunResult, riskOf, summarize } from '../engine/result.ts';
import type { Journaled } from '../journal/entries.ts';
import { type RepairRun, repairExitCode } from '../repair/result.ts';

/** `stdoctor.report/1`, docs/schema/report-1.schema.json. */
export function reportToJson(run: RunResult): string {
  const document = {
    schema: 'stdoctor.report/1',
    version: run.version,
    run: { id: run.id, startedAt: run.startedAt, durationMs: run.durationMs },
    targets: run.targets.map(({ checks, findings, host: { hardware: _forPeople, ...host }, ...target }) => ({
      ...target,
      host,
      checks: checks.map(({ title: _title, ...check }) => check),
      findings: findings.map(findingToJson),
    })),
    summary: summarize(run),
    exitCode: exitCodeOf(run),
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

function findingToJson({ finding, summary, plan }: FindingResult) {
  const { id, check, code, severity, subject, data, evidence, confidence, cause } = finding;
  return { id, check, code, severity, subject, summary, data, evidence, confidence, cause: cause ?? null, fix: planToJson(plan) };
}

function planToJson(plan: Plan | null) {
  if (plan === null || 'refused' in plan) {
    return { state: plan === null ? 'none' : 'refused', risk: null, reason: plan?.refused ?? null, steps: [] };
  }
  const steps = plan.steps.map(({ title, why, risk, action, undo }) => ({
    title,
    why,
    risk,
    action,
    undo: 'none' in undo ? undo : { action: undo.action },
  }));
  return { state: 'available', risk: riskOf(plan), reason: plan.remains ?? null, steps };
}

/** `stdoctor.repair/1`, docs/schema/repair-1.schema.json. */
export function repairToJson(run: RepairRun): string {
  const document = {
    schema: 'stdoctor.repair/1',
    version: run.version,
    run: { id: run.id, startedAt: run.startedAt, durationMs: run.durationMs },
    target: run.target,
    repairs: run.repairs.map(({ finding, summary, plan, run: journalled, outcome, reason, steps }) => ({
      finding: { id: finding.id, check: finding.check, code: finding.code, severity: finding.severity, subject: finding.subject, summary },
      plan: planToJson(plan),
      run: journalled,
      outcome,
      reason,
      steps,
    })),
    unknown: run.unknown,
    exitCode: repairExitCode(run),
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

/** `stdoctor.history/1`, docs/schema/history-1.schema.json. */
export function historyToJson(version: string, repairs: readonly Journaled[]): string {
  const document = { schema: 'stdoctor.history/1', version, repairs: repairs.map(journaledToJson) };
  return `${JSON.stringify(document, null, 2)}\n`;
}

function journaledToJson({ run, at, who, machine, boot, host, finding, summary, risk, steps, deeds, takenUp, closed }: Journaled) {
  const { id, check, code, severity, subject } = finding;
  return {
    run,
    startedAt: at,
    endedAt: closed?.at ?? null,
    who,
    machine,
    boot,
    host: host?.name ?? null,
    finding: { id, check, code, severity, subject, summary },
    risk,
    outcome: closed?.as ?? 'interrupted',
    reason: closed?.why ?? null,
    takenUp,
    acts: deeds.map(({ at: startedAt, of, step, action, proof, proven, undo, ended }) => ({
      of,
      step: step + 1,
      title: steps[step]?.title ?? '',
      action,
      startedAt,
      endedAt: ended?.at ?? null,
      ok: ended?.ok ?? null,
      exitCode: ended?.code ?? null,
      why: ended?.why ?? null,
      log: ended?.log ?? null,
      proven,
      proof,
      undo: undo ?? null,
    })),
  };
}
