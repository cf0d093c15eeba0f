/** Storage that comes with the network, or with somebody's hand, and lines that do not wait for it. */
import type { TaggedDevice } from '../../../src/facts/device-tags.ts';
import { showName, toByteString } from '../../../src/names.ts';
import type { FileEdit } from '../../../src/steps/file-edits.ts';
import {
  type BootFound,
  CRYPTTAB,
  consequenceOf,
  editOptions,
  FSTAB,
  type Part,
  quote,
  quoteDevice,
  quoteLine,
  type Sought,
  severityOf,
} from '../data.ts';
import type { BootFacts } from '../facts.ts';
import { type BootLine, targetOf } from '../lines-of-fstab.ts';
import { belowOf } from '../names/devices.ts';

export const network: Part = {
  codes: {
    'netdev-missing': '{subject}: line {line} of /etc/fstab mounts {source} before the network is up, and {why}',
    'crypt-netdev-missing': '{subject}: line {line} of /etc/crypttab opens {source} before the network is up, and {why}',
    'removable-required': '{subject}: line {line} of /etc/fstab needs {source}, which hangs on USB: without it {consequence}',
  },
  byHand: {},
  seek,
};

/** Programs that talk to other machines, and that systemd does not take for network file systems. */
const UNKNOWN_TO_SYSTEMD =
  /^(fuse\.)?(s3fs|rclone|gcsfuse|blobfuse2?|goofys|juicefs|mfs|moosefs|curlftpfs|hubicfuse|geesefs|seaweedfs|weed)$/;
/** `sshfs#user@host:` with the type `fuse`, as it was written once. */
const BY_PROGRAM = /^(sshfs|s3fs|rclone|curlftpfs|mfsmount|gcsfuse|davfs2?)#/;
const NETWORK_NODE = /^\/dev\/(nbd|rbd)\d+/;

function seek(facts: BootFacts): Sought {
  const findings: BootFound[] = [];
  for (const line of facts.lines.lines) {
    if (!line.isWanted || line.isNetwork || line.point === '/' || line.point === '/usr') {
      continue;
    }
    const found = onNetworkDisk(line, facts) ?? byUnknownProgram(line, facts) ?? onUsb(line, facts);
    findings.push(...(found === undefined ? [] : [found]));
  }
  return { findings: [...findings, ...ofCrypt(facts)] };
}

function base(line: BootLine, facts: BootFacts, edit: FileEdit | null) {
  return {
    subject: targetOf(line),
    data: { file: FSTAB, line: line.line.number, edit, source: showName(line.line.source), consequence: consequenceOf(line) },
    evidence: [quoteLine(facts.lines.seen, line.line)],
  };
}

function onNetworkDisk(line: BootLine, facts: BootFacts): BootFound | undefined {
  const { device } = line;
  const disk = device?.state === 'there' ? disksBelow(device.device, facts).find(isOnNetwork) : undefined;
  if (device?.state !== 'there' || disk === undefined || line.byAutomount) {
    return undefined;
  }
  const { data, evidence, subject } = base(line, facts, editOptions(line, ['_netdev']));
  const wire = disk.transport || 'a network block device';
  return {
    code: 'netdev-missing',
    // Where nobody waits for it, it is mounted once it appears; only the order at shutdown is wrong.
    severity: line.nofail ? 'info' : severityOf(line),
    subject,
    data: { ...data, why: `${disk.node} below it comes with the network (${wire})${line.nofail ? '' : `: ${data.consequence}`}` },
    confidence: 'high',
    evidence: [...evidence, quoteDevice(line.line.source, device), quote(facts.tags.seen, disk.line)],
  };
}

function byUnknownProgram(line: BootLine, facts: BootFacts): BootFound | undefined {
  const { fstype } = line.line;
  const program = BY_PROGRAM.exec(toByteString(line.line.source))?.[1] ?? UNKNOWN_TO_SYSTEMD.exec(fstype)?.[2];
  if (program === undefined || line.byAutomount) {
    return undefined;
  }
  const { data, evidence, subject } = base(line, facts, editOptions(line, ['_netdev']));
  return {
    code: 'netdev-missing',
    severity: line.nofail ? 'warning' : severityOf(line),
    subject,
    data: { ...data, why: `systemd does not know that ${program} needs it: ${data.consequence}` },
    confidence: 'medium',
    evidence,
  };
}

function onUsb(line: BootLine, facts: BootFacts): BootFound | undefined {
  const { device } = line;
  const disk =
    line.isRequired && device?.state === 'there'
      ? disksBelow(device.device, facts).find(({ transport }) => transport === 'usb')
      : undefined;
  const isOfHost = ['/boot', '/boot/efi', '/efi', '/var', '/home', '/tmp', '/srv', '/opt'].includes(line.point);
  if (disk === undefined || isOfHost) {
    return undefined;
  }
  const { data, evidence, subject } = base(line, facts, editOptions(line, ['nofail']));
  return {
    code: 'removable-required',
    severity: 'info',
    subject,
    data,
    confidence: 'high',
    evidence: [...evidence, quote(facts.tags.seen, disk.line)],
  };
}

function ofCrypt(facts: BootFacts): BootFound[] {
  const { crypt, cryptDevices } = facts;
  return crypt.lines.flatMap((line): BootFound[] => {
    const { name, source, options, number, text } = line;
    const device = cryptDevices.get(toByteString(source));
    const isSettled = options.some((option) => ['noauto', '_netdev', 'nofail', 'x-initrd.attach', 'initramfs'].includes(option));
    const disk = device?.state === 'there' && !isSettled ? disksBelow(device.device, facts).find(isOnNetwork) : undefined;
    if (disk === undefined || device === undefined) {
      return [];
    }
    const edit: FileEdit = { kind: 'options', path: CRYPTTAB, line: number, text, field: 3, filler: 'none', add: ['_netdev'], remove: [] };
    const wire = disk.transport || 'a network block device';
    return [
      {
        code: 'crypt-netdev-missing',
        severity: 'warning',
        subject: { kind: 'crypt', name },
        data: {
          file: CRYPTTAB,
          line: number,
          edit,
          source: showName(source),
          why: `${disk.node} below it comes with the network (${wire})`,
        },
        confidence: 'high',
        evidence: [quoteLine(crypt.seen, { number, text }), quoteDevice(source, device), quote(facts.tags.seen, disk.line)],
      },
    ];
  });
}

export function isOnNetwork({ transport, node }: TaggedDevice): boolean {
  return ['iscsi', 'fcoe'].includes(transport) || NETWORK_NODE.test(node);
}

/** The device and all that it is made from. */
export function disksBelow(device: string, facts: Pick<BootFacts, 'tags' | 'stack'>): TaggedDevice[] {
  const own = facts.tags.devices.find((each) => each.device === device);
  const nodes = own === undefined ? [] : [own.node, ...belowOf(own.node, facts)];
  return facts.tags.devices.filter(({ node }) => nodes.includes(node));
}
