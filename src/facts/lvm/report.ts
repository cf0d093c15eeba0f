/** How LVM's reports are asked for, lvmreport(7), and taken apart. */
import { outputOf, run, seenAt, Unknown, whyNot } from '../../check/asking.ts';
import type { Answer, Asking, Probe, Seen } from '../../check/types.ts';

const LIMIT = 15_000;
/** Fields that one version after another learned; each that is lacking costs a question. */
const FIELDS_DROPPED_AT_MOST = 12;

export type Row = Readonly<Record<string, string>>;

export interface Report {
  rows: Row[];
  /** What LVM said besides, line by line. */
  warnings: string[];
  /** Why rows may be missing, as a clause: some group could not be read or was refused. */
  lacks: string | undefined;
  seen: Seen;
}

// --nolocking: while another command holds the lock, a report would wait for it; what is told without one is true.
const HOW = ['-a', '--nolocking', '--reportformat', 'json', '--units', 'b', '--nosuffix', '-qq'];

function reportArgv(tool: 'lvs' | 'vgs' | 'pvs', more: readonly string[], fields: readonly string[]): string[] {
  return [tool, ...HOW, ...more, '-o', fields.join(',')];
}

/** undefined: there is no such tool. Fields that this version of LVM does not know are missing from the rows. */
export function* report(
  tool: 'lvs' | 'vgs' | 'pvs',
  key: string,
  more: readonly string[],
  fields: readonly string[],
): Asking<Report | undefined> {
  let known = fields;
  for (let dropped = 0; ; dropped++) {
    const probe: Probe & { kind: 'run' } = { kind: 'run', argv: reportArgv(tool, more, known) };
    const answer = yield* run(probe.argv, { limitMs: LIMIT, suspect: true });
    if (answer.state === 'absent') {
      return undefined;
    }
    const lacking = unknownField(answer);
    if (lacking !== undefined && known.includes(lacking) && dropped < FIELDS_DROPPED_AT_MOST) {
      known = known.filter((field) => field !== lacking);
      continue;
    }
    const lacks = answer.state === 'ok' && answer.code !== 0 ? `${tool}: ${whyNot(answer)}` : undefined;
    return {
      rows: rowsOf(tool, answer, key, known),
      warnings: warningsOf(answer),
      lacks,
      seen: { ...seenAt(probe, answer), source: tool },
    };
  }
}

/** The last line after a list of all fields. */
function unknownField(answer: Answer): string | undefined {
  return answer.state === 'ok' && answer.code !== 0 ? /Unrecognised field: (\w+)\s*$/.exec(answer.err)?.[1] : undefined;
}

function rowsOf(tool: string, answer: Answer, key: string, fields: readonly string[]): Row[] {
  // Exit code 5 may come with a whole report: some device could not be read, or some group was refused.
  if (answer.state !== 'ok' || (answer.code !== 0 && answer.code !== 5)) {
    throw new Unknown(`${tool}: ${whyNot(answer)}`);
  }
  const rows = parseReport(outputOf(answer), key);
  if (rows === undefined) {
    throw new Unknown(`${tool}: ${answer.code === 0 ? 'unknown format' : whyNot(answer)}`);
  }
  // All rows have the fields that the first one has.
  const [first] = rows;
  const lacking = fields.find((field) => first !== undefined && typeof first[field] !== 'string');
  if (lacking !== undefined) {
    throw new Unknown(`LVM's report has no ${lacking}`);
  }
  return rows;
}

/** `{"report":[{"lv":[{…}]}]}`, all values strings. Notices for people may stand before it and among its lines. */
export function parseReport(text: string, key: string): Row[] | undefined {
  const parsed = parseJson(text) ?? parseJson(text.split('\n').filter(isOfJson).join('\n'));
  const parts = (parsed as { report?: unknown } | undefined)?.report;
  if (!Array.isArray(parts) || parts.length === 0 || !parts.every((part) => Array.isArray(part?.[key]))) {
    return undefined;
  }
  // flatMap would copy thousands of rows one by one.
  return parts.length === 1 ? parts[0][key] : parts.flatMap((part) => part[key] as Row[]);
}

// `      {"vg_name":"vg0", …},` and its brackets
function isOfJson(line: string): boolean {
  return /^\s*[[\]{}",]/.test(line);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function warningsOf(answer: Answer): string[] {
  return answer.state === 'ok' ? answer.err.split('\n').flatMap((line) => line.trim() || []) : [];
}
