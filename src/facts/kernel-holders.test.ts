import { expect, it } from 'vitest';
import { fakeTarget, said, wordsOf } from '../../test/fake-target.ts';
import { Round } from '../engine/round.ts';
import { kernelHoldersOf, listKernelHolders } from './kernel-holders.ts';

const TABLE = [
  '1 0 254:0 / / rw - ext4 /dev/vda rw',
  '40 1 0:40 / /mnt/x rw shared:4 - fuse.sshfs h:/x rw',
  '41 40 0:41 / /mnt/x/inner rw - tmpfs t rw',
  '42 1 0:42 / /mnt/o rw - overlay ov ro,lowerdir=/mnt/x/layer:/srv/b',
].join('\n');

async function holders(answers: Record<string, string>) {
  const target = fakeTarget((probe) => {
    const words = wordsOf(probe);
    const key = Object.keys(answers).find((each) => words.startsWith(each));
    return words === '/proc/self/mountinfo' ? said(`${TABLE}\n`) : key === undefined ? undefined : said(answers[key] as string);
  });
  const byPoint = await new Round(target, Date.now() + 5000).gather(kernelHoldersOf(['/mnt/x', '/mnt/xy']));
  expect(byPoint.get('/mnt/xy')).toEqual([]);
  return listKernelHolders(byPoint.get('/mnt/x') ?? []);
}

it('names what in the kernel uses a mount', async () => {
  expect(
    await holders({
      'losetup --list':
        '{"loopdevices": [{"name":"/dev/loop1", "back-file":"/mnt/x/a.img"}, {"name":"/dev/loop2", "back-file":"/mnt/xyz"}]}',
      '/proc/swaps': 'Filename\tType\tSize\tUsed\tPriority\n/mnt/x/swap\\040file file\t\t1024\t\t0\t\t-2\n',
      '/proc/meminfo': 'MemAvailable: 1 kB\nSwapTotal: 1024 kB\n',
      'readlink /proc/self/ns/mnt': 'mnt:[1]\n',
      'find /proc': '/proc/5/ns/mnt mnt:[1]\n/proc/7/ns/mnt mnt:[2]\n/proc/8/ns/mnt mnt:[3]\n',
      '/proc/7/mountinfo': '9 1 0:40 / /mnt/x rw - fuse.sshfs h:/x rw\n',
      '/proc/8/mountinfo': '9 1 0:40 / /mnt/x rw master:4 - fuse.sshfs h:/x rw\n',
    }),
  ).toBe(
    'loop device /dev/loop1 on /mnt/x/a.img, swap file /mnt/x/swap file, the overlay at /mnt/o with its layer /mnt/x/layer, a mount at /mnt/x/inner, the mount namespace of process 7',
  );
});

it('takes what it cannot read for no holder', async () => {
  expect(await holders({ 'losetup --list': '{"loopdevices": [{"name": 3}, null]} x' })).toBe(
    'the overlay at /mnt/o with its layer /mnt/x/layer, a mount at /mnt/x/inner',
  );
});
