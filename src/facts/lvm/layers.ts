/** What lies below LVM's disks: labels that LVM may not look at, arrays that did not start, LUKS that is locked. */
import { defineFact, outputOf, read, run, seenAt, whyNot } from '../../check/asking.ts';
import type { Asking, Evidence, Probe, Seen } from '../../check/types.ts';

export interface Labelled {
  /** `/dev/sda1` */
  node: string;
  /** `major:minor` */
  device: string;
  /** `disk`, `part`, `lvm`, `crypt`, `raid1`, … */
  type: string;
  /** `LVM2_member`, `crypto_LUKS`, `linux_raid_member`, …; empty where it has none. */
  signature: string;
  uuid: string;
  line: string;
  /** The kernel's names of what is made from it. */
  above: string[];
}

export interface Layers {
  seen: Seen;
  devices: Labelled[];
  /** Why it is not known what lies on the disks. */
  why?: string;
}

// Pairs, since lsblk learned JSON late. It reads what udev knows, and opens nothing that is suspended.
const LIST: Probe & { kind: 'run' } = { kind: 'run', argv: ['lsblk', '-P', '-o', 'NAME,KNAME,PKNAME,MAJ:MIN,TYPE,FSTYPE,UUID'] };
// NAME="sda" KNAME="sda" PKNAME="" MAJ:MIN="8:0" TYPE="disk" FSTYPE="LVM2_member" UUID="eeJhf1-6Jfd-…"
const LINE = /^NAME="[^"]*" KNAME="([^"]+)" PKNAME="([^"]*)" MAJ[:_]MIN="\s*(\d+:\d+)" TYPE="([^"]*)" FSTYPE="([^"]*)" UUID="([^"]*)"$/;

export const layers = defineFact('lvm-layers', function* (): Asking<Layers> {
  const answer = yield* run(LIST.argv, { limitMs: 10_000, suspect: true });
  const seen = { ...seenAt(LIST, answer), source: 'lsblk' };
  const none = (why: string): Layers => ({ seen, devices: [], why: `lsblk: ${why}` });
  if (answer.state !== 'ok' || answer.code !== 0) {
    return none(whyNot(answer));
  }
  const devices = parseDevices(outputOf(answer));
  return devices === undefined ? none('unknown format') : { seen, devices };
});

/** A device has a line for each that it is made from. */
function parseDevices(text: string): Labelled[] | undefined {
  const devices = new Map<string, Labelled>();
  const pairs: [lower: string, upper: string][] = [];
  const lines = text.split('\n');
  if (lines.pop() !== '') {
    return undefined;
  }
  for (const line of lines) {
    const [, name, parent, device, type, signature, uuid] = LINE.exec(line) ?? [];
    if (name === undefined || device === undefined) {
      return undefined;
    }
    const node = `/dev/${name.replaceAll('!', '/')}`;
    devices.set(name, {
      node,
      device,
      type: type ?? '',
      signature: signature ?? '',
      uuid: uuid ?? '',
      line: line.trim(),
      above: devices.get(name)?.above ?? [],
    });
    if (parent !== '') {
      pairs.push([parent as string, name]);
    }
  }
  for (const [lower, upper] of pairs) {
    devices.get(lower)?.above.push(upper);
  }
  return devices.size === 0 ? undefined : [...devices.values()];
}

/** An array of /proc/mdstat that does not run, or lacks members. */
export interface SickArray {
  /** `/dev/md0` */
  node: string;
  state: 'inactive' | 'degraded';
  /** The kernel's names of its parts: `sdb`. */
  members: string[];
  evidence: Evidence;
}

/** `why`: it could not be told. undefined: the kernel has no driver for arrays. */
export const sickArrays = defineFact('md-arrays', function* (): Asking<{ arrays: SickArray[]; why?: string } | undefined> {
  const probe: Probe = { kind: 'read', path: '/proc/mdstat' };
  const answer = yield* read('/proc/mdstat');
  if (answer.state === 'absent') {
    return undefined;
  }
  const text = outputOf(answer);
  if (answer.state !== 'ok' || !/^unused devices: .*\n$/m.test(text)) {
    return { arrays: [], why: `/proc/mdstat: ${answer.state === 'ok' ? 'unknown format' : whyNot(answer)}` };
  }
  const seen = seenAt(probe, answer);
  // md0 : inactive sdb[0](S)     md1 : active raid1 sdc[0] … [2/1] [U_]
  const arrays = [...text.matchAll(/^(md\S*) : (active|inactive)\b.*(?:\n +.*)*/gm)].flatMap(([block, name, state]): SickArray[] => {
    const evidence = { ...seen, excerpt: block.replace(/\s+/g, ' ').trim() };
    const sick = state === 'inactive' ? 'inactive' : /\[U*_[U_]*\]/.test(block) ? 'degraded' : undefined;
    const members = [...block.matchAll(/(\S+)\[\d+\]/g)].map(([, member]) => member as string);
    return sick === undefined ? [] : [{ node: `/dev/${name}`, state: sick, members, evidence }];
  });
  return { arrays };
});

/** Parts of md arrays that nobody has assembled, not even in part. An array has one UUID, which all its parts carry. */
export function idleMembers({ devices }: Pick<Layers, 'devices'>, arrays: readonly SickArray[]): Labelled[] {
  const legs = devices.filter(({ signature }) => signature === 'linux_raid_member');
  // lsblk leaves out an array that is inactive, for it has no size.
  const taken = new Set(arrays.flatMap(({ members }) => members.map((member) => `/dev/${member}`)));
  const assembled = new Set(legs.filter(({ above, node }) => above.length > 0 || taken.has(node)).map(({ uuid }) => uuid));
  return legs.filter(({ uuid }) => !assembled.has(uuid));
}

/** LUKS that nobody has unlocked: nothing is made from it. */
export function lockedLuks({ devices }: Pick<Layers, 'devices'>): Labelled[] {
  return devices.filter(({ signature, above }) => signature === 'crypto_LUKS' && above.length === 0);
}
