import { describe, expect, it } from 'vitest';
import { absent, fakeTarget, said, timedOut, wordsOf } from '../../test/fake-target.ts';
import type { Answer } from '../check/types.ts';
import { Round } from '../engine/round.ts';
import { blockDevices, btrfsWithoutDisks, goneDevices, kernelNameOf, lostMappings } from './block-devices.ts';

const SYS = '1 0 254:0 / / rw - ext4 /dev/vda rw\n2 1 0:22 / /sys rw - sysfs sysfs rw\n';
const LIST = '254:0 ../../devices/pci0000:00/virtio2/block/vda\n7:0 ../../devices/virtual/block/loop0\n';
const INFO = 'dmsetup info -c --noheadings --separator | -o devno,devnos_used,name';
const STATUS = 'dmsetup status --noflush';
const BTRFS = 'find /sys/fs/btrfs -mindepth 3 -maxdepth 3 -path */devices/* -printf %P %Y\\n';

function round(answers: Record<string, string | Answer>, table = SYS) {
  return new Round(
    fakeTarget((probe) => {
      const words = wordsOf(probe);
      const answer = answers[probe.take === undefined ? words : `${words} (${probe.take})`] ?? answers[words];
      const settled = words === '/proc/self/mountinfo' && answer === undefined ? table : answer;
      return typeof settled === 'string' ? said(settled) : settled;
    }),
    Date.now() + 5000,
  );
}

const FIND = 'find /sys/dev/block -mindepth 1 -maxdepth 1 -printf %f %l\\n';
const AFTER = '/proc/self/mountinfo (after the block devices)';

describe('blockDevices', () => {
  it('reads names by number', async () => {
    expect([...(await round({ [FIND]: LIST }).gather(blockDevices())).names]).toEqual([
      ['254:0', 'vda'],
      ['7:0', 'loop0'],
    ]);
  });

  it('knows the list by its place in sysfs', async () => {
    const table = `${SYS}3 2 0:22 /dev /sys/dev ro - sysfs sysfs ro\n`;
    expect((await round({ [FIND]: LIST }, table).gather(blockDevices())).names.size).toBe(2);
  });

  it.each<[string, Answer, string]>([
    ['cut off', said(LIST.slice(0, -3)), SYS],
    ['empty', said(''), SYS],
    ['garbled', said('x\n'), SYS],
    ['failed in the middle', said(LIST, 1, 'find: x'), SYS],
    ['absent', absent(), SYS],
    ['late', timedOut(LIST), SYS],
    ['hidden by another directory', said(LIST), `${SYS}3 2 0:60 / /sys/dev/block ro - tmpfs tmpfs ro\n`],
    ['shown in part', said(LIST), SYS.replace('/ /sys', '/devices /sys')],
    ['not of the kernel', said(LIST), '1 0 254:0 / / rw - ext4 /dev/vda rw\n'],
  ])('proves nothing where it is %s', async (_, answer, table) => {
    const { names, why } = await round({ [FIND]: answer }, table).gather(blockDevices());
    expect(why).toBeDefined();
    expect(names.size).toBe(0);
  });
});

describe('goneDevices', () => {
  const table = `${SYS}5 1 8:16 / /data rw - xfs /dev/sdb rw\n6 1 0:50 / /b rw - btrfs /dev/sdc rw\n7 1 31:2 / /flash rw - jffs2 mtd2 rw\n8 1 8:99 / /c rw - bcachefs /dev/sdx rw\n`;
  const gone = async (after: string | Answer, find: string | Answer = LIST) => [
    ...(await round({ [FIND]: find, [AFTER]: after }, table).gather(goneDevices())).gone.keys(),
  ];

  it('finds the block device that is no longer there, and no other', async () => {
    expect(await gone(table)).toEqual(['8:16']);
  });

  it('is not fooled by a mount that went with its device meanwhile', async () => {
    expect(await gone(SYS)).toEqual([]);
    expect(await gone(table.replace('5 1 8:16', '9 1 8:16'))).toEqual([]);
  });

  it.each([absent(), said('half a li'), said(''), said('\x07%!@ 12:ab\xff')])(
    'cannot tell where the table cannot be read again',
    async (after) => {
      const { gone, unjudged } = await round({ [FIND]: LIST, [AFTER]: after }, table).gather(goneDevices());
      expect([[...gone], [...unjudged.keys()]]).toEqual([[], ['8:16']]);
    },
  );

  it('says nothing where the list is not whole', async () => {
    expect(await gone(table, LIST.slice(0, 20))).toEqual([]);
  });

  it('reads the table once where nothing is missing', async () => {
    const asked = fakeTarget((probe) => said(wordsOf(probe) === FIND ? LIST : SYS));
    await new Round(asked, Date.now() + 5000).gather(goneDevices());
    expect(asked.asked).toHaveLength(2);
  });
});

describe('lostMappings', () => {
  const dm = ['0', '1', '2', '3'].map((minor) => `253:${minor} ../../devices/virtual/block/dm-${minor}\n`).join('');
  const list = `${LIST}8:0 ../../devices/x/block/sda\n${dm}`;
  const lost = async (info: string | Answer, status: string | Answer) =>
    [...(await round({ [FIND]: list, [INFO]: info, [STATUS]: status }).gather(lostMappings())).lost].map(
      ([device, { name, evidence }]) => `${device} ${name}: ${evidence.excerpt}`,
    );

  it('finds an error table, and what stands on it', async () => {
    const info = '253:0||vg-data\n253:1|253:0|crypt\n253:2|8:0|vg-root\n';
    const status = 'vg-data: 0 2097152 error \ncrypt: 0 2093056 crypt \nvg-root: 0 1024 linear \n';
    expect(await lost(info, status)).toEqual(['253:0 vg-data: vg-data: 0 2097152 error', '253:1 crypt: vg-data: 0 2097152 error']);
  });

  it('finds an error segment beside a whole one', async () => {
    const status = 'vg-data: 0 1024 linear \nvg-data: 1024 1024 error \n';
    expect(await lost('253:0|8:0|vg-data\n', status)).toEqual(['253:0 vg-data: vg-data: 1024 1024 error']);
  });

  it('finds a disk that left, unless others hold the same data', async () => {
    const info = '253:0|8:16|vg-data\n253:1|8:0,8:16|mpatha\n253:2|253:0,8:0|vg-mirror\n253:3|8:16|new\n';
    const status =
      'vg-data: 0 1024 linear \nmpatha: 0 1024 multipath 2 0 0 0\nvg-mirror: 0 1024 raid raid1 2 DA 1024/1024 idle 0 0 -\nnew: 0 1 novel \n';
    expect(await lost(info, status)).toEqual(['253:0 vg-data: 253:0|8:16|vg-data, and 8:16 is not in /sys/dev/block']);
  });

  it('says nothing of whole ones, and where dmsetup does not tell', async () => {
    expect(await lost('253:0|8:0|vg-data\n', 'vg-data: 0 1024 linear \n')).toEqual([]);
    expect(await lost('253:0|8:16|vg-data\n', absent())).toEqual([]);
    expect(await lost(said('', 1, 'Permission denied'), said('', 1))).toEqual([]);
    expect(await lost('No devices found\n', 'No devices found\n')).toEqual([]);
  });

  it.each([said('', 1, 'Permission denied'), absent(), timedOut(''), said('')])(
    'where dmsetup does not tell, sysfs must name what a mount stands on',
    async (answer) => {
      const table = `${SYS}5 1 253:0 / /data rw - xfs /dev/mapper/vg-data rw\n6 1 253:1 / /home rw - xfs /dev/mapper/vg-home rw\n`;
      const SLAVES = 'find /sys/block/dm-0/slaves /sys/block/dm-1/slaves -mindepth 1 -maxdepth 1 -printf %h\\n';
      const answers = { [FIND]: list, [INFO]: answer, [STATUS]: answer, [SLAVES]: '/sys/block/dm-1/slaves\n' };
      const { lost: found, unjudged } = await round(answers, table).gather(lostMappings());
      expect([[...found], [...unjudged.keys()]]).toEqual([[], ['253:0']]);
    },
  );

  it('asks nothing where there is no such device', async () => {
    const asked = fakeTarget((probe) => said(wordsOf(probe) === FIND ? LIST : SYS));
    const { lost: found, unjudged } = await new Round(asked, Date.now() + 5000).gather(lostMappings());
    expect([found.size, unjudged.size]).toEqual([0, 0]);
    expect(asked.asked.some((probe) => wordsOf(probe).startsWith('dmsetup'))).toBe(false);
  });
});

describe('btrfsWithoutDisks', () => {
  const table = `${SYS}6 1 0:50 / /b rw - btrfs /dev/sdc rw\n`;
  const look = (answer: string | Answer, at = table) => round({ [BTRFS]: answer }, at).gather(btrfsWithoutDisks());

  it('finds a link that leads nowhere', async () => {
    const { lacking, why } = await look('0e0f/devices/sdb N\n0e0f/devices/sdc d\n1a1b/devices/sdd d\n');
    expect(lacking).toMatchObject([{ uuid: '0e0f', gone: ['sdb'], present: ['sdc'] }]);
    expect(why).toBeUndefined();
  });

  it.each([absent(), said(''), said('0e0f/devices/sdb'), said('0e0f/devices/sdb N\n', 1)])('could not tell from %j', async (answer) => {
    expect(await look(answer)).toMatchObject({ lacking: [], why: expect.any(String) });
  });

  it('asks nothing where no btrfs is mounted', async () => {
    expect(await look(absent(), SYS)).toEqual({ lacking: [] });
  });
});

it('kernelNameOf', () => {
  expect(kernelNameOf('/dev/sdb')).toBe('sdb');
  expect(['/dev/mapper/x', '/dev/', 'sdb', '/dev/disk/by-id/a'].map(kernelNameOf)).toEqual([undefined, undefined, undefined, undefined]);
});
