import type { Plan } from '../../../src/check/types.ts';
import type { Mount } from '../../../src/facts/mountinfo.ts';
import { type Name, shellLine, shellWord } from '../../../src/names.ts';
import type { ZombieFacts } from '../facts.ts';
import { type MountFinding, mountCommand, mountOfFinding } from '../steps.ts';
import type { DeviceFound } from './detect.ts';

/** No command brings a disk back; what follows when it is back has been carried out by hand only. */
export function planDevice(finding: MountFinding<DeviceFound>, facts: ZombieFacts): Plan {
  const { code, subject, data, cause } = finding;
  if (subject.kind !== 'mount') {
    return { refused: `bring ${data.node} back; then look with: ${shellLine(['btrfs', 'filesystem', 'show', subject.name])}` };
  }
  const mount = mountOfFinding(finding, facts);
  if ('refused' in mount) {
    return mount;
  }
  if (code === 'device-suspended') {
    const resume = ['dmsetup', 'resume', String(cause?.name).replace(/^\/dev\/mapper\//, '')];
    return {
      refused: `somebody may have suspended it on purpose and be at work (a snapshot, pvmove, a migration): look for lvm, dmeventd or virsh among the processes. Where nobody is: ${byHand([resume])}`,
    };
  }
  if (mount.fstype === 'btrfs') {
    const show = [
      ['btrfs', 'filesystem', 'show', mount.point],
      ['btrfs', 'device', 'stats', mount.point],
    ];
    return { refused: `no command brings a disk back: look with ${byHand(show)}; connect it again, or replace it with btrfs replace` };
  }
  const again = [['umount', '-c', mount.point], ...inspection(mount), mountCommand(mount)];
  if (code === 'device-gone') {
    return {
      refused: `no command brings a disk back. Connect it again; it may get another name. Then by hand, with that name: ${byHand(again)}`,
    };
  }
  const volume = logicalVolume(String(cause?.name));
  const refresh = volume === undefined ? [] : [['lvchange', '--refresh', volume]];
  const look = volume === undefined ? ['dmsetup', 'table', data.node ?? ''] : ['lvs', '-a', '-o', '+devices,health_status', volume];
  const [unmount, ...rest] = again as [Name[], ...Name[][]];
  return {
    refused: `its disks must be back first: look with ${byHand([look])}. Then by hand, one after the other: ${byHand([unmount, ...refresh, ...rest])}`,
  };
}

function byHand(commands: readonly (readonly Name[])[]): string {
  return commands.map((argv) => argv.map(shellWord).join(' ')).join('; ');
}

/** Looks at what lies on the disk, and changes nothing. */
function inspection(mount: Mount): Name[][] {
  if (mount.fstype === 'xfs') {
    return [['xfs_repair', '-n', mount.source]];
  }
  return /^ext[234]$/.test(mount.fstype) ? [['e2fsck', '-f', '-n', mount.source]] : [];
}

/** `vg-1/data` for `/dev/mapper/vg--1-data`: a dash within a name is doubled. */
function logicalVolume(node: string): string | undefined {
  const [, group, volume] = /^\/dev\/mapper\/((?:[^-]|--)+)-((?:[^-]|--)+)$/.exec(node) ?? [];
  return group === undefined || volume === undefined ? undefined : `${group.replaceAll('--', '-')}/${volume.replaceAll('--', '-')}`;
}
