import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { randomBytes, randomFrom } from '../test/scratch.ts';
import {
  fromByteString,
  isBelow,
  type Name,
  printable,
  sameName,
  shellLine,
  shellWord,
  showName,
  toByteString,
  toBytes,
  toName,
} from './names.ts';

const bytes = (text: string) => Buffer.from(text, 'latin1');

/** Would move, colour, hide or reorder something on a terminal: anything but printable text on one line. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
const HARMFUL = /[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb]/;

describe('names', () => {
  it('are text where the bytes are UTF-8, and base64 where not', () => {
    expect(toName(Buffer.from('日本é\n'))).toBe('日本é\n');
    expect(toName(bytes('caf\xe9'))).toEqual({ base64: 'Y2Fm6Q==' });
    expect(toName(Buffer.from('\ufeffx'))).toBe('\ufeffx');
    // Overlong and surrogate encodings are not UTF-8.
    for (const bad of ['\xc0\xaf', '\xed\xa0\x80', '\xf5\x80\x80\x80', '\xc3']) {
      expect(toName(bytes(bad))).toHaveProperty('base64');
    }
  });

  it('come back byte for byte', () => {
    const random = randomFrom(5);
    for (let round = 0; round < 1000; round++) {
      const text = randomBytes(random, 20);
      expect(toBytes(toName(bytes(text))).toString('latin1')).toBe(text);
      expect(toByteString(fromByteString(text))).toBe(text);
      expect(fromByteString(text)).toEqual(toName(bytes(text)));
    }
  });

  it('are the same by their bytes', () => {
    expect(sameName('é', 'é')).toBe(true);
    expect(sameName('é', { base64: 'w6k=' })).toBe(true);
    expect(sameName('é', 'e\u0301')).toBe(false);
  });

  it.each([
    ['/a/b', '/a', true],
    ['/a', '/a', false],
    ['/ab', '/a', false],
    ['/a', '/', true],
    ['/', '/', false],
    ['/é/x', '/é', true],
    [{ base64: bytes('/\xff/x').toString('base64') }, { base64: bytes('/\xff').toString('base64') }, true],
  ] as [Name, Name, boolean][])('%j below %j: %s', (path, above, expected) => {
    expect(isBelow(path, above)).toBe(expected);
  });
});

describe('printable', () => {
  it.each([
    ['a\nb\tc\rd', 'a\\nb\\tc\\rd'],
    ['\x1b[2J\x1b]0;title\x07', '\\e[2J\\e]0;title\\x07'],
    ['\x9b31m', '\\x9b31m'],
    ['a\u202etxt.exe', 'a\\u202etxt.exe'],
    ['\u2066x\u2069', '\\u2066x\\u2069'],
    ['a\u200bb\ufeffc\u00add', 'a\\u200bb\\ufeffc\\xadd'],
    ['a\u2028b\u2029c', 'a\\u2028b\\u2029c'],
    ['\0', '\\x00'],
    ['a\u3164b\ufe0f', 'a\\u3164b\\ufe0f'],
    ['日本 é 🙂', '日本 é 🙂'],
  ])('%j', (text, shown) => {
    expect(printable(text)).toBe(shown);
  });

  it('leaves nothing harmful of random names', () => {
    const random = randomFrom(6);
    for (let round = 0; round < 2000; round++) {
      const name = fromByteString(randomBytes(random, 20));
      expect(showName(name)).not.toMatch(HARMFUL);
      expect(shellWord(name)).not.toMatch(HARMFUL);
    }
    for (let code = 0; code < 0x3000; code++) {
      expect(printable(String.fromCharCode(code))).not.toMatch(HARMFUL);
    }
  });

  it('shows bytes that are not UTF-8', () => {
    expect(showName(toName(bytes('/caf\xe9\n\x1b')))).toBe('/caf\\xe9\\n\\e');
  });
});

describe('shellWord', () => {
  it.each([
    ['/mnt/a-b_c.d', '/mnt/a-b_c.d'],
    ['', "''"],
    ['a b', "'a b'"],
    ["it's", "'it'\\''s'"],
    ['é', "'é'"],
    ['$(rm -rf /)', "'$(rm -rf /)'"],
    ['a\nb', "$'a\\x0ab'"],
    ['a\u202eb', "$'a\\xe2\\x80\\xaeb'"],
    ['~', "'~'"],
    ['!x', "'!x'"],
  ])('%j', (word, shown) => {
    expect(shellWord(word)).toBe(shown);
  });

  it('joins words to a line', () => {
    expect(shellLine(['umount', '-c', '--', '/a b', { base64: 'Y2Fm6Q==' }])).toBe("umount -c -- '/a b' $'caf\\xe9'");
  });

  it('is read back by bash, byte for byte', () => {
    const random = randomFrom(7);
    const words = [
      '',
      '-n',
      '~',
      "'",
      "\\'",
      '\\',
      '\xc3\xa9',
      '\xc3',
      '$x',
      '`x`',
      '!!',
      '*',
      '\n',
      '\x1b1',
      '\xe2\x80\xae0',
      'a\\x41',
      "$'x'",
    ];
    for (let round = 0; round < 600; round++) {
      words.push(randomBytes(random, 12));
    }
    const script = words.map((word) => `printf '%s\\0' ${shellWord(fromByteString(word))}`).join('\n');
    for (const locale of ['C', 'C.UTF-8']) {
      const { stdout, status } = spawnSync('bash', ['--norc'], {
        input: script,
        env: { PATH: process.env['PATH'], LC_ALL: locale },
        timeout: 20_000,
      });
      expect(status).toBe(0);
      expect(stdout.toString('latin1').split('\0').slice(0, -1)).toEqual(words);
    }
  });
});
