/** Edits of configuration files, as data: what they change is one field, and every other byte stays. */
import { mask } from '../secrets.ts';

/** A line as a report shows it, secrets masked: the edit is made only where the file still has it at that number. */
interface OnLine {
  /** Absolute path of the file. */
  path: string;
  /** Counted from 1. */
  line: number;
  /** One character a byte, without the blanks around it. */
  text: string;
}

export type FileEdit =
  /** Fields are counted from 0 and divided by blanks and tabs. `to` is escaped here, where it has to be. */
  | (OnLine & { kind: 'field'; field: number; to: string })
  /** Takes options out and adds others behind those that are there. Fields that are missing before it are made of `filler`. */
  | (OnLine & { kind: 'options'; field: number; filler: string; add: string[]; remove: string[] })
  /** A blank among the options has cut them in two: they become one field again. */
  | (OnLine & { kind: 'join'; field: number })
  /** The line becomes a comment. */
  | (OnLine & { kind: 'comment-out' })
  /** A line at the end. */
  | { kind: 'append'; path: string; content: string }
  /** A file of ours that is not there yet. */
  | { kind: 'create'; path: string; content: string }
  /** The value of an XML attribute, wherever the file has exactly this one. */
  | { kind: 'attribute'; path: string; attribute: string; from: string; to: string };

/**
 * The file's new bytes; undefined where it is not as it was when the edit was made: a line changed or moved, a file in the
 * place of one to be created, nothing to be changed. `bytes` is undefined where there is no such file.
 */
export function applyEdit(bytes: Uint8Array | undefined, edit: FileEdit): Uint8Array | undefined {
  if (edit.kind === 'create') {
    return bytes === undefined ? toBytes(edit.content) : undefined;
  }
  const before = bytes === undefined ? (edit.kind === 'append' ? '' : undefined) : fromBytes(bytes);
  const after = before === undefined ? undefined : edited(before, edit);
  return after === undefined || after === before ? undefined : toBytes(after);
}

function edited(text: string, edit: Exclude<FileEdit, { kind: 'create' }>): string | undefined {
  switch (edit.kind) {
    case 'append':
      return `${text}${text === '' || text.endsWith('\n') ? '' : '\n'}${edit.content}\n`;
    case 'attribute':
      return text.replaceAll(
        new RegExp(`(\\s${literally(edit.attribute)}\\s*=\\s*)(["'])${literally(asXml(edit.from))}\\2`, 'g'),
        (_, head: string, quote: string) => `${head}${quote}${asXml(edit.to)}${quote}`,
      );
    default: {
      const lines = text.split('\n');
      const line = lines[edit.line - 1];
      const [, indent = '', content = '', tail = ''] = /^([ \t]*)(.*?)([ \t\r]*)$/s.exec(line ?? '') ?? [];
      const changed = line === undefined || mask(content) !== edit.text ? undefined : editedLine(content, edit);
      return changed === undefined ? undefined : lines.with(edit.line - 1, `${indent}${changed}${tail}`).join('\n');
    }
  }
}

function editedLine(content: string, edit: Extract<FileEdit, OnLine>): string | undefined {
  const fields = fieldsOf(content);
  switch (edit.kind) {
    case 'comment-out':
      return `# ${content}`;
    case 'field':
      return replaced(content, fields[edit.field], escaped(edit.to));
    case 'options': {
      const field = fields[edit.field];
      const old = field === undefined ? [] : field.text.split(',');
      const kept = old.filter((option) => !edit.remove.includes(option));
      const options = [...kept, ...edit.add.filter((option) => !kept.includes(option))].join(',') || 'defaults';
      if (field !== undefined) {
        return replaced(content, field, options);
      }
      const missing = Math.max(0, edit.field - fields.length);
      return fields.length === 0 ? undefined : [content, ...new Array<string>(missing).fill(edit.filler), options].join(' ');
    }
    case 'join': {
      const [first, second] = [fields[edit.field], fields[edit.field + 1]];
      if (first === undefined || second === undefined) {
        return undefined;
      }
      const joined = [...first.text.split(','), ...second.text.split(',')].filter((option) => option !== '').join(',');
      return content.slice(0, first.at) + joined + content.slice(second.at + second.text.length);
    }
  }
}

interface Field {
  at: number;
  text: string;
}

function fieldsOf(content: string): Field[] {
  return [...content.matchAll(/[^ \t]+/g)].map(({ index, 0: text }) => ({ at: index, text }));
}

function replaced(content: string, field: Field | undefined, to: string): string | undefined {
  return field === undefined ? undefined : content.slice(0, field.at) + to + content.slice(field.at + field.text.length);
}

/** A blank → `\040`, as fstab(5) wants it. Takes and gives one character a byte. */
export function escaped(field: string): string {
  return field.replace(/[ \t\n\\]/g, (character) => `\\${character.charCodeAt(0).toString(8).padStart(3, '0')}`);
}

function asXml(value: string): string {
  return value.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll("'", '&apos;').replaceAll('"', '&quot;');
}

function literally(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&');
}

function fromBytes(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

function toBytes(text: string): Uint8Array {
  return Buffer.from(text, 'latin1');
}
