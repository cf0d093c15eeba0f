import { describe, expect, it } from 'vitest';
import { absent, fakeTarget, said, timedOut, wordsOf } from '../../test/fake-target.ts';
import { examine } from '../check/condition.ts';
import type { Answer, Probe } from '../check/types.ts';
import { Round } from '../engine/round.ts';
import { fromByteString, toByteString } from '../names.ts';
import { claimLoop, type LoopDevice, type Loops, loopAttached, missingBytes, mountedLoops, onNoLoop, roomFor, sameBytes } from './loop.ts';

const ROOT = '1 0 254:0 / / rw - ext4 /dev/vda rw\n';
const LOSETUP = 'losetup --list --json -O NAME,BACK-INO,BACK-MAJ:MIN';

function losetup(inode: number, device: string): string {
  return `{\n   "loopdevices": [\n      {"name":"/dev/loop0", "back-ino":${inode}, "back-maj:min":"     ${device}  "}\n   ]\n}\n`;
}

interface World {
  table: string;
  files: Record<string, string | Answer>;
  /** What find prints of a path: `f 4096 99 65024 1`. */
  found?: Record<string, string | Answer>;
}

function loop0(more: Record<string, string | Answer> = {}, base = '/sys/dev/block/7:0'): Record<string, string | Answer> {
  return {
    [`${base}/loop/backing_file`]: '/srv/a.img\n',
    [`${base}/loop/offset`]: '0\n',
    [`${base}/loop/autoclear`]: '1\n',
    [`${base}/size`]: '2048\n',
    [`${base}/dev`]: '7:0\n',
    ...more,
  };
}

function target({ table, files, found = {} }: World) {
  return fakeTarget((probe: Probe) => {
    const words = wordsOf(probe);
    if (words === '/proc/self/mountinfo') {
      return said(ROOT + table);
    }
    if (words === 'left-behind') {
      return said('[]');
    }
    if (probe.kind === 'run' && probe.argv[2] === 'find') {
      let out = '';
      let err = '';
      for (const path of probe.argv.slice(3, probe.argv.indexOf('-maxdepth')).map(toByteString)) {
        const entry = found[path];
        if (entry === undefined) {
          err += `find: '${path}': No such file or directory\n`;
        } else if (typeof entry === 'string') {
          out += `${path}\0${entry}\0not\0`;
        } else {
          return entry;
        }
      }
      return said(out, err === '' ? 0 : 1, err);
    }
    const answer = files[words];
    return typeof answer === 'string' ? said(answer) : answer;
  });
}

function gather(world: World): Promise<Loops> {
  return new Round(target(world), Date.now() + 5000).gather(mountedLoops());
}

const MOUNTED = '40 1 7:0 / /m rw - ext4 /dev/loop0 rw\n';

describe('mountedLoops', () => {
  it('reads a loop device and its file', async () => {
    const { loops, unjudged } = await gather({ table: MOUNTED, files: loop0(), found: { '/srv/a.img': 'f 1048576 99 65024 1' } });
    expect(unjudged).toEqual([]);
    expect(loops).toEqual([
      {
        device: '7:0',
        node: '/dev/loop0',
        backing: '/srv/a.img',
        deleted: false,
        offset: 0,
        size: 1048576,
        autoclear: true,
        seen: expect.objectContaining({ source: '/sys/dev/block/7:0/loop/backing_file' }),
        file: { state: 'found', size: 1048576, inode: 99, device: 65024 },
      },
    ]);
  });

  it('asks once for a device that is mounted twice, and nothing where no loop is mounted', async () => {
    const world = {
      table: `${MOUNTED}41 1 7:0 /sub /n rw - ext4 /dev/loop0 rw\n`,
      files: loop0(),
      found: { '/srv/a.img': 'f 1048576 99 65024 1' },
    };
    expect((await gather(world)).loops).toHaveLength(1);
    expect(await gather({ table: '', files: {} })).toEqual({ loops: [], unjudged: [] });
  });

  it('reads the loop below a partition', async () => {
    const { loops } = await gather({
      table: '40 1 259:3 / /m rw - ext4 /dev/loop0p1 rw\n',
      files: { '/sys/dev/block/259:3/size': '1024\n', ...loop0({}, '/sys/dev/block/259:3/..') },
      found: { '/srv/a.img': 'f 1048576 99 65024 1' },
    });
    // The whole loop counts, not the partition: the file must hold all of it.
    expect(loops).toMatchObject([{ device: '259:3', node: '/dev/loop0', size: 1048576 }]);
  });

  it('tells the loop number by its device number: on a host with partitions /dev/loop1 is 7:16', async () => {
    const { loops } = await gather({
      table: '40 1 7:3 / /m rw - ext4 /dev/loop3 rw\n',
      files: loop0({ '/sys/dev/block/7:3/dev': '7:3\n' }, '/sys/dev/block/7:3'),
      found: { '/srv/a.img': 'f 1048576 99 65024 1' },
    });
    expect(loops[0]?.node).toBe('/dev/loop3');
  });

  it('counts bytes that the file lacks, with offset and sizelimit', async () => {
    const lacking = async (size: number, files: Record<string, string>) => {
      const { loops } = await gather({ table: MOUNTED, files: loop0(files), found: { '/srv/a.img': `f ${size} 99 65024 1` } });
      return missingBytes(loops[0] as Loops['loops'][number]);
    };
    expect(await lacking(1048576, {})).toBe(0);
    expect(await lacking(1048575, {})).toBe(1);
    expect(await lacking(1048576, { '/sys/dev/block/7:0/loop/offset': '4096\n' })).toBe(4096);
    // sizelimit: the device is smaller than the file.
    expect(await lacking(1048576, { '/sys/dev/block/7:0/size': '8\n', '/sys/dev/block/7:0/loop/sizelimit': '4096\n' })).toBe(0);
    expect(await lacking(4095, { '/sys/dev/block/7:0/size': '8\n', '/sys/dev/block/7:0/loop/sizelimit': '4096\n' })).toBe(1);
  });

  const DELETED = loop0({ '/sys/dev/block/7:0/loop/backing_file': '/srv/a.img (deleted)\n', [LOSETUP]: losetup(99, '254:0') });

  it('knows a deleted file, also where another one has its name now', async () => {
    const gone = { deleted: true, backing: '/srv/a.img', file: { state: 'gone' } };
    expect((await gather({ table: MOUNTED, files: DELETED })).loops).toMatchObject([gone]);
    expect((await gather({ table: MOUNTED, files: DELETED, found: { '/srv/a.img': 'f 1048576 77 65024 1' } })).loops).toMatchObject([gone]);
  });

  it('knows a file that is literally named so', async () => {
    const found = { '/srv/a.img (deleted)': 'f 1048576 99 65024 1' };
    expect((await gather({ table: MOUNTED, files: DELETED, found })).loops).toMatchObject([
      { deleted: false, backing: '/srv/a.img (deleted)', file: { state: 'found', size: 1048576 } },
    ]);
  });

  it.each(['f 1048576 98 65024 1', 'f 1048576 99 65025 1'])(
    'is not fooled by another file that is literally named so (%s)',
    async (entry) => {
      const found = { '/srv/a.img (deleted)': entry };
      expect((await gather({ table: MOUNTED, files: DELETED, found })).loops).toMatchObject([{ deleted: true, backing: '/srv/a.img' }]);
    },
  );

  it('takes the marker at its word where losetup does not answer', async () => {
    const found = { '/srv/a.img (deleted)': 'f 1048576 99 65024 1' };
    for (const answer of [
      timedOut(),
      absent(),
      said('garbage'),
      said('{"loopdevices": 7}'),
      said('null'),
      said('{"loopdevices": [null, {}]}'),
    ]) {
      const files = { ...DELETED, [LOSETUP]: answer };
      expect((await gather({ table: MOUNTED, files, found })).loops).toMatchObject([{ deleted: true }]);
    }
  });

  it('packs large device numbers as stat does', async () => {
    // Minor 300 of device-mapper: gnu_dev_makedev(253, 300) is 1113388.
    const files = { ...DELETED, [LOSETUP]: losetup(99, '253:300') };
    const found = { '/srv/a.img (deleted)': 'f 1048576 99 1113388 1' };
    expect((await gather({ table: MOUNTED, files, found })).loops).toMatchObject([{ deleted: false }]);
  });

  it('does not know the size of a file that is gone without the marker, or that does not answer', async () => {
    expect((await gather({ table: MOUNTED, files: loop0() })).loops).toMatchObject([
      { file: { state: 'unknown', why: expect.stringContaining('No such file') } },
    ]);
    const found = { '/srv/a.img': timedOut() };
    expect((await gather({ table: MOUNTED, files: loop0(), found })).loops).toMatchObject([
      { file: { state: 'unknown', why: '/srv/a.img: no answer within 2 s' } },
    ]);
  });

  it('does not ask for a file on an automount', async () => {
    const world = {
      table: `30 1 0:30 / /srv rw - autofs systemd-1 rw\n${MOUNTED}`,
      files: loop0(),
      found: { '/srv/a.img': 'f 1048576 99 65024 1' },
    };
    const asked = target(world);
    const { loops } = await new Round(asked, Date.now() + 5000).gather(mountedLoops());
    expect(loops).toMatchObject([{ file: { state: 'unknown', why: 'it lies on an automount that is not asked' } }]);
    expect(asked.asked.filter((probe) => wordsOf(probe).includes('find'))).toEqual([]);
  });

  it('asks for a file on what the automount has mounted', async () => {
    const table = `30 1 0:30 / /srv rw - autofs systemd-1 rw\n31 30 0:31 / /srv rw - nfs4 h:/srv rw\n${MOUNTED}`;
    const { loops } = await gather({ table, files: loop0(), found: { '/srv/a.img': 'f 1048576 99 65024 1' } });
    expect(loops).toMatchObject([{ file: { state: 'found' } }]);
  });

  it('asks for a file on a mount that may hang alone', async () => {
    const files = {
      ...loop0(),
      ...loop0({ '/sys/dev/block/7:1/loop/backing_file': '/net/b.img\n', '/sys/dev/block/7:1/dev': '7:1\n' }, '/sys/dev/block/7:1'),
    };
    const table = `30 1 0:30 / /net rw - nfs4 h:/net rw\n${MOUNTED}41 1 7:1 / /n rw - ext4 /dev/loop1 rw\n`;
    const { loops } = await gather({ table, files, found: { '/srv/a.img': 'f 1048576 99 65024 1', '/net/b.img': timedOut() } });
    expect(loops.map(({ node, file }) => `${node} ${file.state}`)).toEqual(['/dev/loop0 found', '/dev/loop1 unknown']);
  });

  it('keeps names with newlines and bytes that are not UTF-8', async () => {
    const name = '/srv/caf\xe9\nx\n';
    const files = loop0({ '/sys/dev/block/7:0/loop/backing_file': said(`${name}\n`) });
    const { loops } = await gather({ table: MOUNTED, files, found: { [name]: 'f 1048576 99 65024 1' } });
    expect(loops).toMatchObject([{ backing: fromByteString(name), file: { state: 'found' } }]);
  });

  it.each(['loop/backing_file', 'loop/offset', 'loop/autoclear', 'size', 'dev'])('does not judge a device without %s', async (file) => {
    for (const answer of ['', 'x\n', absent()]) {
      const { loops, unjudged } = await gather({
        table: MOUNTED,
        files: loop0({ [`/sys/dev/block/7:0/${file}`]: answer }),
        found: { x: 'f 1 1 1 1' },
      });
      if (file === 'loop/backing_file' && answer === 'x\n') {
        continue;
      }
      expect(loops).toEqual([]);
      expect(unjudged).toMatchObject([{ device: '7:0' }]);
    }
  });
});

describe('conditions', () => {
  const world: World = {
    table: MOUNTED,
    files: loop0({ '/sys/block/loop0/loop/backing_file': '/srv/a.img\n' }),
    found: { '/srv/a.img': 'f 1048576 99 65024 1' },
  };
  const round = (more: Record<string, Answer> = {}) =>
    new Round(target({ ...world, files: { ...world.files, ...more } }), Date.now() + 5000);

  it('loop-is, mounted or not', async () => {
    const is = { device: '7:0', node: '/dev/loop0', backing: '/srv/a.img', deleted: false, offset: 0, size: 1048576 } as LoopDevice;
    expect(await round().gather(examine(claimLoop(is)))).toEqual({ holds: true });
    const unmounted = new Round(target({ ...world, table: '' }), Date.now() + 5000);
    expect(await unmounted.gather(examine(claimLoop(is)))).toEqual({ holds: true });
    for (const other of [{ node: '/dev/loop1' }, { backing: '/srv/b.img' }, { deleted: true }, { size: 1 }, { offset: 512 }]) {
      expect(await round().gather(examine(claimLoop({ ...is, ...other })))).toMatchObject({
        holds: false,
        found: '/dev/loop0, 1048576 bytes at 0 of /srv/a.img',
      });
    }
    expect(await round().gather(examine(claimLoop({ ...is, device: '7:1' })))).toMatchObject({
      holds: false,
      found: expect.stringContaining('/sys/dev/block/7:1'),
    });
    expect((await round().gather(examine(claimLoop({ ...is, device: '../../x' })))).holds).toBe(false);
  });

  it('loop-attached', async () => {
    expect((await round().gather(examine(loopAttached({ node: '/dev/loop0' })))).holds).toBe(true);
    expect((await round().gather(examine(loopAttached({ node: '/dev/loop1' })))).holds).toBe(false);
    expect((await round().gather(examine(loopAttached({ node: '/dev/../loop0' })))).holds).toBe(false);
  });

  it('on-no-loop', async () => {
    const LIST = 'losetup --list --json -O NAME,BACK-INO,BACK-MAJ:MIN';
    const SYSFS = 'find -L /sys/block -maxdepth 2 ( -path /sys/block -o -path /sys/block/loop*/loop )';
    const gather = (files: Record<string, Answer>) =>
      new Round(target({ ...world, files }), Date.now() + 5000).gather(examine(onNoLoop({ path: '/a.img', device: 65024, inode: 98 })));
    const loop = (inode: number) => said(`{"loopdevices": [{"name":"/dev/loop5", "back-ino":${inode}, "back-maj:min":"     254:0  "}]}`);
    expect(await gather({ [LIST]: loop(97) })).toEqual({ holds: true });
    expect(await gather({ [LIST]: loop(98) })).toEqual({ holds: false, expected: 'no loop device on /a.img', found: '/dev/loop5' });
    expect(await gather({ [LIST]: said(''), [SYSFS]: said('/sys/block\n') })).toEqual({ holds: true });
    for (const files of [{ [LIST]: said('') }, { [LIST]: said(''), [SYSFS]: said('') }, { [LIST]: said('', 1) }, { [LIST]: said('{}') }]) {
      expect((await gather(files as Record<string, Answer>)).holds).toBe(false);
    }
  });

  it('same-bytes', async () => {
    const COMPARED = 'sh -c dd if="$1" iflag=direct bs=4M status=none | cmp -- - "$2" sh /dev/loop0 /b';
    const same = (bytes = 9) => examine(sameBytes({ a: '/dev/loop0', b: '/b', bytes }));
    const look = (answer: Answer, b = 'f 9 98 65024 1') =>
      target({ ...world, files: { [COMPARED]: answer }, found: { '/dev/loop0': 'b 0 97 6 1', '/b': b } });
    const gather = (asked: ReturnType<typeof look>) => new Round(asked, Date.now() + 5000).gather(same());
    expect(await gather(look(said('')))).toEqual({ holds: true });
    expect(await gather(look(said('/a /b differ: byte 1, line 1\n', 1)))).toMatchObject({
      holds: false,
      found: '/a /b differ: byte 1, line 1: somebody may have written meanwhile',
    });
    expect((await gather(look(timedOut()))).holds).toBe(false);
    for (const [type, kind] of Object.entries({ c: 'a character device', p: 'a pipe', l: 'a symbolic link', d: 'a directory' })) {
      const asked = look(said(''), `${type} 9 98 65024 1`);
      expect(await gather(asked)).toMatchObject({ holds: false, found: `/b: ${kind}` });
      expect(asked.asked.some((probe) => wordsOf(probe).includes('cmp'))).toBe(false);
    }
    const endless = look(said(''));
    await new Round(endless, Date.now() + 5000).gather(same(1e18));
    expect(endless.asked.at(-1)?.limitMs).toBeLessThan(2 ** 31);
  });

  it('room-for', async () => {
    const room = (directory: string, bytes: number, notOn: string) => examine(roomFor({ directory, bytes, notOn }));
    const stat = {
      'stat -f -c %a %S -- /r': said('2 4096\n'),
      'stat -f -c %a %S -- /m/r': said('2 4096\n'),
      'stat -f -c %a %S -- /bad': said('x\n'),
    };
    expect((await round(stat).gather(room('/r', 8192, '7:0'))).holds).toBe(true);
    expect((await round(stat).gather(room('/r', 8193, '7:0'))).holds).toBe(false);
    expect((await round(stat).gather(room('/m/r', 1, '7:0'))).holds).toBe(false);
    expect((await round(stat).gather(room('/bad', 1, '7:0'))).holds).toBe(false);
    expect((await round(stat).gather(room('/none', 1, '7:0'))).holds).toBe(false);
  });
});
