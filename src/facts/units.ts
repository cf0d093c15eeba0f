/** What systemd knows of its mount, automount and swap units. */
import { defineFact, outputOf, run, seenAt, whyNot } from '../check/asking.ts';
import { defineCondition } from '../check/condition.ts';
import type { Asking, Holds, Probe, Seen } from '../check/types.ts';
import { fromByteString, type Name, toByteString } from '../names.ts';
import { mask } from '../secrets.ts';
import { parseErrors } from './look.ts';

/** Properties as `systemctl show` prints them; empty where it printed none. */
export interface Unit {
  /** `mnt-data.mount` */
  id: string;
  kind: 'mount' | 'automount' | 'swap';
  /** Mount point; undefined for swap. */
  where: Name | undefined;
  /** Device, export or file. */
  what: Name;
  fstype: string;
  loadState: string;
  activeState: string;
  subState: string;
  result: string;
  fragmentPath: string;
  /** `/etc/fstab` where a generator made it from that. */
  sourcePath: string;
  unitFileState: string;
  needsReload: boolean;
  /** Something is to be done with it, or is being done. */
  hasJob: boolean;
  /** Since the last boot; undefined where systemd does not tell. */
  wasActive: boolean | undefined;
  /** A condition of the unit did not hold when it was to be started. */
  isConditionUnmet: boolean;
}

/** Whether systemd runs here as the init, and whether it found itself in a container. */
interface Init {
  systemd: boolean;
  container: boolean;
}

export type Units =
  | { state: 'no-systemd' }
  | { state: 'known'; seen: Seen; units: Unit[] }
  /** systemd runs, and did not tell. */
  | { state: 'unknown'; why: string };

const SYSTEMD = '/run/systemd/system';
const CONTAINER = '/run/systemd/container';
const MARKS: Probe & { kind: 'run' } = {
  kind: 'run',
  argv: ['find', SYSTEMD, CONTAINER, '-maxdepth', '0', '-printf', '%p\\0'],
};

const PROPERTIES = [
  'Id',
  'Where',
  'What',
  'Type',
  'LoadState',
  'ActiveState',
  'SubState',
  'Result',
  'FragmentPath',
  'SourcePath',
  'UnitFileState',
  'NeedDaemonReload',
  'Job',
  'ActiveEnterTimestampMonotonic',
  'ConditionResult',
  'ConditionTimestampMonotonic',
];
const LIMIT = 10_000;

/** By the marks that systemd leaves, sd_booted(3); undefined where they could not be looked for. */
export const init = defineFact('init', function* (): Asking<Init | undefined> {
  const answer = yield* run(MARKS.argv);
  if (answer.state !== 'ok') {
    return undefined;
  }
  const there = outputOf(answer).split('\0');
  const errors = parseErrors(answer.err);
  const isKnown = [SYSTEMD, CONTAINER].every(
    (path) => there.includes(path) || errors.get(path)?.endsWith(': No such file or directory') === true,
  );
  return isKnown ? { systemd: there.includes(SYSTEMD), container: there.includes(CONTAINER) } : undefined;
});

/** All units that systemd has in memory: what is wanted at boot is. One child for all. */
export const units = defineFact('units', function* (): Asking<Units> {
  const found = yield* init();
  if (found === undefined) {
    return { state: 'unknown', why: 'whether systemd runs here could not be told' };
  }
  if (!found.systemd) {
    return { state: 'no-systemd' };
  }
  const probe = showProbe(['*.mount', '*.automount', '*.swap']);
  const answer = yield* run(probe.argv, { limitMs: LIMIT });
  if (answer.state !== 'ok' || answer.code !== 0) {
    return { state: 'unknown', why: `systemctl: ${whyNot(answer)}` };
  }
  const parsed = parseUnits(mask(outputOf(answer)));
  return parsed.some(({ id }) => id === '-.mount')
    ? { state: 'known', seen: { ...seenAt(probe, answer), source: 'systemctl show' }, units: parsed }
    : { state: 'unknown', why: 'systemctl answered in an unknown format' };
});

// Without --all, a pattern leaves out what is inactive.
function showProbe(patterns: string[]): Probe & { kind: 'run' } {
  return { kind: 'run', argv: ['systemctl', 'show', '--all', '--no-pager', `--property=${PROPERTIES.join(',')}`, '--', ...patterns] };
}

/** Blocks of `Name=value` lines with an empty line between them. Nothing where the last line is cut off. */
export function parseUnits(text: string): Unit[] {
  return text.endsWith('\n') ? text.split(/\n{2,}/).flatMap((block) => parseUnit(block) ?? []) : [];
}

function parseUnit(block: string): Unit | undefined {
  const value = propertiesOf(block);
  const kind = /\.(mount|automount|swap)$/.exec(value('Id'))?.[1] as Unit['kind'] | undefined;
  if (kind === undefined || value('ActiveState') === '') {
    return undefined;
  }
  const entered = value('ActiveEnterTimestampMonotonic');
  return {
    id: value('Id'),
    kind,
    where: kind === 'swap' ? undefined : fromByteString(value('Where')),
    what: fromByteString(value('What')),
    fstype: value('Type'),
    loadState: value('LoadState'),
    activeState: value('ActiveState'),
    subState: value('SubState'),
    result: value('Result'),
    fragmentPath: value('FragmentPath'),
    sourcePath: value('SourcePath'),
    unitFileState: value('UnitFileState'),
    needsReload: value('NeedDaemonReload') === 'yes',
    hasJob: !['', '0'].includes(value('Job')),
    wasActive: /^\d+$/.test(entered) ? entered !== '0' : undefined,
    isConditionUnmet: value('ConditionResult') === 'no' && !['', '0'].includes(value('ConditionTimestampMonotonic')),
  };
}

function propertiesOf(block: string): (name: string) => string {
  const values = new Map(
    block.split('\n').map((line): [string, string] => {
      const equals = line.indexOf('=');
      return [line.slice(0, Math.max(0, equals)), line.slice(equals + 1)];
    }),
  );
  return (name) => values.get(name) ?? '';
}

/** It was not started since the boot: nobody stopped it, and it did not fail. Of a job that was given up nothing is left to see. */
export function wasNeverStarted({ activeState, result, wasActive }: Pick<Unit, 'activeState' | 'result' | 'wasActive'>): boolean {
  return activeState === 'inactive' && result === 'success' && wasActive === false;
}

/** `/mnt/a b-c` → `mnt-a\x20b\x2dc.mount`, as systemd-escape(1) does. */
export function unitName(path: Name, suffix: Unit['kind'] | 'device'): string {
  const inside = toByteString(path)
    .replace(/\/+/g, '/')
    .replace(/^\/|\/$/g, '');
  const escaped = inside.replace(/^\.|[^\w:./]/g, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`);
  return `${inside === '' ? '-' : escaped.replaceAll('/', '-')}.${suffix}`;
}

/** The unit, of any kind, is in one of these states: `active`, `inactive`, `failed`, …; `fresh`: as it is configured now. */
export const unitIs = defineCondition('unit-is', function* (args: { unit: string; states: string[]; fresh?: true }): Asking<Holds> {
  const expected = `${args.unit} ${args.states.join(' or ')}`;
  const answer = yield* run(showProbe([args.unit]).argv, { limitMs: LIMIT });
  const text = answer.state === 'ok' && answer.code === 0 ? outputOf(answer) : '';
  const unit = text.endsWith('\n')
    ? text
        .split(/\n{2,}/)
        .map(propertiesOf)
        .find((value) => value('Id') === args.unit)
    : undefined;
  const state = unit?.('ActiveState') ?? '';
  if (state === '') {
    return { holds: false, expected, found: answer.state === 'ok' && answer.code === 0 ? 'no such unit' : whyNot(answer) };
  }
  if (args.fresh && unit?.('NeedDaemonReload') !== 'no') {
    return {
      holds: false,
      expected: `${expected}, as it is configured`,
      found: 'systemd has not read its configuration since it was changed',
    };
  }
  return args.states.includes(state) ? { holds: true } : { holds: false, expected, found: state };
});
