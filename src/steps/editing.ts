import { shortHash } from '../check/edit.ts';
import type { Edit, Step, Word } from '../check/types.ts';
import { fileHolds, fileReplaceable, sha256Of } from '../facts/config-file.ts';
import { fileNameOf, type Name, showName } from '../names.ts';
import { differenceOf } from './difference.ts';

interface FileEdit {
  /** No link: the path that the fact `config-file` tells. */
  path: Name;
  /** One character a byte; undefined: there is no such file. */
  before: string | undefined;
  after: string;
  title: string;
  why: string;
  /** Must end well for the new file, whose path is put after it, before that takes the place of the old one. */
  verify?: readonly Name[];
}

/**
 * Edits a configuration file: as a whole or not at all, only as long as it is what it was, with a copy kept. What reads it
 * has to be told by steps of its own. Secrets among what is new would be shown, and kept in the journal.
 */
export function editFile({ path, before, after, title, why, verify }: FileEdit): Step {
  const was = before === undefined ? null : sha256Of(before);
  const becomes = sha256Of(after);
  if (was === becomes) {
    throw new Error(`nothing would be changed in ${showName(path)}`);
  }
  const { changes, diff } = differenceOf(before ?? '', after);
  const copy: Word = { join: [{ ref: 'rescue' }, '/', `${fileNameOf(path)}-${shortHash(was)}`] };
  const edit: Edit<Word> = {
    kind: 'edit',
    path,
    was,
    becomes,
    content: { changes },
    ...(was !== null && { keep: copy }),
    ...(verify !== undefined && { verify }),
    diff,
  };
  const back: Edit<Word> = {
    kind: 'edit',
    path,
    was: becomes,
    becomes: was,
    content: was === null ? { changes: [] } : { from: copy },
    diff: [],
  };
  return {
    title,
    why,
    risk: 'safe',
    action: edit,
    guards: [fileReplaceable({ path }), fileHolds({ path, sha256: was })],
    proof: [fileHolds({ path, sha256: becomes })],
    patienceMs: 0,
    limitMs: 60_000,
    undo: { action: back, proof: [fileHolds({ path, sha256: was })] },
  };
}
