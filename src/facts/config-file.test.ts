import { execFileSync } from 'node:child_process';
import { linkSync, mkdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { fakeTarget, said, wordsOf } from '../../test/fake-target.ts';
import { scratch } from '../../test/scratch.ts';
import { Unknown } from '../check/asking.ts';
import { examine } from '../check/condition.ts';
import { FILE_AT_MOST } from '../check/edit.ts';
import type { Asking, Claim, Target } from '../check/types.ts';
import { Round } from '../engine/round.ts';
import { LocalTarget } from '../target/local.ts';
import { configFile, fileHolds, fileReplaceable, sha256Of } from './config-file.ts';

function gather<T>(asking: Asking<T>, target: Target = new LocalTarget(undefined)): Promise<T> {
  return new Round(target, Date.now() + 5000).gather(asking);
}

/** `holds`, or what was expected and what was found. */
async function look(claim: Claim, target?: Target): Promise<string> {
  const held = await gather(examine(claim), target);
  return held.holds ? 'holds' : `expected ${held.expected}, found ${held.found}`;
}

function fileIn(content: string): string {
  const path = join(scratch(), 'a\nb');
  writeFileSync(path, Buffer.from(content, 'latin1'));
  return path;
}

describe('config-file', () => {
  it('is all that the file holds, where it really lies', async () => {
    const content = 'a\0b\xff\n'.repeat(100_000);
    const path = fileIn(content);
    symlinkSync(path, `${path}.link`);
    for (const asked of [path, `${path}.link`]) {
      expect(await gather(configFile(asked))).toMatchObject({ path, content, fixed: undefined });
    }
  });

  it('is nothing where there is no file', async () => {
    const directory = scratch();
    symlinkSync('none', join(directory, 'link'));
    expect(await gather(configFile(join(directory, 'link')))).toMatchObject({ path: join(directory, 'none'), content: undefined });
    expect(await gather(configFile(join(directory, 'x/y')))).toMatchObject({ content: undefined, fixed: expect.stringContaining('x') });
  });

  it.each([
    ['a directory', (path: string) => mkdirSync(path), 'found a directory'],
    ['a pipe', (path: string) => execFileSync('mkfifo', [path]), 'found a pipe'],
    [
      'too large',
      (path: string) => [writeFileSync(path, ''), truncateSync(path, FILE_AT_MOST + 1)],
      `found a file of ${FILE_AT_MOST + 1} bytes`,
    ],
    ['a link that leads to itself', (path: string) => symlinkSync(path, path), 'could not be told'],
  ])('is unknown where it is %s', async (_what, make, why) => {
    const path = join(scratch(), 'x');
    make(path);
    await expect(gather(configFile(path))).rejects.toThrow(why);
  });

  it.each([
    ['garbled', said('what?')],
    ['cut short', said('f 10\0short')],
    ['empty', said('')],
    ['denied', said('', 1, "cat: '/etc/fstab': Permission denied\n")],
  ])('is unknown where the answer is %s', async (_what, answer) => {
    const target = fakeTarget((probe) => (wordsOf(probe).includes('-exec cat') ? answer : mounts(wordsOf(probe))));
    await expect(gather(configFile('/etc/fstab'), target)).rejects.toThrow(Unknown);
  });
});

describe('file-holds', () => {
  it('holds while the content is this one', async () => {
    const path = fileIn('sick\n');
    const then = fileHolds({ path, sha256: sha256Of('sick\n') });
    expect(await look(then)).toBe('holds');
    writeFileSync(path, 'other\n');
    const shown = path.replace('\n', '\\n');
    expect(await look(then)).toBe(
      `expected ${shown} with the SHA-256 ${sha256Of('sick\n').slice(0, 12)}, found another content, with the SHA-256 ${sha256Of('other\n').slice(0, 12)}`,
    );
    const nothing = fileHolds({ path, sha256: null });
    expect(await look(nothing)).toMatch(/^expected no file .*a\\nb, found another content/);
    expect(await look(fileHolds({ path: `${path}.x`, sha256: null }))).toBe('holds');
    expect(await look(fileHolds({ path: `${path}.x`, sha256: sha256Of('') }))).toMatch(/found no such file$/);
  });

  it('does not hold for what only leads to the file, nor for what is none', async () => {
    const path = fileIn('sick\n');
    symlinkSync(path, `${path}.link`);
    expect(await look(fileHolds({ path: `${path}.link`, sha256: sha256Of('sick\n') }))).toMatch(/found a symbolic link$/);
    truncateSync(path, FILE_AT_MOST + 1);
    expect(await look(fileHolds({ path, sha256: sha256Of('') }))).toMatch(/found a file of \d+ bytes$/);
    for (const args of [{ path: '-delete', sha256: null }, { path: 'x' }, { path: 5, sha256: 5 }, { path, sha256: undefined }, {}, null]) {
      expect(await look({ is: 'file-holds', args: args as never })).toMatch(/^expected /);
    }
  });
});

describe('file-replaceable', () => {
  it('holds for an ordinary file, and for one that can be made', async () => {
    const path = fileIn('');
    expect(await look(fileReplaceable({ path }))).toBe('holds');
    expect(await look(fileReplaceable({ path: `${path}.new` }))).toBe('holds');
  });

  it('does not hold where other names would keep the old content, or nothing can be made', async () => {
    const path = fileIn('');
    linkSync(path, `${path}.other`);
    expect(await look(fileReplaceable({ path }))).toMatch(/ has 2 names \(hard links\): the others would keep the old content$/);
    expect(await look(fileReplaceable({ path: `${path}/x` }))).toMatch(/ is no directory$/);
    expect(await look(fileReplaceable({ path: '/proc/x/y' }))).toMatch(/^expected /);
    expect(await look(fileReplaceable({ path: 'relative' }))).toMatch(/expected an absolute path$/);
  });

  it.each([
    ['f 1 r\0d 2 w\0', '', 'ro', '/etc/fstab lies on a mount that is read-only (/)'],
    ['f 1 r\0d 2 r\0', '----i------- /etc/fstab\n------------ /etc\n', 'rw', '/etc/fstab is immutable (chattr +i)'],
    ['f 1 w\0d 2 r\0', '------------ /etc/fstab\n----i------- /etc\n', 'rw', '/etc is immutable (chattr +i)'],
    ['f 1 w\0d 2 w\0', '-----a------ /etc/fstab\n------------ /etc\n', 'rw', '/etc/fstab can only be appended to (chattr +a)'],
    ['f 1 r\0d 2 w\0', '------------ /etc/fstab\n------------ /etc\n', 'rw', '/etc/fstab may not be written'],
    ['', '', 'rw', '/etc is no directory'],
  ])('of %j and %j on a mount %s: %s', async (found, flags, mode, why) => {
    const target = fakeTarget((probe) => {
      const words = wordsOf(probe);
      return words.startsWith('lsattr') ? said(flags) : words.includes('-writable') ? said(found) : mounts(words, mode);
    });
    expect(await look(fileReplaceable({ path: '/etc/fstab' }), target)).toBe(`expected to be able to replace /etc/fstab, found ${why}`);
  });

  it('does not hold for a mount', async () => {
    const target = fakeTarget((probe) => mounts(wordsOf(probe), 'rw', '/etc/fstab'));
    expect(await look(fileReplaceable({ path: '/etc/fstab' }), target)).toMatch(/is a mount of its own/);
  });
});

function mounts(words: string, mode = 'rw', point = '/run') {
  const table = `1 0 8:1 / / ${mode} - ext4 /dev/sda1 ${mode}\n2 1 0:9 / ${point} rw - tmpfs tmpfs rw\n`;
  return words === '/proc/self/mountinfo' ? said(table) : words.startsWith('find') ? said('') : undefined;
}
