import type { Plan } from '../../../src/check/types.ts';
import { fateOf, isNetwork } from '../../../src/facts/mount-kinds.ts';
import { type Mount, optionList } from '../../../src/facts/mountinfo.ts';
import { shellLine, showName, toByteString } from '../../../src/names.ts';
import type { ZombieFacts } from '../facts.ts';
import { type MountFinding, mountOfFinding, mountOptions, refuseHeld, refuseStaying, refuseTakingAway } from '../steps.ts';
import type { NetworkCode, NetworkFound } from './detect.ts';

export function planNetwork(finding: MountFinding<NetworkFound>, facts: ZombieFacts): Plan {
  const mount = mountOfFinding(finding, facts);
  if ('refused' in mount) {
    return mount;
  }
  return finding.code === 'nfs-stale' ? planStale(finding, mount, facts) : { refused: ladder(finding.code, mount) };
}

/** What brings each back without losing anything. */
const BACK: Readonly<Record<Exclude<NetworkCode, 'nfs-stale'>, string>> = {
  'nfs-server-gone': 'bring the server or the network back: a hard mount then goes on by itself and loses nothing',
  'cifs-gone': 'bring the server or the network back: the mount connects again by itself',
  '9p-gone': 'bring back the server on the other side (of a virtual machine: its hypervisor, which may have to start it again)',
  'virtiofs-gone': 'bring virtiofsd back on the hypervisor; most of them need the virtual machine started again',
};

function ladder(code: Exclude<NetworkCode, 'nfs-stale'>, mount: Mount): string {
  const [force, lazy] = ['-f', '-l'].map((option) => shellLine(['umount', option, mount.point]));
  return `${BACK[code]}. Only if it never comes back, and what was not yet written to it may be lost: ${force}, and if that does not end it, ${lazy}, which leaves whoever waits waiting`;
}

/** The server no longer knows the directory that was mounted: a new mount asks for it by name. Said and not done: no such mount was repaired here yet. */
function planStale({ data }: MountFinding<NetworkFound>, mount: Mount, facts: ZombieFacts): Plan {
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
          refused: `the kernel mounted it by itself when ${showName(parent.point)} was walked: ${shellLine(['umount', '-c', mount.point])}, and walk there again`,
        }
      : undefined) ??
    (toByteString(mount.root) === '/'
      ? undefined
      : { refused: `it shows ${showName(mount.root)} of another mount: mount that one again first` });
  if (refused !== undefined) {
    return refused;
  }
  const commands = [
    ['umount', '-c', mount.point],
    ['mount', '-t', mount.fstype, '-o', nfsOptions(mount), mount.source, mount.point],
  ];
  return {
    refused: `its handle on the server is stale for good, and only a new mount gets a new one: \`${commands.map(shellLine).join(' && ')}\`. What was not yet written to it is lost. If this comes back stale, the export has no stable fsid on the server`,
  };
}

/** Without the addresses that mount.nfs finds out itself, nfs(5). */
function nfsOptions(mount: Mount): string {
  return optionList(mountOptions(mount))
    .filter((option) => !/^(addr|clientaddr|mountaddr)=/.test(option))
    .join(',');
}
