/** How one finding looks, in a report and before its repair. */
import stringWidth from 'string-width';
import type { Action, Evidence, Finding, ResolvedAction, Risk } from '../check/types.ts';
import { actionText } from '../check/wording.ts';
import type { FindingResult } from '../engine/result.ts';
import { fromByteString, type Name, printable, showName, toByteString } from '../names.ts';
import { commandClauses, paragraph } from './layout.ts';
import { shortened } from './shortened.ts';
import type { Paint } from './style.ts';

const SEVERITY_STYLE = { critical: ['bold', 'red'], warning: ['bold', 'yellow'], info: ['bold', 'blue'] } as const;
/** A source can be a command over thousands of mounts. */
const SOURCE_CHARACTERS = 400;
const EXCERPT_CHARACTERS = 2000;
const WHY_CHARACTERS = 600;
/** Of the one line of evidence that is always shown. */
const SHORT_CHARACTERS = 160;
const TAB = 8;
/** Where it is seen who holds something: whoever is interrupted is always named. */
const HOLDERS = '/proc/*/';

export const RISK_WORDS: Readonly<Record<Risk, string>> = {
  safe: 'safe: nothing can be lost and nobody is interrupted',
  disruptive: 'disruptive: somebody is interrupted, or it can be undone only by effort',
  'data-loss': 'data loss: bytes can be lost',
};

/** The severity and the sentence. */
export function headline({ finding, summary }: Pick<FindingResult, 'finding' | 'summary'>, paint: Paint, indent = 0): string[] {
  const { severity } = finding;
  return marked(severity.toUpperCase(), [...SEVERITY_STYLE[severity]], summary, paint, { indent, keep: namesIn(finding) });
}

/** A paragraph that begins with a painted word. */
export function marked(
  mark: string,
  style: Parameters<Paint>[0],
  text: string,
  paint: Paint,
  { indent = 0, keep = [] }: { indent?: number; keep?: readonly string[] } = {},
): string[] {
  // The mark itself is never broken.
  const whole = paragraph(`${mark} ${text}`, { columns: paint.columns, indent, hang: 2, keep: [mark, ...keep] });
  const [first = '', ...rest] = whole;
  return [`${' '.repeat(indent)}${paint(style, mark)}${first.slice(indent + mark.length)}`, ...rest];
}

/** What could not be told, and why; the why may quote a command over thousands of mounts. */
export function notTold(what: string, why: string, paint: Paint, keep: readonly string[] = []): string[] {
  const short = shortened(why, WHY_CHARACTERS, WHY_CHARACTERS / 2);
  return marked('COULD NOT TELL', ['bold', 'yellow'], `${what}${short}`, paint, { keep: [...keep, ...commandClauses(short)] });
}

/** What decided, in a line; or all that was seen, with where and when. */
export function evidenceLines(finding: Finding, paint: Paint, indent: number, whole: boolean): string[] {
  const { evidence, confidence } = finding;
  const sure = confidence === 'certain' ? '' : ` (confidence: ${confidence})`;
  const keep = namesIn(finding);
  if (whole) {
    return [
      `${' '.repeat(indent)}How we know (confidence: ${confidence}):`,
      ...evidence.flatMap(({ source, at, excerpt }) => [
        `${' '.repeat(indent + 2)}${paint('dim', `${printable(at)}  ${bounded(source, SOURCE_CHARACTERS)}`)}`,
        ...paragraph(bounded(excerpt, EXCERPT_CHARACTERS), { columns: paint.columns, indent: indent + 4, keep }),
      ]),
    ];
  }
  const told = telling(evidence);
  const holders = evidence.filter((each) => each !== told && each.source.startsWith(HOLDERS));
  const lines = told === undefined ? [] : [`How we know${sure}: ${shortened(told.excerpt, SHORT_CHARACTERS)}`];
  return [...lines, ...holders.map(({ excerpt }) => `Also seen: ${shortened(excerpt, SHORT_CHARACTERS)}`)].flatMap((line) =>
    paragraph(line, { columns: paint.columns, indent, keep }),
  );
}

/** A line of a mount table says that the subject is there; what is wrong with it the others tell. */
function telling(evidence: readonly Evidence[]): Evidence | undefined {
  return evidence.find(({ source }) => !source.endsWith('/mountinfo')) ?? evidence[0];
}

function bounded(text: string, characters: number): string {
  return text.length <= characters
    ? printable(text)
    : `${shortened(text, characters)} (${text.length} characters, all of them with --json)`;
}

/** A command has a line of its own, whole, however long. */
export function commandLine(action: Action | ResolvedAction, paint: Paint, indent: number): string {
  return `${' '.repeat(indent)}${paint('cyan', actionText(action))}`;
}

/** A command, or what an edit comes to. `atMost`: so many lines of its difference. */
export function actionLines(action: Action | ResolvedAction, paint: Paint, indent: number, atMost = Number.POSITIVE_INFINITY): string[] {
  const diff = action.kind === 'edit' ? action.diff : [];
  const more = diff.length - atMost;
  return [
    commandLine(action, paint, indent),
    ...diff.slice(0, atMost).map((line) => diffLine(line, paint, indent + 2)),
    ...(more > 0 ? [`${' '.repeat(indent + 2)}${paint('dim', `(${more} more lines: stdoctor fix --dry-run)`)}`] : []),
  ];
}

const DIFF_STYLE: Readonly<Record<string, Parameters<Paint>[0]>> = { '+': 'green', '-': 'red', '@': 'dim', '\\': 'dim' };

/** Tabs stay what they are to a reader: columns. Everything else that a terminal would act on is shown as an escape. */
function diffLine(line: Name, paint: Paint, indent: number): string {
  const [sign = '', ...rest] = toByteString(line);
  let shown = '';
  rest
    .join('')
    .split('\t')
    .forEach((part, index) => {
      shown += index === 0 ? '' : ' '.repeat(TAB - (stringWidth(shown) % TAB));
      shown += showName(fromByteString(part));
    });
  const style = DIFF_STYLE[sign];
  const text = `${showName(fromByteString(sign))}${shown}`;
  return `${' '.repeat(indent)}${style === undefined ? text : paint(style, text)}`;
}

/** Names in the sentences about a finding, which are not to be broken at their spaces. */
export function namesIn({ subject, data }: Pick<Finding, 'subject' | 'data'>): string[] {
  const values = typeof data === 'object' && data !== null ? Object.values(data) : [];
  return [subject.name, ...values.filter(isPath)].map(showName);
}

function isPath(value: unknown): value is Name {
  return typeof value === 'string' ? value.startsWith('/') : typeof value === 'object' && value !== null && 'base64' in value;
}
