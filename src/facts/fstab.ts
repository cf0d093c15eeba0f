/** What fstab(5) wants mounted. */
import { defineFact, outputOf, run, seenAt, Unknown, whyNot } from '../check/asking.ts';
import type { Asking, Probe, Seen } from '../check/types.ts';
import { fromByteString, type Name, toByteString } from '../names.ts';
import { mask } from '../secrets.ts';
import { ERRNO, errnoAtEnd } from './errno.ts';

export interface FstabLine {
  /** Counted from 1. */
  number: number;
  /** The line as it stands there, one character a byte, secrets masked. */
  text: string;
  /** A path, `UUID=…` without quotes, `host:/export`, or a word such as `tmpfs`. */
  source: Name;
  /** An absolute path without a slash at its end, as it is written: links in it are not followed. `none` or `swap` for swap. */
  target: Name;
  fstype: string;
  options: string[];
}

export interface Fstab {
  seen: Seen;
  lines: FstabLine[];
  /** Lines of no known format. */
  strange: { number: number; text: string }[];
}

// The NUL after it tells that it came whole.
const FSTAB: Probe & { kind: 'run' } = {
  kind: 'run',
  argv: ['find', '-L', '/etc/fstab', '-maxdepth', '0', '-exec', 'cat', '{}', ';', '-printf', '\\0'],
};

/** Lines for swap are among them. None where there is no such file; `Unknown` where it did not come whole. */
export const fstab = defineFact('fstab', function* (): Asking<Fstab> {
  const answer = yield* run(FSTAB.argv);
  const seen = { ...seenAt(FSTAB, answer), source: '/etc/fstab' };
  if (answer.state === 'ok' && answer.code !== 0 && errnoAtEnd(answer.err.trimEnd()) === ERRNO.ENOENT) {
    return { seen, lines: [], strange: [] };
  }
  const text = outputOf(answer);
  if (answer.state !== 'ok' || answer.code !== 0) {
    throw new Unknown(`/etc/fstab: ${whyNot(answer)}`);
  }
  if (text === '' || text.indexOf('\0') !== text.length - 1) {
    throw new Unknown('/etc/fstab did not come whole');
  }
  return { seen, ...parseFstab(mask(text.slice(0, -1))) };
});

/** Takes the text one character a byte. */
export function parseFstab(text: string): Omit<Fstab, 'seen'> {
  const lines: FstabLine[] = [];
  const strange: Fstab['strange'] = [];
  for (const [index, whole] of text.split('\n').entries()) {
    const line = whole.replace(/^[ \t]+|[ \t\r]+$/g, '');
    if (line === '' || line.startsWith('#')) {
      continue;
    }
    // Not \s: byte 0xa0, the second one of an à, would count as a blank.
    const [source, target, fstype, options = 'defaults'] = line.split(/[ \t]+/).map(unescapeOctal);
    const isPlace = target?.startsWith('/') || target === 'none' || target === 'swap';
    if (source === undefined || target === undefined || fstype === undefined || !isPlace) {
      strange.push({ number: index + 1, text: line });
      continue;
    }
    lines.push({
      number: index + 1,
      text: line,
      source: fromByteString(withoutQuotes(source)),
      target: fromByteString(withoutSlashes(target)),
      fstype,
      options: options.split(','),
    });
  }
  return { lines, strange };
}

/** `\040` → space, in one pass. */
function unescapeOctal(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

/** `UUID="a-b"` → `UUID=a-b` */
function withoutQuotes(source: string): string {
  return source.replace(/^([A-Z]+=)(["'])(.*)\2$/, '$1$3');
}

/** `//mnt//a/` → `/mnt/a` */
function withoutSlashes(path: string): string {
  return path.replace(/\/{2,}/g, '/').replace(/(.)\/$/, '$1');
}

/** The system mounts it by itself: at boot, or on the first access. */
export function isMountedBySystem({ source, target, fstype, options }: FstabLine): boolean {
  const isBind = options.includes('bind') || options.includes('rbind');
  return (
    fstype !== 'swap' &&
    fstype !== 'ignore' &&
    toByteString(target).startsWith('/') &&
    !options.includes('noauto') &&
    !options.includes('remount') &&
    !(isBind && withoutSlashes(toByteString(source)) === toByteString(target))
  );
}
