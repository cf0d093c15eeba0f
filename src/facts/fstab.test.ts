import { describe, expect, it } from 'vitest';
import { absent, fakeTarget, said } from '../../test/fake-target.ts';
import { Unknown } from '../check/asking.ts';
import type { Answer } from '../check/types.ts';
import { Round } from '../engine/round.ts';
import { fstab, isMountedBySystem, parseFstab } from './fstab.ts';

const gather = (answer: Answer) =>
  new Round(
    fakeTarget(() => answer),
    Number.MAX_SAFE_INTEGER,
  ).gather(fstab());

describe('parseFstab', () => {
  it('knows comments, blanks, quotes and octal escapes', () => {
    const text = [
      '# /etc/fstab: static file system information.',
      '',
      'UUID="0a-b"\t/mnt/a\\040b//c/  ext4   defaults,nofail 0 2 # data',
      '  //nas/share /srv cifs credentials=/root/c',
      'LABEL=x\\134y /mnt/caf\xe9 auto',
      'UUID=1 none swap sw 0 0\r',
    ].join('\n');
    const { lines, strange } = parseFstab(text);
    expect(strange).toEqual([]);
    expect(lines.map(({ number, source, target, fstype, options }) => [number, source, target, fstype, options])).toEqual([
      [3, 'UUID=0a-b', '/mnt/a b/c', 'ext4', ['defaults', 'nofail']],
      [4, '//nas/share', '/srv', 'cifs', ['credentials=/root/c']],
      [5, 'LABEL=x\\y', { base64: Buffer.from('/mnt/caf\xe9', 'latin1').toString('base64') }, 'auto', ['defaults']],
      [6, 'UUID=1', 'none', 'swap', ['sw']],
    ]);
    expect(lines[3]?.text).toBe('UUID=1 none swap sw 0 0');
  });

  it.each(['one', 'a b', '/dev/sda1 mnt ext4 defaults'])('%s is no line', (text) => {
    expect(parseFstab(text)).toEqual({ lines: [], strange: [{ number: 1, text }] });
  });
});

describe('isMountedBySystem', () => {
  it.each([
    ['/dev/a /m ext4', true],
    ['/dev/a / ext4 defaults', true],
    ['h:/x /m nfs _netdev,x-systemd.automount', true],
    ['/s /m none bind', true],
    ['/m/ /m none bind', false],
    ['/m /m none rbind,ro', false],
    ['/dev/a /m ext4 user,noauto', false],
    ['/dev/a none swap sw', false],
    ['/dev/a /m swap sw', false],
    ['/dev/a none ext4 defaults', false],
    ['x /m ignore defaults', false],
    ['x /proc proc remount,hidepid=2', false],
  ])('%s: %s', (line, expected) => {
    const [parsed] = parseFstab(line).lines;
    expect(parsed && isMountedBySystem(parsed)).toBe(expected);
  });
});

describe('fstab', () => {
  it('is whole with the NUL behind it, secrets masked', async () => {
    const { lines, seen } = await gather(said('//h/s /m cifs user=a,password=secret 0 0\n\0'));
    expect(lines[0]).toMatchObject({ options: ['user=a', 'password=********'], text: '//h/s /m cifs user=a,password=******** 0 0' });
    expect(seen.source).toBe('/etc/fstab');
  });

  it('has no lines where there is no such file', async () => {
    expect((await gather(said('', 1, "find: '/etc/fstab': No such file or directory\n"))).lines).toEqual([]);
  });

  it.each([
    ['cut off', said('/dev/a /m ex')],
    ['emptied', said('')],
    ['holding a NUL', said('a\0b\0')],
    ['not readable', said('', 1, "find: '/etc/fstab': Permission denied\n")],
    ['without find', absent()],
  ])('could not tell where it is %s', async (_, answer) => {
    await expect(gather(answer)).rejects.toThrow(Unknown);
  });
});
