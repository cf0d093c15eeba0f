import { describe, expect, it } from 'vitest';
import { randomBytes, randomFrom } from '../../../test/scratch.ts';
import { disksOfQemu, isQemu, nameOfQemu } from './qemu-words.ts';

const images = (...words: string[]) =>
  disksOfQemu(['/usr/bin/qemu-system-x86_64', ...words]).map(({ images }) => [images[0]?.path, images[0]?.format]);

describe('disksOfQemu', () => {
  it('knows -drive, with commas in names', () => {
    expect(
      images('-drive', 'file=/dev/vg0/a,,b,format=raw,if=none,id=d0', '-drive', 'id=x,file.driver=host_device,file.filename=/dev/vg0/c'),
    ).toEqual([
      ['/dev/vg0/a,b', 'raw'],
      ['/dev/vg0/c', undefined],
    ]);
    expect(images('-drive', 'file=json:{"driver":"qcow2"},,', '-drive', 'file=nbd://h/x', '-drive', 'if=none', '-drive')).toEqual([]);
  });

  it('knows -blockdev, both ways, with the format of the node above', () => {
    expect(
      images(
        '-blockdev',
        '{"driver":"host_device","filename":"/dev/vg0/caf\xc3\xa9","node-name":"libvirt-1-storage","auto-read-only":true}',
        '-blockdev',
        '{"node-name":"libvirt-1-format","read-only":false,"driver":"qcow2","file":"libvirt-1-storage","backing":"libvirt-2-format"}',
        '-blockdev',
        'driver=file,filename=/srv/b.img,node-name=b',
        '-blockdev',
        'driver=qcow2,node-name=c,file.driver=file,file.filename=/srv/c.qcow2',
      ),
    ).toEqual([
      ['/dev/vg0/café', 'qcow2'],
      ['/srv/b.img', 'raw'],
      ['/srv/c.qcow2', 'qcow2'],
    ]);
  });

  it('knows the short ones, and qemu-nbd', () => {
    expect(images('-hda', '/dev/vg0/a', '--cdrom', '/iso', '-drive', 'file=/x')).toEqual([
      ['/dev/vg0/a', undefined],
      ['/iso', undefined],
      ['/x', undefined],
    ]);
    const [nbd] = disksOfQemu(['qemu-nbd', '-c', '/dev/nbd0', '-f', 'qcow2', '/dev/vg0/q', '']);
    expect(nbd?.images).toEqual([{ path: '/dev/vg0/q', format: 'qcow2' }]);
  });

  it('takes whatever it is given', () => {
    const random = randomFrom(3);
    const options = ['-drive', '-blockdev', '-hda', '-name'];
    for (let count = 0; count < 2000; count++) {
      const words = Array.from({ length: 4 }, () =>
        random(2) === 0 ? (options[random(4)] as string) : randomBytes(random, 30, '{}",:=/\\'),
      );
      expect(Array.isArray(disksOfQemu(['qemu-nbd', ...words]))).toBe(true);
    }
  });
});

it.each([
  ['/usr/bin/qemu-system-x86_64', true],
  ['/usr/libexec/qemu-kvm', true],
  ['kvm', true],
  ['/usr/local/qemu-4.2.0/bin/qemu-system-x86_64', true],
  ['/usr/bin/qemu-img', false],
  ['/usr/bin/vim', false],
])('%s is qemu: %s', (word, expected) => {
  expect(isQemu([word])).toBe(expected);
});

it.each([
  [['q', '-name', 'guest=web,,1,debug-threads=on'], 'web,1'],
  [['q', '-name', 'plain'], 'plain'],
  [['q', '-name'], undefined],
  [['q'], undefined],
])('%j is called %s', (words, name) => {
  expect(nameOfQemu(words)).toBe(name);
});
