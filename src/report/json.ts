import type { Plan } from '../check/types.ts';
import { exitCodeOf, type FindingResult, type RunResult, riskOf, summarize } from '../engine/result.ts';
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
    repairs: run.repairs.map(({ finding, summary, plan, outcome, reason, steps }) => ({
      finding: { id: finding.id, check: finding.check, code: finding.code, severity: finding.severity, subject: finding.subject, summary },
      plan: planToJson(plan),
      outcome,
      reason,
      steps,
    })),
    unknown: run.unknown,
    exitCode: repairExitCode(run),
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}
