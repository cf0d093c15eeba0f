import { describe, expect, it } from 'vitest';
import { fakeTarget, said, timedOut, wordsOf } from '../../test/fake-target.ts';
import type { Answer } from '../check/types.ts';
import { Round } from '../engine/round.ts';
import { isNamed, processesNaming } from './command-lines.ts';

// As `find /proc … -exec grep -aHZ / {} +` prints them.
const QEMU = '/proc/12/cmdline\0qemu-system-x86_64\0-drive\0file=/dev/vg0/vm1,format=raw\0\n';
const TWO_LINES = '/proc/13/cmdline\0sh\0-c\0echo a\n/proc/13/cmdline\0cat /srv/new\n/proc/13/cmdline\0line/a\0\n';

function namers(path: string, lines: string | Answer, parents: Record<string, number> = {}) {
  const target = fakeTarget((probe) => {
    const words = wordsOf(probe);
    if (words.startsWith('find /proc')) {
      return typeof lines === 'string' ? said(lines) : lines;
    }
    const pid = /^\/proc\/(\w+)\/stat$/.exec(words)?.[1]?.replace('self', '900');
    return pid === undefined || parents[pid] === undefined
      ? undefined
      : said(`${pid} (a) b) S ${parents[pid]} 1 1 0 -1 4194560 211 0 0 0 0 0 0 0 20 0 1 0 123456 9187328 900 18446744073709551615`);
  });
  return new Round(target, Date.now() + 5000).gather(processesNaming([path]));
}

describe('processesNaming', () => {
  it('finds who names a path, in a word that holds a newline too', async () => {
    expect(await namers('/dev/vg0/vm1', QEMU + TWO_LINES)).toMatchObject({ pids: [12], gaps: [] });
    expect(await namers('/srv/new\nline/a', QEMU + TWO_LINES)).toMatchObject({ pids: [13], gaps: [] });
    expect(await namers('/dev/vg0', QEMU + TWO_LINES)).toMatchObject({ pids: [12] });
    expect(await namers('/dev/vg0/vm', QEMU + TWO_LINES)).toMatchObject({ pids: [] });
  });

  it('leaves out who brought us here, and whom we ask', async () => {
    const lines = QEMU + QEMU.replace('12', '800') + QEMU.replace('12', '900') + QEMU.replace('12', '951');
    const parents = { 12: 1, 1: 0, 800: 1, 900: 800, 950: 900, 951: 950 };
    expect(await namers('/dev/vg0/vm1', lines, parents)).toMatchObject({ pids: [12], gaps: [] });
  });

  it('counts those whose parents cannot be told', async () => {
    expect(await namers('/dev/vg0/vm1', QEMU)).toMatchObject({ pids: [12] });
  });

  it('says what it could not read, and keeps what it read', async () => {
    expect(await namers('/dev/vg0/vm1', timedOut(QEMU))).toMatchObject({
      pids: [12],
      gaps: ['the command lines of the processes: no answer within 2 s'],
    });
    const refused = said(QEMU, 1, 'grep: /proc/7/cmdline: Permission denied\ngrep: /proc/8/cmdline: No such file or directory\n');
    expect(await namers('/srv/a', refused)).toMatchObject({ pids: [], gaps: ['process 7: Permission denied'] });
  });
});

describe('isNamed', () => {
  it.each([
    ['/dev/sda', '/dev/sda'],
    ['file=/dev/sda,format=raw', '/dev/sda'],
    ['{"driver":"host_device","filename":"/dev/sda"}', '/dev/sda'],
    ['-f/dev/sda', '/dev/sda'],
    ['file:///dev/sda', '/dev/sda'],
    ['/dev/sda1 /dev/sda', '/dev/sda'],
    ['/dev/sda.', '/dev/sda'],
    ['/srv/\xc3\xa4.img', '/srv/\xc3\xa4.img'],
    ['/srv/a.img/', '/srv/a.img'],
  ])('%j names %j', (word, path) => expect(isNamed(word, path)).toBe(true));

  it.each([
    ['/dev/sda1', '/dev/sda'],
    ['/jail/dev/sda', '/dev/sda'],
    ['/srv/a.img.bak', '/srv/a.img'],
    ['/srv/a.img-old', '/srv/a.img'],
    ['/srv/a.img\xc3\xa4', '/srv/a.img'],
    ['sda', '/dev/sda'],
    ['', '/dev/sda'],
  ])('%j does not name %j', (word, path) => expect(isNamed(word, path)).toBe(false));
});
