import type { Action, Claim, Plan } from '../../../src/check/types.ts';
import { ERRNO } from '../../../src/facts/errno.ts';
import { listHolders, nobodySeenHolding } from '../../../src/facts/holders.ts';
import { listKernelHolders } from '../../../src/facts/kernel-holders.ts';
import { fileIs, nodeIs } from '../../../src/facts/look.ts';
import { claimLoop, type LoopDevice, onNoLoop } from '../../../src/facts/loop.ts';
import { claimMount, claimPathOn, type Mount } from '../../../src/facts/mountinfo.ts';
import { notMountedElsewhere } from '../../../src/facts/namespaces.ts';
import { mountAnswers, mountFails } from '../../../src/facts/reach-conditions.ts';
import { showName } from '../../../src/names.ts';
import type { ZombieFacts } from '../facts.ts';
import { type MountFinding, mountCommand, mountOfFinding, mountOptions, refuseStaying, refuseTakingAway, run, unmount } from '../steps.ts';
import type { XfsFound } from './detect.ts';

export function planXfs(finding: MountFinding<XfsFound>, facts: ZombieFacts): Plan {
  const mount = mountOfFinding(finding, facts);
  if ('refused' in mount) {
    return mount;
  }
  const { data, cause } = finding;
  const refused = refuseTakingAway(mount, facts);
  if (refused !== undefined) {
    return refused;
  }
  const loop = facts.loops.loops.find(({ device }) => device === mount.device);
  if (loop?.deleted) {
    return {
      refused: `${loop.node} stands on a deleted file: unmounting would free its blocks, and the data with them. Make a rescue copy first`,
    };
  }
  if (cause !== undefined) {
    return { refused: `${showName(cause.name)} below it is at fault: a new mount would shut down again` };
  }
  if (data.alsoAt.length > 0) {
    return { refused: `it is mounted at ${data.alsoAt.map(showName).join(', ')} too, and heals only when all of them are unmounted` };
  }
  if (data.holders.length > 0) {
    return { refused: `${listHolders(data.holders)} would keep it busy: stop them first` };
  }
  const layers = data.kernelHolders.filter(({ kind }) => kind === 'overlay');
  if (layers.length > 0) {
    return { refused: `${listKernelHolders(layers)} keeps it alive: unmount that first` };
  }
  const staying = refuseStaying(mount, facts.shutdownMounts.get(mount.device));
  if (staying !== undefined) {
    return staying;
  }
  const again = loop?.autoclear ? remountImage(mount, loop) : remountDevice(mount, loop);
  if ('refused' in again) {
    return again;
  }
  const fails = mountFails({ point: mount.point, errno: ERRNO.EIO });
  return {
    steps: [
      unmount(
        mount,
        'disruptive',
        'An XFS that shut itself down comes back only by a new mount, which replays its log.',
        [claimMount(mount), fails, ...again.stands, nobodySeenHolding({ point: mount.point })],
        'it is mounted again by the next step',
      ),
      {
        title: `Mount ${showName(mount.source)} at ${showName(mount.point)} again`,
        why: 'The kernel replays the log. If it refuses, nothing was changed on the disk: look with xfs_repair -n, and never use -L without a copy.',
        risk: 'disruptive',
        action: again.action,
        guards: [claimPathOn(facts.table, mount.point, mount), ...again.free, ...again.stands],
        proof: [mountAnswers({ point: mount.point })],
        patienceMs: 5000,
        limitMs: 600_000,
        undo: { none: 'it was shut down before: there is nothing to go back to' },
      },
    ],
  };
}

/** How a file system is mounted again, and what must still be as it was for that. */
interface Again {
  action: Action;
  stands: Claim[];
  /** Nothing of the file system lives on. */
  free: Claim[];
}

function remountDevice(mount: Mount, loop: LoopDevice | undefined): Again {
  return {
    action: run(...mountCommand(mount)),
    stands: [nodeIs({ node: mount.source, device: mount.device }), ...(loop === undefined ? [] : [claimLoop(loop)])],
    free: [notMountedElsewhere({ device: mount.device })],
  };
}

/** The last unmount frees a loop device with autoclear: its image is mounted anew, with the same window. */
function remountImage(mount: Mount, { node, backing, offset, size, file }: LoopDevice): Again | { refused: string } {
  if (!mount.device.startsWith('7:')) {
    return { refused: `it is a partition on ${node}, which its unmount frees: hold that with losetup, then unmount and mount it again` };
  }
  if (file.state !== 'found') {
    return { refused: `its unmount frees the loop device, and ${showName(backing)}, its image, could not be looked at` };
  }
  const window = [...(offset > 0 ? [`offset=${offset}`] : []), ...(file.size > offset + size ? [`sizelimit=${size}`] : [])];
  return {
    action: run('mount', '-t', 'xfs', '-o', ['loop', ...window, mountOptions(mount)].join(','), backing, mount.point),
    stands: [fileIs({ path: backing, device: file.device, inode: file.inode, size: file.size })],
    // The number of the loop device may already be another one's.
    free: [onNoLoop({ path: backing, device: file.device, inode: file.inode })],
  };
}
