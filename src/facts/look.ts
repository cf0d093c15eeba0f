/** Bulk questions about paths: one child asks many, says each answer at once, and where it hangs we know where. */
import { all, outputOf, run, seenAt, whyNot } from '../check/asking.ts';
import { defineCondition } from '../check/condition.ts';
import type { Answer, Asking, Holds, Probe, Seen } from '../check/types.ts';
import { fromByteString, type Name, showName, toByteString } from '../names.ts';
import { ERRNO, errnoAtEnd } from './errno.ts';

export type Looked = { seen: Seen } & (
  | { state: 'found'; type: 'd' | 'f' | 'l' | string; size: number; inode: number; device: number; links: number; empty: boolean }
  /** `call` failed with this error: finding it, or reading the directory. */
  | { state: 'errno'; errno: number; call: 'stat' | 'readdir'; line: string }
  | { state: 'silent'; limitMs: number; wchan?: string; leaked?: number }
  | { state: 'unknown'; why: string }
);

const AT_ONCE = 500;
const PARTS_AFTER_A_HANG = 8;
const FIELDS = '%p\\0%y %s %i %D %n\\0';

/** The probe of one bulk child. Unbuffered, so that what it said before it hung is known. */
export function bulkArgv(paths: readonly Name[]): Name[] {
  return [
    'stdbuf',
    '-o0',
    'find',
    ...paths,
    '-maxdepth',
    '0',
    '-printf',
    FIELDS,
    '(',
    '-empty',
    '-printf',
    'empty\\0',
    '-o',
    '-printf',
    'not\\0',
    ')',
  ];
}

/** stat and the first directory entry of each absolute path. `known` are paths on which a child of an earlier run still hangs. */
export function* lookAt(
  paths: readonly Name[],
  limitMs: number,
  known: ReadonlyMap<string, number> = new Map(),
): Asking<Map<string, Looked>> {
  const looked = new Map<string, Looked>();
  const open: Name[] = [];
  for (const path of paths) {
    const leaked = known.get(toByteString(path));
    if (leaked === undefined) {
      open.push(path);
    } else {
      looked.set(toByteString(path), { state: 'silent', limitMs, leaked, seen: { source: 'a child of an earlier run', at: '' } });
    }
  }
  for (const part of yield* all(chunks(open, AT_ONCE).map((chunk) => bulk(chunk, limitMs)))) {
    for (const [path, result] of part) {
      looked.set(path, result);
    }
  }
  return looked;
}

function* bulk(paths: readonly Name[], limitMs: number): Asking<Map<string, Looked>> {
  if (paths.length === 0) {
    return new Map();
  }
  const probe: Probe & { kind: 'run' } = { kind: 'run', argv: bulkArgv(paths) };
  const answer = yield* run(probe.argv, { limitMs, suspect: true });
  const results = parseBulk(paths, answer, seenAt(probe, answer));
  const unasked = paths.filter((path) => !results.has(toByteString(path)));
  const parts = chunks(unasked, Math.max(1, Math.ceil(unasked.length / PARTS_AFTER_A_HANG)));
  for (const part of yield* all(parts.map((chunk) => bulk(chunk, limitMs)))) {
    for (const [path, result] of part) {
      results.set(path, result);
    }
  }
  return results;
}

/** What one bulk child said. Paths that it did not come to, because it hung on an earlier one, are left out. */
export function parseBulk(paths: readonly Name[], answer: Answer, seen: Seen): Map<string, Looked> {
  const results = new Map<string, Looked>();
  const keys = paths.map(toByteString);
  if (answer.state !== 'ok' && answer.state !== 'timed-out') {
    for (const key of keys) {
      results.set(key, { state: 'unknown', why: whyNot(answer), seen });
    }
    return results;
  }
  const errors = parseErrors(answer.err);
  const fail = (failed: string[]) => {
    for (const path of failed) {
      results.set(path, failure(path, 'stat', errors, seen));
    }
  };
  const records = outputOf(answer).split('\0').slice(0, -1);
  let next = 0;
  for (let index = 0; index < records.length; next++) {
    const key = keys.indexOf(records[index] as string, next);
    // 'd 4096 2146350 65024 2'
    const fields = /^(\w) (\d+) (\d+) (\d+) (\d+)$/.exec(records[index + 1] ?? '');
    const empty = records[index + 2];
    if (key < 0) {
      break;
    }
    // Those that were passed over without a word on stdout failed.
    fail(keys.slice(next, key));
    next = key;
    if (fields === null || (empty !== 'empty' && empty !== 'not')) {
      break;
    }
    const path = keys[key] as string;
    const failedRead = errors.get(path);
    results.set(
      path,
      failedRead === undefined
        ? {
            state: 'found',
            type: fields[1] as string,
            size: Number(fields[2]),
            inode: Number(fields[3]),
            device: Number(fields[4]),
            links: Number(fields[5]),
            empty: empty === 'empty',
            seen,
          }
        : failure(path, 'readdir', errors, seen),
    );
    index += 3;
  }
  const rest = keys.slice(next);
  if (answer.state === 'ok') {
    fail(rest);
  } else {
    // It went past those that failed: it hangs on the first that it has not spoken of.
    const at = rest.findIndex((path) => !errors.has(path));
    const hung = rest[at];
    fail(hung === undefined ? rest : rest.slice(0, at));
    if (hung === undefined) {
      return results;
    }
    const { limitMs, wchan, leaked } = answer;
    results.set(hung, {
      state: 'silent',
      limitMs,
      seen,
      ...(wchan !== undefined && { wchan }),
      ...(leaked !== undefined && { leaked: leaked.pid }),
    });
  }
  return results;
}

function failure(path: string, call: 'stat' | 'readdir', errors: ReadonlyMap<string, string>, seen: Seen): Looked {
  const line = errors.get(path);
  const errno = line === undefined ? undefined : errnoAtEnd(line);
  return line === undefined || errno === undefined
    ? { state: 'unknown', why: line ?? 'find said nothing about it', seen }
    : { state: 'errno', errno, call, line, seen };
}

// find: '/mnt/a\n\'b': Input/output error
const FIND_ERROR = /^find: '((?:[^'\\]|\\.)*)': .*$/;

/** The errors that find printed under LC_ALL=C, by path. */
export function parseErrors(err: string): Map<string, string> {
  const errors = new Map<string, string>();
  for (const line of err.split('\n')) {
    const quoted = FIND_ERROR.exec(line)?.[1];
    if (quoted !== undefined) {
      errors.set(unquote(quoted), line);
    }
  }
  return errors;
}

const SHORT: Readonly<Record<string, string>> = { a: '\x07', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' };

function unquote(quoted: string): string {
  return quoted.replace(/\\(?:([0-7]{3})|(.))/g, (_, octal: string | undefined, character: string) =>
    octal === undefined ? (SHORT[character] ?? character) : String.fromCharCode(Number.parseInt(octal, 8)),
  );
}

/** Where a bulk child of an earlier run, known by its argv and what it said so far, still hangs. */
export function hungAt(argv: readonly Name[], out: Uint8Array, err = ''): Name | undefined {
  const paths = argv.slice(3, argv.indexOf('-maxdepth'));
  if (toByteString(argv[2] ?? '') !== 'find' || !argv.includes('-maxdepth')) {
    return undefined;
  }
  const answer: Answer = { state: 'timed-out', out, err, limitMs: 0, at: '', ms: 0 };
  for (const [path, result] of parseBulk(paths, answer, { source: '', at: '' })) {
    if (result.state === 'silent') {
      return fromByteString(path);
    }
  }
  return undefined;
}

function chunks<T>(items: readonly T[], size: number): T[][] {
  const parts: T[][] = [];
  for (let index = 0; index < items.length; index += size) {
    parts.push(items.slice(index, index + size));
  }
  return parts;
}

const TYPES: Readonly<Record<string, string>> = {
  d: 'a directory',
  f: 'a file',
  l: 'a symbolic link',
  b: 'a block device',
  c: 'a character device',
  p: 'a pipe',
  s: 'a socket',
};

/** What lies at a path: `d`, `f`, … as find prints types, or `absent`. */
export const pathIs = defineCondition('path-is', function* (args: { path: Name; type: string }): Asking<Holds> {
  const looked = yield* lookAtOne(args.path);
  const absent = looked.state === 'errno' && looked.errno === ERRNO.ENOENT;
  if (absent ? args.type === 'absent' : looked.state === 'found' && looked.type === args.type) {
    return { holds: true };
  }
  const wanted = args.type === 'absent' ? 'nothing' : (TYPES[args.type] ?? `type ${args.type}`);
  return { holds: false, expected: `${wanted} at ${showName(args.path)}`, found: absent ? 'nothing' : describeLooked(looked) };
});

/** An empty directory lies at a path. */
export const emptyDirectory = defineCondition('empty-directory', function* (args: { path: Name }): Asking<Holds> {
  const looked = yield* lookAtOne(args.path);
  const isDirectory = looked.state === 'found' && looked.type === 'd';
  return isDirectory && looked.empty
    ? { holds: true }
    : {
        holds: false,
        expected: `an empty directory at ${showName(args.path)}`,
        found: isDirectory ? 'a full one' : describeLooked(looked),
      };
});

/** The file at a path is still this one, of this size. `device` is st_dev as stat prints it. */
export const fileIs = defineCondition(
  'file-is',
  function* (args: { path: Name; device: number; inode: number; size: number }): Asking<Holds> {
    const looked = yield* lookAtOne(args.path);
    const isFile = looked.state === 'found' && looked.type === 'f';
    if (isFile && looked.device === args.device && looked.inode === args.inode && looked.size === args.size) {
      return { holds: true };
    }
    const expected = `${showName(args.path)} to be inode ${args.inode} on device ${args.device}, ${args.size} bytes`;
    return {
      holds: false,
      expected,
      found: isFile ? `inode ${looked.inode} on device ${looked.device}, ${looked.size} bytes` : describeLooked(looked),
    };
  },
);

/** A path, or what a link there leads to, is the node of this block device: `major:minor`, decimal. */
export const nodeIs = defineCondition('node-is', function* (args: { node: Name; device: string }): Asking<Holds> {
  const answer = yield* run(['stat', '-L', '-c', '%F %t:%T', '--', args.node], { limitMs: 2000, suspect: true });
  // block special file fd:1a
  const [, major, minor] = /^block special file ([0-9a-f]+):([0-9a-f]+)\n$/.exec(outputOf(answer)) ?? [];
  const device = major === undefined || minor === undefined ? undefined : `${Number.parseInt(major, 16)}:${Number.parseInt(minor, 16)}`;
  const expected = `${showName(args.node)} to be block device ${args.device}`;
  if (answer.state !== 'ok' || answer.code !== 0) {
    return { holds: false, expected, found: whyNot(answer) };
  }
  return device === args.device
    ? { holds: true }
    : { holds: false, expected, found: device === undefined ? outputOf(answer).trim() : `block device ${device}` };
});

export function* lookAtOne(path: Name): Asking<Looked> {
  return (yield* lookAt([path], 2000)).get(toByteString(path)) as Looked;
}

/** What was learned, as a clause. */
export function describeLooked(looked: Looked): string {
  switch (looked.state) {
    case 'found':
      return TYPES[looked.type] ?? `something of type ${looked.type}`;
    case 'errno':
      return looked.line;
    case 'silent':
      return `no answer within ${looked.limitMs / 1000} s`;
    case 'unknown':
      return looked.why;
  }
}
