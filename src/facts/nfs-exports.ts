/** Directories that exports(5) serves to other machines. */
import { defineFact, outputOf, run, seenAt, whyNot } from '../check/asking.ts';
import type { Asking, Probe, Seen } from '../check/types.ts';
import { ERRNO, errnoAtEnd } from './errno.ts';

export interface NfsExports {
  seen: Seen;
  /** One character a byte. */
  exports: { number: number; text: string; path: string }[];
  why?: string;
}

const PATH = '/etc/exports';
// The NUL after it tells that it came whole.
const EXPORTS: Probe & { kind: 'run' } = {
  kind: 'run',
  argv: ['find', '-L', PATH, '-maxdepth', '0', '-exec', 'cat', '{}', ';', '-printf', '\\0'],
};

export const nfsExports = defineFact('nfs-exports', function* (): Asking<NfsExports> {
  const answer = yield* run(EXPORTS.argv);
  const seen = { ...seenAt(EXPORTS, answer), source: PATH };
  if (answer.state === 'ok' && answer.code !== 0 && errnoAtEnd(answer.err.trimEnd()) === ERRNO.ENOENT) {
    return { seen, exports: [] };
  }
  const text = outputOf(answer);
  if (answer.state !== 'ok' || answer.code !== 0 || text === '' || text.indexOf('\0') !== text.length - 1) {
    const why = answer.state === 'ok' && answer.code === 0 ? 'it did not come whole' : whyNot(answer);
    return { seen, exports: [], why: `${PATH}: ${why}` };
  }
  return { seen, exports: parseExports(text.slice(0, -1)) };
});

/** Takes the text one character a byte. A path with blanks is quoted, or has them as `\040`. */
export function parseExports(text: string): NfsExports['exports'] {
  return text.split('\n').flatMap((line, index) => {
    const [, quoted, plain] = /^[ \t]*(?:"([^"]+)"|(\/[^ \t]*))/.exec(line) ?? [];
    const path = (quoted ?? plain)?.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
    return path?.startsWith('/') ? [{ number: index + 1, text: line.trim(), path: path.replace(/(.)\/+$/, '$1') }] : [];
  });
}
