import type { Claim, Plan, Step, Word } from '../../../src/check/types.ts';
import { ext4Clean, ext4Stopped } from '../../../src/facts/ext4.ts';
import { nobodySeenHolding } from '../../../src/facts/holders.ts';
import { listKernelHolders } from '../../../src/facts/kernel-holders.ts';
import { nodeIs, pathIs } from '../../../src/facts/look.ts';
import { claimLoop, notOn } from '../../../src/facts/loop.ts';
import { claimMount, claimPathOn, type Mount, optionList } from '../../../src/facts/mountinfo.ts';
import { notMountedElsewhere } from '../../../src/facts/namespaces.ts';
import { mountAnswers } from '../../../src/facts/reach-conditions.ts';
import { fileNameOf, sameName, shellLine, showName } from '../../../src/names.ts';
import type { ZombieFacts } from '../facts.ts';
import { type MountFinding, mountCommand, mountOfFinding, refuseHeld, refuseStaying, refuseTakingAway, run, unmount } from '../steps.ts';
import type { Ext4Found } from './detect.ts';

/** Unmount, e2fsck, mount. Never `remount,rw`: a newer kernel refuses it, an older one says yes and stays as it is. */
export function planExt4(finding: MountFinding<Ext4Found>, facts: ZombieFacts): Plan {
  const mount = mountOfFinding(finding, facts);
  if ('refused' in mount) {
    return mount;
  }
  const { data, cause, confidence } = finding;
  const { device, source, point } = mount;
  if (sameName(point, '/')) {
    return { refused: 'it is the root file system: restart the machine with fsck.mode=force on the kernel command line' };
  }
  const refused = refuseTakingAway(mount, facts);
  if (refused !== undefined) {
    return refused;
  }
  const check = run('e2fsck', '-f', '-p', source);
  const again = mountCommand(asWanted(mount));
  const byHand = [run('umount', '-c', point), check, { argv: again }].map(({ argv }) => shellLine(argv)).join('; ');
  if (confidence === 'medium') {
    return { refused: `only its flags tell of it: if a write there fails, by hand: ${byHand}` };
  }
  const loop = facts.loops.loops.find((each) => each.device === device);
  if (loop?.deleted) {
    return {
      refused: `${loop.node} stands on a deleted file: unmounting would free its blocks, and the data with them. Make a rescue copy first`,
    };
  }
  if (cause !== undefined) {
    return { refused: `${showName(cause.name)} below it is at fault: it would stop again` };
  }
  if (loop?.autoclear) {
    const hold = shellLine(['losetup', '--find', '--show', '--offset', String(loop.offset), loop.backing]);
    return {
      refused: `its unmount frees ${loop.node}: by hand, attach its image first (${hold}), unmount it, and run e2fsck -f on the new loop device`,
    };
  }
  if (data.alsoAt.length > 0) {
    return { refused: `it is mounted at ${data.alsoAt.map(showName).join(', ')} too, and is free only when all of them are unmounted` };
  }
  const kept = refuseHeld(data) ?? refuseStaying(mount, facts.stoppedElsewhere.get(device));
  if (kept !== undefined) {
    return kept;
  }
  if (data.kernelHolders.length > 0) {
    return { refused: `${listKernelHolders(data.kernelHolders)} would keep it busy: take that down first` };
  }
  const stands = [nodeIs({ node: source, device }), ...(loop === undefined ? [] : [claimLoop(loop)])];
  const free = [claimPathOn(facts.table, point, mount), notMountedElsewhere({ device }), ...stands];
  return {
    steps: [
      unmount(
        mount,
        'disruptive',
        'A stopped ext4 writes nothing any more: what programs wrote since then is in memory only, and is lost. Nothing mends it while it is mounted.',
        [claimMount(mount), ext4Stopped({ device, stopped: true }), ...stands, nobodySeenHolding({ point })],
        'it had stopped: mounting it as it is would bring it back with its errors',
      ),
      mendExt4(mount, free, true),
      {
        title: `Mount ${showName(source)} at ${showName(point)} again`,
        why: 'Its errors are mended and no longer recorded.',
        risk: 'disruptive',
        action: { kind: 'run', argv: again },
        guards: [...free, ext4Clean({ node: source, device, clean: true })],
        proof: [mountAnswers({ point }), ext4Stopped({ device, stopped: false })],
        patienceMs: 5000,
        limitMs: 600_000,
        undo: { none: 'what is written from then on would be lost' },
      },
    ],
  };
}

/** free: nothing else uses its device, which is the one that was seen. dirty: it is known to want it. */
export function mendExt4({ source, device }: Mount, free: readonly Claim[], dirty: boolean): Step {
  const unclean = dirty ? [ext4Clean({ node: source, device, clean: false })] : [];
  const undo: Word = { join: [{ ref: 'rescue' }, '/', `${fileNameOf(source)}.e2undo`] };
  return {
    title: `Check and mend the file system on ${showName(source)}`,
    why: 'e2fsck replays the journal and mends what needs no decision (-p); where it meets more it stops, and says so. What it overwrites is kept in an undo file.',
    risk: 'data-loss',
    action: { kind: 'run', argv: ['e2fsck', '-f', '-p', '-z', undo, source] },
    guards: [...free, ...unclean, pathIs({ path: undo, type: 'absent' }), notOn({ directory: { ref: 'rescue' }, device })],
    proof: [ext4Clean({ node: source, device, clean: true })],
    undo: dirty
      ? { action: { kind: 'run', argv: ['e2undo', undo, source] }, proof: unclean }
      : { none: 'what e2fsck overwrote is in the undo file, and e2undo puts it back' },
  };
}

/** An older kernel makes the superblock read-only when it stops; the mount itself still says what was wanted. */
export function asWanted(mount: Mount): Mount {
  const superOptions = optionList(mount.superOptions).filter((option) => option !== 'ro');
  return optionList(mount.options).includes('rw') ? { ...mount, superOptions: superOptions.join(',') } : mount;
}
