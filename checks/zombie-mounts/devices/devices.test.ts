import { describe, expect, it } from 'vitest';
import type { Finding } from '../../../src/check/types.ts';
import { parseMountinfo, visibleMounts } from '../../../src/facts/mountinfo.ts';
import type { Judgement } from '../data.ts';
import type { ZombieFacts } from '../facts.ts';
import { type DeviceFound, judgeDevice, seekDevices } from './detect.ts';
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
    return { ...finding, refused: 'refused' in plan ? plan.refused : 'not refused' };
  });
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
      refused: expect.stringContaining('umount -c /data; xfs_repair -n /dev/sdb; mount -t xfs -o rw,noatime /dev/sdb /data'),
    });
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
  it('names the volume as its cause, and who may be at work', () => {
    const evidence = { ...seen, excerpt: '1, and 3 s later 1' };
    const facts = world('5 1 253:0 / /data rw - xfs /dev/mapper/vg-data rw\n', {
      suspendedMappings: { suspended: new Map([['253:0', { name: 'vg-data', evidence }]]), unjudged: new Map() },
    });
    expect(judge(facts)).toMatchObject([
      {
        code: 'device-suspended',
        severity: 'critical',
        cause: { kind: 'device', name: '/dev/mapper/vg-data' },
        refused: expect.stringMatching(/snapshot, pvmove.*dmsetup resume vg-data$/),
      },
    ]);
  });
});

describe('device-vanished-under-fs', () => {
  const lost = (name: string) => ({
    lostMappings: {
      lost: new Map([['253:0', { name, evidence: { ...seen, excerpt: `${name}: 0 2097152 error` } }]]),
      unjudged: new Map(),
    },
  });

  it('names the volume as its cause, and what to do by hand', () => {
    const table = '5 1 253:0 / /data rw - xfs /dev/mapper/vg--1-data rw\n';
    expect(judge(world(table, lost('vg--1-data')))).toMatchObject([
      {
        code: 'device-vanished-under-fs',
        severity: 'critical',
        confidence: 'certain',
        cause: { kind: 'device', name: '/dev/mapper/vg--1-data' },
        refused: expect.stringContaining(
          'umount -c /data; lvchange --refresh vg-1/data; xfs_repair -n /dev/mapper/vg--1-data; mount -t xfs -o rw /dev/mapper/vg--1-data /data',
        ),
      },
    ]);
  });

  it('of a mapping that is no logical volume says how to look at it', () => {
    const [finding] = judge(world('5 1 253:0 / /data rw - ext4 /dev/mapper/luks rw\n', lost('luks')));
    expect(finding).toMatchObject({ refused: expect.stringMatching(/dmsetup table \/dev\/mapper\/luks\. .*e2fsck -f -n/) });
    expect(finding).toMatchObject({ refused: expect.not.stringContaining('lvchange') });
  });

  it('is none of a mapping that leads to its disk', () => {
    expect(judge(world('5 1 253:1 / /data rw - xfs /dev/mapper/vg-root rw\n', lost('vg-data')))).toEqual([undefined]);
  });
});
