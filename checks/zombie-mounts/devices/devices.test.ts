import { describe, expect, it } from 'vitest';
import type { Action, Finding } from '../../../src/check/types.ts';
import { parseMountinfo, visibleMounts } from '../../../src/facts/mountinfo.ts';
import type { Judgement } from '../data.ts';
import type { ZombieFacts } from '../facts.ts';
import { type DeviceFound, judgeDevice, seekDevices } from './detect.ts';
import type { LostVolume } from './facts.ts';
import { devices } from './index.ts';

const seen = { source: 'somewhere', at: '2026-11-03T09:00:00.000Z' };
const ROOT = '1 0 254:0 / / rw - ext4 /dev/vda rw\n';

function world(table: string, more: Partial<ZombieFacts> = {}): ZombieFacts {
  const mounts = parseMountinfo(ROOT + table);
  return {
    table: { seen, mounts, visible: visibleMounts(mounts) },
    goneDevices: { gone: new Map(), unjudged: new Map() },
    lostMappings: { lost: new Map(), unjudged: new Map() },
    suspendedMappings: { suspended: new Map(), unjudged: new Map() },
    btrfs: { lacking: [] },
    blocks: { seen, names: new Map() },
    lostVolumes: new Map(),
    self: { uid: 0, mayMount: true, seesAllProcesses: true },
    loops: { loops: [], unjudged: [] },
    kernelHolders: new Map(),
    ...more,
  } as ZombieFacts;
}

/** What is said of each mount but the root, and what is proposed. */
function judge(facts: ZombieFacts) {
  return facts.table.mounts.slice(1).map((mount) => {
    const judgement = judgeDevice(mount, { state: 'answers', seen }, facts) as Judgement | undefined;
    if (judgement === undefined || !('finding' in judgement)) {
      return judgement;
    }
    const finding = judgement.finding as Finding<DeviceFound>;
    const plan = devices.plan(finding, facts);
    return 'refused' in plan
      ? { ...finding, refused: plan.refused }
      : { ...finding, risk: plan.steps[0]?.risk, commands: plan.steps.map(({ action }) => commandOf(action)) };
  });
}

function commandOf(action: Action): string {
  return action.kind === 'run' ? action.argv.map((word) => (typeof word === 'string' ? word : 'UNDO-FILE')).join(' ') : action.kind;
}

describe('device-gone', () => {
  const gone = (device: string) => ({
    gone: new Map([[device, { ...seen, excerpt: `${device} is not in /sys/dev/block` }]]),
    unjudged: new Map(),
  });

  it('is told once for all mounts of the device, though they still answer', () => {
    const facts = world('5 1 8:16 /sub /long/bind rw - xfs /dev/sdb rw\n6 1 8:16 / /data rw,noatime - xfs /dev/sdb rw,attr2\n', {
      goneDevices: gone('8:16'),
    });
    const [bind, whole] = judge(facts);
    expect(bind).toEqual({ healthy: true });
    expect(whole).toMatchObject({
      code: 'device-gone',
      severity: 'critical',
      confidence: 'certain',
      subject: { name: '/data' },
      data: { node: '/dev/sdb (8:16)', alsoAt: ['/long/bind'] },
      refused: 'it is mounted at /long/bind too: unmount those first, with umount -c',
    });
  });

  it('is unmounted, where a person types its name', () => {
    const facts = world('6 1 8:16 / /data rw,noatime - xfs /dev/sdb rw,attr2\n', { goneDevices: gone('8:16') });
    expect(judge(facts)).toMatchObject([{ risk: 'data-loss', commands: ['umount -c /data'] }]);
    const held = world('6 1 8:16 / /data rw - xfs /dev/sdb rw\n7 6 0:50 / /data/sub rw - tmpfs none rw\n', { goneDevices: gone('8:16') });
    expect(judge(held)[0]).toMatchObject({ refused: 'other mounts lie on it (/data/sub): unmount those first' });
  });

  it('is neither found nor denied where it cannot be told', () => {
    const unjudged = new Map([['8:16', 'because']]);
    expect(judge(world('5 1 8:16 / /data rw - xfs /dev/sdb rw\n', { goneDevices: { gone: new Map(), unjudged } }))).toEqual([
      { unjudged: 'because' },
    ]);
    const facts = world('', { blocks: { seen, names: new Map(), why: 'denied' }, btrfs: { lacking: [], why: 'denied' } });
    expect(seekDevices(facts).unjudged?.map(({ subject }) => subject.name)).toEqual(['/sys/dev/block', '/sys/fs/btrfs']);
  });

  it('of one disk of several of a btrfs is a warning, of the last one critical', () => {
    const table = '5 1 0:50 / /pool rw - btrfs /dev/sdc rw\n6 1 0:50 /sub /pool/sub rw - btrfs /dev/sdc rw\n';
    const lacking = (present: string[], at: string[]) => ({ btrfs: { lacking: [{ uuid: '0e0f', present, gone: at, seen }] } });
    expect(judge(world(table, lacking(['sdc'], ['sdb'])))).toMatchObject([
      {
        code: 'device-gone',
        severity: 'warning',
        confidence: 'high',
        subject: { name: '/pool' },
        data: { node: '/dev/sdb' },
        refused: expect.stringContaining('btrfs replace'),
      },
      { healthy: true },
    ]);
    expect(judge(world(table, lacking([], ['sdb', 'sdc'])))[0]).toMatchObject({
      severity: 'critical',
      data: { node: '/dev/sdb, /dev/sdc' },
    });
    expect(judge(world(table, lacking(['sde'], ['sdd'])))).toEqual([undefined, undefined]);
  });

  it('of a btrfs that is mounted by another name is told of the file system', () => {
    const facts = world('5 1 0:50 / /pool rw - btrfs /dev/mapper/pool rw\n', {
      btrfs: { lacking: [{ uuid: '0e0f', present: [], gone: ['sdd'], seen }] },
    });
    const [finding] = seekDevices(facts).findings;
    expect(finding).toMatchObject({ code: 'device-gone', subject: { kind: 'file-system', name: '0e0f' }, data: { node: '/dev/sdd' } });
    expect(devices.plan(finding as Finding<DeviceFound>, facts)).toEqual({
      refused: 'bring /dev/sdd back; then look with: btrfs filesystem show 0e0f',
    });
  });
});

describe('device-suspended', () => {
  const suspended = (uuid: string, more: Partial<ZombieFacts> = {}) =>
    world('5 1 253:0 / /data rw - xfs /dev/mapper/vg-data rw\n', {
      suspendedMappings: {
        suspended: new Map([['253:0', { name: 'vg-data', uuid, evidence: { ...seen, excerpt: '1, and 3 s later 1' } }]]),
        unjudged: new Map(),
      },
      ...more,
    });

  it('names the volume as its cause, and is resumed', () => {
    expect(judge(suspended('LVM-abc'))).toMatchObject([
      {
        code: 'device-suspended',
        severity: 'critical',
        cause: { kind: 'device', name: '/dev/mapper/vg-data' },
        risk: 'disruptive',
        commands: ['dmsetup resume vg-data'],
      },
    ]);
  });

  it.each([
    ['whose key is gone', 'CRYPT-LUKS2-abc-vg-data', {}, 'cryptsetup luksResume vg-data'],
    ['that multipathd minds', 'mpath-3600', {}, 'multipath -ll'],
    ['that is not ours', 'LVM-abc', { self: { uid: 1000, mayMount: false, seesAllProcesses: true } }, 'as root'],
  ])('is left alone: one %s', (_, uuid, more, refused) => {
    expect(judge(suspended(uuid, more))).toMatchObject([{ refused: expect.stringContaining(refused) }]);
  });
});

describe('device-vanished-under-fs', () => {
  const lost = (name: string) => ({
    lostMappings: {
      lost: new Map([['253:0', { name, evidence: { ...seen, excerpt: `${name}: 0 2097152 error` } }]]),
      unjudged: new Map(),
    },
  });

  const volume = (more: Partial<LostVolume> = {}) => ({
    lostVolumes: new Map([
      ['253:0', { volume: 'vg-1/data', lacks: undefined, elsewhere: { mounts: [], looked: true, complete: true }, ...more }],
    ]),
  });
  const xfs = '5 1 253:0 / /data rw,noatime - xfs /dev/mapper/vg--1-data rw\n';
  const refresh = 'lvchange --config global/wait_for_locks=0 --refresh vg-1/data';

  it('names the volume as its cause, and gives it its disks again between two mounts', () => {
    expect(judge(world(xfs, { ...lost('vg--1-data'), ...volume() }))).toMatchObject([
      {
        code: 'device-vanished-under-fs',
        severity: 'critical',
        confidence: 'certain',
        cause: { kind: 'device', name: '/dev/mapper/vg--1-data' },
        risk: 'data-loss',
        commands: ['umount -c /data', refresh, 'mount -t xfs -o rw,noatime /dev/mapper/vg--1-data /data'],
      },
    ]);
  });

  it('of an ext4 is checked before it is mounted, as it was wanted', () => {
    const ext4 = '5 1 253:0 / /data rw - ext4 /dev/mapper/vg--1-data ro,errors=remount-ro\n';
    expect(judge(world(ext4, { ...lost('vg--1-data'), ...volume() }))).toMatchObject([
      {
        commands: [
          'umount -c /data',
          refresh,
          'e2fsck -f -p -z UNDO-FILE /dev/mapper/vg--1-data',
          'mount -t ext4 -o rw,errors=remount-ro /dev/mapper/vg--1-data /data',
        ],
      },
    ]);
  });

  it.each([
    [
      'whose disks are away',
      xfs,
      volume({ lacks: '1 disks of volume group vg-1 are missing' }),
      /^1 disks .* missing: bring its disks back/,
    ],
    ['of a file system that was never tried', xfs.replace('xfs', 'f2fs'), volume(), /never tried.*umount -c \/data; lvchange/],
    [
      'that another namespace keeps',
      xfs,
      volume({ elsewhere: { mounts: [{ pid: 7, tags: [] }], looked: true, complete: true } }),
      /process 7/,
    ],
  ])('is left alone: one %s', (_, table, more, refused) => {
    expect(judge(world(table, { ...lost('vg--1-data'), ...more }))).toMatchObject([{ refused: expect.stringMatching(refused) }]);
  });

  it('of a mapping that is no logical volume says how to look at it', () => {
    const more = { ...lost('luks'), ...volume({ volume: undefined }) };
    const [finding] = judge(world('5 1 253:0 / /data rw - ext4 /dev/mapper/luks rw\n', more));
    expect(finding).toMatchObject({ refused: expect.stringMatching(/dmsetup table \/dev\/mapper\/luks\. Then by hand/) });
    expect(finding).toMatchObject({ refused: expect.not.stringContaining('lvchange') });
  });

  it('is none of a mapping that leads to its disk', () => {
    expect(judge(world('5 1 253:1 / /data rw - xfs /dev/mapper/vg-root rw\n', lost('vg-data')))).toEqual([undefined]);
  });
});
