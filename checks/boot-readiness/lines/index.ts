/** Lines of /etc/fstab that do not say what is so now, or are not read as they were meant. */
import { sameName, showName, toByteString } from '../../../src/names.ts';
import {
  type BootFound,
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
import { type BootLine, sourceDevice, targetOf } from '../lines-of-fstab.ts';
import { carriersOf, isSameStack, stableSource, taggedAt } from '../names/devices.ts';
import { misspelt } from './options.ts';

export const lines: Part = {
  codes: {
    'line-device-differs': '{subject}: line {line} of /etc/fstab mounts {source} here, and what is mounted now is {found}',
    'line-type-differs': '{subject}: line {line} of /etc/fstab calls it {says}, and it is {found}: {consequence}',
    'line-misread': '{subject}: line {line} of /etc/fstab is not read as it was meant: {reason}',
  },
  byHand: {
    'line-device-differs': 'which of the two is meant only a person can say, and what is mounted has no name that stays the same',
    'line-type-differs': 'what the file system is called in fstab(5) is not known for certain',
    'line-misread': 'what was meant only a person can say',
  },
  seek,
};

function seek(facts: BootFacts): Sought {
  const sought = { examined: facts.lines.lines.length, findings: [] as BootFound[], unjudged: [...facts.lines.unjudged] };
  // What a device holds and what it is made from decides: without that, nothing is compared.
  const why = facts.tags.why ?? facts.stack.why;
  if (why !== undefined && facts.lines.lines.some(({ device, isWanted }) => isWanted && device?.state === 'there')) {
    sought.unjudged.push({ subject: { kind: 'directory', name: '/dev' }, why: `what the devices hold: ${why}` });
  }
  const points = new Set<string>();
  for (const line of facts.lines.lines) {
    // Of two lines for one place systemd takes the first; that there are two is told by itself.
    const isFirst = !points.has(line.point);
    if (line.isWanted) {
      points.add(line.point);
    }
    sought.findings.push(
      ...[isFirst ? deviceDiffers(line, facts) : undefined, typeDiffers(line, facts), misread(line, facts)].filter(
        (each) => each !== undefined,
      ),
    );
  }
  return sought;
}

/** Only what stands on one block device each, and NFS, can be compared. */
function deviceDiffers(line: BootLine, facts: BootFacts): BootFound | undefined {
  const { device, mounted, isWanted } = line;
  if (mounted === undefined || !isWanted || facts.tags.why !== undefined || facts.stack.why !== undefined) {
    return undefined;
  }
  const { table } = facts;
  // Several mounts may lie on each other there: one of them may be the line's.
  const layers = table.mounts.filter(({ point }) => sameName(point, mounted.point));
  const matches = layers.some((mount) => {
    const own = numberOf(mount, facts);
    if (device?.state === 'there') {
      return own === undefined || isSameContent(own, device.device, facts);
    }
    return !isNfs(line.line.fstype) || !isNfs(mount.fstype) || nfsSource(mount.source) === nfsSource(line.line.source);
  });
  if (matches || (device !== undefined && device.state !== 'there')) {
    return undefined;
  }
  const [, tag, value = ''] = /^(UUID|LABEL|PARTUUID|PARTLABEL)=(.+)$/s.exec(toByteString(line.line.source)) ?? [];
  // Which of the two it leads to is then by chance, and told of the tag.
  if (tag !== undefined && carriersOf(tag as 'UUID', value, facts).length > 1) {
    return undefined;
  }
  const own = numberOf(mounted, facts);
  const tagged = own === undefined ? undefined : taggedAt(own, facts);
  return {
    code: 'line-device-differs',
    severity: 'warning',
    subject: targetOf(line),
    data: {
      file: FSTAB,
      line: line.line.number,
      edit: own === undefined ? null : editSource(line, stableSource(own, facts)),
      source: showName(line.line.source),
      found: showName(mounted.source),
    },
    confidence: device === undefined ? 'medium' : 'high',
    evidence: [
      quoteLine(facts.lines.seen, line.line),
      ...(device === undefined ? [] : [quoteDevice(line.line.source, device)]),
      quoteMount(mounted, facts),
      ...(tagged === undefined ? [] : [quote(facts.tags.seen, tagged.line)]),
    ],
  };
}

/** `major:minor` of the device below it; undefined where it has none of its own. */
function numberOf({ device, fstype, source }: BootFacts['table']['mounts'][number], { tags }: BootFacts): string | undefined {
  if (fstype === 'btrfs') {
    return tags.devices.find(({ node }) => sameName(node, source))?.device;
  }
  return /^(0|31):/.test(device) ? undefined : device;
}

/** A btrfs is on several devices, a path and its map are two. */
function isSameContent(a: string, b: string, facts: BootFacts): boolean {
  const [one, other] = [taggedAt(a, facts), taggedAt(b, facts)];
  const isPool = one?.signature === 'btrfs' && other?.signature === 'btrfs' && one.tags.UUID === other.tags.UUID;
  return isPool || isSameStack(a, b, facts);
}

function isNfs(fstype: string): boolean {
  return fstype === 'nfs' || fstype === 'nfs4';
}

/** `[fe80::1]:/a/` and `FE80::1:/a` are one. */
function nfsSource(source: BootLine['line']['source']): string {
  const [, host = '', path = ''] = /^(.*):(\/.*)$/s.exec(toByteString(source)) ?? [];
  return `${host.toLowerCase().replace(/^\[|\]$/g, '')}:${path.replace(/\/+/g, '/').replace(/(.)\/$/, '$1')}`;
}

/** One driver for all of them, by any of these names. */
const FAMILIES = [
  'ext2 ext3 ext4',
  'vfat msdos fat',
  'ntfs ntfs3 ntfs-3g fuseblk ntfs3g lowntfs-3g',
  'exfat exfat-fuse',
  'iso9660 udf',
  'hfsplus hfs',
  'xfs',
  'btrfs',
  'f2fs',
  'jfs',
].map((names) => new Set(names.split(' ')));

function typeDiffers(line: BootLine, facts: BootFacts): BootFound | undefined {
  const { device, isWanted, use } = line;
  const tagged = device?.state === 'there' && isWanted ? taggedAt(device.device, facts) : undefined;
  const said = line.line.fstype.replace(/^fuse\./, '').split(',');
  if (
    device?.state !== 'there' ||
    tagged === undefined ||
    tagged.signature === '' ||
    said.includes('auto') ||
    sourceDevice(line.line) === undefined
  ) {
    return undefined;
  }
  const found = tagged.signature;
  const isSwap = found === 'swap';
  const known = FAMILIES.find((family) => family.has(found));
  const isKnown =
    use === 'swap'
      ? known !== undefined
      : isSwap || (known !== undefined && said.every((name) => FAMILIES.some((family) => family.has(name))));
  const isSame = use === 'swap' ? isSwap : said.some((name) => name === found || known?.has(name) === true);
  if (!isKnown || isSame) {
    return undefined;
  }
  return {
    code: 'line-type-differs',
    severity: severityOf(line),
    subject: targetOf(line),
    data: {
      file: FSTAB,
      line: line.line.number,
      edit:
        use === 'swap' || isSwap ? null : { kind: 'field', path: FSTAB, line: line.line.number, text: line.line.text, field: 2, to: found },
      says: line.line.fstype,
      found,
      consequence: consequenceOf(line),
    },
    confidence: 'high',
    evidence: [quoteLine(facts.lines.seen, line.line), quoteDevice(line.line.source, device), quote(facts.tags.seen, tagged.line)],
  };
}

function misread(line: BootLine, facts: BootFacts): BootFound | undefined {
  const { text, number, options } = line.line;
  const fields = text.split(/[ \t]+/);
  const base = { code: 'line-misread', subject: targetOf(line), evidence: [quoteLine(facts.lines.seen, line.line)] };
  // `defaults, nofail 0 0`: what follows the blank is taken for the number of dump(8), and counts as 0.
  const rest = fields[4];
  if (rest !== undefined && /^[,a-z_]/i.test(rest) && !rest.startsWith('#')) {
    return {
      ...base,
      severity: 'warning',
      data: {
        file: FSTAB,
        line: number,
        edit: { kind: 'join', path: FSTAB, line: number, text, field: 3 },
        reason: `a blank ends the options before ${rest}`,
      },
      confidence: 'certain',
    };
  }
  const wrong = line.isWanted ? misspelt(options) : undefined;
  return wrong === undefined
    ? undefined
    : {
        ...base,
        severity: severityOf(line),
        data: {
          file: FSTAB,
          line: number,
          edit: editOptions(line, [wrong.meant], [wrong.written]),
          reason: `there is no option ${wrong.written}, which may be meant to be ${wrong.meant}; ${consequenceOf(line)}`,
        },
        confidence: 'medium',
      };
}
