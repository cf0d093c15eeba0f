/** Prose is wrapped between words; names and commands are kept whole, so that they can be copied. */
import stringWidth from 'string-width';
import { printable } from '../names.ts';

/** Longer lines are hard to read, however wide the terminal. */
const PROSE_COLUMNS = 120;
/** Below this nothing is wrapped any further. */
const NARROWEST = 20;
/** In place of a space that is no place to break at. No printable text holds it. */
const GLUE = '\0';
/** No option, path, unit or assignment in it. */
const PROSE = /^(\(?[a-z0-9']+[):;.,]*( |$))*$/i;

interface Shape {
  columns: number;
  indent?: number;
  /** How much further the lines after the first are indented. */
  hang?: number;
  /** Names in the text that may hold spaces. What stands between backquotes (a command) is kept whole without. */
  keep?: readonly string[];
  /** The text tells what to do: commands may stand in it without backquotes, and are kept whole with the clause they end. */
  advice?: boolean;
}

/** The lines of a text from anywhere: it is made harmless for a terminal first. A word longer than the line has a line of its own. */
export function paragraph(text: string, { columns, indent = 0, hang = 2, keep = [], advice = false }: Shape): string[] {
  const limit = Number.isFinite(columns) ? Math.max(Math.min(columns, PROSE_COLUMNS), indent + hang + NARROWEST) : columns;
  const lines: string[] = [];
  let line = '';
  let width = 0;
  for (const word of glued(printable(text), keep, advice).split(' ')) {
    const needs = stringWidth(word.replaceAll(GLUE, ' '));
    if (line !== '' && width + 1 + needs > limit) {
      lines.push(line);
      line = '';
    }
    const before = line === '' ? ' '.repeat(lines.length === 0 ? indent : indent + hang) : ' ';
    width = (line === '' ? 0 : width) + before.length + needs;
    line += before + word;
  }
  return [...lines, line].map((each) => each.replaceAll(GLUE, ' '));
}

function glued(text: string, keep: readonly string[], advice: boolean): string {
  const names = keep.filter((name) => name.includes(' '));
  const held = names.reduce((whole, name) => whole.replaceAll(name, glue(name)), text);
  if (!advice || held.includes('`')) {
    return held.replaceAll(/`[^`]*`/g, glue);
  }
  return commandClauses(held).reduce((whole, clause) => whole.replaceAll(clause, glue(clause)), held);
}

/** Clauses that may hold a command: not of plain words alone. */
export function commandClauses(text: string): string[] {
  return text.split(/(?<=[:;.,]) /).filter((clause) => !PROSE.test(clause));
}

function glue(text: string): string {
  return text.replaceAll(' ', GLUE);
}
