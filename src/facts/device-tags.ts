/** What udev knows of block devices: the tags that name their contents, and the wire they hang on. */
import { defineFact, outputOf, run, seenAt, whyNot } from '../check/asking.ts';
import type { Asking, Probe, Seen } from '../check/types.ts';

export type Tag = 'UUID' | 'LABEL' | 'PARTUUID' | 'PARTLABEL';

export interface TaggedDevice {
  /** `/dev/sda1` */
  node: string;
  /** `major:minor` */
  device: string;
  /** `disk`, `part`, `lvm`, `crypt`, `raid1`, `mpath`, `loop`, `rom`, … */
  type: string;
  /** `sata`, `iscsi`, `usb`, `nvme`, …; empty where there is none. */
  transport: string;
  /** World-wide name of the disk: two devices with the same one are two ways to it. Empty where it has none. */
  wwn: string;
  /** `ext4`, `swap`, `crypto_LUKS`, …; empty where it has none. */
  signature: string;
  /** One character a byte. Those it has. */
  tags: Partial<Record<Tag, string>>;
  line: string;
}

export interface DeviceTags {
  seen: Seen;
  devices: TaggedDevice[];
  /** Why it is not known what there is. */
  why?: string;
}

const TAGS = ['UUID', 'LABEL', 'PARTUUID', 'PARTLABEL'] as const satisfies readonly Tag[];
const COLUMNS = ['KNAME', 'MAJ:MIN', 'TYPE', 'TRAN', 'WWN', 'FSTYPE', ...TAGS];
// Pairs, since lsblk learned JSON late. It reads what udev knows, and opens nothing that is suspended.
const LIST: Probe & { kind: 'run' } = { kind: 'run', argv: ['lsblk', '-P', '-o', COLUMNS.join(',')] };

export const deviceTags = defineFact('device-tags', function* (): Asking<DeviceTags> {
  const answer = yield* run(LIST.argv, { limitMs: 10_000, suspect: true });
  const seen = { ...seenAt(LIST, answer), source: 'lsblk' };
  const none = (why: string): DeviceTags => ({ seen, devices: [], why: `lsblk: ${why}` });
  if (answer.state !== 'ok' || answer.code !== 0) {
    return none(whyNot(answer));
  }
  const devices = parseTags(outputOf(answer));
  return devices === undefined ? none('unknown format') : { seen, devices };
});

// KNAME="sda1" MAJ:MIN="8:1" TYPE="part" TRAN="" WWN="" FSTYPE="ext4" UUID="0e5f…" LABEL="my\x20disk" PARTUUID="…" PARTLABEL=""
const LINE = new RegExp(`^${COLUMNS.map((column) => `${column.replace(':', '[:_]')}="([^"]*)"`).join(' ')}$`);

/** A device has a line for each that it is made from. Undefined where a line is not of the format, or there is none. */
export function parseTags(text: string): TaggedDevice[] | undefined {
  if (!text.endsWith('\n')) {
    return undefined;
  }
  const devices = new Map<string, TaggedDevice>();
  for (const line of text.slice(0, -1).split('\n')) {
    const [, name, device, type, transport, wwn, signature, ...values] = LINE.exec(line) ?? [];
    if (name === undefined || device === undefined) {
      return undefined;
    }
    const tags = Object.fromEntries(TAGS.flatMap((tag, index) => (values[index] ? [[tag, unescapeHex(values[index])]] : [])));
    devices.set(name, {
      node: `/dev/${name.replaceAll('!', '/')}`,
      device: device.trim(),
      type: type as string,
      transport: transport as string,
      wwn: wwn as string,
      signature: signature as string,
      tags,
      line: line.replaceAll(/ \S+=""/g, ''),
    });
  }
  return [...devices.values()];
}

/** `\x20` → space, as lsblk writes what a shell would not take as it is. */
function unescapeHex(text: string): string {
  return text.replace(/\\x([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}
