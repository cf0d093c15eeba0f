/** What images stand on, one level at a time: many are asked by one child. */
import { all, outputOf, run, whyNot } from '../../check/asking.ts';
import type { Answer, Asking } from '../../check/types.ts';
import { fromByteString, showName, toByteString } from '../../names.ts';
import { parseErrors } from '../look.ts';
import type { Image } from './consumer.ts';
import { lookAtHeads } from './qcow2.ts';
import { flatJson, pathIn } from './qemu-words.ts';

const LIMIT = 5000;
const AT_ONCE = 24;
const PARTS_AFTER_A_HANG = 8;
const NO_TOOL = 'qemu-img is not installed';

/** What one look at an image tells. `below` undefined: it stands on nothing. */
export type Looked =
  /** The path below is as the image holds it: it may be relative to the image's own, or of another machine. */
  { state: 'looked'; format: string; below: Image | undefined } | { state: 'absent' } | { state: 'unknown'; why: string };

/** Single level: with its whole chain, qemu-img says nothing at all where one of the bases is off. `-U`: others write to it. */
function argvOf(paths: readonly string[], format: string | undefined): (string | ReturnType<typeof fromByteString>)[] {
  const info = ['qemu-img', 'info', '--output=json', '-U', ...(format === undefined ? [] : ['-f', format])];
  return [
    ...['find', ...paths.map(fromByteString), '-maxdepth', '0', '(', '-type', 'f', '-o', '-type', 'b', ')', '-printf', '%p\\0'],
    ...[
      '(',
      '-exec',
      ...info,
      '{}',
      ';',
      '-printf',
      '\\0done\\0',
      '-o',
      '-printf',
      '\\0failed\\0',
      ')',
      '-o',
      '-printf',
      '%p\\0%y\\0other\\0',
    ],
  ];
}

/** By path. The paths are absolute, one character a byte, without links in them, and nothing they lie on may hang. */
export function* lookAtImages(paths: readonly string[], format: string | undefined): Asking<Map<string, Looked>> {
  const looked = new Map<string, Looked>();
  for (const part of yield* all(chunks(paths, AT_ONCE).map((chunk) => ask(chunk, format)))) {
    for (const [path, each] of part) {
      looked.set(path, each);
    }
  }
  const untold = [...looked].filter(([, each]) => each.state === 'unknown' && each.why === NO_TOOL).map(([path]) => path);
  return untold.length === 0 ? looked : new Map([...looked, ...(yield* lookAtHeads(untold, format))]);
}

function* ask(paths: readonly string[], format: string | undefined): Asking<Map<string, Looked>> {
  const answer = yield* run(argvOf(paths, format), { limitMs: LIMIT, suspect: true });
  const looked = parseLooked(paths, answer);
  const unasked = paths.filter((path) => !looked.has(path));
  const parts = chunks(unasked, Math.max(1, Math.ceil(unasked.length / PARTS_AFTER_A_HANG)));
  for (const part of yield* all(parts.map((chunk) => ask(chunk, format)))) {
    for (const [path, each] of part) {
      looked.set(path, each);
    }
  }
  return looked;
}

/** Those that the child did not come to, since it hung on an earlier one, are left out. */
export function parseLooked(paths: readonly string[], answer: Answer): Map<string, Looked> {
  const looked = new Map<string, Looked>();
  const set = (path: string, why: string) => looked.set(path, { state: 'unknown', why });
  if (answer.state !== 'ok' && answer.state !== 'timed-out') {
    for (const path of paths) {
      set(path, whyNot(answer));
    }
    return looked;
  }
  const errors = parseErrors(answer.err);
  const records = outputOf(answer).split('\0');
  let at = 0;
  for (; at + 3 < records.length; at += 3) {
    const [path, said, end] = records.slice(at, at + 3) as [string, string, string];
    if (!paths.includes(path)) {
      break;
    }
    if (end === 'done') {
      looked.set(path, parseInfo(said));
    } else {
      set(path, end === 'other' ? 'it is no file and no block device' : whyFailed(path, answer.err, errors));
    }
  }
  for (const [path, line] of errors) {
    if (paths.includes(path) && !looked.has(path)) {
      looked.set(path, line.endsWith(': No such file or directory') ? { state: 'absent' } : { state: 'unknown', why: line });
    }
  }
  const rest = paths.filter((path) => !looked.has(path));
  if (answer.state === 'ok') {
    for (const path of rest) {
      set(path, 'what it stands on was answered in an unknown format');
    }
  } else if (rest[0] !== undefined) {
    set(rest[0], whyNot(answer));
  }
  return looked;
}

function whyFailed(path: string, err: string, errors: ReadonlyMap<string, string>): string {
  if (errors.has('qemu-img')) {
    return NO_TOOL;
  }
  return err.split('\n').find((line) => line.includes(`'${path}'`)) ?? 'qemu-img could not tell what it stands on';
}

/** Takes the JSON of qemu-img one character a byte. */
export function parseInfo(text: string): Looked {
  const info = flatJson(text);
  const format = info.get('format');
  if (format === undefined) {
    return { state: 'unknown', why: 'qemu-img answered in an unknown format' };
  }
  const below = info.get('backing-filename') ?? info.get('full-backing-filename');
  const path = below === undefined ? undefined : pathIn(below);
  if (below === undefined) {
    return { state: 'looked', format, below: undefined };
  }
  return path === undefined
    ? { state: 'unknown', why: `it stands on ${showName(fromByteString(below))}, which is of no known format` }
    : { state: 'looked', format, below: { path: fromByteString(path), format: info.get('backing-filename-format') } };
}

function chunks<T>(items: readonly T[], size: number): T[][] {
  const parts: T[][] = [];
  for (let index = 0; index < items.length; index += size) {
    parts.push(items.slice(index, index + size));
  }
  return parts;
}

/** Tells two readings of one path apart. */
export function keyOf({ path, format }: Image): string {
  return `${format ?? ''} ${toByteString(path)}`;
}
