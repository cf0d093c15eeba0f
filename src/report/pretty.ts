/** Plans and repairs, for a person at a terminal. */
import type { Step } from '../check/types.ts';
import { refersTo } from '../journal/references.ts';
import { printable } from '../names.ts';
import type { Repair, RepairRun } from '../repair/result.ts';
import { actionLines, commandLine, evidenceLines, headline, marked, namesIn, notTold, RISK_WORDS } from './finding.ts';
import { paragraph } from './layout.ts';
import { type Paint, plain } from './style.ts';

/** What is kept before bytes can be lost. */
function backupText(steps: readonly Step[]): string {
  const risky = steps.findIndex((step) => step.risk === 'data-loss');
  const copies = steps
    .slice(0, risky + 1)
    .flatMap((step, index) => (refersTo(step.action, 'rescue') ? [`step ${index + 1} (${step.title})`] : []));
  return copies.length === 0
    ? 'No backup can be made first: what is lost is lost.'
    : `Backup: ${copies.join(' and ')} keeps what would be lost.`;
}

/** What stands before the question, and in a dry run. evidence: all of it, with source and time. */
export function planToText(
  repair: Pick<Repair, 'finding' | 'summary' | 'plan' | 'risk'>,
  paint: Paint = plain,
  rescue?: string,
  evidence = false,
): string {
  const { finding, plan, risk } = repair;
  const shape = { columns: paint.columns, keep: namesIn(finding) };
  const lines = [...headline(repair, paint), `    ${paint('dim', finding.id)}`, ...evidenceLines(finding, paint, 4, evidence)];
  if (plan === null || 'refused' in plan) {
    const why = plan?.refused ?? 'there is no repair for it';
    return textOf([...lines, ...paragraph(`Not repaired by stdoctor fix: ${why}`, { ...shape, indent: 4, advice: true }), '']);
  }
  lines.push(...paragraph(`Plan (${RISK_WORDS[risk ?? 'data-loss']}):`, { ...shape, indent: 2 }));
  plan.steps.forEach((step, index) => {
    lines.push(
      ...paragraph(`${index + 1}. ${step.title} (${step.risk})`, { ...shape, indent: 2, hang: 3 }),
      ...actionLines(step.action, paint, 7),
      ...paragraph(step.why, { ...shape, indent: 5, advice: true }),
      ...('none' in step.undo
        ? paragraph(`Cannot be undone: ${step.undo.none}`, { ...shape, indent: 5, advice: true })
        : ['     To undo it:', commandLine(step.undo.action, paint, 7)]),
    );
  });
  if (plan.remains !== undefined) {
    lines.push(...paragraph(`What remains to be done by hand: ${plan.remains}`, { ...shape, indent: 2, advice: true }));
  }
  if (risk === 'data-loss') {
    lines.push(...paragraph(backupText(plan.steps), { ...shape, indent: 2 }).map((line) => paint('bold', line)));
  }
  if (rescue !== undefined && refersTo(plan.steps, 'rescue')) {
    lines.push(...paragraph(`{rescue} is ${printable(rescue)}`, { ...shape, indent: 2, keep: [printable(rescue)] }));
  }
  return textOf([...lines, '']);
}

function textOf(lines: readonly string[]): string {
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
  const shape = { columns: paint.columns, keep: namesIn(repair.finding) };
  const lines = marked(repair.outcome, ['bold', OUTCOME_STYLE[repair.outcome]], ` ${repair.summary}`, paint, shape);
  if (repair.reason !== null) {
    lines.push(...paragraph(repair.reason, { ...shape, indent: 4, advice: true }));
  }
  for (const step of repair.steps.filter(({ outcome }) => outcome !== 'not-done')) {
    const code = step.exitCode === null ? '' : `, exit code ${step.exitCode}`;
    // Without a time of its own it is only known of, from the journal or the host.
    const how = step.durationMs === 0 && step.why !== null ? step.why : `${step.durationMs} ms${code}`;
    lines.push(...paragraph(`${step.outcome} (${how}):`, { ...shape, indent: 4 }), commandLine(step.action, paint, 8));
  }
  return textOf(lines);
}

/** All that `plan` has to say. */
export function planRunToText(run: RepairRun, paint: Paint = plain): string {
  const plans = run.repairs.map((repair) => planToText(repair, paint, undefined, true));
  return plans.join('') + repairRunToText(run, 'Nothing to repair was found.', paint);
}

/** The closing words of a run that repairs. */
export function repairRunToText(run: RepairRun, nothing: string, paint: Paint = plain): string {
  const counts = new Map<string, number>();
  for (const { outcome } of run.repairs) {
    counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
  }
  const said = [...counts].map(([outcome, count]) => `${count} ${outcome}`).join(', ');
  const unknown = run.unknown.flatMap((why) => notTold('', why, paint));
  const none = run.unknown.length === 0 ? nothing : 'Nothing was done.';
  return textOf([...unknown, said === '' ? none : said]);
}
