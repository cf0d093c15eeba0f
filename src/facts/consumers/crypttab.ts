/** What /etc/crypttab opens, crypttab(5). */
import { defineFact, outputOf, run, seenAt, Unknown, whyNot } from '../../check/asking.ts';
import type { Asking, Probe, Seen } from '../../check/types.ts';
import { fromByteString, type Name, showName, toByteString } from '../../names.ts';
import { mask } from '../../secrets.ts';
import { namedDevices } from '../device-names.ts';
import { ERRNO, errnoAtEnd } from '../errno.ts';
import { init, unitName } from '../units.ts';
import { attempt, type Consumer, isByContent, type Part, unjudgedFile } from './consumer.ts';

const PATH = '/etc/crypttab';
// The NUL after it tells that it came whole.
const CRYPTTAB: Probe & { kind: 'run' } = {
  kind: 'run',
  argv: ['find', '-L', PATH, '-maxdepth', '0', '-exec', 'cat', '{}', ';', '-printf', '\\0'],
};

export interface CryptLine {
  /** Counted from 1. */
  number: number;
  /** One character a byte. */
  text: string;
  name: Name;
  source: Name;
  /** A path, `none` or `-`; undefined where the line ends before it. */
  key: string | undefined;
  options: string[];
}

export interface Crypttab {
  lines: CryptLine[];
  strange: { number: number; text: string }[];
}

/** Takes the text one character a byte. */
export function parseCrypttab(text: string): Crypttab {
  const lines: CryptLine[] = [];
  const strange: Crypttab['strange'] = [];
  for (const [index, whole] of text.split('\n').entries()) {
    const line = whole.replace(/^[ \t]+|[ \t\r]+$/g, '');
    if (line === '' || line.startsWith('#')) {
      continue;
    }
    const [name, source, key, options = ''] = line.split(/[ \t]+/);
    if (name === undefined || source === undefined || name.includes('/')) {
      strange.push({ number: index + 1, text: line });
      continue;
    }
    lines.push({
      number: index + 1,
      text: line,
      name: fromByteString(name),
      // UUID="a-b" → UUID=a-b
      source: fromByteString(source.replace(/^([A-Z]+=)(["'])(.*)\2$/, '$1$3')),
      key,
      options: options.split(','),
    });
  }
  return { lines, strange };
}

/** `Unknown` where it did not come whole. */
export const crypttab = defineFact('crypttab', function* (): Asking<Crypttab & { seen: Seen }> {
  const answer = yield* run(CRYPTTAB.argv);
  const seen = { ...seenAt(CRYPTTAB, answer), source: PATH };
  if (answer.state === 'ok' && answer.code !== 0 && errnoAtEnd(answer.err.trimEnd()) === ERRNO.ENOENT) {
    return { seen, lines: [], strange: [] };
  }
  const text = outputOf(answer);
  if (answer.state !== 'ok' || answer.code !== 0) {
    throw new Unknown(whyNot(answer));
  }
  if (text.indexOf('\0') !== text.length - 1 || text === '') {
    throw new Unknown('it did not come whole');
  }
  return { seen, ...parseCrypttab(mask(text.slice(0, -1))) };
});

/** systemd opens none in a container. */
export const cryptConsumers = defineFact('consumers.crypt', function* (): Asking<Part> {
  const table = yield* attempt(crypttab());
  if ('why' in table) {
    return { consumers: [], unjudged: [unjudgedFile(PATH, table.why)] };
  }
  const found = table.lines.length === 0 ? undefined : yield* init();
  const lines = found?.container === true ? [] : table.lines;
  const opened = lines.map(({ name }) => fromByteString(`/dev/mapper/${toByteString(name)}`));
  const named = yield* namedDevices([...lines.map(({ source }) => source), ...opened]);
  const isThere = (name: Name) => named.get(toByteString(name))?.state === 'there';
  return {
    consumers: lines.map(
      ({ name, source, options, number, text }, index): Consumer => ({
        kind: 'crypt',
        name,
        atBoot: !options.includes('noauto'),
        isUp: isThere(opened[index] as Name),
        needs: [source, ...headersOf(options)],
        certainty: isByContent(source) && !isThere(source) ? 'possible' : 'proven',
        evidence: { ...table.seen, excerpt: `line ${number}: ${showName(fromByteString(text))}` },
        unit: found?.systemd === true ? unitOf(name) : null,
        nofail: options.includes('nofail'),
      }),
    ),
    unjudged: table.strange.map(({ number, text }) => unjudgedFile(PATH, `line ${number} is of no known format: ${text}`)),
  };
});

/** `header=/dev/vg/header`: kept apart from what it is of. */
function headersOf(options: readonly string[]): Name[] {
  return options.filter((option) => option.startsWith('header=/dev/')).map((option) => fromByteString(option.slice('header='.length)));
}

/** `my-data` → `systemd-cryptsetup@my\x2ddata.service` */
function unitOf(name: Name): string {
  return `systemd-cryptsetup@${unitName(name, 'mount').slice(0, -'.mount'.length)}.service`;
}
