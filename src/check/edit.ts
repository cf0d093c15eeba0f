/** What is common to those who plan an edit of a file, carry it out, and clean up after it. */
import { fromByteString, type Name, toByteString } from '../names.ts';
import type { Edit } from './types.ts';

/** A larger file is none that somebody configures something with. */
export const FILE_AT_MOST = 4 * 1024 * 1024;
/** Exit code of an edit that found another file than it was planned for, and changed nothing. */
export const NOT_AS_IT_WAS = 4;

/** The file that is made beside it. Its name tells whose it is: what a crash has left can be removed by it. */
export function temporaryOf({ path, was, becomes }: Pick<Edit<unknown>, 'path' | 'was' | 'becomes'>): Name {
  const bytes = toByteString(path);
  const directory = bytes.slice(0, bytes.lastIndexOf('/') + 1);
  return fromByteString(`${directory}.stdoctor-${shortHash(was)}-${shortHash(becomes)}`);
}

/** What one that was cut off may have left. */
export function leftoversOf(edit: Edit<Name>): Name[] {
  const { keep } = edit;
  return [temporaryOf(edit), ...(keep === undefined ? [] : [fromByteString(`${toByteString(keep)}.part`)])];
}

export function shortHash(sha256: string | null): string {
  return sha256?.slice(0, 12) ?? 'none';
}
