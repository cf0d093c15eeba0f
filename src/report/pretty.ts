/** The report for a person at a terminal. */
import type { Evidence, Plan, Risk, Severity, Step, Subject } from '../check/types.ts';
import { actionText } from '../check/wording.ts';
import type { CheckResult, FindingResult, RunResult, TargetResult } from '../engine/result.ts';
import { refersTo } from '../journal/references.ts';
import { printable, showName } from '../names.ts';
import type { Repair, RepairRun } from '../repair/result.ts';
import { type Paint, plain } from './style.ts';

const SEVERITY_STYLE = { critical: ['bold', 'red'], warning: ['bold', 'yellow'], info: ['bold', 'blue'] } as const;

const RISK_WORDS: Readonly<Record<Risk, string>> = {
  safe: 'safe: nothing can be lost and nobody is interrupted',
  disruptive: 'disruptive: somebody is interrupted, or it can be undone only by effort',
  'data-loss': 'data loss: bytes can be lost',
};

export function reportToText(run: RunResult, paint: Paint = plain): string {
  return `${run.targets.map((target) => targetToText(target, paint)).join('\n')}`;
}

function targetToText(target: TargetResult, paint: Paint): string {
  const { hostname, os, kernel, hardware } = target.host;
  const head = [hostname ?? target.name, os, kernel === null ? null : `kernel ${kernel}`, hardware]
    .filter((part) => part !== null)
    .map((part) => printable(part as string));
  const source = target.via === 'recording' ? paint('dim', '  (from a recording)') : '';
  const lines = [`${paint('bold', head[0] ?? '')}${head.length > 1 ? `  ${head.slice(1).join(', ')}` : ''}${source}`, ''];
  for (const finding of target.findings) {
    lines.push(...findingToLines(finding, paint), '');
  }
  lines.push(...target.checks.flatMap((check) => checkToLines(check, paint)), '', ...nextSteps(target, paint));
  return `${lines.join('\n').trimEnd()}\n`;
}

function findingToLines({ finding, summary, plan, risk }: FindingResult, paint: Paint): string[] {
  return [
    `${severityMark(finding.severity, paint)} ${summary}`,
    `    ${paint('dim', `${finding.id}, confidence ${finding.confidence}`)}`,
    ...(finding.cause === undefined ? [] : [`    caused by ${subjectText(finding.cause)}`]),
    ...finding.evidence.map((each) => `    ${evidenceText(each, paint)}`),
    ...fixToLines(plan, risk, paint),
  ];
}

function severityMark(severity: Severity, paint: Paint): string {
  return paint([...SEVERITY_STYLE[severity]], severity.toUpperCase());
}

function evidenceText({ source, excerpt }: Evidence, paint: Paint = plain): string {
  return `${printable(excerpt)} ${paint('dim', `[${printable(source)}]`)}`;
}

function fixToLines(plan: Plan | null, risk: Risk | null, paint: Paint): string[] {
  if (plan === null) {
    return [];
  }
  if ('refused' in plan) {
    return [`    no repair by stdoctor: ${plan.refused}`];
  }
  const commands = plan.steps.map(({ action }) => `      ${paint('cyan', actionText(action))}`);
  return [`    repair (${risk}):`, ...commands];
}

function checkToLines(check: CheckResult, paint: Paint): string[] {
  const lines = [
    `${outcomeText(check, paint)}  ${paint('dim', check.id)}${check.reason === null ? '' : `: ${printable(check.reason)}`}${examinedText(check)}`,
  ];
  for (const { subject, why } of check.unjudged) {
    lines.push(`    ${paint('yellow', 'could not tell')}: ${subjectText(subject)}: ${printable(why)}`);
  }
  if (check.tooMany !== null) {
    lines.push(`    ${paint('yellow', 'not repaired without a person')}: ${printable(check.tooMany)}`);
  }
  for (const { subject, text } of check.notes) {
    lines.push(`    note: ${subjectText(subject)}: ${printable(text)}`);
  }
  return lines;
}

function examinedText({ outcome, examined }: CheckResult): string {
  return outcome === 'not-applicable' || (outcome === 'unknown' && examined === 0) ? '' : ` (${examined} examined)`;
}

function outcomeText({ outcome }: CheckResult, paint: Paint): string {
  switch (outcome) {
    case 'healthy':
      return paint('green', 'healthy');
    case 'findings':
      return paint('bold', 'findings');
    case 'unknown':
      return paint('yellow', 'could not tell');
    case 'not-applicable':
      return paint('dim', 'not applicable');
  }
}

function nextSteps(target: TargetResult, paint: Paint): string[] {
  const repairable = target.findings.filter(({ plan }) => plan !== null && !('refused' in plan));
  const first = target.findings[0];
  if (first === undefined) {
    return [];
  }
  const explain = `stdoctor explain ${first.finding.code}`;
  const fix =
    repairable.length > 0 && target.via !== 'recording' ? `${paint('bold', 'stdoctor fix')} goes through the repairs one by one; ` : '';
  return [`Next: ${fix}${paint('bold', explain)} tells more.`];
}

function subjectText({ kind, name }: Subject): string {
  return `${kind} ${showName(name)}`;
}

/** What is kept before bytes can be lost. */
function backupText(steps: readonly Step[]): string {
  const risky = steps.findIndex((step) => step.risk === 'data-loss');
  const copies = steps
    .slice(0, risky)
    .flatMap((step, index) => (refersTo(step.action, 'rescue') ? [`step ${index + 1} (${step.title})`] : []));
  return copies.length === 0
    ? 'No backup can be made first: what is lost is lost.'
    : `Backup: ${copies.join(' and ')} keeps a copy before bytes can be lost.`;
}

/** What stands before the question, and in a dry run. */
export function planToText(
  { finding, summary, plan, risk }: Pick<Repair, 'finding' | 'summary' | 'plan' | 'risk'>,
  paint: Paint = plain,
  rescue?: string,
): string {
  const lines = [
    `${severityMark(finding.severity, paint)} ${summary}`,
    `    ${paint('dim', finding.id)}`,
    ...finding.evidence.map((each) => `    ${evidenceText(each, paint)}`),
  ];
  if (plan === null || 'refused' in plan) {
    return `${lines.join('\n')}\n`;
  }
  lines.push(`  Plan (${RISK_WORDS[risk ?? 'data-loss']}):`);
  plan.steps.forEach((step, index) => {
    lines.push(
      `  ${index + 1}. ${step.title} (${step.risk})`,
      `       ${paint('cyan', actionText(step.action))}`,
      `     ${printable(step.why)}`,
      `     ${'none' in step.undo ? `Cannot be undone: ${step.undo.none}` : `To undo it: ${actionText(step.undo.action)}`}`,
    );
  });
  if (risk === 'data-loss') {
    lines.push(`  ${paint('bold', backupText(plan.steps))}`);
  }
  if (rescue !== undefined && refersTo(plan.steps, 'rescue')) {
    lines.push(`  {rescue} is ${printable(rescue)}`);
  }
  return `${lines.join('\n')}\n`;
}

const OUTCOME_STYLE = {
  repaired: 'green',
  healed: 'green',
  failed: 'red',
  unproven: 'yellow',
  stale: 'yellow',
  declined: 'dim',
  refused: 'yellow',
  skipped: 'yellow',
  planned: 'dim',
  undone: 'green',
} as const;

export function repairToText(repair: Repair, paint: Paint = plain): string {
  const lines = [`${paint(['bold', OUTCOME_STYLE[repair.outcome]], repair.outcome)}  ${repair.summary}`];
  if (repair.reason !== null) {
    lines.push(`    ${printable(repair.reason)}`);
  }
  for (const step of repair.steps.filter(({ outcome }) => outcome !== 'not-done')) {
    const code = step.exitCode === null ? '' : `, exit code ${step.exitCode}`;
    // Without a time of its own it is only known of, from the journal or the host.
    const how = step.durationMs === 0 && step.why !== null ? printable(step.why) : `${step.durationMs} ms${code}`;
    lines.push(`    ${step.outcome}: ${actionText(step.action)} (${how})`);
  }
  return `${lines.join('\n')}\n`;
}

/** All that `plan` has to say. */
export function planRunToText(run: RepairRun, paint: Paint = plain): string {
  const plans = run.repairs.map((repair) =>
    repair.outcome === 'planned'
      ? planToText(repair, paint)
      : `${planToText(repair, paint)}    no repair by stdoctor: ${printable(repair.reason ?? '')}\n`,
  );
  return plans.join('') + repairRunToText(run, 'Nothing to repair was found.', paint);
}

/** The closing words of a run that repairs. */
export function repairRunToText(run: RepairRun, nothing: string, paint: Paint = plain): string {
  const counts = new Map<string, number>();
  for (const { outcome } of run.repairs) {
    counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
  }
  const said = [...counts].map(([outcome, count]) => `${count} ${outcome}`).join(', ');
  const unknown = run.unknown.map((why) => `${paint('yellow', 'could not tell')}: ${printable(why)}\n`).join('');
  return `${unknown}${said === '' ? nothing : said}\n`;
}
