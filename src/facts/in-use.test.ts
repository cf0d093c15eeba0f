import { describe, expect, it } from 'vitest';
import { absent, fakeTarget, said, timedOut, wordsOf } from '../../test/fake-target.ts';
import { examine } from '../check/condition.ts';
import type { Answer, Claim, Probe } from '../check/types.ts';
import { Round } from '../engine/round.ts';
import { deviceUse, fileUse, type Use } from './in-use.ts';
import { deviceUnused, fileUnused } from './in-use-conditions.ts';
import { parseInode } from './in-use-inodes.ts';

const LOSETUP = 'losetup --list --json -O NAME,BACK-INO,BACK-MAJ:MIN';
const IMAGE = '/srv/a.img';

// Two disks, a partition, a volume on the second disk, a loop device.
const BLOCK: Record<string, string> = {
  '8:0': '../../devices/pci0000:00/block/sda',
  '8:1': '../../devices/pci0000:00/block/sda/sda1',
  '8:16': '../../devices/pci0000:00/block/sdb',
  '253:0': '../../devices/virtual/block/dm-0',
  '7:0': '../../devices/virtual/block/loop0',
  '7:1': '../../devices/virtual/block/loop1',
};
const NODES: Record<string, string> = {
  '/dev/sda': '61b0 6 90 8:0',
  '/dev/sda1': '61b0 6 91 8:1',
  '/dev/sdb': '61b0 6 92 8:10',
  '/dev/dm-0': '61b0 6 93 fd:0',
  '/dev/loop0': '61b0 6 94 7:0',
  '/dev/loop1': '61b0 6 95 7:1',
};
const LINKS = { '/dev/mapper/vg-lv': '../dm-0', '/dev/vg/lv': '../mapper/vg-lv', '/dev/core': '/proc/kcore' };
const SIZES: Record<string, number> = { '8:0': 4096, '8:1': 2048, '8:16': 8192, '253:0': 1024, '7:0': 512, '7:1': 640 };

const ROOT = '1 0 9:0 / / rw - ext4 /dev/root rw\n';
const DEV = '2 1 0:6 / /dev rw - devtmpfs devtmpfs rw\n';
const TMP = '3 1 0:30 / /tmp rw - tmpfs tmpfs rw\n';
const PROC = '4 1 0:21 / /proc rw - proc proc rw\n';
const NFS = '5 1 0:40 / /net rw,relatime - nfs4 nas:/x rw\n';
const SSHFS = '6 1 0:41 / /ssh rw,nosuid,nodev - fuse.sshfs h:/x rw\n';

interface Host {
  /** More block devices: number → the link in /sys/dev/block. */
  blocks?: Record<string, string>;
  table?: string;
  /** pid → table of its namespace, `mnt:[pid]`. */
  elsewhere?: Record<string, string>;
  /** `12 3` → what the link reads, its mount and inode, and what stat -L says of it. */
  open?: Record<string, { to: string; mount: number; inode?: string; is?: string }>;
  /** More of what find prints of links. */
  links?: string;
  errors?: string;
  /** What find prints of holders, living file systems and exports. */
  kernel?: string;
  maps?: string;
  lines?: string;
  swaps?: string;
  /** Name of a loop device → what it lies on. */
  loops?: Record<string, { path: string; inode: number; on: string; sectors?: number }>;
  /** Path → what stat -L says of it. */
  files?: Record<string, string>;
  dmsetup?: Answer;
  /** Beginning of a command or path → another answer. */
  instead?: Record<string, Answer>;
}

function target(host: Host) {
  return fakeTarget((probe: Probe) => {
    const words = wordsOf(probe);
    const instead = Object.entries(host.instead ?? {}).find(([start]) => words.startsWith(start) || words.includes(`${start} -exec`));
    return instead === undefined ? answerOf(host, words) : instead[1];
  });
}

function answerOf(host: Host, words: string): Answer | undefined {
  const table = ROOT + DEV + TMP + PROC + (host.table ?? '');
  const open = Object.entries(host.open ?? {}).map(([key, file]) => ({ ...file, fd: key.replace(' ', '/fd/') }));
  const stats = new Map([
    ...Object.entries(host.files ?? {}),
    ...open.flatMap(({ fd, is }) => (is === undefined ? [] : [[`/proc/${fd}`, is]])),
  ] as [string, string][]);
  const loops = Object.entries(host.loops ?? {});
  if (words.startsWith('find /proc/')) {
    const own = '/proc/self/ns/mnt\0mnt:[1]\0/proc/2/root\0/\0/proc/2/ns/mnt\0mnt:[1]\0/proc/2/task/2/ns/mnt\0mnt:[1]\0';
    const others = Object.keys(host.elsewhere ?? {}).map((pid) => `/proc/${pid}/root\0/\0/proc/${pid}/ns/mnt\0mnt:[${pid}]\0`);
    const files = open.map(({ fd, to }) => `/proc/${fd}\0${to}\0`);
    const info = open.flatMap(({ fd, mount, inode }) =>
      [`mnt_id:\t${mount}`, ...(inode === undefined ? [] : [`ino:\t${inode}`])].map(
        (line) => `/proc/${fd.replace('fd', 'fdinfo')}\0${line}\n`,
      ),
    );
    const err = host.errors ?? '';
    return said([own, ...others, ...files, ...info, host.links ?? ''].join(''), err === '' ? 0 : 1, err);
  }
  if (words.includes('/maps -exec')) {
    return said(host.maps ?? '');
  }
  if (words.includes('/cmdline -exec')) {
    return said(host.lines ?? '');
  }
  if (words.startsWith('find /sys/dev/block /dev')) {
    const links = [
      ...Object.entries({ ...BLOCK, ...host.blocks }).map(([device, to]) => [`/sys/dev/block/${device}`, to]),
      ...Object.entries(LINKS),
    ];
    return said(
      [...links.map(([path, to]) => `${path}\0l${to}\0`), ...Object.entries(NODES).map(([path, is]) => `${path}\0b${is}\0`)].join(''),
    );
  }
  if (words.startsWith('find /sys/dev/block/')) {
    return said(host.kernel ?? '', 1, "find: '/proc/spl/kstat/zfs': No such file or directory\n");
  }
  if (words.startsWith('stat -L')) {
    const paths = words.slice(words.indexOf(' -- ') + 4).split(' ');
    return said(paths.flatMap((path) => (stats.has(path) ? [`${path}\0${stats.get(path)}\0`] : [])).join(''), 1);
  }
  if (words.startsWith('realpath')) {
    return said(`${words.slice(words.indexOf(' -- ') + 4)}\0`);
  }
  if (words.startsWith('losetup')) {
    const all = loops.map(([name, { inode, on }]) => `{"name":"/dev/${name}", "back-ino":${inode}, "back-maj:min":"     ${on}  "}`);
    return said(`{\n   "loopdevices": [\n${all.join(',')}   ]\n}\n`);
  }
  if (words.startsWith('dmsetup')) {
    return host.dmsetup;
  }
  const [, device, file] = /^\/sys\/dev\/block\/(\d+:\d+)\/(.+)$/.exec(words) ?? [];
  const loop = loops.find(([name]) => BLOCK[device ?? '']?.endsWith(`/${name}`))?.[1];
  if (device !== undefined) {
    const sectors = file === 'size' ? (loop?.sectors ?? SIZES[device]) : undefined;
    const values: Record<string, string> =
      loop === undefined ? {} : { 'loop/backing_file': loop.path, 'loop/offset': '0', 'loop/sizelimit': '0' };
    const value = sectors ?? values[file as string];
    return value === undefined ? undefined : said(`${value}\n`);
  }
  const other = /^\/proc\/(\d+)\/mountinfo$/.exec(words)?.[1];
  if (other !== undefined) {
    return other === '2' ? said(table) : host.elsewhere?.[other] === undefined ? undefined : said(host.elsewhere[other]);
  }
  const fixed: Record<string, string> = {
    '/proc/self/mountinfo': table,
    '/proc/self/status': 'Uid:\t0\t0\t0\t0\nNSpid:\t300\nCapEff:\t000001ffffffffff\n',
    '/proc/2/comm': 'kthreadd\n',
    '/proc/12/comm': 'qemu-system-x86\n',
    '/proc/swaps': `Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n${host.swaps ?? ''}`,
  };
  return fixed[words] === undefined ? undefined : said(fixed[words]);
}

function gather(host: Host, part: ReturnType<typeof deviceUse>): Promise<Use> {
  return new Round(target(host), Date.now() + 5000).gather(part);
}

async function device(number: string, host: Host): Promise<Pick<Use, 'users' | 'gaps'>> {
  const { users, gaps } = await gather(host, deviceUse(number));
  return { users, gaps };
}

async function file(host: Host, path = IMAGE): Promise<Pick<Use, 'users' | 'gaps'>> {
  const { users, gaps } = await gather({ ...host, files: { [IMAGE]: '81a4 2304 7 0:0', ...host.files } }, fileUse(path));
  return { users, gaps };
}

const examined = (claim: Claim, host: Host = {}) =>
  new Round(target({ ...host, files: { [IMAGE]: '81a4 2304 7 0:0', ...host.files } }), Date.now() + 5000).gather(examine(claim));

const NONE = { users: [], gaps: [] };
const opened = (descriptor: number) => ({ kind: 'descriptor', pid: 12, name: 'qemu-system-x86', descriptor });

describe('device-unused, file-unused', () => {
  it('hold where everybody was looked at and nobody uses it', async () => {
    expect(await examined(deviceUnused({ device: '8:16' }))).toEqual({ holds: true });
    expect(await examined(fileUnused({ path: IMAGE }))).toEqual({ holds: true });
  });

  it('name the users, and what could not be looked at', async () => {
    const host: Host = {
      table: '9 1 8:16 / /mnt/x rw - ext4 /dev/sdb rw\n',
      elsewhere: { 30: '90 1 8:16 / /mnt/y rw - ext4 /dev/sdb rw\n' },
      open: { '12 5': { to: '/dev/sdb', mount: 2, is: NODES['/dev/sdb'] as string } },
      errors:
        "find: '/proc/1/fd/0': Permission denied\nfind: '/proc/1/fd/1': Permission denied\nfind: '/proc/99/fd': No such file or directory\n",
    };
    expect(await examined(deviceUnused({ device: '8:16' }), host)).toEqual({
      holds: false,
      expected: 'nobody using device 8:16',
      found:
        'mounted at /mnt/x (in this namespace); mounted at /mnt/y (in the mount namespace of process 30); ' +
        'qemu-system-x86 (pid 12, fd 5); could not look at: process 1: Permission denied',
    });
  });

  it('do not hold where nobody is seen and something could not be looked at', async () => {
    const errors = "find: '/proc/1/fd': Permission denied\n";
    const found = 'could not look at: process 1: Permission denied';
    expect(await examined(deviceUnused({ device: '8:16' }), { errors })).toMatchObject({ holds: false, found });
    expect(await examined(fileUnused({ path: IMAGE }), { errors })).toMatchObject({ holds: false, found });
  });

  it.each([
    ['find /proc/self/ns/mnt', timedOut()],
    ['find /proc/self/ns/mnt', absent('find is not installed')],
    ['find /proc/self/ns/mnt', said('')],
    ['find /proc/self/ns/mnt', said('garbage')],
    ['/proc/[0-9]+/maps', said('', 127)],
    ['/proc/[0-9]+/maps', timedOut()],
    ['/proc/[0-9]+/cmdline', timedOut()],
    ['find /sys/dev/block /dev', timedOut()],
    ['find /sys/dev/block /dev', said('')],
    ['find /sys/dev/block/', timedOut()],
    ['/proc/swaps', absent()],
    ['/proc/2/mountinfo', absent()],
    ['/proc/2/mountinfo', said('')],
    ['/proc/2/mountinfo', said('1 0 9:0 / / rw - ext4 /dev/ro')],
    ['/proc/2/comm', absent()],
    ['/proc/self/mountinfo', absent()],
  ])('do not hold where %s is not answered', async (start, answer) => {
    for (const claim of [deviceUnused({ device: '8:16' }), fileUnused({ path: IMAGE })]) {
      expect((await examined(claim, { instead: { [start]: answer } })).holds).toBe(false);
    }
  });

  it('do not hold where what is open or attached could not be asked', async () => {
    const open = { '12 5': { to: '/srv/x', mount: 1 } };
    const loops = { loop0: { path: '/srv/b.img', inode: 8, on: '9:0' } };
    for (const claim of [deviceUnused({ device: '8:16' }), fileUnused({ path: IMAGE })]) {
      expect((await examined(claim, { open, instead: { 'stat -L': timedOut() } })).holds).toBe(false);
      expect((await examined(claim, { loops, instead: { [LOSETUP]: timedOut() } })).holds).toBe(false);
      expect((await examined(claim, { loops, instead: { [LOSETUP]: absent() } })).holds).toBe(false);
      expect((await examined(claim, { loops, files: { '/srv/b.img': '81a4 2304 8 0:0' } })).holds).toBe(true);
    }
  });

  it.each([undefined, null, 5, '', '-delete', '8:16 x', '../../..', { base64: 5 }, { ref: 'x' }, ['8:16'], '9:9'])(
    'are harmless for %j, ask nothing about it, and do not hold',
    async (argument) => {
      for (const claim of [deviceUnused({ device: argument as string }), fileUnused({ path: argument as string })]) {
        const host = target({});
        expect((await new Round(host, Date.now() + 5000).gather(examine(claim))).holds).toBe(false);
        expect(host.asked.map(wordsOf).filter((words) => words.includes('delete'))).toEqual([]);
      }
    },
  );
});

describe('deviceUse', () => {
  it('finds no user of a device that nobody uses', async () => {
    for (const number of ['8:16', '8:0', '8:1', '7:0']) {
      expect(await device(number, {})).toEqual(NONE);
    }
  });

  it('knows names with a slash, which the kernel writes in another way', async () => {
    const blocks = {
      '104:0': '../../devices/pci0000:00/block/cciss!c0d0',
      '104:1': '../../devices/pci0000:00/block/cciss!c0d0/cciss!c0d0p1',
    };
    const kernel = '/sys/fs/xfs/cciss!c0d0p1\0\0/sys/dev/block/104:0/holders/a!b\0../../a!b\0';
    const lines = '/proc/12/cmdline\0x\0/dev/cciss/c0d0p1\0\n';
    expect((await device('104:1', { blocks, kernel, lines })).users).toEqual([
      { kind: 'holder', name: 'a/b', as: 'cciss/c0d0' },
      { kind: 'file-system', at: '/sys/fs/xfs/cciss!c0d0p1' },
      { kind: 'command-line', pid: 12, name: 'qemu-system-x86' },
    ]);
  });

  it('may lie below DRBD', async () => {
    const blocks = { '147:3': '../../devices/virtual/block/drbd3' };
    expect(await device('8:16', { blocks })).toEqual({ users: [], gaps: ['drbd3: what it lies on is not looked at'] });
  });

  it('counts partitions, and the whole disk of a partition', async () => {
    const host: Host = {
      open: { '12 5': { to: '/dev/sda1', mount: 2, is: NODES['/dev/sda1'] as string } },
      kernel: '/sys/dev/block/8:0/holders/md0\0../../md0\0',
    };
    expect((await device('8:1', host)).users).toEqual([{ kind: 'holder', name: 'md0', as: 'sda' }, opened(5)]);
    expect((await device('8:0', host)).users).toEqual([
      { kind: 'holder', name: 'md0' },
      { ...opened(5), as: 'sda1' },
    ]);
    expect((await device('8:16', host)).users).toEqual([]);
  });

  it('knows a device by its number, whatever its node is called', async () => {
    const open = {
      '12 5': { to: '/srv/node (deleted)', mount: 1, is: '61b0 2304 77 8:10' },
      '12 6': { to: '/srv/file', mount: 1, is: '81a4 2304 78 0:0' },
    };
    expect(await device('8:16', { open })).toEqual({ users: [opened(5)], gaps: [] });
  });

  it.each([
    ['8:16 / /m rw - xfs /dev/x rw', '8:16'],
    ['0:50 /@ /m rw - btrfs /dev/sdb rw,subvol=/@', '8:16'],
    ['9:0 / /m rw - xfs /dev/x rw,attr2,logdev=/dev/sdb,noquota', '8:16'],
    ['9:0 / /m rw - xfs /dev/x rw,rtdev=/dev/vg/lv', '253:0'],
  ])('is mounted where a table says %s', async (line, number) => {
    const { users } = await device(number, { table: `9 1 ${line}\n`, dmsetup: said('vg-lv:1\n') });
    expect(users).toEqual([{ kind: 'mount', point: '/m', pid: null }]);
  });

  it.each([
    ['/sys/fs/xfs/sdb\0\0', '/sys/fs/xfs/sdb'],
    ['/proc/fs/jbd2/sdb-8\0\0', '/proc/fs/jbd2/sdb-8'],
    ['/sys/fs/btrfs/0f1e/devices/sdb\0../../../../devices/pci0000:00/block/sdb\0', '/sys/fs/btrfs/0f1e/devices/sdb'],
    ['/sys/fs/bcachefs/0f1e/dev-0/block\0../../../../devices/pci0000:00/block/sdb\0', '/sys/fs/bcachefs/0f1e/dev-0/block'],
  ])('carries a living file system where there is %j', async (kernel, at) => {
    expect(await device('8:16', { kernel })).toEqual({ users: [{ kind: 'file-system', at }], gaps: [] });
    expect(await device('8:0', { kernel })).toEqual(NONE);
  });

  it('knows swap, exports and loop devices by any of its names', async () => {
    const host: Host = {
      swaps: '/dev/dm-0                              partition\t65532\t\t0\t\t-2\n',
      kernel: '/sys/kernel/config/target/core/iblock_0/d/udev_path\0/dev/vg/lv\n',
      loops: { loop0: { path: '/dev/dm-0', inode: 93, on: '0:6' } },
      lines: '/proc/12/cmdline\0qemu\0file=/dev/vg/lv,if=none\0\n',
      maps: '/proc/12/maps: 00:06 93\n/proc/12/maps: 00:06 92\n',
      dmsetup: said('vg-lv:4\n'),
    };
    expect(await device('253:0', host)).toEqual({
      users: [
        { kind: 'map', pid: 12, name: 'qemu-system-x86' },
        { kind: 'command-line', pid: 12, name: 'qemu-system-x86' },
        { kind: 'swap' },
        { kind: 'export', by: '/sys/kernel/config/target/core/iblock_0/d/udev_path' },
        { kind: 'loop', node: '/dev/loop0' },
      ],
      gaps: [],
    });
    expect(await device('8:0', host)).toEqual(NONE);
  });

  it('takes what device-mapper counts, where nobody is seen', async () => {
    expect(await device('253:0', { dmsetup: said('vg-lv:0\n') })).toEqual(NONE);
    expect(await device('253:0', { dmsetup: said('vg-lv:2\n') })).toEqual({ users: [{ kind: 'open-count', count: 2 }], gaps: [] });
    const gap = (why: string) => ({ users: [], gaps: [`how many have device 253:0 open: ${why}`] });
    expect(await device('253:0', { dmsetup: absent('dmsetup is not installed') })).toEqual(gap('dmsetup is not installed'));
    expect(await device('253:0', { dmsetup: said('', 1, 'Device does not exist.\n') })).toEqual(gap('exit code 1: Device does not exist.'));
    expect(await device('253:0', { dmsetup: said('') })).toEqual(gap('unknown format'));
  });

  it('follows no descriptor that may hang; it may be a node where the mount allows them', async () => {
    const host: Host = {
      table: NFS + SSHFS,
      open: { '12 5': { to: '/net/a', mount: 5, inode: '7' }, '12 6': { to: '/ssh/a', mount: 6, inode: '8' } },
    };
    const asked = target(host);
    const { users, gaps } = await new Round(asked, Date.now() + 5000).gather(deviceUse('8:16'));
    expect([users, gaps]).toEqual([[], ['files open on /net (nfs4): following them may hang']]);
    expect(asked.asked.map(wordsOf).filter((words) => words.startsWith('stat'))).toEqual([]);
  });

  it('follows those on an overlay whose layers cannot hang', async () => {
    const overlay = (lower: string) => `9 1 0:60 / /c rw - overlay overlay rw,lowerdir=/l1:${lower},upperdir=/u,workdir=/w\n`;
    const open = { '12 5': { to: '/c/node', mount: 9, is: '61b0 60 77 8:10' } };
    expect((await device('8:16', { table: SSHFS + overlay('/l2'), open })).users).toEqual([opened(5)]);
    for (const lower of ['/ssh/l2', 'l/relative']) {
      expect(await device('8:16', { table: SSHFS + overlay(lower), open })).toEqual({
        users: [],
        gaps: ['files open on /c (overlay): following them may hang'],
      });
    }
  });

  it('cannot know a file on a mount that no table lists', async () => {
    const open = {
      '12 5': { to: '/x', mount: 99 },
      '12 6': { to: '/memfd:x (deleted)', mount: 98 },
      '12 7': { to: '/proc/7/stat', mount: 4 },
    };
    expect((await device('8:16', { open })).gaps).toEqual(['process 12: fd 5, /x, lies on a mount that no table lists']);
  });

  it('may be below a loop device on something deleted only where the sizes agree', async () => {
    const loop = (sectors: number) => ({ loops: { loop0: { path: '/dev/x (deleted)', inode: 5, on: '9:0', sectors } } });
    expect(await device('8:16', loop(8191))).toEqual(NONE);
    expect(await device('7:0', loop(512))).toEqual(NONE);
    expect((await device('8:16', loop(8192))).gaps).toEqual(['/dev/loop0 on /dev/x (deleted): not known whether that is a node of sdb']);
  });

  it.each([
    ['/proc/spl/kstat/zfs/rpool\0\0', 'ZFS pool rpool: what it lies on is not looked at'],
    [
      '/sys/kernel/config/nvmet/subsystems/n/namespaces/1/device_path\0/srv/gone\n',
      '/srv/gone, which /sys/kernel/config/nvmet/subsystems/n/namespaces/1/device_path serves: not known what it is',
    ],
  ])('may be used by who is not looked at: %j', async (kernel, gap) => {
    expect(await device('8:16', { kernel })).toEqual({ users: [], gaps: [gap] });
  });

  it('may be swap where it is not known what swap lies on', async () => {
    expect((await device('8:16', { swaps: '/old\\040node\\040(deleted)   partition  1 0 -2\n' })).gaps).toEqual([
      'swap on /old node (deleted): not known which device that is',
    ]);
  });

  it('may be mounted in a namespace that cannot be listed', async () => {
    const nsfs = '9 1 0:4 mnt:[77] /run/ns rw - nsfs nsfs rw\n';
    expect((await device('8:16', { table: nsfs })).gaps).toEqual(['mount namespace mnt:[77]: no process is in it']);
    expect((await device('8:16', { table: nsfs, elsewhere: { 77: ROOT } })).gaps).toEqual([]);
    expect((await device('8:16', { links: '/proc/12/fd/3\0mnt:[77]\0' })).gaps).toEqual(['mount namespace mnt:[77]: no process is in it']);
    const jailed = { links: '/proc/30/root\0/jail\0/proc/30/ns/mnt\0mnt:[30]\0', instead: { '/proc/30/mountinfo': said(ROOT) } };
    expect((await device('8:16', jailed)).gaps).toEqual(['mount namespace of process 30: seen only from below another root']);
    const whole = {
      links: `${jailed.links}/proc/31/root\0/\0/proc/31/ns/mnt\0mnt:[30]\0`,
      instead: { ...jailed.instead, '/proc/31/mountinfo': said(`${ROOT}9 1 8:16 / /m rw - xfs /dev/sdb rw\n`) },
    };
    expect(await device('8:16', whole)).toEqual({ users: [{ kind: 'mount', point: '/m', pid: 31 }], gaps: [] });
    expect((await device('8:16', { links: '/proc/40/task/41/ns/mnt\0mnt:[1]\0' })).gaps).toEqual([
      'process 40: only some of its threads are left, and what they hold is not listed',
    ]);
  });
});

describe('fileUse', () => {
  it('finds no user of a file that nobody uses, beside others that are used', async () => {
    const host: Host = {
      open: { '12 5': { to: '/srv/b.img', mount: 1, is: '81a4 2304 8 0:0' }, '12 6': { to: '/tmp/x', mount: 3, is: '81a4 30 7 0:0' } },
      maps: '/proc/12/maps: 09:00 8\n/proc/12/maps: 00:1e 7\n',
      files: { '/srv/b.img': '81a4 2304 8 0:0' },
      loops: { loop0: { path: '/srv/b.img', inode: 8, on: '9:0' } },
      lines: '/proc/12/cmdline\0qemu\0/srv/a.img.bak\0\n',
      swaps: '/srv/b.img  file  65532 0 -2\n',
      kernel: '/sys/kernel/config/target/core/fileio_0/d/udev_path\0/srv/b.img\n',
    };
    expect(await file(host)).toEqual(NONE);
  });

  it('finds all kinds of users, by whatever name they opened it', async () => {
    const host: Host = {
      table: '9 1 0:70 / /m ro - erofs /srv/a.img ro\n',
      open: { '12 5': { to: '/other (deleted)', mount: 1, is: '81a4 2304 7 0:0' } },
      maps: '/proc/12/maps: 09:00 7\n',
      files: { '/srv/link': '81a4 2304 7 0:0' },
      loops: { loop0: { path: '/srv/a.img (deleted)', inode: 7, on: '9:0' } },
      lines: '/proc/12/cmdline\0qemu\0file=/srv/a.img,if=none\0\n',
      swaps: '/srv/link  file  65532 0 -2\n',
      kernel: '/sys/kernel/config/target/core/fileio_0/d/udev_path\0/srv/link\n',
    };
    expect(await file(host)).toEqual({
      users: [
        { kind: 'mount', point: '/m', pid: null },
        opened(5),
        { kind: 'map', pid: 12, name: 'qemu-system-x86' },
        { kind: 'command-line', pid: 12, name: 'qemu-system-x86' },
        { kind: 'swap' },
        { kind: 'export', by: '/sys/kernel/config/target/core/fileio_0/d/udev_path' },
        { kind: 'loop', node: '/dev/loop0' },
      ],
      gaps: [],
    });
  });

  it('on a file system that may hang is known by what the kernel says of its users; others are not seen here', async () => {
    const files = { '/net/a.img': '81a4 64 7 0:0' };
    const gap = '/net (nfs4): who uses the file behind it is not seen here';
    const use = (open: Host['open'], loops: Host['loops'] = {}) => file({ table: NFS, files, ...(open && { open }), loops }, '/net/a.img');
    expect(await use({ '12 5': { to: '/net/other', mount: 5, inode: '7' }, '12 6': { to: '/net/b', mount: 5, inode: '8' } })).toEqual({
      users: [opened(5)],
      gaps: [gap],
    });
    expect(await use({ '12 5': { to: '/net/a.img', mount: 5 }, '12 6': { to: '/net/b', mount: 5 } })).toEqual({
      users: [opened(5)],
      gaps: [gap, 'files open on /net (nfs4): the kernel does not say which'],
    });
    expect(
      await use({}, { loop0: { path: '/net/a.img', inode: 7, on: '0:40' }, loop1: { path: '/net/b.img', inode: 8, on: '0:40' } }),
    ).toEqual({
      users: [{ kind: 'loop', node: '/dev/loop0' }],
      gaps: [gap, '/dev/loop1 on /net/b.img: asking whether that is the same file may hang'],
    });
  });

  it('asks for no path on a mount that may hang but its own', async () => {
    const host = target({
      table: SSHFS,
      files: { [IMAGE]: '81a4 2304 7 0:0' },
      swaps: '/ssh/swap  partition  1 0 -2\n',
      loops: { loop0: { path: '/ssh/a.img', inode: 8, on: '0:41' }, loop1: { path: '/srv/b.img', inode: 8, on: '9:0' } },
    });
    await new Round(host, Date.now() + 5000).gather(fileUse(IMAGE));
    const asked = host.asked.map(wordsOf);
    expect(asked.filter((words) => words.startsWith('stat') && words.includes('/ssh'))).toEqual([]);
    expect(asked.filter((words) => words.startsWith('losetup'))).toEqual([`${LOSETUP} /dev/loop1`]);
  });

  it('is known by the number of its mount too, where its own is another one', async () => {
    const host = {
      table: '9 1 0:50 / /b rw - btrfs /dev/sdb rw\n',
      files: { '/b/a.img': '81a4 51 7 0:0' },
      maps: '/proc/12/maps: 00:32 7\n',
    };
    expect(await file(host, '/b/a.img')).toEqual({ users: [{ kind: 'map', pid: 12, name: 'qemu-system-x86' }], gaps: [] });
  });

  it('on an overlay may be used in its layers', async () => {
    const host = {
      table: '9 1 0:60 / /c rw - overlay overlay rw,lowerdir=/l,upperdir=/u,workdir=/w\n',
      files: { '/c/a.img': '81a4 60 7 0:0' },
    };
    expect((await file(host, '/c/a.img')).gaps).toEqual(['/c (overlay): who uses the file in its layers is not looked at']);
  });

  it.each([
    ['a directory', '41ed 2304 7 0:0'],
    ['a node', '61b0 6 90 8:0'],
    ['nothing known', 'garbage'],
  ])('is about files: %s is none', async (_, is) => {
    await expect(file({ files: { [IMAGE]: is } })).rejects.toThrow('/srv/a.img is no file that can be looked at');
  });
});

it('asks about all processes once, however many devices and files are asked about', async () => {
  const host = target({ files: { [IMAGE]: '81a4 2304 7 0:0' }, dmsetup: said('vg-lv:0\n') });
  const round = new Round(host, Date.now() + 5000);
  for (const number of ['8:0', '8:1', '8:16', '7:0', '253:0']) {
    await round.gather(deviceUse(number));
  }
  await round.gather(fileUse(IMAGE));
  const commands = host.asked.filter(({ kind }) => kind === 'run').map((probe) => wordsOf(probe).split(' ').slice(0, 3).join(' '));
  expect(commands.toSorted()).toEqual([
    ...['dmsetup info -c', 'find /proc -mindepth', 'find /proc -mindepth', 'find /proc/self/ns/mnt /proc', 'find /sys/dev/block /dev'],
    ...[expect.stringMatching(/^find \/sys\/dev\/block\/\S+ /), 'realpath -ez --', 'stat -L --printf'],
  ]);
});

it.each([
  ['61b0 6 94 7:0', { type: 'block', on: '0:6', inode: '94', device: '7:0' }],
  ['61b0 6 94 103:10000', { type: 'block', on: '0:6', inode: '94', device: '259:65536' }],
  ['81a4 65024 18446744073709551615 0:0', { type: 'file', on: '254:0', inode: '18446744073709551615' }],
  ['81a4 1048656 1 0:0', { type: 'file', on: '0:336', inode: '1' }],
  ['2190 6 5 1:3', { type: 'other', on: '0:6', inode: '5' }],
  ['', undefined],
  ['61b0 6 94', undefined],
])('parseInode: %j', (text, inode) => {
  expect(parseInode(text)).toEqual(inode);
});
