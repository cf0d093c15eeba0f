/** Block devices by the names people give them. */
import { defineFact, outputOf, run, seenAt, whyNot } from '../check/asking.ts';
import type { Asking, Probe, Seen } from '../check/types.ts';
import { fromByteString, type Name, toByteString } from '../names.ts';

export type NamedDevice = { seen: Seen } /** `path` is a name that leads to it, `device` its `major:minor`. */ & (
  | { state: 'there'; path: Name; device: string }
  | { state: 'missing' }
  | { state: 'unknown'; why: string }
);

const UDEV = '/dev/disk';
const BY_TAG: Readonly<Record<string, string>> = {
  UUID: 'by-uuid',
  LABEL: 'by-label',
  PARTUUID: 'by-partuuid',
  PARTLABEL: 'by-partlabel',
  ID: 'by-id',
};

/** `UUID=…`, `LABEL=…` or a path below /dev: stands for a block device. */
export function namesDevice(source: Name): boolean {
  return pathsOf(source).length > 0;
}

/** Where udev would put a name, in the spellings it may have: mount(8) compares UUIDs without regard to case. */
function pathsOf(source: Name): string[] {
  const bytes = toByteString(source);
  const [, tag, value] = /^([A-Z]+)=(.+)$/s.exec(bytes) ?? [];
  const folder = tag === undefined ? undefined : BY_TAG[tag];
  if (folder === undefined || value === undefined) {
    return /^\/dev\/./s.test(bytes) && !bytes.includes('\0') ? [bytes] : [];
  }
  const spellings = tag?.endsWith('UUID') ? [value, value.toLowerCase(), value.toUpperCase()] : [escapeForUdev(value)];
  return [...new Set(spellings)].map((name) => `${UDEV}/${folder}/${name}`);
}

/** `My Disk` → `My\x20Disk`, as udev_util_encode_string of libudev does. */
function escapeForUdev(value: string): string {
  return value.replace(/[^\w#+\-.:=@\x80-\xff]/g, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

/** By source, one character a byte: those that name a block device. One child asks about all. */
export const namedDevices = defineFact('named-devices', function* (sources: Name[]): Asking<ReadonlyMap<string, NamedDevice>> {
  const wanted = new Map(sources.filter(namesDevice).map((source) => [toByteString(source), pathsOf(source)]));
  if (wanted.size === 0) {
    return new Map();
  }
  const paths = [...new Set([UDEV, ...[...wanted.values()].flat()])];
  const probe: Probe & { kind: 'run' } = {
    kind: 'run',
    argv: ['stat', '-L', '--printf', '%n\\0%F %t:%T\\0', '--', ...paths.map(fromByteString)],
  };
  const answer = yield* run(probe.argv, { limitMs: 2000, suspect: true });
  const seen = seenAt(probe, answer);
  const fields = outputOf(answer).split('\0');
  const devices = new Map<string, string>();
  for (let index = 0; index + 2 < fields.length; index += 2) {
    devices.set(fields[index] as string, numberOf(fields[index + 1] as string) ?? '');
  }
  // stat quotes the names in its errors: they are counted, and not read.
  const gone = answer.state === 'ok' ? answer.err.split('\n').filter((line) => line.endsWith(': No such file or directory')).length : 0;
  const isWhole = gone === paths.filter((path) => !devices.has(path)).length;
  const why = answer.state === 'ok' ? 'not every name could be looked up below /dev' : whyNot(answer);
  const named = new Map<string, NamedDevice>();
  for (const [source, spellings] of wanted) {
    const path = spellings.find((each) => (devices.get(each) ?? '') !== '');
    if (path !== undefined) {
      named.set(source, { state: 'there', path: fromByteString(path), device: devices.get(path) as string, seen });
    } else if (!isWhole) {
      named.set(source, { state: 'unknown', why, seen });
    } else if (spellings.some((each) => devices.has(each))) {
      named.set(source, { state: 'unknown', why: 'it is no block device', seen });
    } else if (!source.startsWith('/dev/') && !devices.has(UDEV)) {
      named.set(source, { state: 'unknown', why: 'udev keeps no names here', seen });
    } else {
      named.set(source, { state: 'missing', seen });
    }
  }
  return named;
});

/** `8:17` for `block special file 8:11`, which is hex; undefined for what is no block device. */
function numberOf(fields: string): string | undefined {
  const [, major, minor] = /^block special file ([0-9a-f]+):([0-9a-f]+)$/.exec(fields) ?? [];
  return major === undefined || minor === undefined ? undefined : `${Number.parseInt(major, 16)}:${Number.parseInt(minor, 16)}`;
}
