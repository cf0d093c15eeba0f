/** All small files of a kind in some directories: one child lists, one reads. */
import { all, outputOf, run, Unknown, whyNot } from '../../check/asking.ts';
import type { Answer, Asking } from '../../check/types.ts';
import { fromByteString } from '../../names.ts';
import { parseErrors } from '../look.ts';
import { type Unjudged, unjudgedFile } from './consumer.ts';

const LIMIT = 10_000;
const BYTES_AT_MOST = 4 * 1024 * 1024;
/** Comes last: a listing without it is cut off. */
const END = '/dev/null';

export interface Listed {
  /** One character a byte. */
  path: string;
  /** As find prints it: `f`, `d`, `l`. */
  type: string;
  size: number;
  /** What a link reads. */
  target: string;
}

export interface Files {
  /** When they were read. */
  at: string;
  listed: Listed[];
  /** Path → text, one character a byte. */
  texts: ReadonlyMap<string, string>;
  unjudged: Unjudged[];
}

export interface Wanted {
  directories: readonly string[];
  /** Of the files that are read. */
  pattern: string;
  /** Below these directories. */
  depth: 1 | 2;
  /** sed: what is a secret in them does not leave the host. */
  script: readonly string[];
}

/** No link is followed. A directory that is not there holds nothing; `Unknown` where the listing did not come whole. */
export function* readFiles({ directories, pattern, depth, script }: Wanted): Asking<Files> {
  const find = ['find', ...directories];
  const kinds = ['(', '-name', `${pattern}*`, '-o', '-type', 'd', '-o', '-type', 'l', '-o', '-path', END, ')'];
  const small = ['-mindepth', String(depth), '-maxdepth', String(depth), '-name', pattern, '-type', 'f', '-size', `-${BYTES_AT_MOST}c`];
  const sed = ['-exec', 'sed', '-s', '-z', '-E', '-e', 'F', ...script.flatMap((line) => ['-e', line]), '{}', '+'];
  const [list, text] = (yield* all([
    run([...find, END, '-maxdepth', String(depth), ...kinds, '-printf', '%p\\0%y\\0%s\\0%l\\0'], { limitMs: LIMIT, suspect: true }),
    run([...find, ...small, ...sed], { limitMs: LIMIT, suspect: true }),
  ])) as [Answer, Answer];
  const listed = parseListing(list, directories);
  const files = listed.filter(({ path, type }) => type === 'f' && matches(path, pattern));
  const texts = parseTexts(outputOf(text), new Set(files.map(({ path }) => path)), text.state === 'ok');
  const errors = parseErrors(list.state === 'ok' ? list.err : '');
  const unread = [...errors].filter(([, line]) => !line.endsWith(': No such file or directory'));
  return {
    at: text.at,
    listed,
    texts,
    unjudged: [
      ...unread.map(([path, line]) => unjudgedFile(fromByteString(path), line)),
      ...files
        .filter(({ path }) => !texts.has(path))
        .map(({ path, size }) => unjudgedFile(fromByteString(path), whyUnread(size, text, path))),
    ],
  };
}

function parseListing(answer: Answer, directories: readonly string[]): Listed[] {
  if (answer.state !== 'ok') {
    throw new Unknown(whyNot(answer));
  }
  const fields = outputOf(answer).split('\0');
  const listed: Listed[] = [];
  for (let at = 0; at + 4 < fields.length; at += 4) {
    const [path, type, size, target] = fields.slice(at, at + 4) as [string, string, string, string];
    listed.push({ path, type, size: Number(size), target });
  }
  const errors = parseErrors(answer.err);
  const isSpokenOf = (path: string) => errors.has(path) || listed.some((each) => each.path === path);
  if (listed.pop()?.path !== END || !directories.every(isSpokenOf)) {
    throw new Unknown('the listing did not come whole');
  }
  return listed;
}

/** `path NUL text NUL` for each, the last NUL left out. A text may hold NULs, which belong into no such file. */
function parseTexts(output: string, paths: ReadonlySet<string>, whole: boolean): Map<string, string> {
  const texts = new Map<string, string>();
  let current: string | undefined;
  for (const record of output.split('\0')) {
    if (paths.has(record) && !texts.has(record)) {
      current = record;
      texts.set(record, '');
    } else if (current !== undefined) {
      const before = texts.get(current);
      texts.set(current, before === '' ? record : `${before}\0${record}`);
    }
  }
  if (!whole && current !== undefined) {
    texts.delete(current);
  }
  for (const [path, text] of texts) {
    if (text === '') {
      texts.delete(path);
    }
  }
  return texts;
}

function whyUnread(size: number, answer: Answer, path: string): string {
  if (size === 0) {
    return 'it is empty';
  }
  if (size >= BYTES_AT_MOST) {
    return `it has ${size} bytes, and less than ${BYTES_AT_MOST} were expected`;
  }
  // sed: can't read /etc/libvirt/qemu/a.xml: Permission denied
  const line = answer.state === 'ok' ? answer.err.split('\n').find((each) => each.includes(`${path}: `)) : undefined;
  return line ?? (answer.state === 'ok' ? 'it could not be read' : whyNot(answer));
}

/** `*.xml` or a name. */
function matches(path: string, pattern: string): boolean {
  return pattern.startsWith('*') ? path.endsWith(pattern.slice(1)) : path.endsWith(`/${pattern}`);
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** `Unknown` where the bytes are no UTF-8. */
export function decodeUtf8(bytes: string): string {
  try {
    return utf8.decode(Buffer.from(bytes, 'latin1'));
  } catch {
    throw new Unknown('it is not UTF-8');
  }
}

const SECRET = '(pass|password|passwd|secret|token|credential|key)';

/** Attributes that hold secrets go, and words of command lines lose their value; passwords of addresses go too. */
export const XML_SECRETS = [
  `s/[A-Za-z_-]*${SECRET} *= *("[^"]*"|'[^']*')//gI`,
  `s/${SECRET}=[^]"'<>, \\t\\n[]+/\\1/gI`,
  `s#(://[^] :/@'"<>[]*):[^] /@'"<>[]+@#\\1@#g`,
];

export const JSON_SECRETS = [
  `s/"(user_data|[A-Za-z_-]*${SECRET}[A-Za-z_-]*)": ?"([^"\\\\]|\\\\.)*"/"\\1":""/gI`,
  `s/${SECRET}=[^]"\\\\, \\t\\n[]+/\\1/gI`,
  `s#(://[^] :/@"\\\\[]*):[^] /@"\\\\[]+@#\\1@#g`,
];
