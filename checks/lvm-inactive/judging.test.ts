import { describe, expect, it } from 'vitest';
import { actionText } from '../../src/check/wording.ts';
import type { Consumer } from '../../src/facts/consumers/index.ts';
import { lvm } from '../../src/facts/lvm/index.ts';
import type { Labelled } from '../../src/facts/lvm/layers.ts';
import { parseMountinfo, visibleMounts } from '../../src/facts/mountinfo.ts';
import { DISK, GROUP, INACTIVE, type LvmHost, lvmRound, VOLUME } from '../../test/fake-lvm.ts';
import type { LvmFacts } from './facts.ts';
import { check } from './index.ts';
import { neededVolumes, ownNames } from './needs.ts';

const seen = { source: 'somewhere', at: '2026-11-03T09:00:00.000Z' };
const CONFIG = { seen, autoActivationList: undefined, volumeList: undefined, eventActivation: true, usesDevicesFile: false };
const OFF = { ...VOLUME, ...INACTIVE };

function consumer(more: Partial<Consumer> = {}): Consumer {
  return {
    kind: 'mount',
    name: '/data',
    atBoot: true,
    isUp: false,
    needs: ['/dev/vg0/vm1'],
    certainty: 'proven',
    evidence: { ...seen, excerpt: 'line 2: /dev/vg0/vm1 /data xfs nofail 0 0' },
    unit: 'data.mount',
    nofail: true,
    ...more,
  };
}

function labelled(node: string, more: Partial<Labelled> = {}): Labelled {
  return { node, device: '8:0', type: 'disk', signature: 'LVM2_member', uuid: DISK.pv_uuid, line: node, above: [], ...more };
}

interface World extends LvmHost {
  consumers?: Consumer[];
  devices?: Labelled[];
  facts?: Partial<LvmFacts>;
}

async function judge({ consumers = [], devices = [], facts: more, ...host }: World) {
  const known = await lvmRound(host).gather(lvm());
  const layers = { seen, devices };
  const mounts = parseMountinfo('1 0 254:0 / / rw - ext4 /dev/vda rw\n');
  const wanted = { consumers, unjudged: [] };
  const unresolved = new Map(consumers.flatMap(({ needs }) => needs.map((name) => [String(name), { state: 'missing', seen }] as const)));
  const facts = {
    lvm: known,
    layers,
    arrays: { arrays: [] },
    needed: neededVolumes(wanted, known, ownNames(wanted.consumers, known), unresolved, layers),
    places: new Map(consumers.map(({ name }) => [String(name), { state: 'found', type: 'd', empty: true, seen }])),
    suspended: new Map(),
    locks: { held: new Map() },
    order: undefined,
    config: CONFIG,
    boot: undefined,
    ownSystemId: undefined,
    table: { seen, mounts, visible: visibleMounts(mounts) },
    self: { uid: 0, mayMount: true, seesAllProcesses: true },
    ...more,
  } as unknown as LvmFacts;
  const { findings, unjudged, notes } = check.detect(facts);
  return {
    unjudged,
    notes,
    found: findings.map((finding) => {
      const plan = check.plan?.({ ...finding, id: 'x', check: 'lvm-inactive' }, facts) ?? { refused: 'none' };
      return {
        ...finding,
        ...('refused' in plan
          ? { refused: plan.refused }
          : { commands: plan.steps.map(({ action }) => actionText(action)), remains: plan.remains, steps: plan.steps }),
      };
    }),
  };
}

const ACTIVATE = 'lvchange --config global/wait_for_locks=0 -ay -- vg0/vm1';
const BACKUP = (of: string) => `vgcfgbackup --config global/wait_for_locks=0 -f {rescue}/${of}.vgcfg -- vg0`;
const TURN_ON = 'lvchange --config global/wait_for_locks=0 --setautoactivation y -- vg0/vm1';

describe('a volume that is down and needed', () => {
  it('is activated, comes up at boot from then on, and its mount is started', async () => {
    const { found } = await judge({ lvs: [{ ...OFF, lv_autoactivation: '' }], consumers: [consumer()] });
    expect(found).toMatchObject([
      {
        code: 'volume-inactive',
        severity: 'critical',
        confidence: 'certain',
        subject: { kind: 'device', name: '/dev/vg0/vm1' },
        data: { causes: ['autoactivation-volume'], consumer: 'the mount /data needs it', cause: 'its autoactivation is off' },
        commands: [ACTIVATE, BACKUP('vg0@vm1'), TURN_ON, 'systemctl start data.mount'],
      },
    ]);
    expect(found[0]?.evidence.map(({ excerpt }) => excerpt)).toEqual([
      'vg0/vm1, lv_attr -wi-------, not active',
      'line 2: /dev/vg0/vm1 /data xfs nofail 0 0',
      'vg0/vm1, lv_attr -wi-------, not active, lv_autoactivation is off',
    ]);
  });

  it.each([
    ['of no reason that LVM tells', {}, ['unknown']],
    ['by the flag of its group', { vgs: [{ ...GROUP, vg_autoactivation: '' }] }, ['autoactivation-group']],
    ['by a list', { facts: { config: { ...CONFIG, autoActivationList: ['vg1', '@ssd'] } } }, ['autoactivation-list']],
    ['not by a list with tags of the host', { facts: { config: { ...CONFIG, autoActivationList: ['@*'] } } }, ['unknown']],
    [
      'since events are off',
      { facts: { config: { ...CONFIG, eventActivation: false }, boot: { isOff: true, seen } } },
      ['event-activation'],
    ],
    [
      'since its group was not complete',
      {
        vgs: [{ ...GROUP, vg_partial: 'partial', vg_missing_pv_count: '1' }],
        pvs: [DISK, { ...DISK, pv_uuid: 'gone', pv_name: '[unknown]', pv_missing: 'missing' }],
      },
      ['group-incomplete'],
    ],
  ] as [string, World, string[]][])('%s', async (_, world, causes) => {
    const { found } = await judge({ lvs: [OFF], consumers: [consumer()], ...world });
    const down = found.find(({ code }) => code === 'volume-inactive');
    expect(down).toMatchObject({ data: { causes }, commands: [ACTIVATE, 'systemctl start data.mount'] });
  });

  it.each([
    [
      'a disk of it is missing',
      { lvs: [{ ...OFF, lv_attr: '-wi-----p-', lv_health_status: 'partial', devices: '[unknown](0)' }] },
      /bring its disk back.*--activationmode partial/,
    ],
    ['it is flagged', { lvs: [{ ...OFF, lv_skip_activation: 'skip activation' }] }, /-ay -K -- vg0\/vm1/],
    ['a disk is there twice', { lvs: [OFF], pvs: [DISK, { ...DISK, pv_name: '/dev/sdb', pv_duplicate: 'duplicate' }] }, /hide the copy/],
    ['volume_list forbids it', { lvs: [OFF], facts: { config: { ...CONFIG, volumeList: [] } } }, /volume_list/],
    [
      'somebody holds the lock',
      { lvs: [OFF], facts: { locks: { held: new Map([['vg0', { pid: 5, command: 'pvmove', evidence: { ...seen, excerpt: '' } }]]) } } },
      /pvmove \(pid 5\) holds it/,
    ],
    ['it may not', { lvs: [OFF], facts: { self: { uid: 1000, mayMount: false, seesAllProcesses: true } } }, /as root/],
    [
      'its pool needs a check',
      {
        lvs: [
          { ...OFF, lv_attr: 'Vwi---tz--', lv_layout: 'thin,sparse', pool_lv: 'pool' },
          {
            ...OFF,
            lv_uuid: 'p',
            lv_name: 'pool',
            lv_full_name: 'vg0/pool',
            lv_path: '',
            lv_role: 'private',
            lv_check_needed: 'check needed',
          },
        ],
      },
      /its pool vg0\/pool is in need of a check/,
    ],
  ] as [string, World, RegExp][])('is left alone where %s', async (_, world, refused) => {
    const { found } = await judge({ consumers: [consumer()], ...world });
    expect(found.find(({ code }) => code === 'volume-inactive')).toMatchObject({ refused: expect.stringMatching(refused) });
  });

  it('is a warning where only a stopped guest needs it, and the guest is left to its host', async () => {
    const { found } = await judge({ lvs: [OFF], consumers: [consumer({ kind: 'guest', name: 'vm1', atBoot: false, unit: null })] });
    expect(found).toMatchObject([{ severity: 'warning', commands: [ACTIVATE], remains: expect.stringContaining('start the guest vm1') }]);
  });

  it('comes after what it stands on; the mount is started with the last', async () => {
    const base = {
      ...OFF,
      lv_uuid: 'b',
      lv_name: 'base',
      lv_full_name: 'vg0/base',
      lv_path: '/dev/vg0/base',
      lv_dm_path: '/dev/mapper/vg0-base',
    };
    const { found } = await judge({ lvs: [OFF, base], consumers: [consumer({ needs: ['/dev/mapper/vg0-base', '/dev/vg0/vm1'] })] });
    expect(found.map(({ subject }) => subject.name)).toEqual(['/dev/vg0/base', '/dev/vg0/vm1']);
    expect(found.map((each) => ('commands' in each ? each.commands?.length : 0))).toEqual([1, 2]);
  });

  it('comes before what another fault brought about, and the mount is started with that', async () => {
    const base = {
      ...OFF,
      vg_name: 'vg1',
      lv_uuid: 'b',
      lv_name: 'base',
      lv_full_name: 'vg1/base',
      lv_path: '/dev/vg1/base',
      lv_dm_path: '/dev/mapper/vg1-base',
    };
    const { found } = await judge({
      lvs: [OFF, base],
      vgs: [GROUP, { ...GROUP, vg_name: 'vg1', vg_uuid: 'g', vg_autoactivation: '' }],
      consumers: [consumer({ needs: ['/dev/vg1/base', '/dev/vg0/vm1'] })],
    });
    // What has a cause is repaired after what has none.
    const down = found.filter(({ code }) => code === 'volume-inactive').toSorted((a, b) => Number(!!a.cause) - Number(!!b.cause));
    expect(down.map((each) => [each.subject.name, 'commands' in each && each.commands?.includes('systemctl start data.mount')])).toEqual([
      ['/dev/vg0/vm1', false],
      ['/dev/vg1/base', true],
    ]);
  });

  it.each([
    ['an automount waits at its place', { needsReload: false }, 'its automount waits there', '40 1 0:9 / /data rw - autofs systemd-1 rw\n'],
    ['systemd would mount what was configured before', { needsReload: true }, 'systemctl daemon-reload comes first', ''],
  ])('its mount is not started where %s', async (_, more, why, mount) => {
    const mounts = parseMountinfo(`1 0 254:0 / / rw - ext4 /dev/vda rw\n${mount}`);
    const table = { seen, mounts, visible: visibleMounts(mounts) };
    const places = mount === '' ? {} : { places: new Map() };
    const { found } = await judge({ lvs: [OFF], consumers: [consumer(more)], facts: { table, ...places } as Partial<LvmFacts> });
    expect(found).toMatchObject([{ commands: [ACTIVATE], remains: expect.stringContaining(why) }]);
  });

  it('is not mounted over files', async () => {
    const full = new Map([['/data', { state: 'found', type: 'd', empty: false, seen }]]) as unknown as LvmFacts['places'];
    const { found } = await judge({ lvs: [OFF], consumers: [consumer()], facts: { places: full } });
    expect(found).toMatchObject([{ commands: [ACTIVATE], remains: expect.stringContaining('/data is not empty') }]);
  });

  it('may be the one whose UUID nothing answers to', async () => {
    const { found } = await judge({ lvs: [OFF], consumers: [consumer({ needs: ['UUID=6443f0b3'], certainty: 'possible' })] });
    expect(found).toMatchObject([
      {
        code: 'volume-possibly-needed',
        severity: 'warning',
        confidence: 'medium',
        subject: { kind: 'mount', name: '/data' },
        data: { list: 'vg0/vm1' },
      },
    ]);
  });

  it('could not be told where LVM cannot tell', async () => {
    const { found, unjudged } = await judge({ lvs: [{ ...OFF, lv_attr: '-wi-XX--X-', lv_active: 'unknown' }], consumers: [consumer()] });
    expect([found, unjudged.map(({ subject }) => subject.name)]).toEqual([[], ['/dev/vg0/vm1']]);
  });
});

describe('a volume that is up', () => {
  const up = consumer({ isUp: true });

  it('and stays off at the next boot is a warning', async () => {
    const { found } = await judge({ lvs: [{ ...VOLUME, lv_autoactivation: '' }], consumers: [up] });
    expect(found).toMatchObject([{ code: 'volume-not-at-boot', severity: 'warning', commands: [BACKUP('vg0@vm1'), TURN_ON] }]);
  });

  it('is told once of the group, where its flag is off', async () => {
    const { found } = await judge({ vgs: [{ ...GROUP, vg_autoactivation: '' }], consumers: [up] });
    expect(found).toMatchObject([
      { code: 'group-not-at-boot', commands: [BACKUP('vg0'), 'vgchange --config global/wait_for_locks=0 --setautoactivation y -- vg0'] },
    ]);
  });

  it('is nothing where the initramfs activates it, where the guest does not start at boot, or LVM is too old for the flag', async () => {
    const lvs = [{ ...VOLUME, lv_autoactivation: '' }];
    expect((await judge({ lvs, consumers: [consumer({ name: '/', isUp: true })] })).found).toEqual([]);
    expect((await judge({ lvs, consumers: [consumer({ kind: 'guest', atBoot: false, isUp: true })] })).found).toEqual([]);
    expect((await judge({ lvs, unknown: ['lv_autoactivation'], consumers: [up] })).found).toEqual([]);
  });

  it('keeps its flag off while a disk of its group is missing', async () => {
    const { found } = await judge({
      lvs: [{ ...VOLUME, lv_autoactivation: '' }],
      vgs: [{ ...GROUP, vg_missing_pv_count: '1' }],
      consumers: [up],
    });
    expect(found[0]).toMatchObject({ refused: expect.stringContaining('1 of its 2 disks missing') });
  });
});

describe('healthy twins', () => {
  it.each([
    ['a snapshot that is flagged', { ...OFF, lv_attr: 'Vwi---tz-k', lv_skip_activation: 'skip activation', origin: 'thin1' }],
    ['the spare', { ...OFF, lv_name: '[lvol0_pmspare]', lv_path: '', lv_attr: 'ewi-------', lv_role: 'private,pool,spare' }],
    ['old metadata of a pool', { ...OFF, lv_name: 'pool_meta0' }],
    ['a thin volume nobody uses', { ...OFF, lv_attr: 'Vwi---tz--', lv_layout: 'thin,sparse' }],
    ['an inactive raid1', { ...OFF, lv_attr: 'rwi---r---', lv_layout: 'raid,raid1' }],
    ['an image of it', { ...OFF, lv_attr: 'Iwi---r---', lv_role: 'private,raid,image' }],
    ["the administrator's own", { ...OFF, lv_autoactivation: '' }],
    ['a merge that waits', { ...VOLUME, lv_attr: 'Owi-aos---' }],
  ])('%s', async (_, volume) => {
    expect(await judge({ lvs: [volume] })).toMatchObject({ found: [], unjudged: [] });
  });

  it.each([
    ['exported', { vg_exported: 'exported', vg_attr: 'wzx-n-' }],
    ['of several hosts', { vg_shared: 'shared', vg_lock_type: 'sanlock' }],
  ])('a group that is %s, with a note', async (_, group) => {
    const { found, notes } = await judge({ lvs: [OFF], vgs: [{ ...GROUP, ...group }], consumers: [consumer()] });
    expect([found, notes?.length]).toEqual([[], 1]);
  });

  it("another host's group, with a note", async () => {
    const { found, notes } = await judge({ lvs: [], vgs: [{ ...GROUP, vg_systemid: 'otherhost' }], facts: { ownSystemId: '' } });
    expect([found, notes?.map(({ text }) => text)]).toEqual([
      [],
      ['not judged: vg0 belongs to host otherhost (this host has no name for LVM)'],
    ]);
  });

  it('a group within a volume, which belongs to a guest', async () => {
    const devices = [labelled('/dev/sda'), labelled('/dev/dm-3', { type: 'lvm', uuid: 'inner', device: '253:3' })];
    expect((await judge({ devices })).found).toEqual([]);
  });
});

describe('groups', () => {
  const GONE = { ...DISK, pv_name: '[unknown]', pv_uuid: 'gone', pv_attr: 'a-m', pv_missing: 'missing', pv_major: '-1', pv_minor: '-1' };
  const PARTIAL = { ...GROUP, vg_attr: 'wz-pn-', vg_partial: 'partial', vg_missing_pv_count: '1' };

  it('lack a disk, which was last seen somewhere', async () => {
    const err = "  WARNING: Couldn't find device with uuid gone.\n  WARNING: VG vg0 is missing PV gone (last written to /dev/vda).\n";
    const { found } = await judge({ vgs: [PARTIAL], pvs: [DISK, GONE], err });
    expect(found).toMatchObject([
      { code: 'group-partial', severity: 'warning', data: { missing: 1, total: 2, disks: 'gone, last seen as /dev/vda' } },
    ]);
    expect(found[0]).toMatchObject({ refused: expect.stringContaining('vgreduce --removemissing --test -- vg0') });
  });

  it('lack a disk that is there, and that LVM does not look at', async () => {
    const facts = { config: { ...CONFIG, usesDevicesFile: true } };
    const { found } = await judge({
      vgs: [PARTIAL],
      pvs: [DISK, GONE],
      devices: [labelled('/dev/sdb', { uuid: 'gone', device: '8:16' })],
      facts,
    });
    expect(found).toMatchObject([
      { code: 'group-partial', cause: { kind: 'disk', name: '/dev/sdb' }, refused: 'nothing is gone: let LVM look at /dev/sdb again' },
      { code: 'disk-hidden', data: { cause: 'it is not in the devices file' } },
    ]);
  });

  it('do not take back a disk with old metadata', async () => {
    const back = { ...DISK, pv_attr: 'a-m', pv_missing: 'missing' };
    const err = '  WARNING: VG vg0 was previously updated while PV /dev/sda was missing.\n';
    const { found } = await judge({ vgs: [PARTIAL], pvs: [back], err });
    expect(found).toMatchObject([
      { code: 'disk-returned', data: { disks: '/dev/sda' }, refused: expect.stringContaining('vgextend --restoremissing -- vg0 /dev/sda') },
    ]);
  });

  it('have a disk twice', async () => {
    const copy = { ...DISK, pv_name: '/dev/sdb', pv_attr: 'd--', pv_duplicate: 'duplicate' };
    const { found } = await judge({ pvs: [DISK, copy], err: `  WARNING: Not using device /dev/sdb for PV ${DISK.pv_uuid}.\n` });
    expect(found).toMatchObject([{ code: 'disk-duplicate', severity: 'critical', data: { disks: '/dev/sda and /dev/sdb' } }]);
    expect(found[0]?.evidence).toHaveLength(2);
  });

  it('are hidden by an array that did not start, LUKS that is locked, or nothing that is there', async () => {
    const consumers = [consumer({ needs: ['/dev/vg9/db'] })];
    const arrays = {
      arrays: [{ node: '/dev/md0', state: 'inactive' as const, members: ['sdb'], evidence: { ...seen, excerpt: 'md0 : inactive' } }],
    };
    const devices = [labelled('/dev/sdd', { signature: 'crypto_LUKS', uuid: 'l' })];
    const { found } = await judge({ consumers, devices, facts: { arrays } });
    expect(found).toMatchObject([
      {
        code: 'group-unknown',
        severity: 'critical',
        confidence: 'medium',
        data: {
          cause: 'it may be that the md array /dev/md0 did not start, or that LUKS on /dev/sdd is locked',
          consumer: 'the mount /data needs /dev/vg9/db',
        },
      },
    ]);
    const legs = ['/dev/sdb', '/dev/sdc'].map((node) => labelled(node, { signature: 'linux_raid_member', uuid: 'array' }));
    expect((await judge({ consumers, devices: legs, facts: { arrays: { arrays: [] } } })).found).toMatchObject([
      { severity: 'critical', data: { cause: 'it may be that the md array of /dev/sdb and /dev/sdc was not assembled' } },
    ]);
    expect((await judge({ consumers })).found).toMatchObject([{ code: 'group-unknown', severity: 'warning' }]);
    expect((await judge({ consumers: [consumer({ needs: ['/dev/md/x', '/dev/sdx', '/dev/mapper/other'] })] })).found).toEqual([]);
  });

  it('are not called unknown where LVM could not read all of them', async () => {
    const { found, unjudged } = await judge({
      consumers: [consumer({ needs: ['/dev/vg9/db'] })],
      code: 5,
      err: '  Cannot process volume group vg9\n',
    });
    expect([found, unjudged.map(({ why }) => why)]).toEqual([
      [],
      ['lvs', 'vgs', 'pvs'].map((tool) =>
        `LVM may not have told of all: ${tool}: exit code 5:   Cannot process volume group vg9`.replace(':   ', ': '),
      ),
    ]);
  });

  it('lie on an array that lacks members', async () => {
    const arrays = {
      arrays: [{ node: '/dev/md1', state: 'degraded' as const, members: ['sdb'], evidence: { ...seen, excerpt: 'md1 [U_]' } }],
    };
    const { found } = await judge({ pvs: [{ ...DISK, pv_name: '/dev/md1' }], facts: { arrays } });
    expect(found).toMatchObject([{ code: 'md-below-degraded', severity: 'warning', subject: { name: '/dev/md1' } }]);
    expect((await judge({ facts: { arrays } })).found).toEqual([]);
  });
});

describe('pools, snapshots, raid and what is suspended', () => {
  const POOL = {
    ...VOLUME,
    lv_name: 'pool',
    lv_full_name: 'vg0/pool',
    lv_path: '',
    lv_dm_path: '/dev/mapper/vg0-pool',
    lv_attr: 'twi-aotz--',
    lv_layout: 'thin,pool',
    lv_role: 'private',
    lv_when_full: 'queue',
    lv_metadata_size: '4194304',
    data_percent: '74.50',
    metadata_percent: '15.43',
  };
  const NO_META = { ...POOL, lv_attr: 'twi-aotzM-', lv_health_status: 'metadata_read_only', metadata_percent: '100.00' };

  it.each([
    [
      'thin-pool-data-full',
      { ...POOL, lv_attr: 'twi-aotzD-', lv_health_status: 'out_of_data', lv_when_full: 'error', data_percent: '100.00' },
    ],
    ['thin-pool-metadata-full', NO_META],
    ['thin-pool-needs-check', { ...NO_META, lv_check_needed: 'check needed', lv_attr: 'twi-cotzM-' }],
    ['thin-pool-failed', { ...POOL, lv_attr: 'twi-aotzF-', lv_health_status: 'failed', data_percent: '', metadata_percent: '' }],
    [
      'snapshot-invalid',
      { ...VOLUME, lv_attr: 'swi-I-s---', lv_snapshot_invalid: 'snapshot invalid', data_percent: '100.00', origin: 'data' },
    ],
    ['snapshot-merge-failed', { ...VOLUME, lv_attr: 'Swi-m-s---', lv_merge_failed: 'merge failed', origin: 'data' }],
    ['raid-degraded', { ...VOLUME, lv_attr: 'rwi-a-r-p-', lv_layout: 'raid,raid1', lv_health_status: 'partial' }],
    ['raid-mismatches', { ...VOLUME, lv_attr: 'rwi-a-r-m-', lv_layout: 'raid,raid1', lv_health_status: 'mismatches exist' }],
    ['cache-disk-missing', { ...OFF, lv_attr: 'Cwi---C-p-', lv_layout: 'cache', lv_health_status: 'partial' }],
    ['cache-failed', { ...VOLUME, lv_attr: 'Cwi-a-C-F-', lv_layout: 'cache', lv_health_status: 'failed' }],
    ['writecache-error', { ...VOLUME, lv_attr: 'Cwi-a-C-E-', lv_layout: 'writecache' }],
  ])('%s is found', async (code, volume) => {
    expect((await judge({ lvs: [volume] })).found).toMatchObject([{ code }]);
    expect((await judge({ lvs: [{ ...volume, ...VOLUME, lv_layout: volume.lv_layout }] })).found).toEqual([]);
  });

  it('a merge that failed is told once, of the snapshot, with how it is tried again', async () => {
    const lvs = [
      { ...VOLUME, lv_uuid: 'o', lv_name: 'data', lv_full_name: 'vg0/data', lv_attr: 'Owi-m-s---', lv_merge_failed: 'merge failed' },
      { ...VOLUME, lv_name: '[before]', lv_path: '', lv_attr: 'Swi-m-s---', lv_merge_failed: 'merge failed', origin: 'data' },
    ];
    expect((await judge({ lvs })).found).toMatchObject([
      { code: 'snapshot-merge-failed', refused: expect.stringContaining('lvchange -an -- vg0/data; lvchange -ay -- vg0/data') },
    ]);
  });

  it('a pool in need of a check is checked first, and one that has failed is repaired first', async () => {
    const marked = { ...NO_META, lv_check_needed: 'check needed', lv_attr: 'twi-cotzM-' };
    expect((await judge({ lvs: [marked] })).found).toMatchObject([
      {
        refused: expect.stringMatching(
          /itself; then lvchange -ay --config 'global\/thin_check_options=.*Only if that is refused: lvconvert/,
        ),
      },
    ]);
    expect((await judge({ lvs: [{ ...POOL, lv_attr: 'twi-aotzF-', lv_health_status: 'failed' }] })).found).toMatchObject([
      { refused: expect.stringContaining('itself; then lvconvert --repair -- vg0/pool') },
    ]);
  });

  it('metadata of a pool that is up through its volumes alone grows as well', async () => {
    expect((await judge({ lvs: [{ ...NO_META, lv_active: '' }] })).found).toMatchObject([{ code: 'thin-pool-metadata-full' }]);
  });

  it('a device whose table is error, and one of which LVM does not tell what it has', async () => {
    const lvs = [{ ...VOLUME, lv_attr: '-wi-XX--X-', lv_device_open: 'open' }];
    const warning = (type: string) => `  WARNING: Detected ${type} segment type does not match expected type striped for vg0/vm1.\n`;
    expect((await judge({ lvs, err: warning('error') })).found).toMatchObject([
      { code: 'volume-table-error', severity: 'critical', subject: { name: '/dev/mapper/vg0-vm1' } },
    ]);
    const other = await judge({ lvs, err: warning('zero') });
    expect([other.found, other.unjudged.map(({ why }) => why)]).toEqual([
      [],
      ['LVM cannot tell the state of its device (lv_attr -wi-XX--X-)'],
    ]);
    expect((await judge({ lvs: [{ ...lvs[0], lv_path: '' }], err: warning('error') })).found).toEqual([]);
  });

  it('a device below which the disk left', async () => {
    const lost = new Map([['253:26', { name: 'vg0-vm1', evidence: { ...seen, excerpt: '253:26|8:32|vg0-vm1, and 8:32 is not there' } }]]);
    const layers = { seen, devices: [], leftOut: new Set(['253:26']) };
    expect((await judge({ lvs: [VOLUME], facts: { layers: { ...layers, lost } } })).found).toMatchObject([
      { code: 'volume-table-error', severity: 'warning' },
    ]);
    const unsure = await judge({ lvs: [VOLUME], facts: { layers: { ...layers, lost: new Map() } } });
    expect([unsure.found, unsure.unjudged.length]).toEqual([[], 1]);
  });

  it('metadata of a pool is doubled, where there is room for it and for the spare', async () => {
    const { found } = await judge({ lvs: [NO_META] });
    expect(found).toMatchObject([
      {
        severity: 'critical',
        commands: [BACKUP('vg0@pool'), 'lvextend --config global/wait_for_locks=0 --poolmetadatasize +4194304b -- vg0/pool'],
      },
    ]);
    const full = await judge({ lvs: [NO_META], vgs: [{ ...GROUP, vg_free: '8388608' }] });
    expect(full.found).toMatchObject([{ refused: expect.stringContaining('8388608 bytes free, and 12582912 are needed') }]);
    const spare = { ...OFF, lv_uuid: 's', lv_name: '[lvol0_pmspare]', lv_path: '', lv_role: 'private,pool,spare', lv_size: '4194304' };
    expect((await judge({ lvs: [NO_META, spare], vgs: [{ ...GROUP, vg_free: '8388608' }] })).found[0]).toHaveProperty('commands');
  });

  it('a leg that is back is refreshed, once its group is whole', async () => {
    const raid = { ...VOLUME, lv_attr: 'rwi-a-r-r-', lv_layout: 'raid,raid1', lv_health_status: 'refresh needed' };
    expect((await judge({ lvs: [raid] })).found).toMatchObject([
      { code: 'raid-refresh-needed', commands: ['lvchange --config global/wait_for_locks=0 --refresh -- vg0/vm1'] },
    ]);
    expect((await judge({ lvs: [raid], vgs: [{ ...GROUP, vg_missing_pv_count: '1' }] })).found).toMatchObject([
      { refused: expect.stringContaining('its group must be whole') },
    ]);
  });

  it('what stays suspended is resumed, and what was for a moment is nothing', async () => {
    const lvs = [{ ...VOLUME, lv_attr: '-wi-so----', lv_suspended: 'suspended', lv_device_open: 'open' }];
    const held = new Map([['253:26', { name: 'vg0-vm1', uuid: 'LVM-x', evidence: { ...seen, excerpt: '1, and 3 s later 1' } }]]);
    expect((await judge({ lvs, facts: { suspended: held } })).found).toMatchObject([
      { code: 'volume-suspended', severity: 'critical', subject: { name: '/dev/mapper/vg0-vm1' }, commands: ['dmsetup resume vg0-vm1'] },
    ]);
    expect((await judge({ lvs })).found).toEqual([]);
    const unsure = await judge({ lvs, facts: { suspended: new Map([['253:26', { why: 'because' }]]) } });
    expect([unsure.found, unsure.unjudged.length]).toEqual([[], 1]);
  });
});
