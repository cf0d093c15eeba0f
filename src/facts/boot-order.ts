/** When what came up since the boot: by systemd's own timestamps, and by the journal of this boot. */
import { all, defineFact, outputOf, run, seenAt, sourceOf, whyNot } from '../check/asking.ts';
import type { Answer, Asking, Evidence, Probe, Seen } from '../check/types.ts';

/** A moment since the kernel's start, in microseconds, and the line that tells of it. */
export interface Moment {
  us: number;
  evidence: Evidence;
}

/** `why`: it could not be told. */
export type UnitTimes = { units: ReadonlyMap<string, UnitTime> } | { why: string };

export interface UnitTime {
  activeState: string;
  /** When it last began to start. */
  began: Moment | undefined;
  /** When it last became active: of a device, when systemd learned that it is there. */
  entered: Moment | undefined;
}

const LIMIT = 10_000;
/** Of some 40 characters each: a command line of all must fit into one argument of a shell, 128 KiB. */
const AT_ONCE = 500;
const TIMES = ['Id', 'ActiveState', 'InactiveExitTimestampMonotonic', 'ActiveEnterTimestampMonotonic'];

/** Of units of any kind, by name; those that systemd does not know have no times. */
export const unitTimes = defineFact('unit-times', function* (names: string[]): Asking<UnitTimes> {
  const parts: string[][] = [];
  for (let at = 0; at < names.length; at += AT_ONCE) {
    parts.push(names.slice(at, at + AT_ONCE));
  }
  const units = new Map<string, UnitTime>();
  for (const part of yield* all(parts.map(timesOf))) {
    if ('why' in part) {
      return part;
    }
    for (const [id, times] of part.units) {
      units.set(id, times);
    }
  }
  return { units };
});

function* timesOf(names: readonly string[]): Asking<UnitTimes> {
  const probe: Probe & { kind: 'run' } = {
    kind: 'run',
    argv: ['systemctl', 'show', '--all', '--no-pager', `--property=${TIMES.join(',')}`, '--', ...names],
  };
  const answer = yield* run(probe.argv, { limitMs: LIMIT });
  if (answer.state !== 'ok' || answer.code !== 0) {
    return { why: `systemctl: ${whyNot(answer)}` };
  }
  const seen = { ...seenAt(probe, answer), source: 'systemctl show' };
  const text = outputOf(answer);
  // A block for each name, in the order of the names. Its Id differs from the name where that is an alias: every device has several.
  const blocks = text.endsWith('\n') ? text.slice(0, -1).split('\n\n') : [];
  if (blocks.length !== names.length || blocks.some((block) => !TIMES.every((name) => RegExp(`^${name}=`, 'm').test(block)))) {
    return { why: 'systemctl answered in an unknown format' };
  }
  return { units: new Map(names.map((name, index) => [name, timeOf(name, blocks[index] as string, seen)])) };
}

function timeOf(id: string, block: string, seen: Seen): UnitTime {
  const value = (name: string) => new RegExp(`^${name}=(.*)$`, 'm').exec(block)?.[1] ?? '';
  return {
    activeState: value('ActiveState'),
    began: momentOf(id, 'InactiveExitTimestampMonotonic', value, seen),
    entered: momentOf(id, 'ActiveEnterTimestampMonotonic', value, seen),
  };
}

function momentOf(id: string, property: string, value: (name: string) => string, seen: Seen): Moment | undefined {
  const us = value(property);
  return /^[1-9]\d*$/.test(us) ? { us: Number(us), evidence: { ...seen, excerpt: `${id}: ${property}=${us}` } } : undefined;
}

const FINISHED = 'FinishTimestampMonotonic';

/** When systemd had started all that is wanted at boot, or given it up. undefined: it is still at it. */
export const bootEnd = defineFact('boot-end', function* (): Asking<{ ended: Moment | undefined } | { why: string }> {
  const probe: Probe & { kind: 'run' } = { kind: 'run', argv: ['systemctl', 'show', '--no-pager', `--property=${FINISHED}`] };
  const answer = yield* run(probe.argv, { limitMs: LIMIT });
  const us = /^FinishTimestampMonotonic=(\d*)\n$/.exec(outputOf(answer))?.[1];
  if (answer.state !== 'ok' || answer.code !== 0 || us === undefined) {
    return { why: `systemctl: ${answer.state === 'ok' && answer.code === 0 ? 'unknown format' : whyNot(answer)}` };
  }
  const seen = { ...seenAt(probe, answer), source: 'systemctl show' };
  return { ended: momentOf('systemd', FINISHED, () => us, seen) };
});

/** What the journal of this boot tells of some units. */
export interface BootJournal {
  /** Unit → when it began to start for the first time. */
  starts: ReadonlyMap<string, Moment>;
  /** Unit → when a start of it was first given up: its device did not come, or what it requires failed. */
  givenUp: ReadonlyMap<string, Moment>;
  /** Guests and containers that were started, as systemd-machined calls them: `qemu-1-vm1`. It need not be here. */
  machines: readonly string[];
  /** From when on the journal is kept; undefined where its beginning is lost. */
  since: number | undefined;
  /** Why it could not be read. */
  why?: string;
}

// systemd.journal-fields(7), sd-messages.h: unit starting, unit started, start of a unit failed.
const STARTS = ['7d4958e842da4a758f6c1cdc7b36dcc5', '39f53479d3a045ac8e11786248231fbf'];
const FAILED = 'be02cf6855d2428ba40df7e9d022f03d';
// systemd-machined registered a guest or a container.
const MACHINE_STARTED = '24d8d4452573402496068381a6312df2';
// The first line that journald writes at a boot.
const JOURNAL_STARTED = 'f77379a8490b408bbe5f6940505a777b';
/** Some four lines for each unit. Where there are more, the oldest are missing, and `since` says so. */
const LINES_AT_MOST = 1000;

/** Newest first, so that what is cut off misses the beginning. */
function journalArgv(units: readonly string[], fields: readonly string[]): string[] {
  return [
    ...['journalctl', '-b', '-q', '-r', '--no-pager', '-o', 'json', '-n', String(LINES_AT_MOST), ...fields],
    ...[...STARTS, FAILED].map((id) => `MESSAGE_ID=${id}`),
    ...units.map((unit) => `UNIT=${unit}`),
    ...['+', `MESSAGE_ID=${MACHINE_STARTED}`, `MESSAGE_ID=${JOURNAL_STARTED}`],
  ];
}

export const bootJournal = defineFact('boot-journal', function* (units: string[]): Asking<BootJournal> {
  let argv = journalArgv(units, ['--output-fields=MESSAGE,MESSAGE_ID,UNIT']);
  let answer = yield* run(argv, { limitMs: LIMIT });
  // Since systemd 236; before, each line has all its fields.
  if (answer.state === 'ok' && answer.code !== 0 && answer.err.includes('unrecognized option')) {
    argv = journalArgv(units, []);
    answer = yield* run(argv, { limitMs: LIMIT });
  }
  return parseJournal(answer, { source: 'journalctl -b', at: answer.at }, sourceOf({ kind: 'run', argv: argv.slice(0, 2) }));
});

function parseJournal(answer: Answer, seen: Seen, source: string): BootJournal {
  const none = (why: string): BootJournal => ({
    starts: new Map(),
    givenUp: new Map(),
    machines: [],
    since: undefined,
    why: `${source}: ${why}`,
  });
  if (answer.state !== 'ok' || answer.code !== 0) {
    return none(whyNot(answer));
  }
  const text = outputOf(answer);
  const lines = text.split('\n').slice(0, -1).map(parseLine);
  if (!(text === '' || text.endsWith('\n')) || lines.some((line) => line === undefined)) {
    return none('unknown format');
  }
  const starts = new Map<string, Moment>();
  const givenUp = new Map<string, Moment>();
  const machines: string[] = [];
  for (const { us, id, unit, message } of lines as Line[]) {
    const evidence = { ...seen, excerpt: `${seconds(us)}: ${message}${message.includes(unit) ? '' : ` (${unit})`}` };
    if (STARTS.includes(id)) {
      starts.set(unit, { us, evidence });
    } else if (id === FAILED) {
      givenUp.set(unit, { us, evidence });
    } else if (id === MACHINE_STARTED) {
      // New machine qemu-1-vm1.
      machines.push(/^New machine (.+)\.$/.exec(message)?.[1] ?? '');
    }
  }
  const oldest = lines.at(-1);
  return { starts, givenUp, machines, since: oldest?.id === JOURNAL_STARTED ? oldest.us : undefined };
}

interface Line {
  us: number;
  id: string;
  unit: string;
  message: string;
}

/** undefined: it is no line of a journal. */
function parseLine(line: string): Line | undefined {
  let fields: Record<string, unknown> | null;
  try {
    fields = JSON.parse(Buffer.from(line, 'latin1').toString('utf8'));
  } catch {
    return undefined;
  }
  const us = fields?.['__MONOTONIC_TIMESTAMP'];
  const text = (name: string) => (typeof fields?.[name] === 'string' ? (fields[name] as string) : '');
  return typeof us === 'string' && /^\d+$/.test(us)
    ? { us: Number(us), id: text('MESSAGE_ID'), unit: text('UNIT'), message: text('MESSAGE') }
    : undefined;
}

/** `31.2 s` */
export function seconds(us: number): string {
  return `${(us / 1e6).toFixed(1)} s`;
}
