import { describe, expect, it } from 'vitest';
import { absent, fakeTarget, said, timedOut } from '../../test/fake-target.ts';
import { randomBytes, randomFrom } from '../../test/scratch.ts';
import { Unknown } from '../check/asking.ts';
import { examine } from '../check/condition.ts';
import { Round } from '../engine/round.ts';
import { fromByteString, toByteString } from '../names.ts';
import {
  claimMount,
  claimPathOn,
  isRootDeleted,
  type Mount,
  mountedAt,
  mountGone,
  mountOf,
  mountTable,
  optionList,
  optionValue,
  parseMountinfo,
  rootBeforeDeletion,
  visibleMounts,
} from './mountinfo.ts';

function one(line: string): Mount {
  return parseMountinfo(`${line}\n`)[0] as Mount;
}

function table(text: string) {
  const mounts = parseMountinfo(text);
  return { mounts, visible: visibleMounts(mounts) };
}

function visibleIds(text: string): number[] {
  return [...table(text).visible].sort((a, b) => a - b);
}

describe('parseMountinfo', () => {
  it('reads all fields of a line', () => {
    const line = '45 27 0:42 /sub /mnt/a rw,nosuid shared:7 master:2 - fuse.sshfs host:/src rw,user_id=1000,group_id=100';
    expect(one(line)).toEqual({
      id: 45,
      parent: 27,
      device: '0:42',
      root: '/sub',
      point: '/mnt/a',
      options: 'rw,nosuid',
      tags: ['shared:7', 'master:2'],
      fstype: 'fuse.sshfs',
      source: 'host:/src',
      superOptions: 'rw,user_id=1000,group_id=100',
      line,
    });
  });

  it.each([0, 1, 2, 3, 4])('takes %i optional fields', (count) => {
    const tags = ['shared:1', 'master:2', 'propagate_from:3', 'unbindable'].slice(0, count);
    const mount = one(['1 0 8:1 / / rw', ...tags, '- ext4 /dev/sda1 rw'].join(' '));
    expect(mount).toMatchObject({ tags, fstype: 'ext4', source: '/dev/sda1', superOptions: 'rw' });
  });

  it('takes an empty source, which shows as two spaces', () => {
    expect(one('9 1 0:9 / /t rw - tmpfs  rw,size=4k')).toMatchObject({ fstype: 'tmpfs', source: '', superOptions: 'rw,size=4k' });
  });

  it('keeps a mount point that is called "-"', () => {
    expect(one('9 1 0:9 / /- rw - tmpfs - rw')).toMatchObject({ point: '/-', source: '-', fstype: 'tmpfs' });
  });

  it('undoes octal escapes in one pass', () => {
    expect(one('9 1 0:9 / /a\\040b\\011c\\012d\\134e rw - tmpfs x rw').point).toBe('/a b\tc\nd\\e');
    expect(one('9 1 0:9 / /a\\134040 rw - tmpfs \\043x rw')).toMatchObject({ point: '/a\\040', source: '#x' });
    expect(one('9 1 0:9 /r\\040r /a rw - tmpfs x rw').root).toBe('/r r');
  });

  it('carries names that are not UTF-8 as base64', () => {
    const mount = one('9 1 0:9 /\xfe /caf\xe9 rw - tmpfs \xff rw');
    expect(mount.point).toEqual({ base64: Buffer.from('/caf\xe9', 'latin1').toString('base64') });
    expect(mount.root).toEqual({ base64: Buffer.from('/\xfe', 'latin1').toString('base64') });
    expect(mount.source).toEqual({ base64: Buffer.from('\xff', 'latin1').toString('base64') });
  });

  it('reads UTF-8 names as text', () => {
    const line = Buffer.from('9 1 0:9 / /mnt/日本é rw - tmpfs quéll rw', 'utf8').toString('latin1');
    expect(one(line)).toMatchObject({ point: '/mnt/日本é', source: 'quéll' });
  });

  // The kernel escapes blank, tab, newline and backslash only; as text, 0xa0 (second byte of à) and 0x85 count as blanks.
  it.each(['/voil\xc3\xa0', '/a\rb', '/a\x0bb', '/a\x0cb', '/a\x85b', '/a\x01\x1b[31m'])(
    'takes bytes that only text calls blanks: %j',
    (point) => {
      const line = `9 1 0:9 ${point} ${point} rw - tmpfs ${point} rw`;
      expect([one(line).root, one(line).point, one(line).source].map(toByteString)).toEqual([point, point, point]);
    },
  );

  it('reads roots that are no paths, as those of nsfs', () => {
    expect(one('9 1 0:4 net:[4026532] /run/netns/x rw - nsfs nsfs rw').root).toBe('net:[4026532]');
  });

  it.each([
    ['', /empty/],
    ['1 0 8:1 / / rw - ext4 /dev/sda1 rw', /middle of a line/],
    ['1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 8:2 / /b rw - ext4 /de', /middle of a line/],
    ['\n', /known format/],
    ['1 0 8:1 / / rw - ext4 /dev/sda1 rw\n\n', /known format/],
    ['1 0 8:1 / / rw - ext4 /dev/sda1\n', /known format/],
    ['1 0 8:1 / / rw - \n', /known format/],
    ['1 0 8:1 / / rw ext4 /dev/sda1 rw\n', /known format/],
    ['1 0 8 / / rw - ext4 /dev/sda1 rw\n', /known format/],
    ['1 0 8:1 / relative rw - ext4 /dev/sda1 rw\n', /known format/],
    ['/dev/sda1 on / type ext4 (rw,relatime)\n', /known format/],
    ['{"schema": 1}\n', /known format/],
  ])('does not know %j', (text, why) => {
    expect(() => parseMountinfo(text)).toThrow(Unknown);
    expect(() => parseMountinfo(text)).toThrow(why);
  });

  it('says a broken line in one harmless line', () => {
    expect(() => parseMountinfo('\x1b[2J\x07x\n')).toThrow(/\\e\[2J\\x07x$/);
  });

  it('brings random names back', () => {
    const random = randomFrom(1);
    for (let round = 0; round < 500; round++) {
      const name = () => `/${randomBytes(random, 12).replaceAll('/', '_')}`;
      const [root, point, source] = [name(), name(), randomBytes(random, 8)];
      const tags = ['shared:1', 'master:2', 'propagate_from:3', 'unbindable'].slice(0, random(5));
      const line = [`${round} 1 0:${round}`, mangle(root), mangle(point), 'rw', ...tags, '-', 'fuse.x', mangle(source), 'rw'].join(' ');
      const mount = one(line);
      expect([mount.root, mount.point, mount.source].map(toByteString)).toEqual([root, point, source]);
      expect(mount.tags).toEqual(tags);
    }
  });

  it('throws nothing but Unknown, whatever the bytes', () => {
    const random = randomFrom(2);
    const good = '22 27 0:21 / /proc rw - proc proc rw\n27 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n45 27 0:42 / /m rw - fuse.x  rw\n';
    let refused = 0;
    for (let round = 0; round < 3000; round++) {
      const text = mutate(good, random);
      try {
        const mounts = parseMountinfo(text);
        const visible = visibleMounts(mounts);
        expect(mounts).toHaveLength(text.split('\n').length - 1);
        expect(mountOf({ mounts, visible }, '/m/x/y')?.id ?? 0).not.toBeNaN();
      } catch (error) {
        expect(error).toBeInstanceOf(Unknown);
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(100);
    expect(refused).toBeLessThan(3000);
  });
});

/** As seq_path does: fs/proc_namespace.c, mangle(). */
function mangle(bytes: string): string {
  return bytes.replace(/[ \t\n\\#]/g, (byte) => `\\${byte.charCodeAt(0).toString(8).padStart(3, '0')}`);
}

function mutate(text: string, random: (below: number) => number): string {
  switch (random(5)) {
    case 0:
      return randomBytes(random, 200);
    case 1: {
      const lines = text.split('\n');
      lines.splice(random(lines.length), 1);
      return lines.join('\n');
    }
    case 2:
      return text.slice(0, random(text.length));
    case 3: {
      const at = random(text.length);
      return text.slice(0, at) + randomBytes(random, 3) + text.slice(at + random(3));
    }
    default:
      return text.replace(/\d+/g, (number) => (random(4) === 0 ? String(random(50)) : number));
  }
}

describe('visibleMounts', () => {
  it('sees only the top of a stack', () => {
    expect(
      visibleIds('1 0 8:1 / / rw - ext4 a rw\n2 1 8:2 / /m rw - ext4 b rw\n3 2 8:3 / /m rw - ext4 c rw\n4 3 8:4 / /m rw - ext4 d rw\n'),
    ).toEqual([1, 4]);
  });

  it('does not see a mount below a directory that was mounted over later', () => {
    const text =
      '1 0 8:1 / / rw - ext4 a rw\n2 1 8:2 / /m/a/b rw - ext4 b rw\n3 2 8:3 / /m/a/b/c rw - ext4 c rw\n4 1 8:4 / /m rw - ext4 d rw\n';
    expect(visibleIds(text)).toEqual([1, 4]);
  });

  it('sees what is mounted on the mount that hides others', () => {
    const text = '1 0 8:1 / / rw - ext4 a rw\n2 1 8:2 / /m/a rw - ext4 b rw\n4 1 8:4 / /m rw - ext4 d rw\n5 4 8:5 / /m/a rw - ext4 e rw\n';
    expect(visibleIds(text)).toEqual([1, 4, 5]);
  });

  it('does not mistake a longer name for a place below', () => {
    expect(visibleIds('1 0 8:1 / / rw - ext4 a rw\n2 1 8:2 / /m/ab rw - ext4 b rw\n4 1 8:4 / /m/a rw - ext4 d rw\n')).toEqual([1, 2, 4]);
  });

  it('sees all where the root is its own parent, as the rootfs of an initramfs is', () => {
    const text = '1 1 0:2 / / rw - rootfs rootfs rw\n20 1 0:20 / /proc rw - proc proc rw\n21 20 0:21 / /proc/x rw - proc proc rw\n';
    expect(visibleIds(text)).toEqual([1, 20, 21]);
  });

  it('sees the root file system and not the rootfs below it', () => {
    const text =
      '1 1 0:2 / / rw - rootfs rootfs rw\n20 1 0:20 / /early rw - tmpfs t rw\n27 1 8:1 / / rw - ext4 a rw\n28 27 0:21 / /proc rw - proc proc rw\n';
    expect(visibleIds(text)).toEqual([27, 28]);
  });

  it('sees mounts whose parent lies outside of this root', () => {
    expect(visibleIds('27 1 8:1 / / rw - ext4 a rw\n28 27 0:21 / /proc rw - proc proc rw\n40 39 0:9 / /x rw - tmpfs t rw\n')).toEqual([
      27, 28, 40,
    ]);
  });

  it('ends where the table goes in a circle', () => {
    expect(() => visibleIds('1 2 8:1 / /a rw - ext4 a rw\n2 1 8:2 / /a/b rw - ext4 b rw\n')).not.toThrow();
  });

  it('takes very long chains', () => {
    let text = '1 0 8:1 / / rw - ext4 a rw\n';
    for (let id = 2; id <= 30_000; id++) {
      text += `${id} ${id - 1} 0:${id} / /m rw - tmpfs t rw\n`;
    }
    // The deepest first: nothing is known of those above it.
    const mounts = parseMountinfo(text).reverse();
    expect([...visibleMounts(mounts)].sort((a, b) => a - b)).toEqual([1, 30_000]);
  });
});

describe('mountOf', () => {
  const text =
    '1 0 8:1 / / rw - ext4 a rw\n2 1 8:2 / /m rw - ext4 b rw\n3 2 8:3 / /m rw - ext4 c rw\n5 3 8:5 / /m/n\\040o rw - ext4 e rw\n6 1 8:6 / /caf\xe9 rw - ext4 f rw\n';

  it.each([
    ['/', 1],
    ['/x/y', 1],
    ['/mm', 1],
    ['/m', 3],
    ['/m/', 3],
    ['/m/x', 3],
    ['/m/n o', 5],
    ['/m/n o/p/q', 5],
    ['/m/n', 3],
  ])('finds what %j lies on', (path, id) => {
    expect(mountOf(table(text), path)?.id).toBe(id);
  });

  it('compares bytes', () => {
    expect(mountOf(table(text), fromByteString('/caf\xe9/x'))?.id).toBe(6);
    expect(mountOf(table(text), '/café/x')?.id).toBe(1);
  });

  it('finds nothing in an empty table', () => {
    expect(mountOf({ mounts: [], visible: new Set() }, '/a')).toBeUndefined();
  });
});

describe('options', () => {
  it('keeps escaped commas together', () => {
    const { superOptions } = one('9 1 0:9 / /o rw - overlay overlay rw,lowerdir=l\\134:c\\134\\054d:/x,upperdir=/u,workdir=/w');
    expect(optionList(superOptions)).toEqual(['rw', 'lowerdir=l\\:c\\,d:/x', 'upperdir=/u', 'workdir=/w']);
    expect(optionValue(superOptions, 'lowerdir')).toBe('l\\:c\\,d:/x');
    expect(optionValue(superOptions, 'dir')).toBeUndefined();
  });

  it('tells an empty value from none', () => {
    expect(optionValue('rw,a=,b', 'a')).toBe('');
    expect(optionValue('rw,a=,b', 'b')).toBeUndefined();
  });

  it('knows a deleted root by its double slash', () => {
    expect(isRootDeleted(one('9 1 0:9 /srv/a//deleted /a rw - ext4 x rw'))).toBe(true);
    expect(isRootDeleted(one('9 1 0:9 /srv/a/deleted /a rw - ext4 x rw'))).toBe(false);
    expect(rootBeforeDeletion(one('9 1 0:9 /srv/a/deleted//deleted /a rw - ext4 x rw'))).toBe('/srv/a/deleted');
  });
});

describe('mountTable and its conditions', () => {
  const text = '1 0 8:1 / / rw - ext4 a rw\n2 1 8:2 / /m rw - ext4 b rw\n3 2 0:3 / /m rw - fuse.x c rw\n';
  const round = (answer = said(text)) =>
    new Round(
      fakeTarget(() => answer),
      Date.now() + 5000,
    );

  it.each([said(''), said(text, 1), absent(), timedOut(text)])('does not know a table that was not read whole', async (answer) => {
    await expect(round(answer).gather(mountTable())).rejects.toThrow(Unknown);
  });

  it('recognises the mount that was diagnosed', async () => {
    const [, below, top] = parseMountinfo(text) as [Mount, Mount, Mount];
    expect(await round().gather(examine(claimMount(top)))).toEqual({ holds: true });
    expect(await round().gather(examine(claimMount(below)))).toEqual({
      holds: false,
      expected: 'mount 2 (ext4, b, device 8:2) at /m',
      found: 'mount 3 (fuse.x, c, device 0:3) over it',
    });
    for (const changed of [{ device: '0:4' }, { fstype: 'fuse.y' }, { source: 'd' }, { root: '/r' }, { point: '/n' }, { id: 9 }]) {
      expect(await round().gather(examine(claimMount({ ...top, ...changed })))).toMatchObject({ holds: false });
    }
    expect(await round(said('')).gather(examine(claimMount(top)))).toMatchObject({ holds: false });
  });

  it('sees that a mount is gone, and not where the table could not be read', async () => {
    const gone = (id: number) => examine(mountGone({ id, device: '0:3', point: '/m' }));
    expect(await round().gather(gone(3))).toMatchObject({ holds: false });
    expect(await round().gather(gone(4))).toEqual({ holds: true });
    expect(await round(said('')).gather(gone(4))).toMatchObject({ holds: false });
  });

  it('names the mount then and the mount now', async () => {
    const before = one('38 1 0:38 / /m rw - fuse.sshfs host:/x rw');
    const now = (lines: string) => round(said(`1 0 8:1 / / rw - ext4 a rw\n${lines}`)).gather(examine(claimMount(before)));
    const expected = 'mount 38 (fuse.sshfs, host:/x, device 0:38) at /m';
    expect(await now('')).toEqual({ holds: false, expected, found: 'nothing mounted there' });
    expect(await now('52 1 0:44 / /m rw - fuse.sshfs host:/x rw\n')).toMatchObject({
      expected,
      found: 'mount 52 (fuse.sshfs, host:/x, device 0:44) there',
    });
    expect(await now('38 1 0:38 / /moved rw - fuse.sshfs host:/x rw\n')).toMatchObject({
      found: 'it at /moved, and nothing mounted there',
    });
    expect(await now('38 1 8:3 /sub /m rw - ext4 b rw\n')).toMatchObject({ found: 'mount 38 (ext4, b, device 8:3, root /sub) there' });
    const deep = one('38 1 0:38 / /a/m rw - nfs h:/x rw');
    const covered = `1 0 8:1 / / rw - ext4 a rw\n${deep.line}\n40 1 0:40 / /a rw - tmpfs t rw\n`;
    expect(await round(said(covered)).gather(examine(claimMount(deep)))).toMatchObject({ found: 'another mount over the way there' });
  });

  it('sees what is mounted on top', async () => {
    const top = { point: '/m', fstype: 'fuse.x', device: '0:3', root: '/', options: 'rw' };
    const at = (changed: Partial<typeof top>) => examine(mountedAt({ ...top, ...changed }));
    expect(await round().gather(at({}))).toEqual({ holds: true });
    expect(await round().gather(at({ point: '/n' }))).toMatchObject({ holds: false, found: 'nothing mounted there' });
    for (const changed of [{ fstype: 'ext4' }, { device: '8:2' }, { root: '/r' }, { options: 'ro' }]) {
      expect(await round().gather(at(changed))).toMatchObject({ holds: false, found: 'mount 3 (fuse.x, c, device 0:3) there (rw)' });
    }
  });
});

describe('claimPathOn', () => {
  const ROOT = '1 0 8:1 / / rw - ext4 /dev/sda1 rw\n';
  const DEAD = '38 1 0:38 / /m rw - fuse.sshfs host:/x rw\n';
  const later = (text: string, claim: ReturnType<typeof claimPathOn>) =>
    new Round(
      fakeTarget(() => said(text)),
      Date.now() + 5000,
    ).gather(examine(claim));
  const without = (text: string, id: number) => {
    const now = table(text);
    const mount = now.mounts.find((each) => each.id === id) as Mount;
    return claimPathOn(now, mount.point, mount);
  };

  it('holds once the mount is gone, and not before', async () => {
    const claim = without(ROOT + DEAD, 38);
    expect(await later(ROOT, claim)).toEqual({ holds: true });
    expect(await later(ROOT + DEAD, claim)).toEqual({
      holds: false,
      expected: 'nothing mounted at /m',
      found: 'mount 38 (fuse.sshfs, host:/x, device 0:38) at /m',
    });
    expect((await later('', claim)).holds).toBe(false);
  });

  it('does not hold where another mount took the place', async () => {
    expect(await later(`${ROOT}52 1 0:44 / /m rw - fuse.sshfs host:/x rw\n`, without(ROOT + DEAD, 38))).toEqual({
      holds: false,
      expected: 'nothing mounted at /m',
      found: 'mount 52 (fuse.sshfs, host:/x, device 0:44) at /m',
    });
  });

  it('knows the mount below by what it is, under any id and anonymous device', async () => {
    const claim = without(`${ROOT}30 1 0:30 / /m rw - autofs systemd-1 rw\n38 30 0:38 / /m rw - nfs h:/x rw\n`, 38);
    expect(await later(`${ROOT}71 1 0:71 / /m rw - autofs systemd-1 rw\n`, claim)).toEqual({ holds: true });
    expect(await later(`${ROOT}71 1 0:71 / /m rw - tmpfs systemd-1 rw\n`, claim)).toMatchObject({
      expected: '/m on autofs of systemd-1',
      found: 'mount 71 (tmpfs, systemd-1, device 0:71) at /m',
    });
    expect(await later(ROOT, claim)).toMatchObject({
      expected: '/m on autofs of systemd-1',
      found: 'mount 1 (ext4, /dev/sda1, device 8:1) at /',
    });
  });

  it('is not fooled by a second one of the same kind', async () => {
    const claim = without(`${ROOT}30 1 0:30 / /m rw - tmpfs t rw\n38 30 0:38 / /m rw - nfs h:/x rw\n`, 38);
    const twice = `${ROOT}30 1 0:30 / /m rw - tmpfs t rw\n39 30 0:39 / /m rw - tmpfs t rw\n`;
    expect(await later(twice, claim)).toEqual({ holds: false, expected: '1 mounts at /m', found: '2' });
  });

  it('sees a mount over the way there, and another disk under it', async () => {
    const deep = `${ROOT}38 1 0:38 / /a/m rw - nfs h:/x rw\n`;
    expect(await later(`${ROOT}40 1 0:40 / /a rw - tmpfs t rw\n`, without(deep, 38))).toEqual({
      holds: false,
      expected: '/a/m on ext4 of /dev/sda1',
      found: 'mount 40 (tmpfs, t, device 0:40) at /a',
    });
    expect((await later('1 0 8:17 / / rw - ext4 /dev/sda1 rw\n', without(deep, 38))).holds).toBe(false);
  });

  it('knows a path that is no mount point', async () => {
    const claim = claimPathOn(table(ROOT), '/srv/a');
    expect(await later(ROOT + DEAD, claim)).toEqual({ holds: true });
    expect(await later(`${ROOT}9 1 0:9 / /srv/a rw - tmpfs t rw\n`, claim)).toMatchObject({ expected: 'nothing mounted at /srv/a' });
    expect((await later(`${ROOT}9 1 0:9 / /srv rw - tmpfs t rw\n`, claim)).holds).toBe(false);
  });

  it('holds where no listed mount stands for the path, then and now', async () => {
    const claim = claimPathOn({ mounts: [], visible: new Set() }, '/a');
    expect(await later('9 1 0:9 / /b rw - tmpfs t rw\n', claim)).toEqual({ holds: true });
    expect((await later(ROOT, claim)).holds).toBe(false);
  });
});
