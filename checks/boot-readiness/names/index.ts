/** Names that are given in the order in which devices were found: another boot may give them to other devices. */
import type { Seen, Severity, Subject } from '../../../src/check/types.ts';
import { countedName, isWholeDevice } from '../../../src/facts/device-links.ts';
import type { NamedDevice } from '../../../src/facts/device-names.ts';
import { fromByteString, type Name, showName, toByteString } from '../../../src/names.ts';
import type { FileEdit } from '../../../src/steps/file-edits.ts';
import { type BootFound, CRYPTTAB, editSource, FSTAB, type Part, quote, quoteDevice, quoteLine, type Sought } from '../data.ts';
import type { BootFacts } from '../facts.ts';
import { targetOf } from '../lines-of-fstab.ts';
import { stableNode, stableSource, taggedAt } from './devices.ts';

export const names: Part = {
  codes: {
    'name-unstable': '{subject}: line {line} of /etc/fstab names {name}, and {why}{instead}',
    'crypt-name-unstable': '{subject}: line {line} of /etc/crypttab names {name}, and {why}{instead}',
    'guest-name-unstable': '{subject}: this guest names {name} as a disk, and {why}{instead}',
  },
  byHand: {
    'name-unstable': 'no name of that device is known that stays the same',
    'crypt-name-unstable': 'no name of that device is known that stays the same',
    'guest-name-unstable': 'no name of that device is known that stays the same, or nothing tells which file defines the guest',
  },
  seek,
};

/** A disk that is alone of its kind keeps its name; every loop device is somebody's doing. */
function judgeName(name: string, { tags }: Pick<BootFacts, 'tags'>): { severity: Severity; why: string } | undefined {
  const counted = countedName(name);
  if (counted === undefined) {
    return undefined;
  }
  const { family, isFixed } = counted;
  const alike = tags.devices.filter(({ node }) => isWholeDevice(node) && countedName(node)?.family === family).length;
  if (family === 'loop') {
    return { severity: 'warning', why: 'no boot sets up a loop device by itself' };
  }
  if (isFixed) {
    const why = `it is one of ${alike} that are named in the order in which they are plugged in`;
    return alike > 1 ? { severity: 'info', why } : undefined;
  }
  return alike > 1
    ? { severity: 'warning', why: `the next boot may give that name to another one of ${alike} devices` }
    : { severity: 'info', why: 'a device that is plugged in may take that name at the next boot' };
}

function seek(facts: BootFacts): Sought {
  const findings: BootFound[] = [];
  const unjudged: Sought['unjudged'] = [];
  const { lines, crypt, cryptDevices, tags, links } = facts;
  let isAsked = false;
  for (const line of lines.lines) {
    const name = toByteString(line.line.source);
    if (line.device === undefined || countedName(name) === undefined) {
      continue;
    }
    isAsked = true;
    const device = line.device;
    const judged = device.state === 'there' && tags.why === undefined ? judgeName(name, facts) : undefined;
    if (judged !== undefined && device.state === 'there') {
      const wanted = line.mounted !== undefined && line.mounted.device !== device.device ? undefined : stableSource(device.device, facts);
      findings.push(
        unstable('name-unstable', targetOf(line), name, judged, device, facts, {
          file: FSTAB,
          seen: lines.seen,
          line: line.line,
          wanted,
          edit: editSource(line, wanted),
          isLesser: !line.isWanted,
        }),
      );
    }
  }
  for (const each of crypt.lines) {
    const name = toByteString(each.source);
    const device = cryptDevices.get(name);
    if (device === undefined || countedName(name) === undefined) {
      continue;
    }
    isAsked = true;
    const judged = device.state === 'there' && tags.why === undefined ? judgeName(name, facts) : undefined;
    if (judged !== undefined && device.state === 'there') {
      // What is encrypted with a key of the moment holds another signature after each boot.
      const isPassing = each.key?.startsWith('/dev/') === true || each.options.includes('plain');
      const wanted = isPassing ? stableNode(device.device, facts) : stableSource(device.device, facts);
      const { number, text } = each;
      const edit: FileEdit | null =
        wanted === undefined ? null : { kind: 'field', path: CRYPTTAB, line: number, text, field: 1, to: wanted };
      findings.push(
        unstable('crypt-name-unstable', { kind: 'crypt', name: each.name }, name, judged, device, facts, {
          file: CRYPTTAB,
          seen: crypt.seen,
          line: each,
          wanted,
          edit,
          isLesser: each.options.includes('noauto'),
        }),
      );
    }
  }
  const guests = ofGuests(facts);
  findings.push(...guests.findings);
  if ((isAsked || guests.isAsked) && (tags.why !== undefined || links.why !== undefined)) {
    unjudged.push({ subject: { kind: 'directory', name: '/dev' }, why: `which devices there are: ${tags.why ?? links.why}` });
  }
  return { examined: lines.lines.length + crypt.lines.length + facts.guests.guests.length, findings, unjudged };
}

interface Where {
  file: string;
  seen: Seen;
  line: { number: number; text: string };
  wanted: string | undefined;
  edit: FileEdit | null;
  /** Nobody uses it by itself. */
  isLesser: boolean;
}

function unstable(
  code: string,
  subject: Subject,
  name: string,
  { severity, why }: { severity: Severity; why: string },
  device: NamedDevice & { state: 'there' },
  facts: BootFacts,
  { file, seen, line, wanted, edit, isLesser }: Where,
): BootFound {
  const tagged = taggedAt(device.device, facts);
  return {
    code,
    severity: isLesser ? 'info' : severity,
    subject,
    data: { file, line: line.number, edit, name: showName(fromByteString(name)), why, wanted: wanted ?? null, instead: insteadOf(wanted) },
    confidence: 'high',
    evidence: [
      quoteLine(seen, line),
      quoteDevice(fromByteString(name), device),
      ...(tagged === undefined ? [] : [quote(facts.tags.seen, tagged.line)]),
    ],
  };
}

/** `: write UUID=… instead` */
function insteadOf(wanted: string | undefined): string {
  return wanted === undefined ? '' : `: write ${showName(fromByteString(wanted))} instead`;
}

/** Processes that run are no definitions: what started them names the disk. */
function ofGuests(facts: BootFacts): { findings: BootFound[]; isAsked: boolean } {
  const { tags } = facts;
  const findings: BootFound[] = [];
  let isAsked = false;
  for (const { guest } of facts.guests.guests) {
    const own: Name[] = guest.kind === 'guest' ? guest.disks.flatMap(({ images }) => images.slice(0, 1).map(({ path }) => path)) : [];
    const counted = [...new Set(own.map(toByteString))].filter((name) => countedName(name) !== undefined);
    isAsked ||= counted.length > 0;
    for (const name of tags.why === undefined ? counted : []) {
      const judged = judgeName(name, facts);
      if (judged === undefined) {
        continue;
      }
      const tagged = tags.devices.find(({ node }) => node === name);
      const wanted = tagged === undefined ? undefined : stableNode(tagged.device, facts);
      const isLibvirt = guest.evidence.source.startsWith('/etc/libvirt/qemu/');
      const path = guest.evidence.source;
      findings.push({
        code: 'guest-name-unstable',
        severity: judged.severity,
        subject: { kind: 'guest', name: guest.name, key: name },
        data: {
          file: path,
          line: null,
          edit: wanted !== undefined && isLibvirt ? { kind: 'attribute', path, attribute: 'dev', from: name, to: wanted } : null,
          name: showName(fromByteString(name)),
          why: judged.why,
          wanted: wanted ?? null,
          instead: insteadOf(wanted),
        },
        confidence: 'high',
        evidence: [guest.evidence, ...(tagged === undefined ? [] : [quote(tags.seen, tagged.line)])],
      });
    }
  }
  return { findings, isAsked };
}
