/** Images and swap files that a line needs and that have no name any more. */
import type { Looked } from '../../../src/facts/look.ts';
import { showName, toByteString } from '../../../src/names.ts';
import {
  type BootFound,
  consequenceOf,
  editOptions,
  FSTAB,
  type Part,
  quote,
  quoteLine,
  quoteMount,
  type Sought,
  severityOf,
} from '../data.ts';
import type { BootFacts } from '../facts.ts';
import { type BootLine, isImage, targetOf } from '../lines-of-fstab.ts';

export const files: Part = {
  codes: {
    'line-file-gone': '{subject}: line {line} of /etc/fstab needs the file {source}, which is not there: {consequence}',
  },
  byHand: {
    'line-file-gone': 'bring the file back while what stands on it still runs: its bytes go with the last use',
  },
  seek,
};

function seek(facts: BootFacts): Sought {
  const findings: BootFound[] = [];
  const unjudged: NonNullable<Sought['unjudged']> = [];
  const images = facts.lines.lines.filter(isImage);
  for (const line of images) {
    const looked = facts.files.get(toByteString(line.line.source));
    if (looked === undefined || looked.state === 'found') {
      continue;
    }
    if (looked.state !== 'errno' || !looked.line.endsWith(': No such file or directory')) {
      const why = 'why' in looked ? looked.why : looked.state === 'errno' ? looked.line : 'no answer';
      unjudged.push({ subject: targetOf(line), why: `whether ${showName(line.line.source)} will be there: ${why}` });
    } else if (!isAway(line, facts)) {
      findings.push(gone(line, looked, facts));
    }
  }
  return { examined: images.length, findings, unjudged };
}

/** Optional, and not in use: as somebody wanted it. */
function isAway({ nofail, byAutomount, mounted, use }: BootLine, { swapped }: BootFacts): boolean {
  return (nofail || byAutomount) && mounted === undefined && !(use === 'swap' && swapped.swaps.some(({ type }) => type === 'file'));
}

function gone(line: BootLine, looked: Looked & { state: 'errno' }, facts: BootFacts): BootFound {
  const { line: row, mounted, isRequired } = line;
  return {
    code: 'line-file-gone',
    severity: severityOf(line),
    subject: targetOf(line),
    data: {
      file: FSTAB,
      line: row.number,
      edit: isRequired ? editOptions(line, ['nofail']) : null,
      source: showName(row.source),
      consequence: consequenceOf(line),
    },
    confidence: 'high',
    evidence: [
      quoteLine(facts.lines.seen, row),
      quote(looked.seen, looked.line),
      ...(mounted === undefined ? [] : [quoteMount(mounted, facts)]),
    ],
    // The same place is told of as one that stands on a deleted file, or that should be mounted and is not.
    cause: targetOf(line),
  };
}
