import { describe, expect, it } from 'vitest';
import { absent, fakeTarget, said, timedOut, wordsOf } from '../../test/fake-target.ts';
import type { Answer } from '../check/types.ts';
import { Round } from '../engine/round.ts';
import { space } from './space.ts';

const ROOT = '1 0 254:0 / / rw - ext4 /dev/vda rw\n';

/** Every mount answers; `stat` says this of each mount point: `inodes free blocks usable`. */
function target(table: string, stat: Record<string, string>, whole?: Answer) {
  return fakeTarget((probe) => {
    const words = wordsOf(probe);
    if (words === '/proc/self/mountinfo') {
      return said(ROOT + table);
    }
    if (probe.kind === 'run' && probe.argv[2] === 'find') {
      const paths = probe.argv.slice(3, probe.argv.indexOf('-maxdepth'));
      return said(paths.map((path) => `${path}\0d 4096 2 1 3\0not\0`).join(''));
    }
    if (words.startsWith('stat -f --printf') && probe.kind === 'run') {
      const points = probe.argv.slice(probe.argv.indexOf('--') + 1).map(String);
      const known = points.filter((point) => stat[point] !== undefined);
      return whole ?? said(known.map((point) => `${point}\0${stat[point]}\0`).join(''), known.length < points.length ? 1 : 0, 'stat: x\n');
    }
    return words === 'left-behind' ? said('[]') : undefined;
  });
}

async function look(table: string, stat: Record<string, string>, whole?: Answer) {
  const asked = target(table, stat, whole);
  const found = await new Round(asked, Date.now() + 5000).gather(space());
  return { ...found, asked: asked.asked.map(wordsOf).filter((words) => words.startsWith('stat -f')) };
}

describe('space', () => {
  it('asks one child about local ext and XFS, each once, and about nothing else', async () => {
    const table = [
      '5 1 8:1 / /a\\012b rw - xfs /dev/sda1 rw',
      '6 1 8:1 /sub /bind rw - xfs /dev/sda1 rw',
      '7 1 7:1 / /ro ro - ext4 /dev/loop1 rw',
      '8 1 7:2 / /admin-ro ro - ext4 /dev/loop2 ro',
      '9 1 7:3 / /snap rw - squashfs /dev/loop3 ro',
      '10 1 0:50 / /b rw - btrfs /dev/sdb rw',
      '11 1 0:51 / /tmp rw - tmpfs tmpfs rw',
      '',
    ].join('\n');
    const { spaces, unjudged, asked } = await look(table, { '/': '100 50 1000 500', '/a\nb': '64 0 27876 25569' });
    expect(asked).toEqual(['stat -f --printf %n\\0%c %d %b %a\\0 -- / /a\nb']);
    expect(unjudged).toEqual([]);
    expect(spaces).toMatchObject([
      { mount: { point: '/' }, inodes: 100, freeInodes: 50, blocks: 1000, usableBlocks: 500 },
      { mount: { point: '/a\nb' }, inodes: 64, freeInodes: 0, blocks: 27876, usableBlocks: 25569 },
    ]);
  });

  it('asks about each mounted directory where project quotas are on', async () => {
    const table = '5 1 8:1 / /all rw - xfs /dev/sda1 rw,prjquota\n6 1 8:1 /p1 /p1 rw - xfs /dev/sda1 rw,prjquota\n';
    const { spaces } = await look(table, { '/': '1 1 1 1', '/all': '9 9 9 9', '/p1': '5 0 5 5' });
    expect(spaces.map(({ mount, inodes }) => `${mount.point} ${inodes}`)).toEqual(['/ 1', '/all 9', '/p1 5']);
  });

  it('could not tell of those that were passed over, and goes on with the next', async () => {
    const { spaces, unjudged } = await look('5 1 8:1 / /a rw - xfs x rw\n6 1 8:2 / /b rw - xfs x rw\n', {
      '/': '1 1 1 1',
      '/b': '2 2 2 2',
    });
    expect(spaces.map(({ mount }) => mount.point)).toEqual(['/', '/b']);
    expect(unjudged).toEqual([{ point: '/a', why: 'how much is free on it could not be asked: exit code 1: stat: x' }]);
  });

  it.each([absent(), said(''), said('garbage'), timedOut('/\0' + '1 1 '), said('/\0' + '1 1 1\0')])(
    'could not tell from %j',
    async (answer) => {
      expect(await look('', {}, answer)).toMatchObject({ spaces: [], unjudged: [{ point: '/' }] });
    },
  );

  it('needs few children for many mounts', async () => {
    const many = Array.from({ length: 2000 }, (_, index) => `${index + 5} 1 7:${index} / /m${index} rw - ext4 /dev/loop${index} rw\n`);
    const { spaces, asked } = await look(
      many.join(''),
      Object.fromEntries([['/', '1 1 1 1'], ...many.map((_, index) => [`/m${index}`, '1 1 1 1'])]),
    );
    expect(spaces).toHaveLength(2001);
    expect(asked).toHaveLength(3);
  });
});
