import { describe, expect, it } from 'vitest';
import { paragraph } from './layout.ts';

const NARROW = { columns: 30, indent: 2, hang: 2 };

describe('a paragraph', () => {
  it('is broken between words, and hangs', () => {
    expect(paragraph('its FUSE daemon is gone; every access fails', NARROW)).toEqual([
      '  its FUSE daemon is gone;',
      '    every access fails',
    ]);
  });

  it('is not broken where nothing is known of a width', () => {
    const long = 'word '.repeat(200).trim();
    expect(paragraph(long, { columns: Number.POSITIVE_INFINITY })).toEqual([long]);
  });

  it('is no wider than can be read, however wide the terminal', () => {
    const widths = paragraph('word '.repeat(200), { columns: 200 }).map(({ length }) => length);
    expect(Math.max(...widths)).toBeLessThanOrEqual(120);
  });

  it('never breaks a long name, a name with spaces, or a command between backquotes', () => {
    const name = `/mnt/${'x'.repeat(300)}`;
    expect(paragraph(`${name}: gone`, NARROW)).toEqual([`  ${name}:`, '    gone']);
    expect(paragraph('the mount /mnt/two words and more is gone', { ...NARROW, keep: ['/mnt/two words and more'] })).toEqual([
      '  the mount',
      '    /mnt/two words and more is',
      '    gone',
    ]);
    expect(paragraph('by hand: `mount -o remount,rw /mnt/a`, then look', NARROW)).toEqual([
      '  by hand:',
      '    `mount -o remount,rw /mnt/a`,',
      '    then look',
    ]);
  });

  it('never breaks a clause that may hold a command, where the text tells what to do', () => {
    const text = 'bring the disk back to its old place, then by hand: mount -t nfs -o rw nas:/export /mnt/a; look again';
    expect(paragraph(text, { ...NARROW, advice: true })).toEqual([
      '  bring the disk back to its',
      '    old place, then by hand:',
      '    mount -t nfs -o rw nas:/export /mnt/a;',
      '    look again',
    ]);
    expect(paragraph('look why with systemctl status mnt-a.mount', { ...NARROW, advice: true })).toHaveLength(1);
    expect(paragraph('they do `umount -c /mnt/a /mnt/b` and wait there', { ...NARROW, advice: true })).toHaveLength(3);
  });

  it('counts columns, not characters', () => {
    expect(paragraph('名名名名名名名名 名名名名', { columns: 22 })).toEqual(['名名名名名名名名', '  名名名名']);
    expect(paragraph('e\u0301'.repeat(18), { columns: 22 })).toHaveLength(1);
  });

  it('shows nothing that a terminal would obey', () => {
    expect(paragraph('a\u001b[31m\nb\u202ec\0d', { columns: 80 })).toEqual(['a\\e[31m\\nb\\u202ec\\x00d']);
  });

  it('goes on where the terminal is narrower than any text', () => {
    expect(paragraph('one two three four five six', { columns: 3, indent: 8 }).length).toBeLessThan(4);
  });
});
