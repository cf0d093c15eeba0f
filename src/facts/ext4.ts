/** ext4 that has stopped itself: newer kernels show it, of older ones only the kernel log tells. */
import { all, defineFact, outputOf, read, run, seenAt, whyNot } from '../check/asking.ts';
import { defineCondition, examine } from '../check/condition.ts';
import type { Answer, Asking, Evidence, Holds, Probe } from '../check/types.ts';
import { type Name, showName } from '../names.ts';
import { blockDevices } from './block-devices.ts';
import { kernelLog } from './kernel-log.ts';
import { nodeIs } from './look.ts';
import { type Mount, mountTable, optionList } from './mountinfo.ts';

export interface Ext4Stop {
  /** `options`: the kernel shows it. `log`: it said so since the last mount. `read-only`: only by its flags and its count of errors. */
  by: 'options' | 'log' | 'read-only';
  /** Besides the line of the mount table. */
  evidence: Evidence[];
}

export interface Ext4Stops {
  /** By `major:minor`. */
  stops: ReadonlyMap<string, Ext4Stop>;
  /** By `major:minor`: why it cannot be told. */
  unjudged: ReadonlyMap<string, string>;
}

/** The oldest kernel of which it is known that it shows `shutdown` and `emergency_ro`; the ones before show nothing (6.1). */
const SHOWS_IT = [6, 18] as const;

export const ext4Stops = defineFact('ext4-stops', function* (): Asking<Ext4Stops> {
  const mounts = (yield* mountTable()).mounts.filter(isExt);
  const stops = new Map<string, Ext4Stop>();
  const unjudged = new Map<string, string>();
  if (mounts.length === 0) {
    return { stops, unjudged };
  }
  const shown = new Set(mounts.filter(({ superOptions }) => showsStop(superOptions)).map(({ device }) => device));
  const tells = shown.size > 0 || showsIt(outputOf(yield* read('/proc/sys/kernel/osrelease')));
  if (tells && shown.size === 0) {
    return { stops, unjudged };
  }
  const { names } = yield* blockDevices();
  const log = yield* kernelLog();
  const said = lastWords(log.lines);
  const excerptOf = (device: string) => said.get(names.get(device) ?? '');
  for (const device of shown) {
    const excerpt = excerptOf(device);
    stops.set(device, { by: 'options', evidence: excerpt === undefined ? [] : [{ ...log.seen, excerpt }] });
  }
  if (tells) {
    return { stops, unjudged };
  }
  // Who made it read-only by hand wants it so.
  const writable = new Map(mounts.filter(({ options }) => has(options, 'rw')).map((mount) => [mount.device, mount]));
  const suspects = [...writable.values()].filter(
    ({ device, superOptions }) => excerptOf(device) !== undefined || log.why !== undefined || has(superOptions, 'ro'),
  );
  const counts = yield* all(suspects.map(({ device }) => errorsOf(names.get(device))));
  for (const [index, { device, superOptions }] of suspects.entries()) {
    const excerpt = excerptOf(device);
    const line = excerpt === undefined ? [] : [{ ...log.seen, excerpt }];
    const errors = counts[index];
    const counted = errors === undefined || errors.count === 0 ? [] : [errors.evidence];
    // A shutdown counts no error.
    if (excerpt?.includes('shut down requested') || (line.length > 0 && counted.length > 0)) {
      stops.set(device, { by: 'log', evidence: [...line, ...counted] });
    } else if (line.length > 0 && errors === undefined) {
      unjudged.set(device, 'the kernel log says that it has stopped itself, and its count of errors cannot be read');
    } else if (has(superOptions, 'ro') && counted.length > 0) {
      stops.set(device, { by: 'read-only', evidence: counted });
    } else if (log.why !== undefined && counted.length > 0) {
      unjudged.set(device, `it has met errors, and whether it stopped then only the kernel log tells (${log.why})`);
    }
  }
  return { stops, unjudged };
});

function isExt({ fstype }: Mount): boolean {
  return fstype === 'ext4' || fstype === 'ext3' || fstype === 'ext2';
}

/** What the kernel itself shows of a stopped ext4 among the options of its superblock. */
function showsStop(superOptions: string): boolean {
  return has(superOptions, 'shutdown') || has(superOptions, 'emergency_ro');
}

function has(options: string, option: string): boolean {
  return optionList(options).includes(option);
}

/** `6.18.4-amd64` */
function showsIt(release: string): boolean {
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(release) ?? [];
  return major !== undefined && (Number(major) > SHOWS_IT[0] || (Number(major) === SHOWS_IT[0] && Number(minor) >= SHOWS_IT[1]));
}

/** By the kernel's name of the device: the last line that says it has stopped, since it was mounted or unmounted last. */
function lastWords(lines: readonly string[]): Map<string, string> {
  const words = new Map<string, string>();
  for (const line of lines) {
    // [ 3989.213] EXT4-fs (loop6): Remounting filesystem read-only
    const [, name, text = ''] = /EXT4-fs \(([^)]+)\): (.*)$/.exec(line) ?? [];
    if (name !== undefined && /^(mounted|unmounting) filesystem/.test(text)) {
      words.delete(name);
    } else if (name !== undefined && /^(Remounting filesystem read-only|shut down requested)/.test(text)) {
      words.set(name, line);
    }
  }
  return words;
}

/** What the file system counted since e2fsck last set it to 0; it lives on disk. */
function* errorsOf(name: string | undefined): Asking<{ count: number; evidence: Evidence } | undefined> {
  if (name === undefined) {
    return undefined;
  }
  const paths = [`/sys/fs/ext4/${name}/errors_count`, `/sys/fs/ext4/${name}/last_error_time`] as const;
  const [errors, time] = (yield* all(paths.map((path) => read(path)))) as [Answer, Answer];
  const count = /^(\d+)\n$/.exec(outputOf(errors))?.[1];
  if (count === undefined) {
    return undefined;
  }
  const last = outputOf(time).trim();
  const excerpt = `${count} errors${/^[1-9]\d*$/.test(last) ? `, the last at ${new Date(Number(last) * 1000).toISOString()}` : ''}`;
  return { count: Number(count), evidence: { ...seenAt({ kind: 'read', path: paths[0] }, errors), excerpt } };
}

/** The ext4 on this device is mounted and has, or has not, stopped itself. */
export const ext4Stopped = defineCondition('ext4-stopped', function* (args: { device: string; stopped: boolean }): Asking<Holds> {
  const expected = `the ext4 on ${args.device} ${args.stopped ? 'stopped' : 'mounted and not stopped'}`;
  if (!(yield* mountTable()).mounts.some((mount) => mount.device === args.device && isExt(mount))) {
    return { holds: false, expected, found: 'it is not mounted' };
  }
  const { stops, unjudged } = yield* ext4Stops();
  const why = unjudged.get(args.device);
  const found = why ?? (stops.has(args.device) ? 'it has stopped' : 'it has not');
  return why === undefined && stops.has(args.device) === args.stopped ? { holds: true } : { holds: false, expected, found };
});

/**
 * The ext4 on this block device is not mounted here, and its superblock says that it is, or is not, clean: no journal to
 * replay, no error recorded. Reads the superblock only.
 */
export const ext4Clean = defineCondition('ext4-clean', function* (args: { node: Name; device: string; clean: boolean }): Asking<Holds> {
  const expected = `an ext4 on ${showName(args.node)}, not mounted, marked ${args.clean ? 'clean' : 'not clean'}`;
  const node = yield* examine(nodeIs({ node: args.node, device: args.device }));
  if (!node.holds) {
    return { ...node, expected };
  }
  if ((yield* mountTable()).mounts.some(({ device }) => device === args.device)) {
    return { holds: false, expected, found: 'it is mounted' };
  }
  const probe: Probe & { kind: 'run' } = { kind: 'run', argv: ['dumpe2fs', '-h', '--', args.node] };
  const answer = yield* run(probe.argv, { suspect: true });
  const text = outputOf(answer);
  // Filesystem state:         clean with errors
  const state = /^Filesystem state: +(.+)$/m.exec(text)?.[1];
  const features = /^Filesystem features: +(.+)\n/m.exec(text)?.[1]?.split(' ');
  if (answer.state !== 'ok' || answer.code !== 0 || state === undefined || features === undefined) {
    return { holds: false, expected, found: answer.state === 'ok' && answer.code === 0 ? 'unknown format' : whyNot(answer) };
  }
  const replay = features.includes('needs_recovery');
  const clean = state === 'clean' && !replay && !/^FS Error count:/m.test(text);
  return clean === args.clean
    ? { holds: true }
    : { holds: false, expected, found: `marked ${state}${replay ? ', with a journal to replay' : ''}` };
});
