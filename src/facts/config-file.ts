/** Files that somebody configures something with: what they hold, and whether another one can be put in their place. */
import { createHash } from 'node:crypto';
import { defineFact, outputOf, run, seenAt, Unknown, whyNot } from '../check/asking.ts';
import { defineCondition } from '../check/condition.ts';
import { FILE_AT_MOST, shortHash } from '../check/edit.ts';
import type { Answer, Asking, Holds, Probe, Seen } from '../check/types.ts';
import { fromByteString, type Name, sameName, showName, toByteString } from '../names.ts';
import { ERRNO, errnoAtEnd } from './errno.ts';
import { followLinks } from './links.ts';
import { mountOf, mountTable, optionList } from './mountinfo.ts';

export interface ConfigFile {
  seen: Seen;
  /** Where it really lies: links are followed. This is the path to edit, and to show. */
  path: Name;
  /** One character a byte, secrets and all; undefined where there is no such file. */
  content: string | undefined;
  /** Why no other file can be put in its place, as a clause. */
  fixed: string | undefined;
}

const TYPES: Readonly<Record<string, string>> = { d: 'a directory', l: 'a symbolic link', p: 'a pipe', s: 'a socket', b: 'a block device' };

/** `Unknown` where it is no ordinary file of at most 4 MiB, or did not come whole. */
export const configFile = defineFact('config-file', function* (asked: Name): Asking<ConfigFile> {
  const path = (yield* followLinks([asked], yield* mountTable())).get(toByteString(asked));
  if (path === undefined) {
    throw new Unknown(`where ${showName(asked)} leads could not be told`);
  }
  const probe = lookInto(path, 'cat');
  const answer = yield* run(probe.argv);
  const seen = { ...seenAt(probe, answer), source: showName(path) };
  const fixed = yield* whyFixed(path);
  const found = contentOf(path, answer);
  return { seen, path, content: found === undefined ? undefined : wholeOf(path, found), fixed };
});

function wholeOf(path: Name, { type, size, said }: Found): string {
  if (type !== 'f' || size > FILE_AT_MOST) {
    throw new Unknown(`${showName(path)}: expected a file of at most ${FILE_AT_MOST} bytes, found ${described({ type, size })}`);
  }
  if (said.length !== size) {
    throw new Unknown(`${showName(path)} did not come whole: expected ${size} bytes, found ${said.length}`);
  }
  return said;
}

/** The file holds this, all of it; null: there is none. */
export const fileHolds = defineCondition('file-holds', function* (args: { path: Name; sha256: string | null }): Asking<Holds> {
  const { path } = args;
  const found = contentOf(path, yield* run(lookInto(path, 'sha256sum').argv));
  // A name with a newline in it has a backslash before the line: \e3b0c442… */mnt/a\nb
  const now = found === undefined ? null : /^\\?([0-9a-f]{64}) /.exec(found.said)?.[1];
  if (now !== undefined && now === args.sha256) {
    return { holds: true };
  }
  const expected = args.sha256 === null ? `no file ${showName(path)}` : `${showName(path)} with the SHA-256 ${shortHash(args.sha256)}`;
  const another = now === undefined ? described(found as Found) : `another content, with the SHA-256 ${shortHash(now)}`;
  return { holds: false, expected, found: now === null ? 'no such file' : another };
});

/** Another file can be put in its place, or where none is. */
export const fileReplaceable = defineCondition('file-replaceable', function* (args: { path: Name }): Asking<Holds> {
  assertAbsolute(args.path);
  const why = yield* whyFixed(args.path);
  return why === undefined ? { holds: true } : { holds: false, expected: `to be able to replace ${showName(args.path)}`, found: why };
});

export function sha256Of(bytes: string): string {
  return createHash('sha256').update(bytes, 'latin1').digest('hex');
}

interface Found {
  type: string;
  size: number;
  /** What the command said of an ordinary file that is not too large. */
  said: string;
}

function lookInto(path: Name, command: 'cat' | 'sha256sum'): Probe & { kind: 'run' } {
  assertAbsolute(path);
  const ordinary = ['-type', 'f', '-size', `-${FILE_AT_MOST + 1}c`];
  return { kind: 'run', argv: ['find', '-P', path, '-maxdepth', '0', '-printf', '%y %s\\0', ...ordinary, '-exec', command, '{}', ';'] };
}

/** `f 912\0` and what the command said; undefined where there is no such file. */
function contentOf(path: Name, answer: Answer): Found | undefined {
  if (answer.state === 'ok' && answer.code !== 0 && errnoAtEnd(answer.err.trimEnd()) === ERRNO.ENOENT) {
    return undefined;
  }
  const [, type, size, said] = /^(\S) (\d+)\0(.*)$/s.exec(outputOf(answer)) ?? [];
  if (answer.state !== 'ok' || answer.code !== 0 || type === undefined || said === undefined) {
    throw new Unknown(`${showName(path)}: ${whyNot(answer)}`);
  }
  return { type, size: Number(size), said };
}

function described({ type, size }: Pick<Found, 'type' | 'size'>): string {
  return type === 'f' ? `a file of ${size} bytes` : (TYPES[type] ?? `something of type ${type}`);
}

/** access(2) tells whether it may be written, and opens nothing: watchers of the file notice nothing. */
function* whyFixed(path: Name): Asking<string | undefined> {
  const table = yield* mountTable();
  if (table.mounts.some(({ id, point }) => table.visible.has(id) && sameName(point, path))) {
    return `${showName(path)} is a mount of its own, which a file cannot take the place of`;
  }
  const bytes = toByteString(path);
  const directory = fromByteString(bytes.slice(0, bytes.lastIndexOf('/')) || '/');
  const writable = ['(', '-writable', '-printf', 'w', '-o', '-printf', 'r', ')'];
  const answer = yield* run(['find', '-P', path, directory, '-maxdepth', '0', '-printf', '%y %n ', ...writable, '-printf', '\\0']);
  const records = outputOf(answer).split('\0').slice(0, -1);
  const above = records.at(-1)?.startsWith('d') ? records.at(-1) : undefined;
  if (answer.state !== 'ok' || above === undefined) {
    return answer.state === 'ok' ? `${showName(directory)} is no directory` : `${showName(path)}: ${whyNot(answer)}`;
  }
  const file = records.length === 2 ? records[0] : undefined;
  // f 1 w
  const names = Number(file?.split(' ')[1] ?? 1);
  const flags = yield* flagsOf([path, directory]);
  for (const [which, record, has] of [
    [path, file, flags[0]],
    [directory, above, flags[1]],
  ] as const) {
    if (has?.includes('i')) {
      return `${showName(which)} is immutable (chattr +i)`;
    }
    if (has?.includes('a')) {
      return `${showName(which)} can only be appended to (chattr +a)`;
    }
    if (record?.endsWith('r')) {
      const mount = mountOf(table, which);
      const readOnly = mount !== undefined && [mount.options, mount.superOptions].some((options) => optionList(options).includes('ro'));
      return readOnly
        ? `${showName(which)} lies on a mount that is read-only (${showName(mount.point)})`
        : `${showName(which)} may not be written`;
    }
  }
  return names > 1 && file?.startsWith('f')
    ? `${showName(path)} has ${names} names (hard links): the others would keep the old content`
    : undefined;
}

/** As lsattr shows them; none where it cannot be asked: then the act itself fails, and changes nothing. */
function* flagsOf(paths: readonly Name[]): Asking<(string | undefined)[]> {
  const lines = outputOf(yield* run(['lsattr', '-d', '--', ...paths])).split('\n');
  // ----i---------e------- /etc/fstab
  return paths.map((path) => lines.find((line) => line.slice(line.indexOf(' ') + 1) === toByteString(path))?.split(' ')[0]);
}

function assertAbsolute(path: Name): void {
  if (!toByteString(path).startsWith('/')) {
    throw new Unknown(`${showName(path)}: expected an absolute path`);
  }
}
