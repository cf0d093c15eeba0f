/** Devices that nobody may open: whoever does waits until somebody resumes what is suspended. */
import { defineFact, outputOf, run, Unknown, whyNot } from '../../check/asking.ts';
import type { Asking } from '../../check/types.ts';

const BLOCKS = '/sys/devices/virtual/block';
const END = '/dev/null';
// Listed first and read in the end: what was not read is known.
const ARGV = [
  ...['find', BLOCKS, END, '-maxdepth', '3', '(', '-path', `${BLOCKS}/*/dm/suspended`, '-o', '-path', `${BLOCKS}/*/dev`, ')'],
  ...['-printf', '%p\\0listed\\n', '-exec', 'grep', '-HZ', '.', '{}', '+'],
  ...['-o', '(', '-path', `${BLOCKS}/*/slaves/*`, '-o', '-path', END, ')', '-printf', '%p\\0\\n'],
];

export interface SuspendedDevices {
  /** `dm-3`, and what stands on it. */
  names: ReadonlySet<string>;
  /** The same by `major:minor`. */
  numbers: ReadonlySet<string>;
}

/** Read from sysfs: no device is opened. `Unknown` where it did not come whole. */
export const suspendedDevices = defineFact('consumers.suspended-devices', function* (): Asking<SuspendedDevices> {
  const answer = yield* run(ARGV);
  if (answer.state !== 'ok') {
    throw new Unknown(`which devices are suspended: ${whyNot(answer)}`);
  }
  return parseSuspended(outputOf(answer));
});

/** `path NUL value NEWLINE` each. */
export function parseSuspended(text: string): SuspendedDevices {
  const records = [...text.matchAll(/([^\0\n]+)\0([^\n]*)\n/g)].map(([, path, value]) => [path, value] as [string, string]);
  const read = new Set(records.filter(([, value]) => value !== 'listed').map(([path]) => path));
  if (!read.has(END) || !records.every(([path]) => read.has(path))) {
    throw new Unknown('which devices are suspended: the listing did not come whole');
  }
  const names = new Set<string>();
  const number = new Map<string, string>();
  const standsOn: [upper: string, lower: string][] = [];
  for (const [path, value] of records.filter(([, each]) => each !== 'listed')) {
    // /sys/devices/virtual/block/dm-3/dm/suspended · …/dm-3/dev · …/dm-3/slaves/dm-1
    const [name = '', what, lower = ''] = path.slice(BLOCKS.length + 1).split('/');
    if (what === 'dev') {
      number.set(name, value);
    } else if (what === 'slaves') {
      standsOn.push([name, lower]);
    } else if (what === 'dm' && value !== '0') {
      names.add(name);
    }
  }
  for (let known = -1; known !== names.size; ) {
    known = names.size;
    for (const [upper, lower] of standsOn) {
      if (names.has(lower)) {
        names.add(upper);
      }
    }
  }
  return { names, numbers: new Set([...names].flatMap((name) => number.get(name) ?? [])) };
}
