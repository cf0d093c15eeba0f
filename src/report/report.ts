/** The report of `check`, for a person at a terminal. */
import type { Subject } from '../check/types.ts';
import type { CheckResult, FindingResult, RunResult, TargetResult } from '../engine/result.ts';
import { summarize } from '../engine/result.ts';
import { printable, showName } from '../names.ts';
import { actionLines, evidenceLines, headline, marked, namesIn, notTold, RISK_WORDS } from './finding.ts';
import { type Group, groupByCause } from './groups.ts';
import { paragraph } from './layout.ts';
import { shortened } from './shortened.ts';
import { type Paint, plain } from './style.ts';

const SOURCE_CHARACTERS = 200;
/** All of a difference is shown before it is agreed to. */
const DIFF_LINES = 12;

/** How much is told. */
export interface View {
  /** Nothing but findings and what could not be told, in a sentence each. */
  quiet?: boolean;
  /** Checks with their times, notes, and what was asked. */
  verbose?: boolean;
  /** All evidence, with source and time, in place of the one line that says most. */
  evidence?: boolean;
  asked?: Asked;
}

/** Commands that were asked for answers, and those that took longest, slowest first. */
export interface Asked {
  commands: number;
  slowest: readonly { source: string; ms: number }[];
}

/** Empty where the view is quiet and nothing is wrong. */
export function reportToText(run: RunResult, paint: Paint = plain, view: View = {}): string {
  const several = run.targets.length > 1;
  const told = several && !view.verbose ? run.targets.filter((target) => !isWell(target)) : run.targets;
  const pages = told.map((target) => (view.quiet ? quietLines(target, several, paint) : targetLines(run, target, paint, view)));
  const last = several && !view.quiet ? [fleetLines(run, paint)] : [];
  return [...pages, ...last].map((lines) => lines.map((line) => `${line}\n`).join('')).join(view.quiet ? '' : '\n');
}

function quietLines({ name, reason, findings, checks }: TargetResult, several: boolean, paint: Paint): string[] {
  const where = several ? `${printable(name)}: ` : '';
  return [
    ...findings.flatMap(({ finding, summary }) => headline({ finding, summary: `${where}${summary} (${finding.id})` }, paint)),
    ...(reason === null ? checks.flatMap((check) => unknownLines(check, paint)) : notTold(`${printable(name)}: `, reason, paint)),
  ];
}

/** Nothing about it needs a page of its own. */
function isWell({ reason, findings, checks }: TargetResult): boolean {
  return (
    reason === null && findings.length === 0 && checks.every(({ outcome, unjudged }) => outcome !== 'unknown' && unjudged.length === 0)
  );
}

/** All targets at once: what is well in a line, and what is not in another. */
function fleetLines(run: RunResult, paint: Paint): string[] {
  const { columns } = paint;
  const { critical, warning, info } = summarize(run);
  const unreached = run.targets.filter(({ reason }) => reason !== null).map(({ name }) => printable(name));
  const well = run.targets.filter(isWell).map(({ name }) => printable(name));
  const counts = [
    [critical, 'critical'],
    [warning, 'warning'],
    [info, 'info'],
    [unreached.length, 'could not be asked'],
    [well.length, 'healthy'],
  ] as const;
  const said = counts.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`);
  return [
    paint('bold', `${run.targets.length} hosts: ${said.join(', ') || 'not all could be told'}`),
    ...(unreached.length === 0 ? [] : paragraph(`Could not be asked: ${unreached.join(', ')}`, { columns, keep: unreached })),
    ...(well.length === 0 ? [] : paragraph(`Healthy: ${well.join(', ')}`, { columns, keep: well })),
  ];
}

function targetLines(run: RunResult, target: TargetResult, paint: Paint, view: View): string[] {
  const host = target.via === 'ssh' ? ` --host ${target.name}` : '';
  const page: Page = { paint, whole: view.evidence === true, fixable: target.via !== 'recording', host };
  const findings = groupByCause(target.findings).map((group) => groupLines(group, page, 0));
  const unknown =
    target.reason === null
      ? target.checks.map((check) => unknownLines(check, paint))
      : [notTold(`${printable(target.name)}: `, target.reason, paint)];
  const said = view.verbose ? [noteLines(target, paint), checkLines(target, paint), askedLines(view.asked, paint)] : [];
  const ends = target.reason === null ? [summaryLines(run, target, page, view)] : [];
  const head = target.reason === null || target.findings.length > 0 ? headLines(target, paint) : [];
  const sections = [head, ...findings, ...unknown, ...said, ...ends];
  return sections.filter((lines) => lines.length > 0).flatMap((lines, index) => (index === 0 ? lines : ['', ...lines]));
}

interface Page {
  paint: Paint;
  /** All evidence is shown. */
  whole: boolean;
  /** `stdoctor fix` can act on what is shown. */
  fixable: boolean;
  /** The flag that names the target; empty for this host. */
  host: string;
}

function headLines({ name, via, host: { hostname, os, kernel, hardware } }: TargetResult, paint: Paint): string[] {
  const about = [os, kernel === null ? null : `kernel ${kernel}`, hardware].filter((part) => part !== null).join(', ');
  const source = via === 'recording' ? ' (from a recording)' : via === 'ssh' && hostname !== null ? ` (${name} over ssh)` : '';
  return marked(printable(hostname ?? name), 'bold', `${about}${source}`, paint);
}

function groupLines(group: Group, page: Page, indent: number): string[] {
  const { paint } = page;
  const { brought } = group;
  const below = brought.flatMap((each) => ['', ...groupLines(each, page, indent + 4)]);
  if ('cause' in group) {
    return [...marked('ONE CAUSE', 'bold', `of ${brought.length} findings: ${subjectText(group.cause)}`, paint, { indent }), ...below];
  }
  const title = `${' '.repeat(indent + 4)}It brought about:`;
  return [...findingLines(group.finding, page, indent), ...(brought.length > 0 ? [title, ...below.slice(1)] : [])];
}

function findingLines(result: FindingResult, { paint, whole, fixable, host }: Page, indent: number): string[] {
  const { finding } = result;
  const inner = indent + 4;
  const commands = [...(fixable && isRepairable(result) ? [`fix ${finding.id}${host}`] : []), `explain ${finding.code}`];
  return [
    ...headline(result, paint, indent),
    ...evidenceLines(finding, paint, inner, whole),
    ...causeLines(finding.cause, paint, inner),
    ...repairLines(result, paint, inner),
    ...nextLines(commands, paint, inner),
  ];
}

function causeLines(cause: Subject | undefined, { columns }: Paint, indent: number): string[] {
  return cause === undefined ? [] : paragraph(`Caused by ${subjectText(cause)}`, { columns, indent, keep: [showName(cause.name)] });
}

function repairLines({ finding, plan, risk }: FindingResult, paint: Paint, indent: number): string[] {
  const { columns } = paint;
  const keep = namesIn(finding);
  if (plan === null) {
    return [];
  }
  if ('refused' in plan) {
    return paragraph(`Not repaired by stdoctor fix: ${plan.refused}`, { columns, indent, keep, advice: true });
  }
  const actions = plan.steps.map(({ action }) => action);
  const made = [...new Set([...JSON.stringify(actions).matchAll(/\{"ref":"(\w+)"\}/g)].map(([, name]) => `{${name}}`))];
  return [
    ...paragraph(`Repair (${RISK_WORDS[risk ?? 'data-loss']}):`, { columns, indent }),
    ...actions.flatMap((action) => actionLines(action, paint, indent + 4, DIFF_LINES)),
    ...(made.length === 0 ? [] : paragraph(`${made.join(' and ')}: known when it is repaired`, { columns, indent: indent + 2 })),
    ...(plan.remains === undefined
      ? []
      : paragraph(`What remains to be done by hand: ${plan.remains}`, { columns, indent, keep, advice: true })),
  ];
}

/** Commands of this program, a line each. */
function nextLines(commands: readonly string[], paint: Paint, indent: number): string[] {
  return commands.map(
    (command, index) => `${' '.repeat(indent)}${index === 0 ? 'Next: ' : '      '}${paint('bold', `stdoctor ${command}`)}`,
  );
}

/** What could not be told, by reason; each subject is named. */
function unknownLines(check: CheckResult, paint: Paint): string[] {
  if (check.outcome === 'unknown' && check.unjudged.length === 0) {
    return notTold(`${check.id}: `, check.reason ?? '', paint);
  }
  return [...Map.groupBy(check.unjudged, ({ why }) => why)].flatMap(([why, [first, ...others]]) => {
    const { subject } = first as { subject: Subject };
    if (others.length === 0) {
      return notTold(`${subjectText(subject)} (${check.id}): `, why, paint, [showName(subject.name)]);
    }
    const subjects = [subject, ...others.map((each) => each.subject)];
    return [...notTold(`about ${subjects.length} (${check.id}): `, why, paint), ...subjects.map((each) => `    ${subjectText(each)}`)];
  });
}

function noteLines({ checks }: TargetResult, { columns }: Paint): string[] {
  const notes = checks.flatMap((check) => check.notes);
  return notes.flatMap(({ subject, text }) =>
    paragraph(`Note: ${subjectText(subject)}: ${text}`, { columns, keep: [showName(subject.name)] }),
  );
}

function checkLines({ checks }: TargetResult, { columns }: Paint): string[] {
  return checks.flatMap(({ id, outcome, reason, examined, durationMs }) =>
    paragraph(`Check ${id}: ${OUTCOMES[outcome]}${reason === null ? '' : `: ${reason}`}, ${examined} examined, ${durationMs} ms`, {
      columns,
    }),
  );
}

const OUTCOMES = { healthy: 'healthy', findings: 'findings', unknown: 'could not tell', 'not-applicable': 'not applicable' } as const;

function askedLines(asked: Asked | undefined, paint: Paint): string[] {
  if (asked === undefined || asked.commands === 0) {
    return [];
  }
  const slow = asked.slowest.map(({ source, ms }) => `    ${ms} ms  ${shortened(source, SOURCE_CHARACTERS)}`);
  return [
    `Asked by ${asked.commands === 1 ? '1 command' : `${asked.commands} commands`}, the slowest:`,
    ...slow.map((line) => paint('dim', line)),
  ];
}

/** The counts, what is well, and what to do next. */
function summaryLines(run: RunResult, target: TargetResult, { paint, fixable, host }: Page, view: View): string[] {
  const { columns } = paint;
  const { critical, warning, info } = summarize({ ...run, targets: [target] });
  const unknown = target.checks.reduce((sum, { outcome, unjudged }) => sum + (unjudged.length || (outcome === 'unknown' ? 1 : 0)), 0);
  const counts = [
    [critical, 'critical'],
    [warning, 'warning'],
    [info, 'info'],
    [unknown, 'could not tell'],
  ] as const;
  const said = counts.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`);
  const notes = target.checks.reduce((sum, check) => sum + check.notes.length, 0);
  const tooMany = target.checks.flatMap((check) => (check.tooMany === null ? [] : [check.tooMany]));
  const repairable = target.findings.filter(isRepairable).length;
  const more = [
    ...(target.findings.length > 0 && !view.evidence ? ['--evidence shows all that was seen'] : []),
    ...(notes > 0 && !view.verbose ? [`--verbose shows ${notes === 1 ? 'a note' : `${notes} notes`}`] : []),
  ];
  return [
    paint('bold', `Summary: ${said.length === 0 ? 'nothing wrong was found' : said.join(', ')}`),
    ...foldedLines('Healthy', target, 'healthy', paint),
    ...foldedLines('Not applicable', target, 'not-applicable', paint),
    ...tooMany.flatMap((why) => paragraph(`So many at once: ${why}`, { columns })),
    ...(more.length === 0 ? [] : paragraph(`More: ${more.join(', ')}`, { columns })),
    ...nextLines(fixable && repairable > 1 ? [`fix${host}`] : [], paint, 0),
  ];
}

function foldedLines(title: string, { checks }: TargetResult, outcome: CheckResult['outcome'], { columns }: Paint): string[] {
  const ids = checks
    .filter((check) => check.outcome === outcome)
    .map(({ id, examined }) => (examined === 0 ? id : `${id} (${examined} examined)`));
  return ids.length === 0 ? [] : paragraph(`${title}: ${ids.join(', ')}`, { columns });
}

function isRepairable({ plan }: FindingResult): boolean {
  return plan !== null && !('refused' in plan);
}

function subjectText({ kind, name }: Subject): string {
  return `${kind} ${showName(name)}`;
}
