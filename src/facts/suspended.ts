/** Device-mapper devices below mounts that are suspended, and stay so: whoever writes to one, or reads past the cache, waits in D state. */
import { all, defineFact, outputOf, pause, read } from '../check/asking.ts';
import type { Asking, Evidence } from '../check/types.ts';
import { blockDevices, onBlocks } from './block-devices.ts';
import { mountTable } from './mountinfo.ts';

/** A snapshot or a new table suspends a device for a moment. */
const AGAIN_AFTER = 3000;

export interface Suspended {
  /** As dmsetup calls it: `vg-data`. */
  name: string;
  evidence: Evidence;
}

/** By `major:minor`. Read from sysfs: no such device is opened. */
export const suspendedMappings = defineFact('suspended-mappings', function* (): Asking<ReadonlyMap<string, Suspended>> {
  const table = yield* mountTable();
  const { names } = yield* blockDevices();
  const below = new Map(onBlocks(table).map(({ device }) => [device, names.get(device) ?? '']));
  const mapped = [...below].filter(([, name]) => name.startsWith('dm-'));
  const first = yield* all(mapped.map(([, name]) => isSuspended(name, 'first')));
  const late = mapped.filter((_, index) => first[index]);
  if (late.length === 0) {
    return new Map();
  }
  yield* pause(AGAIN_AFTER);
  const found = yield* all(late.map(([device, name]) => stillSuspended(device, name)));
  return new Map(found.filter((each) => each !== undefined));
});

function* stillSuspended(device: string, name: string): Asking<[string, Suspended] | undefined> {
  const answer = yield* read(`/sys/block/${name}/dm/suspended`, { take: 'again' });
  const called = yield* read(`/sys/block/${name}/dm/name`);
  if (outputOf(answer) !== '1\n') {
    return undefined;
  }
  const source = `/sys/block/${name}/dm/suspended`;
  const evidence = { source, at: answer.at, excerpt: `1, and ${AGAIN_AFTER / 1000} s later 1` };
  return [device, { name: outputOf(called).trim() || name, evidence }];
}

function* isSuspended(name: string, take: string): Asking<boolean> {
  return outputOf(yield* read(`/sys/block/${name}/dm/suspended`, { take })) === '1\n';
}
