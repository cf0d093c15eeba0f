/** Device-mapper devices below mounts that are suspended, and stay so: whoever writes to one, or reads past the cache, waits in D state. */
import { all, defineFact, outputOf, pause, read, whyNot } from '../check/asking.ts';
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
  if (late.length === 0) {
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
  return { suspended, unjudged };
});

function fileOf(name: string): string {
  return `/sys/block/${name}/dm/suspended`;
}

function untold(name: string, answer: Answer): string {
  return `whether its device ${name} is suspended: ${answer.state === 'ok' ? 'unknown format' : whyNot(answer)}`;
}
