import type { Plan } from '../../../src/check/types.ts';
import { ERRNO } from '../../../src/facts/errno.ts';
import { describeHolders, nobodySeenHolding } from '../../../src/facts/holders.ts';
import { fateOf, isNetwork } from '../../../src/facts/mount-kinds.ts';
import { claimMount, claimPathOn, type Mount } from '../../../src/facts/mountinfo.ts';
import { mountAnswers, mountFails, mountSilent } from '../../../src/facts/reach-conditions.ts';
import { shellLine, showName, toByteString } from '../../../src/names.ts';
import type { ZombieFacts } from '../facts.ts';
import {
  gone,
  type MountFinding,
  mountCommand,
  mountOfFinding,
  refuseHeld,
  refuseStaying,
  refuseTakingAway,
  run,
  unmount,
} from '../steps.ts';
import { GONE, type NetworkCode, type NetworkFound } from './detect.ts';

type GoneCode = Exclude<NetworkCode, 'nfs-stale'>;

export function planNetwork(finding: MountFinding<NetworkFound>, facts: ZombieFacts): Plan {
  const mount = mountOfFinding(finding, facts);
  if ('refused' in mount) {
    return mount;
  }
  if (finding.code === 'nfs-stale') {
    return planStale(finding, mount, facts);
  }
  return finding.code === 'nfs-server-gone' || finding.code === 'cifs-gone'
    ? planGone(finding.code, finding, mount, facts)
    : { refused: `${BACK[finding.code]}. ${byForce(mount)} takes the mount away, and leaves whoever waits waiting, deaf to every signal` };
}

/** What brings each back without losing anything. */
const BACK: Readonly<Record<GoneCode, string>> = {
  'nfs-server-gone': 'bring the server or the network back: a hard mount then goes on by itself and loses nothing',
  'cifs-gone': 'bring the server or the network back: the mount connects again by itself',
  '9p-gone': 'bring back the server on the other side (of a virtual machine: its hypervisor, which may have to start it again)',
  'virtiofs-gone': 'bring virtiofsd back on the hypervisor; most of them need the virtual machine started again',
};

// -i: umount.nfs would ask the server to forget the mount, and wait for that.
function forced({ point }: Mount) {
  return run('umount', '-c', '-i', '-f', '-l', point);
}

function byForce(mount: Mount): string {
  return shellLine(forced(mount).argv);
}

/** Who waits, once the mount is taken away by force. */
const WAITERS = {
  'nfs-server-gone':
    'Calls that wait for it end with an error; who waits all the same, or has something open there, can be ended with SIGKILL',
  'cifs-gone': 'Whoever waits for it now goes on waiting until the server answers or refuses; whoever comes later does not',
};

/** -f ends the calls that wait, which end a moment after it: without -l the mount would still be busy. */
function planGone(code: 'nfs-server-gone' | 'cifs-gone', { data }: MountFinding<NetworkFound>, mount: Mount, facts: ZombieFacts): Plan {
  const refused = refuseTakingAway(mount, facts);
  if (refused !== undefined) {
    return refused;
  }
  const { point, device } = mount;
  const same = facts.table.mounts.filter((other) => other.device === device && other.id !== mount.id).map((other) => showName(other.point));
  const too = same.length > 0 ? ` So it is with calls at ${same.join(', ')}, of the same connection.` : '';
  const held = data.holders.length > 0 ? ` What these hold stays dead: ${describeHolders(data.holders)}.` : '';
  return {
    steps: [
      {
        title: `Take ${showName(point)} away by force`,
        why: `Only for a server that never comes back. Else ${BACK[code]}. ${WAITERS[code]}.${too} What was not yet written is lost.${held}`,
        risk: 'data-loss',
        action: forced(mount),
        guards: [claimMount(mount), mountSilent({ point, errnos: GONE[code] })],
        proof: [gone(mount)],
        limitMs: 60_000,
        undo: { none: 'mount it again once its server is there' },
      },
    ],
  };
}

/** The server no longer knows the directory that was mounted: a new mount asks for it by name. */
function planStale({ data }: MountFinding<NetworkFound>, mount: Mount, facts: ZombieFacts): Plan {
  const { point, source } = mount;
  const parent = facts.table.mounts.find(({ id }) => id === mount.parent);
  const refused =
    refuseTakingAway(mount, facts) ??
    refuseHeld(data) ??
    refuseStaying(mount, facts.staleElsewhere.get(fateOf(mount))) ??
    (data.alsoAt.length > 0
      ? {
          refused: `it is mounted at ${data.alsoAt.map(showName).join(', ')} too, and a new mount would join that one: unmount all of them first`,
        }
      : undefined) ??
    (parent !== undefined && isNetwork(parent)
      ? {
          refused: `the kernel mounted it by itself when ${showName(parent.point)} was walked: ${shellLine(['umount', '-c', point])}, and walk there again`,
        }
      : undefined) ??
    (toByteString(mount.root) === '/'
      ? undefined
      : { refused: `it shows ${showName(mount.root)} of another mount: mount that one again first` });
  if (refused !== undefined) {
    return refused;
  }
  const stale = mountFails({ point, errno: ERRNO.ESTALE });
  return {
    steps: [
      unmount(
        mount,
        'data-loss',
        'Its handle on the server is stale for good: what was not yet written to it is lost. Only a new mount gets a new handle.',
        [claimMount(mount), stale, nobodySeenHolding({ point })],
        'its handle is worth nothing',
      ),
      {
        title: `Mount ${showName(source)} at ${showName(point)} again`,
        why: 'The server is asked for the directory by its name. If it comes back stale, the export has no stable fsid on the server.',
        risk: 'disruptive',
        action: run(...mountCommand(mount)),
        guards: [claimPathOn(facts.table, point, mount)],
        proof: [mountAnswers({ point })],
        patienceMs: 5000,
        limitMs: 180_000,
        undo: { none: 'it was stale before: there is nothing to go back to' },
      },
    ],
  };
}
