import type { Plan, Step } from '../../../src/check/types.ts';
import { deviceGone, mappingLost } from '../../../src/facts/block-devices.ts';
import { ext4Clean } from '../../../src/facts/ext4.ts';
import { nobodySeenHolding } from '../../../src/facts/holders.ts';
import { listKernelHolders } from '../../../src/facts/kernel-holders.ts';
import { nodeIs } from '../../../src/facts/look.ts';
import { volumeWhole } from '../../../src/facts/lvm/activation.ts';
import { claimMount, claimPathOn, type Mount } from '../../../src/facts/mountinfo.ts';
import { notMountedElsewhere } from '../../../src/facts/namespaces.ts';
import { mountAnswers } from '../../../src/facts/reach-conditions.ts';
import { mappingSuspended } from '../../../src/facts/suspended.ts';
import { type Name, shellWord, showName } from '../../../src/names.ts';
import { resumeMapping } from '../../../src/steps/resuming.ts';
import { asWanted, mendExt4 } from '../ext4/plan.ts';
import type { ZombieFacts } from '../facts.ts';
import {
  type MountFinding,
  mountCommand,
  mountOfFinding,
  refuseHeld,
  refuseStaying,
  refuseTakingAway,
  refuseWithoutRights,
  run,
  unmount,
} from '../steps.ts';
import type { DeviceFound } from './detect.ts';

type DeviceFinding = MountFinding<DeviceFound>;

export function planDevice(finding: DeviceFinding, facts: ZombieFacts): Plan {
  const { code, subject, data } = finding;
  if (subject.kind !== 'mount') {
    return { refused: `bring ${data.node} back; then look with: ${byHand([['btrfs', 'filesystem', 'show', subject.name]])}` };
  }
  const mount = mountOfFinding(finding, facts);
  if ('refused' in mount) {
    return mount;
  }
  if (code === 'device-suspended') {
    return planSuspended(finding, mount, facts);
  }
  if (mount.fstype === 'btrfs') {
    const show = [
      ['btrfs', 'filesystem', 'show', mount.point],
      ['btrfs', 'device', 'stats', mount.point],
    ];
    return { refused: `no command brings a disk back: look with ${byHand(show)}; connect it again, or replace it with btrfs replace` };
  }
  return code === 'device-gone' ? planGone(finding, mount, facts) : planVanished(finding, mount, facts);
}

/** A disk that is connected again is another device to the kernel: the mount never comes to life. */
function planGone({ data }: DeviceFinding, mount: Mount, facts: ZombieFacts): Plan {
  const { point, device } = mount;
  const refused = refuseTakingAway(mount, facts) ?? refuseHeld(data) ?? refuseUsed(data) ?? refuseOtherPlaces(data);
  if (refused !== undefined) {
    return refused;
  }
  return {
    steps: [
      unmount(
        mount,
        'data-loss',
        `${data.node} has gone, and its mount never comes back to life: a disk that is connected again is a new device. What was not yet written to it is lost. Copy first what can still be read, which comes from memory.`,
        [claimMount(mount), deviceGone({ device }), nobodySeenHolding({ point })],
        'its device has gone: mount the disk again, by the name it has then, when it is back',
      ),
    ],
  };
}

/** LVM gives the volume its disks again, under the same number; the file system wants a new mount. */
function planVanished({ data, cause }: DeviceFinding, mount: Mount, facts: ZombieFacts): Plan {
  const { point, device, source, fstype } = mount;
  const lost = facts.lostVolumes.get(device);
  const again = [['umount', '-c', point], ...(lost?.volume === undefined ? [] : [refresh(lost.volume)]), mountCommand(mount)];
  if (lost?.volume === undefined) {
    const look = ['dmsetup', 'table', String(cause?.name)];
    return {
      refused: `what it stands on must be back first: look with ${byHand([look])}${lost?.lacks === undefined ? '' : ` (${lost.lacks})`}. Then by hand, one after the other: ${byHand(again)}`,
    };
  }
  if (lost.lacks !== undefined) {
    return { refused: `${lost.lacks}: bring its disks back, and run stdoctor fix again` };
  }
  const isExt = /^ext[234]$/.test(fstype);
  if (!isExt && fstype !== 'xfs') {
    return { refused: `how a ${fstype} takes it was never tried here. By hand, one after the other: ${byHand(again)}` };
  }
  const refused =
    refuseTakingAway(mount, facts) ??
    refuseHeld(data) ??
    refuseUsed(data) ??
    refuseOtherPlaces(data) ??
    refuseStaying(mount, lost.elsewhere);
  if (refused !== undefined) {
    return refused;
  }
  const mapper = String(cause?.name);
  const whole = volumeWhole({ mapper });
  const free = [claimPathOn(facts.table, point, mount), notMountedElsewhere({ device }), nodeIs({ node: source, device })];
  const clean = isExt ? [ext4Clean({ node: source, device, clean: true })] : [];
  const refreshed: Step = {
    title: `Give ${lost.volume} its disks again`,
    why: 'LVM has all disks of its group; the kernel is told again on which of them the volume lies.',
    risk: 'disruptive',
    action: run(...refresh(lost.volume)),
    guards: [...free, whole, mappingLost({ device, lost: true }), mappingSuspended({ device, suspended: false })],
    proof: [mappingLost({ device, lost: false })],
    undo: { none: 'there is no way back to a volume without disks' },
  };
  return {
    steps: [
      unmount(
        mount,
        'data-loss',
        'Its volume leads nowhere: what was not yet written to it is lost. A file system takes its disks back only by a new mount.',
        [claimMount(mount), mappingLost({ device, lost: true }), whole, nobodySeenHolding({ point })],
        'it is mounted again by the last step',
      ),
      refreshed,
      ...(isExt ? [mendExt4(mount, [...free, mappingLost({ device, lost: false })], false)] : []),
      {
        title: `Mount ${showName(source)} at ${showName(point)} again`,
        why: isExt
          ? 'Its journal was replayed, and nothing is amiss.'
          : 'The kernel replays the log. If it refuses, nothing was changed on the disk: look with xfs_repair -n, and never use -L without a copy.',
        risk: 'disruptive',
        action: run(...mountCommand(isExt ? asWanted(mount) : mount)),
        guards: [...free, mappingLost({ device, lost: false }), ...clean],
        proof: [mountAnswers({ point })],
        patienceMs: 5000,
        limitMs: 600_000,
        undo: { none: 'it led nowhere before: there is nothing to go back to' },
      },
    ],
  };
}

function refresh(volume: string): Name[] {
  return ['lvchange', '--config', 'global/wait_for_locks=0', '--refresh', volume];
}

function planSuspended({ cause }: DeviceFinding, mount: Mount, facts: ZombieFacts): Plan {
  const { device, point } = mount;
  const name = String(cause?.name).replace(/^\/dev\/mapper\//, '');
  const uuid = facts.suspendedMappings.suspended.get(device)?.uuid ?? '';
  if (uuid.startsWith('CRYPT-')) {
    return { refused: `cryptsetup suspended it, and its key is gone from memory: ${byHand([['cryptsetup', 'luksResume', name]])}` };
  }
  if (uuid.startsWith('mpath-')) {
    return { refused: 'multipathd minds it: look with multipath -ll' };
  }
  const refused = refuseWithoutRights(facts);
  if (refused !== undefined) {
    return refused;
  }
  return { steps: [resumeMapping(device, name, [claimMount(mount)], [mountAnswers({ point })])] };
}

function refuseUsed({ kernelHolders }: DeviceFinding['data']): { refused: string } | undefined {
  return kernelHolders.length === 0
    ? undefined
    : { refused: `${listKernelHolders(kernelHolders)} would keep it busy: take that down first` };
}

function refuseOtherPlaces({ alsoAt }: DeviceFinding['data']): { refused: string } | undefined {
  return alsoAt.length === 0
    ? undefined
    : { refused: `it is mounted at ${alsoAt.map(showName).join(', ')} too: unmount those first, with umount -c` };
}

function byHand(commands: readonly (readonly Name[])[]): string {
  return commands.map((argv) => argv.map(shellWord).join(' ')).join('; ');
}
