/** What a line needs that is not there: without nofail, systemd waits for it and ends in emergency mode. */
import type { Severity, Subject } from '../../../src/check/types.ts';
import { fromByteString, type Name, sameName, showName, toByteString } from '../../../src/names.ts';
import {
  type BootFound,
  CRYPTTAB,
  consequenceOf,
  editOptions,
  editSource,
  FSTAB,
  type Part,
  quote,
  quoteDevice,
  quoteLine,
  quoteMount,
  type Sought,
  severityOf,
} from '../data.ts';
import type { BootFacts } from '../facts.ts';
import { type BootLine, targetOf } from '../lines-of-fstab.ts';
import { belowOf, stableSource } from '../names/devices.ts';

export const emergency: Part = {
  codes: {
    'line-source-gone': '{subject}: line {line} of /etc/fstab needs {source}, which is not there: {consequence}',
    'crypt-source-gone': '{subject}: line {line} of /etc/crypttab opens {source}, which is not there: {consequence}',
    'crypt-key-gone':
      '{subject}: line {line} of /etc/crypttab reads the key {key}, which is not there: the next boot asks for a passphrase',
  },
  byHand: {
    'line-source-gone': 'bring the device back, or take the line out',
    'crypt-source-gone': 'bring the device back, or take the line out',
    'crypt-key-gone': 'bring the key back, or write another one',
  },
  seek,
};

const MAY_BE_VOLUME = /^\/dev\/(?!disk\/)[^/]+\/[^/]+$/;

function seek(facts: BootFacts): Sought {
  const { lines, crypt, cryptDevices } = facts;
  const findings: BootFound[] = [];
  const unjudged: NonNullable<Sought['unjudged']> = [];
  for (const line of lines.lines) {
    const { device, isWanted } = line;
    if (!isWanted || device === undefined || device.state === 'there' || isOpenedLater(line, facts)) {
      continue;
    }
    if (device.state === 'unknown') {
      unjudged.push({ subject: targetOf(line), why: `whether ${showName(line.line.source)} will be there: ${device.why}` });
      continue;
    }
    const why = whyUnsure(line, facts);
    if (why !== undefined) {
      unjudged.push({ subject: targetOf(line), why: `whether ${showName(line.line.source)} will be there: ${why}` });
      continue;
    }
    const found = sourceGone(line, facts);
    findings.push(...(found === undefined ? [] : [found]));
  }
  if (crypt.why !== undefined) {
    unjudged.push({ subject: { kind: 'file', name: CRYPTTAB }, why: crypt.why });
  }
  for (const { number, text } of crypt.strange) {
    const why = `line ${number} is of no known format: ${text.slice(0, 80)}`;
    unjudged.push({ subject: { kind: 'file', name: CRYPTTAB, key: `line ${number}` }, why });
  }
  for (const line of crypt.lines) {
    const device = cryptDevices.get(toByteString(line.source));
    if (!line.options.includes('noauto') && device?.state === 'unknown') {
      unjudged.push({ subject: { kind: 'crypt', name: line.name }, why: `whether ${showName(line.source)} will be there: ${device.why}` });
    }
    findings.push(...cryptFaults(line, facts, unjudged));
  }
  return { findings, unjudged };
}

/** What could bring it by then, or use it now, could not be read. */
function whyUnsure({ line, use }: BootLine, { lvm, crypt, swapped }: BootFacts): string | undefined {
  const path = toByteString(line.source);
  const [unread] = use === 'swap' ? swapped.unjudged : [];
  if (crypt.why !== undefined && path.startsWith('/dev/mapper/')) {
    return `${CRYPTTAB}: ${crypt.why}`;
  }
  return unread?.why ?? (MAY_BE_VOLUME.test(path) && lvm !== undefined && 'why' in lvm ? lvm.why : undefined);
}

/** Nothing mounted, and nothing that would have to be: a disk that is away on purpose. LVM's own check tells of its volumes. */
function sourceGone(line: BootLine, facts: BootFacts): BootFound | undefined {
  const { line: row, device, mounted, nofail, byAutomount, isRequired, use } = line;
  const isUp = mounted !== undefined || isSwapping(line, facts);
  if (device?.state !== 'missing' || isVolume(row.source, facts) || ((nofail || byAutomount || use === 'swap') && !isUp)) {
    return undefined;
  }
  const number = mounted === undefined || /^0:/.test(mounted.device) ? undefined : mounted.device;
  const wanted = number === undefined ? undefined : stableSource(number, facts);
  return {
    code: 'line-source-gone',
    severity: severityOf(line),
    subject: targetOf(line),
    data: {
      file: FSTAB,
      line: row.number,
      edit: wanted !== undefined ? editSource(line, wanted) : isRequired && line.point !== '/' ? editOptions(line, ['nofail']) : null,
      source: showName(row.source),
      consequence: consequenceOf(line),
      isMounted: mounted !== undefined,
    },
    confidence: 'high',
    evidence: [
      quoteLine(facts.lines.seen, row),
      quoteDevice(row.source, device),
      ...(mounted === undefined ? [] : [quoteMount(mounted, facts)]),
    ],
    ...causeOf(line, isUp, facts),
  };
}

/** That it is not mounted now is told by others, and comes of the same. */
function causeOf(line: BootLine, isUp: boolean, { lvm }: BootFacts): { cause?: Subject } {
  const group = /^\/dev\/([\w+.-]+)\/[\w+.-]+$/.exec(toByteString(line.line.source))?.[1];
  if (group !== undefined && lvm !== undefined && !['mapper', 'disk', 'md', 'zvol'].includes(group)) {
    return { cause: { kind: 'volume-group', name: group } };
  }
  return isUp ? {} : { cause: targetOf(line) };
}

function isSwapping({ use, line }: BootLine, { swapped }: BootFacts): boolean {
  return use === 'swap' && swapped.swaps.some(({ name }) => sameName(name, line.source));
}

/** One that LVM knows: whether it comes up is for lvm-inactive to say. */
function isVolume(source: Name, { lvm }: BootFacts): boolean {
  return lvm !== undefined && 'volumes' in lvm && lvm.volumes.some(({ path, mapper }) => [path, mapper].includes(toByteString(source)));
}

/** What /etc/crypttab opens at boot is there then, where its own source is. */
function isOpenedLater({ line }: BootLine, { crypt }: BootFacts): boolean {
  return crypt.lines.some(
    ({ name, options }) => !options.includes('noauto') && toByteString(line.source) === `/dev/mapper/${toByteString(name)}`,
  );
}

type CryptLine = BootFacts['crypt']['lines'][number];

function cryptFaults(line: CryptLine, facts: BootFacts, unjudged: NonNullable<Sought['unjudged']>): BootFound[] {
  const { crypt, cryptDevices, files } = facts;
  const { name, source, options, number, text, key } = line;
  const device = cryptDevices.get(toByteString(source));
  const opened = cryptDevices.get(`/dev/mapper/${toByteString(name)}`);
  if (options.includes('noauto')) {
    return [];
  }
  const subject: Subject = { kind: 'crypt', name };
  const users = facts.lines.lines.filter(({ line: row }) => toByteString(row.source) === `/dev/mapper/${toByteString(name)}`);
  const severity: Severity = users.some(({ isRequired }) => isRequired) ? 'critical' : 'warning';
  const consequence = severity === 'critical' ? 'the next boot ends in emergency mode' : 'it will not be opened at the next boot';
  const base = { subject, severity, confidence: 'high' as const };
  const seen = [quoteLine(crypt.seen, { number, text })];
  if (device?.state === 'missing' && (opened?.state === 'there' || !options.includes('nofail'))) {
    const wanted = opened?.state === 'there' ? sourceBelow(opened.device, facts) : undefined;
    return [
      {
        ...base,
        code: 'crypt-source-gone',
        data: {
          file: CRYPTTAB,
          line: number,
          edit: wanted === undefined ? null : { kind: 'field', path: CRYPTTAB, line: number, text, field: 1, to: wanted },
          source: showName(source),
          consequence,
        },
        evidence: [
          ...seen,
          quoteDevice(source, device),
          ...(opened === undefined ? [] : [quoteDevice(fromByteString(`/dev/mapper/${toByteString(name)}`), opened)]),
        ],
      },
    ];
  }
  const looked = key === undefined || options.some((option) => option.startsWith('keyscript=')) ? undefined : files.get(key);
  if (looked?.state === 'errno' && looked.line.endsWith(': No such file or directory')) {
    const data = { file: CRYPTTAB, line: number, edit: null, key: showName(fromByteString(key ?? '')) };
    return [
      {
        ...base,
        severity: options.includes('nofail') ? 'warning' : severity,
        code: 'crypt-key-gone',
        data,
        evidence: [...seen, quote(looked.seen, looked.line)],
      },
    ];
  }
  if (looked !== undefined && looked.state !== 'found') {
    unjudged.push({
      subject,
      why: `whether its key is there: ${'why' in looked ? looked.why : 'line' in looked ? looked.line : 'no answer'}`,
    });
  }
  return [];
}

/** What an opened device is made from, by a name that stays. */
function sourceBelow(device: string, facts: BootFacts): string | undefined {
  const node = facts.stack.devices.find((each) => each.device === device)?.node;
  const [below] = node === undefined ? [] : belowOf(node, facts);
  const lower = facts.stack.devices.find((each) => each.node === below);
  return lower?.signature === 'crypto_LUKS' ? stableSource(lower.device, facts) : undefined;
}
