import { printable } from '../names.ts';

const MARK = ' … ';
// Half a surrogate pair is no character.
const HALF_AT_END = /[\ud800-\udbff]$/;
const HALF_AT_START = /^[\udc00-\udfff]/;

/** A text in at most this many characters, made harmless; what is left out is marked. tail: so many of them are from its end. */
export function shortened(text: string, characters: number, tail = 0): string {
  const bounded = text.length > 2 * characters ? text.slice(0, characters) + text.slice(-characters) : text;
  const whole = printable(bounded);
  if (whole.length <= characters) {
    return whole;
  }
  const start = whole.slice(0, characters - MARK.length - tail);
  const end = whole.slice(whole.length - tail);
  const space = start.lastIndexOf(' ');
  const gap = end.search(/[ /]/);
  const head = space > start.length * 0.7 ? start.slice(0, space) : start;
  const rest = gap >= 0 && gap < tail * 0.4 ? end.slice(gap) : end;
  return `${head.replace(HALF_AT_END, '')}${MARK}${rest.trimStart().replace(HALF_AT_START, '')}`.trimEnd();
}
