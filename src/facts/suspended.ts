/** Device-mapper devices below mounts that are suspended, and stay so: whoever writes to one, or reads past the cache, waits in D state. */
import { all, defineFact, outputOf, pause, read, run, whyNot } from '../check/asking.ts';
import type { Answer, Asking, Evidence } from '../check/types.ts';
import { blockDevices, onBlocks } from './block-devices.ts';
import { mountTable } from './mountinfo.ts';

/** A snapshot or a new table suspends a device for a moment. */
const AGAIN_AFTER = 3000;

export interface Suspended {
  /** As dmsetup calls it: `vg-data`. */
  name: string;
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
  const again = yield* all(late.flatMap(([, name]) => [read(fileOf(name), { take: 'again' }), read(`/sys/block/${name}/dm/name`)]));
  late.forEach(([device, name], index) => {
    const [answer, called] = again.slice(2 * index, 2 * index + 2) as [Answer, Answer];
    if (outputOf(answer) === '1\n') {
      const evidence = { source: fileOf(name), at: answer.at, excerpt: `1, and ${AGAIN_AFTER / 1000} s later 1` };
      suspended.set(device, { name: outputOf(called).trim() || name, evidence });
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

function fileOf(name: string): string {
  return `/sys/block/${name}/dm/suspended`;
}

function untold(name: string, answer: Answer): string {
  return `whether its device ${name} is suspended: ${answer.state === 'ok' ? 'unknown format' : whyNot(answer)}`;
}
