import type { Claim, Plan, Step, Word } from '../../../src/check/types.ts';
import { listHolders } from '../../../src/facts/holders.ts';
import { pathIs } from '../../../src/facts/look.ts';
import { claimLoop, loopAttached, notOn, roomFor, sameBytes } from '../../../src/facts/loop.ts';
import { claimMount, type Mount } from '../../../src/facts/mountinfo.ts';
import { fileNameOf, showName } from '../../../src/names.ts';
import type { ZombieFacts } from '../facts.ts';
import { type MountFinding, mountOfFinding, refuseWithoutRights, run } from '../steps.ts';
import type { LoopFound } from './detect.ts';

export function planLoop(finding: MountFinding<LoopFound>, facts: ZombieFacts): Plan {
  const mount = mountOfFinding(finding, facts);
  if ('refused' in mount) {
    return mount;
  }
  return finding.code === 'loop-backing-short' ? planNothing(finding) : planRescue(finding, mount, facts);
}

function planRescue({ data }: MountFinding<LoopFound>, mount: Mount, facts: ZombieFacts): Plan {
  const refused = refuseWithoutRights(facts);
  if (refused !== undefined) {
    return refused;
  }
  const loop = facts.loops.loops.find(({ device }) => device === mount.device);
  if (loop === undefined) {
    return { refused: 'the loop device is no longer there' };
  }
  const copy: Word = { join: [{ ref: 'rescue' }, '/', fileNameOf(loop.backing)] };
  const guards: Claim[] = [claimMount(mount), claimLoop(loop), pathIs({ path: copy, type: 'absent' })];
  const room = roomFor({ directory: { ref: 'rescue' }, bytes: loop.size, notOn: mount.device });
  const freeze: Step = {
    title: `Hold back writes to ${showName(mount.point)}`,
    why: `${listHolders(data.holders)} may write while the copy is made, and the copy could then not be proven. Writers wait until it is done.`,
    risk: 'disruptive',
    action: run('fsfreeze', '-f', mount.point),
    // The journal is written while it is frozen.
    guards: [...guards, notOn({ directory: { ref: 'state' }, device: mount.device }), room],
    proof: [loopAttached({ node: loop.node })],
    release: run('fsfreeze', '-u', mount.point),
    // EINVAL of FITHAW: it is not frozen. Of another mount over it that would say nothing.
    releaseRefuses: { says: 'Invalid argument', while: [claimMount(mount)] },
    undo: { none: 'writes go on again when the plan ends' },
  };
  const flush: Step = {
    title: `Write out what ${showName(mount.point)} holds in memory`,
    why: 'The copy is made from the block device.',
    risk: 'safe',
    action: run('sync', '-f', mount.point),
    guards,
    proof: [loopAttached({ node: loop.node })],
    limitMs: 600_000,
    undo: { none: 'nothing to take back' },
  };
  const rescue: Step = {
    title: `Copy ${loop.node} to a new image file`,
    why: `${showName(loop.backing)} has no name any more: these blocks are the only copy, and the last unmount frees them. Read past the page cache, which may be older than the file system.`,
    risk: 'safe',
    action: {
      kind: 'run',
      argv: ['dd', `if=${loop.node}`, { join: ['of=', copy] }, 'bs=4M', 'iflag=direct', 'conv=sparse,fsync,excl', 'status=none'],
    },
    guards: [...guards, room],
    proof: [sameBytes({ a: loop.node, b: copy, bytes: loop.size })],
    patienceMs: 0,
    undo: { none: 'a copy harms nobody' },
  };
  return {
    steps: [data.holders.length > 0 ? freeze : flush, rescue],
    remains: `The copy is {rescue}/${fileNameOf(loop.backing)}. ${showName(mount.point)} still stands on the deleted file: leave it mounted until the copy has been put in its place.`,
  };
}

function planNothing({ data }: MountFinding<LoopFound>): Plan {
  return {
    refused: `no command brings the ${data.missing} missing bytes back: growing ${data.backing === null ? 'the file' : showName(data.backing)} to its old size would put zeros there, not data. Restore the file from a backup, with the mount stopped`,
  };
}
