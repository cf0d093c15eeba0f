/** What the parts of this check have in common. */
import type { Evidence, Found, Seen, Severity, Subject } from '../../src/check/types.ts';
import type { NamedDevice } from '../../src/facts/device-names.ts';
import type { Mount } from '../../src/facts/mountinfo.ts';
import { fromByteString, type Name, showName } from '../../src/names.ts';
import type { FileEdit } from '../../src/steps/file-edits.ts';
import type { BootFacts } from './facts.ts';
import type { BootLine } from './lines-of-fstab.ts';

export const FSTAB = '/etc/fstab';
export const CRYPTTAB = '/etc/crypttab';

export interface BootData {
  file: string | null;
  /** Counted from 1. */
  line: number | null;
  /** What would end the fault; null where only a person can say. */
  edit: FileEdit | null;
}

export type BootFound = Found<string, BootData & Record<string, unknown>>;

export interface Sought {
  /** How many subjects were judged. */
  examined?: number;
  findings: BootFound[];
  unjudged?: { subject: Subject; why: string }[];
}

/** One kind of trouble: its codes, how it is found, and why it is left to a person where there is no edit for it. */
export interface Part {
  /** Code → sentence, as in a check's meta. */
  codes: Readonly<Record<string, string>>;
  seek(facts: BootFacts): Sought;
  /** Code → why, as a clause. */
  byHand: Readonly<Record<string, string>>;
}

export function quote(seen: Seen, excerpt: string): Evidence {
  return { ...seen, excerpt };
}

/** The line with its number, as it stands there. */
export function quoteLine(seen: Seen, { number, text }: { number: number; text: string }): Evidence {
  return quote(seen, `line ${number}: ${showName(fromByteString(text))}`);
}

/** What a name leads to now. */
export function quoteDevice(name: Name, device: NamedDevice): Evidence {
  const found =
    device.state === 'there'
      ? `is block device ${device.device}`
      : device.state === 'missing'
        ? 'is not there'
        : `could not be told: ${device.why}`;
  return quote({ ...device.seen, source: 'stat' }, `${showName(name)} ${found}`);
}

export function quoteMount(mount: Mount, { table }: Pick<BootFacts, 'table'>): Evidence {
  return quote(table.seen, showName(fromByteString(mount.line)));
}

/** Critical where systemd ends in emergency mode without it. */
export function severityOf({ isRequired }: Pick<BootLine, 'isRequired'>): Severity {
  return isRequired ? 'critical' : 'warning';
}

/** What comes of it, as a clause. */
export function consequenceOf({ isRequired, use, point }: Pick<BootLine, 'isRequired' | 'use' | 'point'>): string {
  if (use === 'swap') {
    return 'the next boot goes without it';
  }
  if (!isRequired) {
    return 'it will not be mounted at the next boot';
  }
  return point === '/' ? 'the next boot leaves the root read-only' : 'the next boot ends in emergency mode';
}

/** An edit of the source of a line. */
export function editSource({ line: { number, text } }: Pick<BootLine, 'line'>, to: string | undefined): FileEdit | null {
  return to === undefined ? null : { kind: 'field', path: FSTAB, line: number, text, field: 0, to };
}

export function editOptions({ line: { number, text } }: Pick<BootLine, 'line'>, add: string[], remove: string[] = []): FileEdit {
  return { kind: 'options', path: FSTAB, line: number, text, field: 3, filler: 'auto', add, remove };
}

/** What an edit does, for a person who makes it by hand. */
export function describeEdit(edit: FileEdit): string {
  const shown = (text: string) => showName(fromByteString(text));
  switch (edit.kind) {
    case 'field':
      return `in line ${edit.line} of ${edit.path} write ${shown(edit.to)} as field ${edit.field + 1}`;
    case 'options':
      return `in line ${edit.line} of ${edit.path} ${[
        ...(edit.remove.length > 0 ? [`take ${shown(edit.remove.join(','))} out of the options`] : []),
        ...(edit.add.length > 0 ? [`add ${shown(edit.add.join(','))} to the options`] : []),
      ].join(', and ')}`;
    case 'join':
      return `in line ${edit.line} of ${edit.path} take the blank out of the options`;
    case 'comment-out':
      return `make a comment of line ${edit.line} of ${edit.path}`;
    case 'append':
      return `add to ${edit.path}: ${shown(edit.content)}`;
    case 'create':
      return `write ${edit.path}: ${shown(edit.content.trimEnd().replaceAll('\n', ' | '))}`;
    case 'attribute':
      return `in ${edit.path} write ${shown(edit.to)} in place of ${shown(edit.from)}, by virsh edit`;
  }
}
