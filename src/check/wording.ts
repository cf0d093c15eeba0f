import { type Name, printable, shellWord, showName, toByteString } from '../names.ts';
import { shortHash } from './edit.ts';
import type { Action, Claim, Edit, Found, Json, ResolvedAction, Word } from './types.ts';

/** Fills a code's sentence: `{subject}` and `{name}` for names in the finding's data. What is missing stays visible. */
export function sentence(template: string, finding: Pick<Found<string, unknown>, 'subject' | 'data'>): string {
  const data = (finding.data ?? {}) as Record<string, unknown>;
  return template.replace(/\{(\w+)\}/g, (whole, key: string) =>
    key === 'subject' ? showName(finding.subject.name) : toText(data[key], whole),
  );
}

function toText(value: unknown, otherwise: string): string {
  if (typeof value === 'string' || (typeof value === 'object' && value !== null && 'base64' in value)) {
    return showName(value as Name);
  }
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : otherwise;
}

/** An action as it could be typed; names made at run time stand as `{rescue}`. */
export function actionText(action: Action | ResolvedAction): string {
  switch (action.kind) {
    case 'run':
      return action.argv.map(wordText).join(' ');
    case 'write':
      return `echo ${shellWord(action.content)} > ${shellWord(action.path)}`;
    case 'edit':
      return editText(action);
  }
}

/** No shell line says it: what it comes to is told by its difference. */
function editText({ path, was, becomes, content, diff }: Edit<Word>): string {
  const file = shellWord(path);
  if (becomes === null) {
    return `remove ${file}`;
  }
  if ('from' in content) {
    return `put back ${file} from ${wordText(content.from)}`;
  }
  const count = (sign: string) => diff.filter((line) => toByteString(line).startsWith(sign)).length;
  return `${was === null ? 'create' : 'edit'} ${file} (lines: +${count('+')} -${count('-')}; SHA-256 ${shortHash(becomes)})`;
}

function wordText(word: Word): string {
  if (typeof word === 'string' || 'base64' in word) {
    return shellWord(word);
  }
  return 'ref' in word ? `{${word.ref}}` : word.join.map(wordText).join('');
}

/** `mount-is (id 38, device 0:45, point /mnt/x)` */
export function claimText({ is, args }: Claim): string {
  const parts = typeof args === 'object' && args !== null && !Array.isArray(args) ? Object.entries(args) : [];
  return `${is} (${parts.map(([key, value]) => `${key} ${valueText(value)}`).join(', ')})`;
}

function valueText(value: Json): string {
  if (typeof value === 'string') {
    return printable(value);
  }
  return isWord(value) ? wordText(value as unknown as Word) : JSON.stringify(value);
}

/** A claim may come out of a file, where its arguments are of any kind. */
function isWord(value: unknown): boolean {
  const { base64, ref, join } = (value ?? {}) as { base64?: unknown; ref?: unknown; join?: unknown };
  return [value, base64, ref].some((text) => typeof text === 'string') || (Array.isArray(join) && join.every(isWord));
}
