import type { Claim, Finding, Plan, Step } from '../../../src/check/types.ts';
import { daemonGone } from '../../../src/facts/fuse.ts';
import { listHolders, nobodySeenHolding } from '../../../src/facts/holders.ts';
import { listKernelHolders } from '../../../src/facts/kernel-holders.ts';
import { nodeIs } from '../../../src/facts/look.ts';
import { claimLoop } from '../../../src/facts/loop.ts';
import { isFuse, isNfs } from '../../../src/facts/mount-kinds.ts';
import { claimMount, claimPathOn, type Mount, visibleMounts } from '../../../src/facts/mountinfo.ts';
import { connectionDead, mountAnswers } from '../../../src/facts/reach-conditions.ts';
import { sameName, shellLine, showName, toByteString } from '../../../src/names.ts';
import { heldBy, heldInKernel } from '../data.ts';
import type { ZombieFacts } from '../facts.ts';
import { mountCommand, type Refusal, refuseTakingAway, run, unmount } from '../steps.ts';
import type { StackFound } from './detect.ts';
import { oddStacks, type Stack } from './layers.ts';

export function planStack(finding: Finding<StackFound>, facts: ZombieFacts): Plan {
  const point = finding.subject.name;
  if (finding.code === 'mounted-over-data') {
    return {
      refused: `whether the covered files are wanted is for you to say. To see them: unshare -m --propagation private, and there ${shellLine(['umount', '-c', point])}`,
    };
  }
  const stack = oddStacks(facts.table, facts.daemons).find(({ top }) => sameName(top.point, point));
  if (stack === undefined) {
    return { refused: 'the mounts are no longer listed' };
  }
  return stack.below === 'dead' ? planOverDead(stack, facts) : refuseTwice(stack, facts);
}

/**
 * The upper one is what everybody works with, and it answers. The lower one may be there because it had hung, and no path
 * leads to it to ask: to uncover it could make a working place hang, and to end it needs the upper one ended first.
 */
function refuseTwice({ top }: Stack, facts: ZombieFacts): Refusal {
  const away = shellLine(['umount', '-c', top.point]);
  return {
    refused: `which of the two is meant is not known: the upper one is in use, and the lower one, to which no path leads, may not answer. By hand, ${usersStopped(top, facts)}: ${away} shows the lower one; the same once more takes that away too, and ${mountAgain(top)} brings one of them back`,
  };
}

/** Only the upper one stands between a path and the dead one: it is taken off for a moment, where that loses nothing. */
function planOverDead(stack: Stack, facts: ZombieFacts): Plan {
  const { top, odd } = stack;
  const refused = refuseOrder(stack, facts) ?? refuseMountingAgain(top, facts) ?? refuseTakingAway(top, facts) ?? refuseInUse(top, facts);
  if (refused !== undefined) {
    const away = shellLine(['umount', '-c', top.point]);
    return {
      refused: `the dead mount goes only after the one above it: ${refused.refused}. By hand, ${usersStopped(top, facts)}: ${away}, the same once more, then ${mountAgain(top)}`,
    };
  }
  const { point } = top;
  const loop = facts.loops.loops.find(({ device }) => device === top.device);
  const stands: Claim[] = [
    ...(isNfs(top) ? [] : [nodeIs({ node: top.source, device: top.device })]),
    ...(loop === undefined ? [] : [claimLoop(loop)]),
  ];
  const withoutTop = facts.table.mounts.filter((mount) => mount !== top);
  const withoutDead = facts.table.mounts.flatMap((mount) =>
    mount === odd ? [] : mount === top ? [{ ...top, parent: odd.parent }] : [mount],
  );
  const free = claimPathOn({ mounts: withoutTop, visible: visibleMounts(withoutTop) }, point, odd);
  const alone = claimPathOn({ mounts: withoutDead, visible: visibleMounts(withoutDead) }, point);
  const asFound = claimPathOn(facts.table, point);
  const again = run(...mountCommand(top));
  const offForAMoment: Step = {
    ...unmount(
      top,
      'disruptive',
      `No path leads to the dead mount below it. Nobody holds this one, and it is mounted again by step 3; meanwhile ${showName(point)} shows the dead one, then the bare directory.`,
      [
        asFound,
        claimMount(top),
        daemonGone({ device: odd.device, point }),
        mountAnswers({ point }),
        ...stands,
        nobodySeenHolding({ point }),
      ],
      '',
    ),
    limitMs: 600_000,
    undo: { action: again, proof: [asFound] },
  };
  return {
    steps: [
      offForAMoment,
      unmount(
        odd,
        'safe',
        'Nothing can be lost through a dead connection; where somebody holds it, umount says so and changes nothing.',
        [claimMount(odd), connectionDead({ point }), nobodySeenHolding({ point })],
        'its daemon is gone: nothing could be mounted that is like it',
      ),
      {
        title: `Mount ${showName(top.source)} at ${showName(point)} again`,
        why: 'With the options it had, and with nothing below it.',
        risk: 'disruptive',
        action: again,
        guards: [free, ...stands],
        proof: [alone, mountAnswers({ point })],
        patienceMs: 5000,
        limitMs: 600_000,
        undo: { action: run('umount', '-c', point), proof: [free] },
      },
    ],
  };
}

/** The dead one lies right below, and carries nothing else. */
function refuseOrder({ top, odd }: Stack, { table }: ZombieFacts): Refusal | undefined {
  const others = table.mounts.filter((mount) => mount.parent === odd.id && mount !== top);
  if (top.parent !== odd.id) {
    return { refused: 'it does not lie right below the one that is shown' };
  }
  return others.length === 0 ? undefined : { refused: `other mounts lie on it (${others.map(({ point }) => showName(point)).join(', ')})` };
}

function refuseInUse(top: Mount, facts: ZombieFacts): Refusal | undefined {
  const holders = heldBy(top, facts);
  if (holders.length > 0) {
    return { refused: `${listHolders(holders)} would keep it busy` };
  }
  const inKernel = heldInKernel(top, facts);
  return inKernel.length === 0 ? undefined : { refused: `${listKernelHolders(inKernel)} would keep it busy or alive` };
}

/** It comes back as it was: a whole file system of a block device that stays and is well, or an export. */
function refuseMountingAgain(top: Mount, facts: ZombieFacts): Refusal | undefined {
  const onDevice = !top.device.startsWith('0:') && toByteString(top.source).startsWith('/dev/');
  if (isFuse(top)) {
    return { refused: 'its daemon would end with it, and only whoever started that can start it again' };
  }
  if ((!onDevice && !isNfs(top)) || toByteString(top.root) !== '/') {
    return { refused: `${showName(top.root)} of ${top.fstype} could not be mounted again as it is now` };
  }
  const loop = facts.loops.loops.find(({ device }) => device === top.device);
  const unread = facts.loops.unjudged.find(({ device }) => device === top.device);
  if (unread !== undefined || loop?.deleted || loop?.autoclear) {
    return { refused: unread?.why ?? `its unmount frees ${loop?.node}, and what that stands on may be gone with it` };
  }
  const { goneDevices, lostMappings, suspendedMappings, ext4Stops } = facts;
  const faults = [goneDevices.gone, lostMappings.lost, suspendedMappings.suspended, suspendedMappings.unjudged, ext4Stops.stops];
  return facts.reach.get(top.id)?.state === 'answers' && !faults.some((each) => each.has(top.device))
    ? undefined
    : { refused: 'it is not known to be well itself: see to that first' };
}

function usersStopped(top: Mount, facts: ZombieFacts): string {
  const holders = heldBy(top, facts);
  return `with its users stopped${holders.length === 0 ? '' : ` (${listHolders(holders)})`}`;
}

/** In words, where a command would start another daemon than the one that was. */
function mountAgain(top: Mount): string {
  return isFuse(top) ? `a new mount of ${showName(top.source)}` : shellLine(mountCommand(top));
}
