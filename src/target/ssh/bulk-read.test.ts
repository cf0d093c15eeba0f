import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { randomBytes, randomFrom, scratch } from '../../../test/scratch.ts';
import { type Name, toName } from '../../names.ts';
import { bulkRead, disguised, parseBulk } from './bulk-read.ts';

const HEADS = [['head'], ...(existsSync('/usr/bin/busybox') ? [['busybox', 'head']] : [])];

function readWith(head: readonly string[], paths: readonly Name[], names = paths.map((path) => disguised(path)), maxBytes = 1 << 20) {
  const argv = bulkRead(names, maxBytes).slice(1).map(String);
  const [file, ...first] = head as [string, ...string[]];
  const { stdout, stderr } = spawnSync(file, [...first, ...argv], { env: { ...process.env, LC_ALL: 'C' } });
  return parseBulk(paths, names, stdout, stderr.toString('latin1'));
}

describe.each(HEADS)('with %s', (...head) => {
  it('each file by itself: empty ones, such without a last line, and what is not there', () => {
    const dir = scratch();
    const texts = ['', 'a', 'a\n', '\n', '\n\n', 'x'.repeat(5000), '==> /etc/passwd <==\nroot\n'];
    texts.forEach((text, index) => {
      writeFileSync(join(dir, String(index)), text);
    });
    const paths = texts.map((_, index) => join(dir, String(index)));
    const read = readWith(head, [...paths.slice(0, 3), join(dir, 'none'), ...paths.slice(3), join(dir, '0/below')]);
    const told = read.map((each) => (each.state === 'ok' ? Buffer.from(each.out).toString('latin1') : each.state));
    expect(told).toEqual([...texts.slice(0, 3), 'absent', ...texts.slice(3), 'absent']);
  });

  it('any bytes', () => {
    const dir = scratch();
    const random = randomFrom(7);
    const texts = Array.from({ length: 60 }, () => randomBytes(random, 300, '\n=> </.') + (random(2) === 0 ? '\n==> x <==\n' : ''));
    texts.forEach((text, index) => {
      writeFileSync(join(dir, String(index)), Buffer.from(text, 'latin1'));
    });
    const read = readWith(
      head,
      texts.map((_, index) => join(dir, String(index))),
    );
    expect(read.map((each) => each.state === 'ok' && Buffer.from(each.out).toString('latin1'))).toEqual(texts);
  });

  it('no more than was asked for, and a directory is an error', () => {
    const dir = scratch();
    mkdirSync(join(dir, 'sub'));
    writeFileSync(join(dir, 'long'), 'abcdef');
    const paths = [join(dir, 'long'), join(dir, 'sub'), '/proc/self/nonesuch'];
    const [long, sub, none] = readWith(head, paths, undefined, 3);
    expect(long).toMatchObject({ state: 'ok', out: Buffer.from('abc') });
    expect([sub?.state, none?.state]).not.toContain('ok');
  });
});

it('a name leads to the same file and cannot be foreseen', () => {
  expect(execFileSync('stat', ['-c', '%i', '/proc/1', disguised('/proc/1') as string], { encoding: 'utf8' })).toMatch(/^(\d+)\n\1\n$/);
  expect(disguised('/proc/stat', () => 0)).toBe(`${'/.'.repeat(24)}/proc/stat`);
  expect(disguised(toName(Buffer.from([0x2f, 0xff])), () => 1)).toEqual(toName(Buffer.from(`${'/'.repeat(24)}/\xff`, 'latin1')));
});
