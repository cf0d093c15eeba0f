/** In which order systemd starts what it knows, and what each unit says it needs. */
import { defineFact, outputOf, run, seenAt, whyNot } from '../check/asking.ts';
import type { Asking, Probe, Seen } from '../check/types.ts';
import { mask } from '../secrets.ts';

export interface OrderedUnit {
  /** `libvirtd.service` */
  id: string;
  activeState: string;
  /** `enabled`, `static`, …; empty where systemd made it. */
  unitFileState: string;
  after: string[];
  /** Paths, one character a byte. */
  requiresMountsFor: string[];
  /** As systemctl prints it, secrets masked, one character a byte. */
  execStart: string;
  fragmentPath: string;
}

export type BootOrder =
  | { state: 'known'; seen: Seen; units: ReadonlyMap<string, OrderedUnit> }
  /** Systemd did not tell. */
  | { state: 'unknown'; why: string };

const LIMIT = 10_000;
const PROPERTIES = ['Id', 'ActiveState', 'UnitFileState', 'After', 'RequiresMountsFor', 'ExecStart', 'FragmentPath'];
const PATTERNS = ['*.service', '*.target', '*.mount', '*.swap', '*.socket'];
const SHOW: Probe & { kind: 'run' } = {
  kind: 'run',
  argv: ['systemctl', 'show', '--all', '--no-pager', `--property=${PROPERTIES.join(',')}`, '--', ...PATTERNS],
};

/** To be asked only where systemd runs. One child for all. */
export const bootOrder = defineFact('boot-order', function* (): Asking<BootOrder> {
  const answer = yield* run(SHOW.argv, { limitMs: LIMIT });
  if (answer.state !== 'ok' || answer.code !== 0) {
    return { state: 'unknown', why: `systemctl: ${whyNot(answer)}` };
  }
  const units = parseOrder(mask(outputOf(answer)));
  return units.has('basic.target')
    ? { state: 'known', seen: { ...seenAt(SHOW, answer), source: 'systemctl show' }, units }
    : { state: 'unknown', why: 'systemctl answered in an unknown format' };
});

/** Blocks of `Name=value` lines with an empty line between them. Nothing where the last line is cut off. */
export function parseOrder(text: string): Map<string, OrderedUnit> {
  const units = new Map<string, OrderedUnit>();
  for (const block of text.endsWith('\n') ? text.split(/\n{2,}/) : []) {
    const values = new Map<string, string>();
    for (const line of block.split('\n')) {
      const equals = line.indexOf('=');
      const name = line.slice(0, Math.max(0, equals));
      // A service may have several commands.
      values.set(name, [values.get(name), line.slice(equals + 1)].filter(Boolean).join('\n'));
    }
    const value = (name: string) => values.get(name) ?? '';
    const id = value('Id');
    if (id !== '' && value('ActiveState') !== '') {
      units.set(id, {
        id,
        activeState: value('ActiveState'),
        unitFileState: value('UnitFileState'),
        after: value('After').split(' ').filter(Boolean),
        requiresMountsFor: wordsOf(value('RequiresMountsFor')),
        execStart: value('ExecStart'),
        fragmentPath: value('FragmentPath'),
      });
    }
  }
  return units;
}

/** `/a "/b c"`, with `\x20` or `\"` in what is quoted. */
function wordsOf(value: string): string[] {
  const words = [...value.matchAll(/"((?:[^"\\]|\\.)*)"|([^ ]+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '');
  return words.map((word) =>
    word.replace(/\\(?:x([0-9a-f]{2})|(.))/gs, (_, hex: string | undefined, character: string) =>
      hex === undefined ? character : String.fromCharCode(Number.parseInt(hex, 16)),
    ),
  );
}

/**
 * The one is started only when the other is up, or has failed: by its own word, or by that of a unit between them. The word
 * of `unless` does not count.
 */
export function isOrderedAfter(units: ReadonlyMap<string, OrderedUnit>, later: string, earlier: string, unless?: string): boolean {
  const passed = new Set([later]);
  for (const id of passed) {
    for (const each of units.get(id)?.after ?? []) {
      if (each === earlier && id !== unless) {
        return true;
      }
      // What takes no part in the start orders nothing.
      if (units.get(each)?.activeState === 'active') {
        passed.add(each);
      }
    }
  }
  return false;
}
