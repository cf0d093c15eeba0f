/** Device-mapper devices below mounts that are suspended, and stay so: whoever writes to one, or reads past the cache, waits in D state. */
import { all, defineFact, outputOf, pause, read, run, whyNot } from '../check/asking.ts';
import { defineCondition } from '../check/condition.ts';
import type { Answer, Asking, Evidence, Holds } from '../check/types.ts';
import { blockDevices, onBlocks } from './block-devices.ts';
import { groupLocks } from './lvm/locks.ts';
import { mountTable } from './mountinfo.ts';

/** A snapshot or a new table suspends a device for a moment. */
const AGAIN_AFTER = 3000;

export interface Suspended {
  /** As dmsetup calls it: `vg-data`. */
  name: string;
  /** Who made it: `LVM-…`, `CRYPT-LUKS2-…`, `mpath-…`; empty where that is not known. */
  uuid: string;
  evidence: Evidence;
}

export interface SuspendedMappings {
  /** By `major:minor`. */
  suspended: ReadonlyMap<string, Suspended>;
  /** `major:minor` → why it could not be told. */
  unjudged: ReadonlyMap<string, string>;
}

/** Read from sysfs: no such device is opened. */
export const suspendedMappings = defineFact('suspended-mappings', function* (): Asking<SuspendedMappings> {
  const table = yield* mountTable();
  const { names } = yield* blockDevices();
  const below = new Map(onBlocks(table).map(({ device }) => [device, names.get(device) ?? '']));
  const mapped = [...below].filter(([, name]) => name.startsWith('dm-'));
  const suspended = new Map<string, Suspended>();
  const unjudged = new Map<string, string>();
  const first = yield* all(mapped.map(([, name]) => read(fileOf(name))));
  const late: [string, string][] = [];
  mapped.forEach(([device, name], index) => {
    const answer = first[index] as Answer;
    if (outputOf(answer) === '1\n') {
      late.push([device, name]);
    } else if (outputOf(answer) !== '0\n') {
      unjudged.set(device, untold(name, answer));
    }
  });
  // A device further down a stack (LUKS on a volume) holds back what stands on it.
  const mounted = new Set(mapped.map(([, name]) => name));
  const deeper = mapped.length === 0 ? [] : [...names.values()].filter((name) => name.startsWith('dm-') && !mounted.has(name));
  const states = yield* all(deeper.map((name) => read(fileOf(name))));
  const low = deeper.filter((_, index) => outputOf(states[index] as Answer) === '1\n');
  if (late.length + low.length === 0) {
    return { suspended, unjudged };
  }
  yield* pause(AGAIN_AFTER);
  const again = yield* all(
    late.flatMap(([, name]) => [
      read(fileOf(name), { take: 'again' }),
      read(`/sys/block/${name}/dm/name`),
      read(`/sys/block/${name}/dm/uuid`),
    ]),
  );
  late.forEach(([device, name], index) => {
    const [answer, called, uuid] = again.slice(3 * index, 3 * index + 3) as [Answer, Answer, Answer];
    if (outputOf(answer) === '1\n') {
      const evidence = { source: fileOf(name), at: answer.at, excerpt: `1, and ${AGAIN_AFTER / 1000} s later 1` };
      suspended.set(device, { name: outputOf(called).trim() || name, uuid: outputOf(uuid).trim(), evidence });
    } else if (outputOf(answer) !== '0\n') {
      unjudged.set(device, untold(name, answer));
    }
  });
  const still = yield* all(low.map((name) => read(fileOf(name), { take: 'again' })));
  const held = low.filter((_, index) => outputOf(still[index] as Answer) !== '0\n');
  const free = mapped.filter(([device]) => !suspended.has(device));
  if (held.length > 0 && free.length > 0) {
    const above = yield* standingOn(held, [...names.values()]);
    for (const [device, name] of free) {
      const lower = above?.get(name);
      if (above === undefined || lower !== undefined) {
        unjudged.set(
          device,
          lower === undefined ? `whether it stands on ${held.join(', ')}, which is suspended` : `it stands on ${lower}, which is suspended`,
        );
      }
    }
  }
  return { suspended, unjudged };
});

/** Of each device that stands on one of these, whichever way, the one it stands on; undefined where sysfs does not tell. */
function* standingOn(held: readonly string[], names: readonly string[]): Asking<ReadonlyMap<string, string> | undefined> {
  const folders = names.filter((name) => name.startsWith('dm-')).map((name) => `/sys/block/${name}/slaves`);
  const answer = yield* run(['find', ...folders, '-mindepth', '1', '-maxdepth', '1', '-printf', '%h %f\\n']);
  if (answer.state !== 'ok' || answer.code !== 0) {
    return undefined;
  }
  // /sys/block/dm-1/slaves dm-0
  const pairs = [...outputOf(answer).matchAll(/^\/sys\/block\/([^/]+)\/slaves (\S+)$/gm)].map(
    ([, upper, lower]) => [upper, lower] as [string, string],
  );
  const found = new Map(held.map((name) => [name, name]));
  // A stack never stands on itself, so this ends.
  for (let known = -1; known !== found.size; ) {
    known = found.size;
    for (const [upper, lower] of pairs) {
      const on = found.get(lower);
      if (on !== undefined && !found.has(upper)) {
        found.set(upper, on);
      }
    }
  }
  return found;
}

/** Of these devices, by `major:minor`, those that stay suspended, or why it could not be told. */
export const heldMappings = defineFact('held-mappings', function* (devices: string[]): Asking<
  ReadonlyMap<string, Suspended | { why: string }>
> {
  const found = new Map<string, Suspended | { why: string }>();
  const file = (device: string, name: string) => `/sys/dev/block/${device}/dm/${name}`;
  const first = yield* all(devices.map((device) => read(file(device, 'suspended'))));
  const late = devices.filter((device, index) => {
    const answer = first[index] as Answer;
    if (outputOf(answer) !== '1\n' && outputOf(answer) !== '0\n') {
      found.set(device, { why: untold(device, answer) });
    }
    return outputOf(answer) === '1\n';
  });
  if (late.length === 0) {
    return found;
  }
  yield* pause(AGAIN_AFTER);
  for (const device of late) {
    const [answer, called, uuid] = (yield* all([
      read(file(device, 'suspended'), { take: 'again' }),
      read(file(device, 'name')),
      read(file(device, 'uuid')),
    ])) as [Answer, Answer, Answer];
    if (outputOf(answer) === '1\n' && outputOf(called) !== '') {
      const evidence = { source: file(device, 'suspended'), at: answer.at, excerpt: `1, and ${AGAIN_AFTER / 1000} s later 1` };
      found.set(device, { name: outputOf(called).trim(), uuid: outputOf(uuid).trim(), evidence });
    } else if (outputOf(answer) !== '0\n') {
      found.set(device, { why: untold(device, answer) });
    }
  }
  return found;
});

/** What suspends devices, or works on what another one has suspended. */
const AT_WORK = /^(lv|vg|pv|fsadm$|dmsetup$|cryptsetup|multipath$|kpartx$|veritysetup|integritysetup|thin_|cache_|blkdeactivate|vdo)/;
/** Runs wherever a raid, pool or snapshot is monitored. It works on volumes within itself, and holds the lock of their group meanwhile. */
const MONITOR = 'dmeventd';

/**
 * The device is suspended, has been for some seconds, and seems forgotten: no command that may have suspended it runs, and no
 * new table waits to take the place of the one it has.
 */
export const mappingForgotten = defineCondition('mapping-forgotten', function* (args: { device: string; name: string }): Asking<Holds> {
  const expected = `${args.name} suspended, with nobody at work on it`;
  const not = (found: string): Holds => ({ holds: false, expected, found });
  const held = (yield* heldMappings([args.device])).get(args.device);
  if (held === undefined || 'why' in held || held.name !== args.name) {
    return not(held === undefined ? 'it is not suspended' : 'why' in held ? held.why : `it is ${held.name}`);
  }
  const tables = yield* run(['dmsetup', 'info', '-c', '--noheadings', '-o', 'tables_loaded', '--', args.name]);
  if (outputOf(tables).trim() !== 'Live') {
    return not(tables.state === 'ok' && tables.code === 0 ? `tables loaded: ${outputOf(tables).trim()}` : whyNot(tables));
  }
  const busy = yield* whoIsAtWork();
  return busy === undefined ? { holds: true } : not(busy);
});

/** As a clause; undefined: nobody. */
function* whoIsAtWork(): Asking<string | undefined> {
  const names = ['find', '/proc', '-mindepth', '2', '-maxdepth', '2', '-regextype', 'posix-egrep', '-regex', '/proc/[0-9]+/comm'];
  const answer = yield* run([...names, '-exec', 'grep', '-sH', '.', '{}', '+']);
  // /proc/972/comm:lvconvert
  const processes = [...outputOf(answer).matchAll(/^\/proc\/(\d+)\/comm:(.*)$/gm)];
  if (answer.state !== 'ok' || processes.length === 0) {
    return `the processes could not be listed: ${whyNot(answer)}`;
  }
  const atWork = processes.filter(([, , comm = '']) => AT_WORK.test(comm)).map(([, pid, comm]) => `${comm} (pid ${pid})`);
  if (atWork.length > 0) {
    return `${atWork.join(', ')} at work`;
  }
  if (!processes.some(([, , comm]) => comm === MONITOR)) {
    return undefined;
  }
  const { held, why } = yield* groupLocks();
  return [...held.values()].some(({ command }) => command === MONITOR) ? `${MONITOR} holds a lock of LVM` : why;
}

/** Whether the device is suspended this moment. */
export const mappingSuspended = defineCondition(
  'mapping-suspended',
  function* (args: { device: string; suspended: boolean }): Asking<Holds> {
    const answer = yield* read(`/sys/dev/block/${args.device}/dm/suspended`);
    const found = { '0\n': 'it is not', '1\n': 'it is' }[outputOf(answer)] ?? whyNot(answer);
    return outputOf(answer) === (args.suspended ? '1\n' : '0\n')
      ? { holds: true }
      : { holds: false, expected: `device ${args.device} ${args.suspended ? '' : 'not '}suspended`, found };
  },
);

function fileOf(name: string): string {
  return `/sys/block/${name}/dm/suspended`;
}

function untold(name: string, answer: Answer): string {
  return `whether its device ${name} is suspended: ${answer.state === 'ok' ? 'unknown format' : whyNot(answer)}`;
}
