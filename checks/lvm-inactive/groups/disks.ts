/** Disks that groups lack, and disks that LVM does not look at. */
import type { Evidence } from '../../../src/check/types.ts';
import { notOurs } from '../../../src/facts/lvm/activation.ts';
import type { Disk, Group, Lvm } from '../../../src/facts/lvm/index.ts';
import type { Labelled } from '../../../src/facts/lvm/layers.ts';
import { diskWarnings } from '../../../src/facts/lvm/warnings.ts';
import { quote } from '../data.ts';
import type { LvmFacts } from '../facts.ts';

export interface MissingDisk {
  uuid: string;
  /** Where it was, as far as LVM tells; its own name where it came back. */
  name: string;
  /** There, with metadata older than the group's. */
  isBack: boolean;
  /** The device that carries it, where LVM does not look at it. */
  hiddenAt: string | undefined;
  /** A clause. */
  says: string;
  evidence: Evidence[];
}

export function missingDisks(group: string, { lvm, layers }: Pick<LvmFacts, 'lvm' | 'layers'>): MissingDisk[] {
  const gone = lvm.disks.filter((disk) => disk.isMissing && disk.group === group);
  if (gone.length === 0) {
    return [];
  }
  const { missing } = diskWarnings(lvm);
  return gone.map((disk) => {
    const { uuid } = disk;
    const warned = missing.get(uuid);
    const isBack = disk.name.startsWith('/');
    const hidden = isBack ? undefined : layers.devices.find((each) => each.signature === 'LVM2_member' && each.uuid === uuid);
    const name = isBack ? disk.name : (warned?.lastSeen ?? '');
    return {
      uuid,
      name,
      isBack,
      hiddenAt: hidden?.node,
      says: hidden !== undefined ? `${hidden.node} carries it, and LVM does not look there` : saysOf(disk, name, isBack),
      evidence: [
        quote(lvm.disksSeen, `${disk.name}, pv_uuid ${uuid}, ${group}: pv_missing`),
        ...(warned === undefined ? [] : [warned.evidence]),
        ...(hidden === undefined ? [] : [quote(layers.seen, hidden.line)]),
      ],
    };
  });
}

function saysOf({ uuid }: Disk, name: string, isBack: boolean): string {
  return isBack ? `${name} is back, with old metadata` : `${uuid}${name === '' ? '' : `, last seen as ${name}`}`;
}

export function describeGroup(group: Group, { groupsSeen }: Lvm): Evidence {
  const { name, attr, disks, missingDisks: missing } = group;
  return quote(groupsSeen, `${name}: vg_attr ${attr}, ${missing} of ${disks} disks missing`);
}

/**
 * Devices with LVM's label that LVM says nothing about: its devices file or a filter leaves them out. Not those within
 * volumes, which LVM leaves to guests, nor those that may belong to other hosts' groups.
 */
export function hiddenDisks({ lvm, layers }: Pick<LvmFacts, 'lvm' | 'layers'>): Labelled[] {
  const known = new Set(lvm.disks.flatMap(({ uuid, device }) => [uuid, device]));
  const hidden = layers.devices.filter(
    ({ signature, type, uuid, device }) => signature === 'LVM2_member' && type !== 'lvm' && !known.has(uuid) && !known.has(device),
  );
  // LVM leaves their disks out of its report.
  const elsewhere = lvm.groups.filter((group) => notOurs(group, lvm.volumes) !== undefined);
  return elsewhere.length > 0 ? [] : hidden;
}
