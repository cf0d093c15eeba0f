import { describe, expect, it } from 'vitest';
import { absent, fakeTarget, said, timedOut, wordsOf } from '../../test/fake-target.ts';
import { Round } from '../engine/round.ts';
import { bootFiles, compareVersions, imageContents } from './boot-files.ts';

const round = (answers: Record<string, ReturnType<typeof said>>) =>
  new Round(
    fakeTarget((probe) => answers[wordsOf(probe).split(' ')[0] as string]),
    Date.now() + 5000,
  );

describe('what is in /boot', () => {
  it('is the kernels, the newest first, and the image of each', async () => {
    const names = [
      'vmlinuz-6.1.0-9-amd64',
      'vmlinuz-6.1.0-10-amd64',
      'initrd.img-6.1.0-9-amd64',
      'System.map-6.1',
      'vmlinuz-rescue',
      'vmlinuz-6.1.0-10-amd64.old',
    ];
    const fedora = ['vmlinuz-5.14.0-1.el9.x86_64', 'initramfs-5.14.0-1.el9.x86_64.img'];
    const out = [...names, ...fedora].map((name) => `/boot/${name}\x005\0`).join('');
    const { kernels, images, why } = await round({ find: said(`${out}/dev/null\x000\0`) }).gather(bootFiles());
    expect(kernels).toEqual(['6.1.0-10-amd64', '6.1.0-9-amd64', '5.14.0-1.el9.x86_64']);
    expect([[...images.keys()], why]).toEqual([['6.1.0-9-amd64', '5.14.0-1.el9.x86_64'], undefined]);
  });

  it.each([said(''), said('/boot/vmlinuz-6.1\x005\0'), timedOut()])('is unknown where it did not come whole', async (answer) => {
    expect((await round({ find: answer }).gather(bootFiles())).why).toBeDefined();
  });

  it('goes by the numbers in versions', () => {
    expect(['6.1.0-9', '6.10.0-1', '6.1.0-10', '6.2.0-1'].sort(compareVersions)).toEqual(['6.1.0-9', '6.1.0-10', '6.2.0-1', '6.10.0-1']);
  });
});

describe('what an initramfs holds', () => {
  it('is told by the tool of Debian, else by that of Fedora', async () => {
    expect((await round({ lsinitramfs: said('.\nbin\ninit\nusr/sbin/lvm\n') }).gather(imageContents('/a'))).paths).toContain(
      'usr/sbin/lvm',
    );
    const long = '-rwxr-xr-x   1 root root  9 Jan  1  1970 init\nlrwxrwxrwx 1 root root 7 Jan  1  1970 bin -> usr/bin\n';
    const told = await round({ lsinitrd: said(`Image: /a\n${long}-r-xr-xr-x 1 root root 9 Jan  1  1970 usr/sbin/lvm\n`) }).gather(
      imageContents('/a'),
    );
    expect([told.paths.includes('usr/sbin/lvm'), told.why]).toEqual([true, undefined]);
  });

  it.each([
    ['cut off', said('.\nbin\ninit\nusr/sb')],
    ['empty', said('')],
    ['of another format', said('nothing\n')],
    ['refused', said('', 1, 'Permission denied\n')],
    ['late', timedOut()],
    ['without a tool', absent()],
  ])('is unknown where it is %s', async (_, answer) => {
    expect((await round({ lsinitramfs: answer }).gather(imageContents('/a'))).why).toBeDefined();
  });
});
