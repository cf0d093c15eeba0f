import type { Subject } from '../../../src/check/types.ts';
import { type BtrfsMembers, kernelNameOf, onBlocks } from '../../../src/facts/block-devices.ts';
import type { Mount } from '../../../src/facts/mountinfo.ts';
import type { Reach } from '../../../src/facts/reach-questions.ts';
import type { Suspended } from '../../../src/facts/suspended.ts';
import { showName } from '../../../src/names.ts';
import {
  dataOf,
  holderEvidence,
  type Judgement,
  lineOf,
  type MountFound,
  quote,
  type Sought,
  standsForDevice,
  subjectOf,
} from '../data.ts';
import type { ZombieFacts } from '../facts.ts';

export type DeviceFound = MountFound<'device-gone' | 'device-vanished-under-fs' | 'device-suspended'>;

/** A cached directory is listed long after its disk has gone: what the mount answers proves nothing here. */
export function judgeDevice(mount: Mount, _found: Reach, facts: ZombieFacts): Judgement | undefined {
  const gone = facts.goneDevices.gone.get(mount.device);
  const mapping = facts.lostMappings.lost.get(mount.device);
  const suspended = facts.suspendedMappings.suspended.get(mount.device);
  const members = facts.btrfs.lacking.find((each) => isOn(mount, each));
  if (gone === undefined && mapping === undefined && suspended === undefined && members === undefined) {
    const why = [facts.goneDevices, facts.lostMappings, facts.suspendedMappings].map(({ unjudged }) => unjudged.get(mount.device));
    const first = why.find((each) => each !== undefined);
    return first === undefined ? undefined : { unjudged: first };
  }
  if (!standsForDevice(mount, facts)) {
    return { healthy: true };
  }
  const finding = (code: DeviceFound['code'], node: string, evidence: DeviceFound['evidence']): DeviceFound => ({
    code,
    severity: 'critical',
    subject: subjectOf(mount),
    data: dataOf(mount, facts, { node }),
    confidence: 'certain',
    evidence: [lineOf(mount, facts), ...evidence, ...holderEvidence(mount, facts)],
  });
  if (gone !== undefined) {
    return { finding: finding('device-gone', `${showName(mount.source)} (${mount.device})`, [gone]) };
  }
  if (mapping !== undefined || suspended !== undefined) {
    const [code, { name, evidence }] =
      mapping !== undefined ? (['device-vanished-under-fs', mapping] as const) : (['device-suspended', suspended as Suspended] as const);
    const node = `/dev/mapper/${name}`;
    const cause: Subject = { kind: 'device', name: node };
    return { finding: { ...finding(code, node, [evidence]), cause } };
  }
  const { node, evidence, severity } = lackOf(members as BtrfsMembers);
  return { finding: { ...finding('device-gone', node, evidence), severity, confidence: 'high' } };
}

export function seekDevices(facts: ZombieFacts): Sought {
  const { blocks, btrfs, table } = facts;
  const nowhere = btrfs.lacking.filter((each) => !table.mounts.some((mount) => isOn(mount, each)));
  return {
    findings: nowhere.map((members) => {
      const { node, evidence, severity } = lackOf(members);
      const subject: Subject = { kind: 'file-system', name: members.uuid };
      return { code: 'device-gone', severity, subject, data: { node }, confidence: 'high', evidence };
    }),
    unjudged: [
      ...(blocks.why !== undefined && onBlocks(table).length > 0
        ? [
            {
              subject: { kind: 'directory', name: '/sys/dev/block' },
              why: `whether the disks below the mounts are still there: ${blocks.why}`,
            },
          ]
        : []),
      ...(btrfs.why !== undefined
        ? [{ subject: { kind: 'directory', name: '/sys/fs/btrfs' }, why: `whether btrfs still has its disks: ${btrfs.why}` }]
        : []),
    ],
  };
}

function isOn({ fstype, source }: Mount, { present, gone }: BtrfsMembers): boolean {
  return fstype === 'btrfs' && [...present, ...gone].includes(kernelNameOf(source) ?? '');
}

/** With copies on its other disks a btrfs may live on. */
function lackOf({ uuid, present, gone, seen }: BtrfsMembers) {
  return {
    node: gone.map((name) => `/dev/${name}`).join(', '),
    severity: present.length === 0 ? ('critical' as const) : ('warning' as const),
    evidence: [quote(seen, `${gone.map((name) => `${uuid}/devices/${name}`).join(', ')} leads nowhere`)],
  };
}
