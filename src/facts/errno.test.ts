import { spawnSync } from 'node:child_process';
import { constants } from 'node:os';
import { describe, expect, it } from 'vitest';
import { ERRNO, errnoAtEnd, errnoName } from './errno.ts';

describe('errnoAtEnd', () => {
  it.each([
    ["stat: cannot read file system information for '/m': Input/output error", ERRNO.EIO],
    ["find: '/m': Transport endpoint is not connected\n", ERRNO.ENOTCONN],
    ["stat: cannot statx '/m: Permission denied': Stale file handle", ERRNO.ESTALE],
    ['find: /m: Socket not connected\n', ERRNO.ENOTCONN],
    ['first: Permission denied\nsecond: No such file or directory\n', ERRNO.ENOENT],
  ])('reads %j', (line, errno) => {
    expect(errnoAtEnd(line)).toBe(errno);
  });

  it.each([
    '',
    'Input',
    "stat: '/m': Permission denied (os error 13)",
    "stat: '/m': Permission denied: see above",
    'x: Eingabe-/Ausgabefehler',
  ])('does not know %j', (line) => {
    expect(errnoAtEnd(line)).toBeUndefined();
  });

  it('has the numbers of this kernel', () => {
    for (const [name, number] of Object.entries(ERRNO)) {
      const known = (constants.errno as Record<string, number>)[name];
      expect([name, known ?? number]).toEqual([name, number]);
    }
  });

  it('knows every number by the sentence of this C library', () => {
    const { stdout, error } = spawnSync('perl', ['-e', '$! = $_, print "$!\\n" for @ARGV', ...Object.values(ERRNO).map(String)], {
      env: { LC_ALL: 'C', PATH: process.env['PATH'] },
      timeout: 5000,
    });
    if (error === undefined) {
      expect(
        stdout
          .toString()
          .trim()
          .split('\n')
          .map((sentence) => errnoAtEnd(`stat: '/m': ${sentence}`)),
      ).toEqual(Object.values(ERRNO));
    }
  });
});

describe('errnoName', () => {
  it('names what it knows and numbers the rest', () => {
    expect(errnoName(107)).toBe('ENOTCONN (107)');
    expect(errnoName(9999)).toBe('error 9999');
  });
});
