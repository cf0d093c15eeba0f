/** What became of a text, for a reader and for whoever carries it out. */
import { diffWordsWithSpace, structuredPatch } from 'diff';
import type { Change } from '../check/types.ts';
import { fromByteString, type Name, toName } from '../names.ts';
import { mask } from '../secrets.ts';

/** Of lines, or words; what differs in more is replaced as a whole. */
const EDITS_AT_MOST = 2000;
const CONTEXT = 3;
/** More of them become one: each costs whoever carries them out two processes. */
const CHANGES_AT_MOST = 500;

interface Hunk {
  /** The first line, from 1; of none, the line that follows. */
  oldStart: number;
  newStart: number;
  oldLines: number;
  newLines: number;
  /** ` kept`, `-left out`, `+put in`, `\ No newline at end of file`. */
  lines: string[];
}

/** Takes both texts one character a byte. Only what is new stands in the changes: what was there may be a secret. */
export function differenceOf(before: string, after: string): { changes: Change[]; diff: Name[] } {
  const patch = structuredPatch('', '', before, after, '', '', { context: CONTEXT, maxEditLength: EDITS_AT_MOST });
  const hunks = patch?.hunks ?? [replacement(before, after)];
  const diff = hunks.flatMap((hunk) => [headOf(hunk), ...hunk.lines]);
  const changes = changesOf(before, after, hunks);
  return {
    changes: changes.length > CHANGES_AT_MOST ? narrowed(before, after, 0) : changes,
    diff: diff.map((line) => toName(Buffer.from(mask(line), 'latin1'))),
  };
}

/** Of a range without lines, the line before it is named. */
function headOf({ oldStart, oldLines, newStart, newLines }: Hunk): string {
  const range = (start: number, lines: number) => `${lines === 0 ? start - 1 : start},${lines}`;
  return `@@ -${range(oldStart, oldLines)} +${range(newStart, newLines)} @@`;
}

function changesOf(before: string, after: string, hunks: readonly Hunk[]): Change[] {
  const [old, now] = [linesOf(before), linesOf(after)];
  const starts = [0];
  for (const line of old) {
    starts.push((starts.at(-1) as number) + line.length);
  }
  const changes: Change[] = [];
  for (const { oldStart, newStart, lines } of hunks) {
    let [from, to] = [oldStart - 1, newStart - 1];
    let [left, put] = [0, 0];
    const close = () => {
      changes.push(...wordByWord(old.slice(from, from + left).join(''), now.slice(to, to + put).join(''), starts[from] as number));
      from += left;
      to += put;
      [left, put] = [0, 0];
    };
    for (const line of lines) {
      left += line.startsWith('-') ? 1 : 0;
      put += line.startsWith('+') ? 1 : 0;
      if (line.startsWith(' ')) {
        close();
        from++;
        to++;
      }
    }
    close();
  }
  return changes;
}

/** Word by word: of a line with a password in it only what is new is told. */
function wordByWord(old: string, now: string, at: number): Change[] {
  const parts = diffWordsWithSpace(old, now, { maxEditLength: EDITS_AT_MOST });
  if (parts === undefined) {
    return narrowed(old, now, at);
  }
  const changes: Change[] = [];
  let start = at;
  let open: { at: number; remove: number; insert: string } | undefined;
  for (const { value, added, removed } of [...parts, { value: '', added: false, removed: false }]) {
    if (added || removed) {
      open ??= { at: start, remove: 0, insert: '' };
      open.remove += removed ? value.length : 0;
      open.insert += added ? value : '';
    } else if (open !== undefined) {
      changes.push({ ...open, insert: fromByteString(open.insert) });
      open = undefined;
    }
    start += added ? 0 : value.length;
  }
  return changes;
}

/** Without what both begin and end with. */
function narrowed(old: string, now: string, at: number): Change[] {
  const shorter = Math.min(old.length, now.length);
  let head = 0;
  while (head < shorter && old[head] === now[head]) {
    head++;
  }
  let tail = 0;
  while (tail < shorter - head && old.at(-1 - tail) === now.at(-1 - tail)) {
    tail++;
  }
  return [{ at: at + head, remove: old.length - head - tail, insert: fromByteString(now.slice(head, now.length - tail)) }];
}

function replacement(before: string, after: string): Hunk {
  const [old, now] = [linesOf(before), linesOf(after)];
  const shown = (sign: string, lines: readonly string[]) =>
    lines.flatMap((line) => (line.endsWith('\n') ? [`${sign}${line.slice(0, -1)}`] : [`${sign}${line}`, '\\ No newline at end of file']));
  return {
    oldStart: 1,
    newStart: 1,
    oldLines: old.length,
    newLines: now.length,
    lines: [...shown('-', old), ...shown('+', now)],
  };
}

/** Each with its newline, where it has one. */
function linesOf(text: string): string[] {
  return text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
}
