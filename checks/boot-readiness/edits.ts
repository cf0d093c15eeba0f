/** The edit that a finding carries, as a plan: of /etc/fstab, /etc/crypttab, or a drop-in of our own. */
import { defineFact } from '../../src/check/asking.ts';
import type { Asking, Facts, Finding, Plan, Step } from '../../src/check/types.ts';
import { type ConfigFile, configFile } from '../../src/facts/config-file.ts';
import { attempt } from '../../src/facts/consumers/consumer.ts';
import { ERRNO } from '../../src/facts/errno.ts';
import { parseFstab } from '../../src/facts/fstab.ts';
import { emptyDirectory, lookAtOne, pathIs } from '../../src/facts/look.ts';
import { fromByteString, type Name, showName, toByteString } from '../../src/names.ts';
import { mask } from '../../src/secrets.ts';
import { editFile } from '../../src/steps/editing.ts';
import { applyEdit, type FileEdit } from '../../src/steps/file-edits.ts';
import { type BootFound, describeEdit, FSTAB } from './data.ts';
import { type BootFacts, needs } from './facts.ts';
import { partOf, parts } from './parts.ts';

interface EditedFile extends ConfigFile {
  /** The directory it would lie in, where that is not there either. */
  missing?: Name;
}

type OwnEdit = Exclude<FileEdit, { kind: 'attribute' }>;

interface Edited {
  edits: OwnEdit[];
  /** By path, one character a byte: as they are now. None is read where nothing would be edited. */
  files: ReadonlyMap<string, EditedFile | { why: string }>;
}

/** What would be edited. */
const edited = defineFact('boot-readiness.edited', function* (): Asking<Edited> {
  const gathered: [string, unknown][] = [];
  for (const [name, need] of Object.entries(needs)) {
    gathered.push([name, yield* need()]);
  }
  const facts = Object.fromEntries(gathered) as Facts<typeof needs>;
  const edits = parts.flatMap((part) => part.seek(facts).findings).flatMap((finding) => editOf(finding) ?? []);
  const files = new Map<string, EditedFile | { why: string }>();
  for (const edit of edits) {
    if (!files.has(edit.path)) {
      files.set(edit.path, yield* attempt(fileToEdit(edit)));
    }
  }
  return { edits, files };
});

export const needsWithFiles = { ...needs, edited };

/** Of what is only good to know nothing is edited unasked, and libvirt keeps a copy of its own of what is in its files. */
function editOf({ severity, data: { edit } }: BootFound): OwnEdit | undefined {
  return edit === null || edit.kind === 'attribute' || severity === 'info' ? undefined : edit;
}

function* fileToEdit({ kind, path }: FileEdit): Asking<EditedFile> {
  const parent = fromByteString(path.slice(0, path.lastIndexOf('/')));
  const looked = kind === 'create' ? yield* lookAtOne(parent) : undefined;
  if (looked?.state !== 'errno' || looked.errno !== ERRNO.ENOENT) {
    return yield* configFile(fromByteString(path));
  }
  // Whether a directory can be made is the same question as whether a file could.
  const directory = yield* configFile(parent);
  const inside = `${toByteString(directory.path)}${path.slice(path.lastIndexOf('/'))}`;
  return { ...directory, path: fromByteString(inside), content: undefined, missing: directory.path };
}

export function planEdit(finding: Finding<BootFound>, { boots, edited: { edits, files } }: BootFacts & { edited: Edited }): Plan {
  const { code, data } = finding;
  const edit = editOf(finding);
  if (edit === undefined) {
    return {
      refused: data.edit === null ? (partOf(code)?.byHand[code] ?? 'there is no repair for it') : `by hand: ${describeEdit(data.edit)}`,
    };
  }
  const file = files.get(edit.path);
  if (file === undefined || 'why' in file) {
    return { refused: `${file?.why ?? `${edit.path} was not read`}; by hand: ${describeEdit(edit)}` };
  }
  if (file.fixed !== undefined) {
    return { refused: file.fixed };
  }
  const all = [edit, ...edits.filter((other) => isOnSameLine(other, edit))];
  const after = all.reduce(appliedTo, file.content);
  if (after === undefined || after === file.content) {
    return { refused: `${showName(file.path)} does not hold what was found, or holds it already` };
  }
  const verify = edit.path === FSTAB ? verifyLine(after, edit) : undefined;
  const step = editFile({
    path: file.path,
    before: file.content,
    after,
    title: titleOf(edit),
    why: `${sentence(all.map(describeEdit).join('; '))}. All else in the file stays.`,
    ...(verify !== undefined && { verify }),
  });
  return {
    steps: [
      ...(file.missing === undefined ? [] : [makeDirectory(file.missing)]),
      ...(boots.hasSystemd === true ? [READ_BEFORE, step, READ_AFTER] : [step]),
    ],
    ...(code === 'line-file-gone' && {
      remains: 'The host comes up without it. The file itself stays gone: bring it back, or take the line out.',
    }),
  };
}

/** Two faults of one line are repaired together: after the repair of one, the line would not be that of the other's plan. */
function isOnSameLine(other: OwnEdit, edit: OwnEdit): boolean {
  const isSame = 'line' in other && 'line' in edit && other.path === edit.path && other.line === edit.line;
  const isSameField = other.kind === 'field' && edit.kind === 'field' && other.field === edit.field;
  const isRival = isSameField || JSON.stringify(other) === JSON.stringify(edit);
  return isSame && !isRival && other.kind !== 'comment-out' && edit.kind !== 'comment-out';
}

/** undefined: the file is not as it was. What an earlier edit has made of the line is what the next one is made on. */
function appliedTo(content: string | undefined, edit: OwnEdit, index: number): string | undefined {
  const text = 'line' in edit && index > 0 ? content?.split('\n')[edit.line - 1]?.replace(/^[ \t]+|[ \t\r]+$/g, '') : undefined;
  const onNow = text === undefined ? edit : { ...edit, text: mask(text) };
  const bytes = applyEdit(content === undefined ? undefined : Buffer.from(content, 'latin1'), onNow);
  return bytes === undefined ? (index > 0 ? content : undefined) : Buffer.from(bytes).toString('latin1');
}

/** Undo goes newest first: the step before the edit is taken back after it, and only then is there the old file to read. */
const READ_BEFORE = reload(
  'Let systemd read its configuration as it is',
  'What others have changed before is read apart from this; taken back last, so that systemd then reads the old content.',
);
const READ_AFTER = reload(
  'Let systemd read what was edited',
  'Until then it goes by the old content; nothing is started or stopped by it.',
);

function reload(title: string, why: string): Step {
  const action = { kind: 'run', argv: ['systemctl', 'daemon-reload'] } as const;
  return { title, why, risk: 'safe', action, guards: [], proof: [], limitMs: 120_000, undo: { action, proof: [] } };
}

/** 0755, as systemd makes them, whatever the umask. It is taken back only while nobody else has put a file there. */
function makeDirectory(path: Name): Step {
  return {
    title: `Make ${showName(path)}`,
    why: 'The drop-in is to lie there.',
    risk: 'safe',
    action: { kind: 'run', argv: ['mkdir', '-m', '755', '--', path] },
    guards: [pathIs({ path, type: 'absent' })],
    proof: [emptyDirectory({ path })],
    patienceMs: 0,
    undo: { action: { kind: 'run', argv: ['rmdir', '--', path] }, proof: [pathIs({ path, type: 'absent' })] },
  };
}

/**
 * libmount has to find the edited line in the new file. `findmnt --verify` judges all lines, and would refuse the repair of
 * one for the fault of another. `systemd-analyze verify` knows a drop-in by its name, which the new file does not have yet.
 */
function verifyLine(after: string, edit: FileEdit): Name[] | undefined {
  const number = edit.kind === 'append' ? after.split('\n').length - 1 : 'line' in edit ? edit.line : 0;
  const { lines } = parseFstab(edit.kind === 'comment-out' ? edit.text : after);
  const line = edit.kind === 'comment-out' ? lines[0] : lines.find((each) => each.number === number);
  if (line === undefined) {
    return undefined;
  }
  // libmount keeps the quotes of UUID="…" where it resolves nothing.
  if (line.fstype === 'swap' && /["']/.test(line.text)) {
    return undefined;
  }
  // As written: a path that is looked up may lie on a mount that hangs.
  const about: Name[] = line.fstype === 'swap' ? ['--source', line.source] : ['--mountpoint', line.target];
  return ['findmnt', '--nocanonicalize', ...about, '--tab-file'];
}

function titleOf(edit: FileEdit): string {
  const path = showName(fromByteString(edit.path));
  return 'line' in edit ? `Edit line ${edit.line} of ${path}` : edit.kind === 'append' ? `Add a line to ${path}` : `Write ${path}`;
}

function sentence(clause: string): string {
  return clause.charAt(0).toUpperCase() + clause.slice(1);
}
