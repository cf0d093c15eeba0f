import { describe, expect, it } from 'vitest';
import type { Answer } from '../../../src/check/types.ts';
import { actionText } from '../../../src/check/wording.ts';
// biome-ignore lint/style/noRestrictedImports: the test gathers the facts that the check is given
import { Round } from '../../../src/engine/round.ts';
import type { Consumer } from '../../../src/facts/consumers/index.ts';
import { lvm } from '../../../src/facts/lvm/index.ts';
import { parseMountinfo, visibleMounts } from '../../../src/facts/mountinfo.ts';
import { type LvmHost, lvmRound, VOLUME } from '../../../test/fake-lvm.ts';
import { fakeTarget, said, wordsOf } from '../../../test/fake-target.ts';
import type { LvmFacts } from '../facts.ts';
import { neededVolumes, ownNames } from '../needs.ts';
import { candidatesOf } from './candidates.ts';
import { seekLate } from './detect.ts';
import { bootOrder, disksOf } from './facts.ts';
import { late } from './index.ts';

const seen = { source: 'somewhere', at: '2026-11-03T09:00:00.000Z' };
const STARTERS = ['libvirtd.service', 'virtqemud.service', 'libvirt-guests.service'];
const DEVICE = 'dev-mapper-vg0\\x2dvm1.device';
const SOURCE = 'dev-vg0-vm1.device';

const MOUNT: Consumer = {
  kind: 'mount',
  name: '/data',
  atBoot: true,
  isUp: false,
  needs: ['/dev/vg0/vm1'],
  certainty: 'proven',
  evidence: { ...seen, excerpt: 'line 2: /dev/vg0/vm1 /data xfs nofail 0 0' },
  unit: 'data.mount',
  nofail: true,
};
const GUEST: Consumer = { ...MOUNT, kind: 'guest', name: 'vm1', unit: null, nofail: false, starters: STARTERS };

/** `data.mount` after a boot that gave it up, as systemd 252 shows it. */
const UNIT = {
  Id: 'data.mount',
  Where: '/data',
  What: '/dev/vg0/vm1',
  Type: 'xfs',
  LoadState: 'loaded',
  ActiveState: 'inactive',
  SubState: 'dead',
  Result: 'success',
  SourcePath: '/etc/fstab',
  UnitFileState: 'generated',
  NeedDaemonReload: 'no',
  Job: '',
  ActiveEnterTimestampMonotonic: '0',
  ConditionResult: 'no',
  ConditionTimestampMonotonic: '0',
};
const ROOT = { ...UNIT, Id: '-.mount', Where: '/', ActiveState: 'active', ActiveEnterTimestampMonotonic: '7015219' };

interface World extends LvmHost {
  consumers?: Consumer[];
  units?: Record<string, string>[];
  /** Unit → µs at which it became active, or began to start. */
  entered?: Record<string, number>;
  ended?: string;
  /** Newest first: seconds, message id, unit, message. */
  journal?: [number, string, string, string][] | Answer;
  /** undefined: the journal of the boot is whole. */
  since?: number;
  mounts?: string;
  systemctl?: Answer;
}

const STARTING = '7d4958e842da4a758f6c1cdc7b36dcc5';
const STARTED = '39f53479d3a045ac8e11786248231fbf';
const FAILED = 'be02cf6855d2428ba40df7e9d022f03d';
const MACHINE = '24d8d4452573402496068381a6312df2';
const JOURNAL = 'f77379a8490b408bbe5f6940505a777b';

const block = (properties: Record<string, string>) =>
  Object.entries(properties)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');

function journalText(lines: [number, string, string, string][], since: number | undefined): string {
  return [...lines, ...(since === undefined ? [] : ([[since, JOURNAL, '', 'Journal started']] as [number, string, string, string][]))]
    .map(([at, id, unit, message]) =>
      JSON.stringify({ MESSAGE: message, ...(unit && { UNIT: unit }), MESSAGE_ID: id, __MONOTONIC_TIMESTAMP: String(at * 1e6) }),
    )
    .map((line) => `${line}\n`)
    .join('');
}

async function judge(world: World) {
  const { consumers = [MOUNT], units = [UNIT], entered = {}, ended = '42000000', journal = [], since = 5, mounts = '' } = world;
  const known = await lvmRound(world).gather(lvm());
  const needed = neededVolumes({ consumers, unjudged: [] }, known, ownNames(consumers, known), new Map(), { seen, devices: [] });
  const asked: string[] = [];
  const target = fakeTarget((probe) => {
    const words = wordsOf(probe);
    asked.push(words);
    if (words.includes('/run/systemd/system')) {
      return said('/run/systemd/system\0', 1, "find: '/run/systemd/container': No such file or directory\n");
    }
    if (words.startsWith('journalctl')) {
      return Array.isArray(journal) ? said(journalText(journal, since)) : journal;
    }
    if (world.systemctl !== undefined && !words.includes('*.mount')) {
      return world.systemctl;
    }
    if (words.includes('FinishTimestampMonotonic')) {
      return said(`FinishTimestampMonotonic=${ended}\n`);
    }
    const names = words.split(' -- ')[1]?.split(' ') ?? [];
    const shown = words.includes('*.mount')
      ? [ROOT, ...units]
      : names.map((Id) => {
          const at = entered[Id];
          const times = { InactiveExitTimestampMonotonic: String(at ?? 0), ActiveEnterTimestampMonotonic: String(at ?? 0) };
          return { Id, ActiveState: at === undefined ? 'inactive' : 'active', ...times };
        });
    return said(shown.map(block).join('\n'));
  });
  const order = await new Round(target, Number.MAX_SAFE_INTEGER).gather(bootOrder(candidatesOf(known, needed), disksOf(known)));
  const table = parseMountinfo(`1 0 254:0 / / rw - ext4 /dev/vda rw\n${mounts}`);
  const facts = {
    lvm: known,
    needed,
    order,
    places: new Map([['/data', { state: 'found', type: 'd', empty: true, seen }]]),
    table: { seen, mounts: table, visible: visibleMounts(table) },
    self: { uid: 0, mayMount: true, seesAllProcesses: true },
  } as unknown as LvmFacts;
  const { findings, unjudged = [] } = seekLate(facts);
  return {
    asked,
    unjudged: unjudged.map(({ subject, why }) => `${subject.kind} ${subject.name}: ${why}`),
    found: findings.map((each) => {
      const plan = late.plan({ ...each, id: 'x', check: 'lvm-inactive' }, facts);
      return {
        ...each,
        lines: each.evidence.map(({ excerpt }) => excerpt),
        ...('refused' in plan
          ? { refused: plan.refused }
          : {
              commands: plan.steps.map(({ action }) => actionText(action)),
              risks: plan.steps.map(({ risk }) => risk),
              remains: plan.remains,
            }),
      };
    }),
  };
}

const AFTER_BOOT = { [DEVICE]: 83_400_000, [SOURCE]: 83_400_000 };

describe('a mount whose volume came after the boot', () => {
  it('is found with both times, and started', async () => {
    const journal: World['journal'] = [
      [83, STARTED, 'lvm-activate-vg0.service', 'Started lvm-activate-vg0.service - /sbin/lvm vgchange -aay --autoactivation event vg0.'],
      [41.9, FAILED, 'data.mount', 'Dependency failed for data.mount - /data.'],
      [41.8, FAILED, SOURCE, 'Timed out waiting for device dev-vg0-vm1.device - /dev/vg0/vm1.'],
    ];
    const { found, unjudged } = await judge({ entered: AFTER_BOOT, journal });
    expect(unjudged).toEqual([]);
    expect(found).toMatchObject([
      {
        code: 'volume-activated-late',
        severity: 'warning',
        confidence: 'high',
        subject: { kind: 'device', name: '/dev/vg0/vm1' },
        data: { consumer: 'the mount /data', why: '41.6 s after systemd had given it up; it is not tried again' },
        commands: ['systemctl start data.mount'],
        risks: ['disruptive'],
        remains: undefined,
      },
    ]);
    expect(found[0]?.lines).toEqual([
      '41.8 s: Timed out waiting for device dev-vg0-vm1.device - /dev/vg0/vm1.',
      `${DEVICE}: ActiveEnterTimestampMonotonic=83400000`,
      'data.mount: ActiveState=inactive Result=success, never active since the boot',
      'line 2: /dev/vg0/vm1 /data xfs nofail 0 0',
      'vg0/vm1, lv_attr -wi-a-----, active',
    ]);
  });

  it('is critical where fstab lacks nofail, and certain enough without a journal', async () => {
    const { found } = await judge({ entered: AFTER_BOOT, journal: said('', 1), consumers: [{ ...MOUNT, nofail: false }] });
    expect(found).toMatchObject([
      { severity: 'critical', confidence: 'medium', data: { why: '41.4 s after the boot had ended; it is not tried again' } },
    ]);
  });

  it('is found where the device came during the boot, too late for its own timeout', async () => {
    const journal: World['journal'] = [[12, FAILED, SOURCE, 'Timed out waiting for device dev-vg0-vm1.device - /dev/vg0/vm1.']];
    const during = { [DEVICE]: 30e6, [SOURCE]: 30e6 };
    expect((await judge({ entered: during, journal })).found).toMatchObject([{ confidence: 'high' }]);
    expect(await judge({ entered: during, journal: said('', 1) })).toMatchObject({
      found: [],
      unjudged: [expect.stringContaining('mount /data')],
    });
  });

  it.each([
    ['it was unmounted by hand', { units: [{ ...UNIT, ActiveEnterTimestampMonotonic: '20325801' }] }],
    ['its unit failed', { units: [{ ...UNIT, ActiveState: 'failed', Result: 'exit-code' }] }],
    ['systemd is at it', { units: [{ ...UNIT, Job: '812' }] }],
    ['an automount brings it', { units: [UNIT, { ...UNIT, Id: 'data.automount', ActiveState: 'active', SubState: 'waiting' }] }],
    ['the volume was there before, and the line is newer than the boot', { entered: { [DEVICE]: 9_000_000, [SOURCE]: 9_000_000 } }],
    ['what it is mounted from is still locked', { entered: { [DEVICE]: 83_400_000 } }],
    ['it is mounted', { consumers: [{ ...MOUNT, isUp: true }] }],
    ['its volume is suspended', { lvs: [{ ...VOLUME, lv_suspended: 'suspended' }] }],
    ['systemd knows no unit of it', { consumers: [{ ...MOUNT, unit: null }] }],
  ] as [string, World][])('is nothing where %s', async (_, world) => {
    expect(await judge({ entered: AFTER_BOOT, ...world })).toMatchObject({ found: [], unjudged: [] });
  });

  it('is not judged while the boot goes on, or where systemd does not answer', async () => {
    const why = 'mount /data: it is down, and whether its volumes came up in time could not be told';
    expect(await judge({ entered: AFTER_BOOT, ended: '0' })).toMatchObject({
      found: [],
      unjudged: [`${why}: systemd is still starting what is wanted at boot`],
    });
    expect(await judge({ systemctl: said('', 1, 'Failed to connect to bus\n') })).toMatchObject({
      found: [],
      unjudged: [`${why}: systemctl: exit code 1: Failed to connect to bus`],
    });
  });
});

describe('a guest whose volume came after its starter', () => {
  const ENTERED = { [DEVICE]: 32_100_000, 'libvirt-guests.service': 20_100_000, 'libvirtd.service': 20_000_000 };
  const ACTIVATED: [number, string, string, string] = [31.9, STARTED, 'lvm-activate-vg0.service', 'Started lvm-activate-vg0.service - x.'];
  const LIBVIRTD: [number, string, string, string] = [
    20,
    STARTING,
    'libvirtd.service',
    'Starting libvirtd.service - Virtualization daemon...',
  ];

  const OTHER: [number, string, string, string] = [60, MACHINE, '', 'New machine qemu-1-vm2.'];

  it('is found with both times; how to start it, and the next boot, are printed', async () => {
    const { found } = await judge({ consumers: [GUEST], entered: ENTERED, journal: [OTHER, ACTIVATED, LIBVIRTD] });
    expect(found).toMatchObject([
      {
        severity: 'warning',
        confidence: 'high',
        data: { consumer: 'the guest vm1', why: '12.1 s after libvirtd.service was started' },
        refused: expect.stringContaining('virsh start vm1'),
      },
    ]);
    expect(found[0]?.lines).toEqual([
      '20.0 s: Starting libvirtd.service - Virtualization daemon...',
      `${DEVICE}: ActiveEnterTimestampMonotonic=32100000`,
      '31.9 s: Started lvm-activate-vg0.service - x.',
      MOUNT.evidence.excerpt,
      'vg0/vm1, lv_attr -wi-a-----, active',
    ]);
    expect(found[0]).toMatchObject({
      refused: expect.stringContaining(`systemctl edit libvirtd.service with the lines [Unit] / Wants=${DEVICE} / After=${DEVICE}`),
    });
  });

  it('is found where its daemon was idle, ended, and was started again by its socket', async () => {
    const { found } = await judge({
      consumers: [GUEST],
      entered: { ...ENTERED, 'libvirtd.service': 900e6, 'libvirt-guests.service': 0 },
      journal: [ACTIVATED, LIBVIRTD],
    });
    expect(found).toMatchObject([{ data: { why: '12.1 s after libvirtd.service was started' } }]);
  });

  it.each([
    ['only systemd tells of the volume', said('', 1)],
    ['nothing tells which guests ran since', [ACTIVATED, LIBVIRTD]],
  ] as [string, NonNullable<World['journal']>][])('is of medium confidence where %s', async (_, journal) => {
    expect((await judge({ consumers: [GUEST], entered: ENTERED, journal })).found).toMatchObject([{ confidence: 'medium' }]);
  });

  it('is told by the last of the disks on EL7', async () => {
    const scan = (at: number, device: string): [number, string, string, string] => [
      at,
      STARTING,
      `lvm2-pvscan@${device}.service`,
      `Starting LVM2 PV scan on device ${device}...`,
    ];
    const lines = (last: number) => [OTHER, scan(last, '8:0'), LIBVIRTD];
    expect((await judge({ consumers: [GUEST], entered: ENTERED, journal: lines(31) })).found).toMatchObject([{ confidence: 'high' }]);
    expect((await judge({ consumers: [GUEST], entered: ENTERED, journal: lines(9) })).found).toEqual([]);
  });

  it.each([
    ['the volume was there before', { entered: { ...ENTERED, [DEVICE]: 9e6 } }],
    [
      'its group was there before: somebody turned the volume off and on',
      { journal: [LIBVIRTD, [9, STARTED, 'lvm-activate-vg0.service', 'x']] },
    ],
    ['it ran since, and was stopped', { journal: [[60, MACHINE, '', 'New machine qemu-1-vm1.'], ACTIVATED, LIBVIRTD] }],
    ['it does not start at boot', { consumers: [{ ...GUEST, atBoot: false }] }],
    ['it runs', { consumers: [{ ...GUEST, isUp: true }] }],
    ['nothing that is known would start it', { consumers: [{ ...GUEST, starters: undefined }] }],
    ['nothing that would start it was started', { entered: { [DEVICE]: 32e6 }, journal: [ACTIVATED] }],
    ['another volume of it is still off', { consumers: [{ ...GUEST, needs: ['/dev/vg0/vm1', '/dev/vg9/base'] }] }],
  ] as [string, World][])('is nothing where %s', async (_, world) => {
    expect(await judge({ consumers: [GUEST], entered: ENTERED, journal: [ACTIVATED, LIBVIRTD], ...world })).toMatchObject({
      found: [],
      unjudged: [],
    });
  });

  it.each([
    ['the journal has lost the beginning', { journal: [], since: 700 }],
    ['it cannot be read', { journal: said('', 1, 'No journal files were opened\n') }],
    ['it is garbled', { journal: said('{"MESSAGE":\n') }],
  ] as [string, World][])('is not called in time where %s', async (_, world) => {
    const { found, unjudged } = await judge({ consumers: [GUEST], entered: { ...ENTERED, [DEVICE]: 9e6 }, ...world });
    expect([found, unjudged]).toEqual([[], [expect.stringMatching(/^guest vm1: it is down, and whether its volumes came up in time/)]]);
  });
});

it('a mount and a guest on one volume are one finding: the mount is started, the guest remains', async () => {
  const { found } = await judge({
    consumers: [MOUNT, GUEST],
    entered: { ...AFTER_BOOT, 'libvirtd.service': 20e6 },
  });
  expect(found).toMatchObject([
    {
      data: { consumer: 'the mount /data and the guest vm1' },
      commands: ['systemctl start data.mount'],
      remains: expect.stringContaining('start the guest vm1: virsh start vm1'),
    },
  ]);
});

it('nothing is asked where nobody is down whose volumes are up', async () => {
  expect((await judge({ consumers: [{ ...MOUNT, isUp: true }] })).asked).toEqual([]);
});
