import { describe, expect, it } from 'vitest';
import { randomBytes, randomFrom } from '../../test/scratch.ts';
import type { Change } from '../check/types.ts';
import { showName, toByteString } from '../names.ts';
import { differenceOf } from './difference.ts';

function changed(before: string, changes: readonly Change[]): string {
  let after = '';
  let at = 0;
  for (const change of changes) {
    after += before.slice(at, change.at) + toByteString(change.insert);
    at = change.at + change.remove;
  }
  return after + before.slice(at);
}

const shown = (before: string, after: string) => differenceOf(before, after).diff.map(showName);

describe('differenceOf', () => {
  it('tells a reader what becomes of each line', () => {
    const before = '# swap\nUUID=1 none swap sw 0 0\n\nUUID=2 / ext4 defaults 0 1\n';
    expect(shown(before, before.replace('defaults', 'defaults,nofail'))).toEqual([
      '@@ -1,4 +1,4 @@',
      ' # swap',
      ' UUID=1 none swap sw 0 0',
      ' ',
      '-UUID=2 / ext4 defaults 0 1',
      '+UUID=2 / ext4 defaults,nofail 0 1',
    ]);
  });

  it.each([
    ['', 'a\n', ['@@ -0,0 +1,1 @@', '+a']],
    ['a\n', '', ['@@ -1,1 +0,0 @@', '-a']],
    ['a', 'a\n', ['@@ -1,1 +1,1 @@', '-a', '\\ No newline at end of file', '+a']],
    ['a\r\n', 'a\n', ['@@ -1,1 +1,1 @@', '-a\\r', '+a']],
    ['\x1b[2J\xff\n', '\n', ['@@ -1,1 +1,1 @@', '-\\e[2J\\xff', '+']],
  ])('%j becomes %j', (before, after, lines) => {
    expect(shown(before, after)).toEqual(lines);
  });

  it('shows no password, and tells none among what is new', () => {
    const before = 'a\n//nas/x /x cifs user=u,password=hunter2,rw 0 0\nb\n';
    const after = 'a\n# soft now\n//nas/x /x cifs user=u,password=hunter2,rw,soft 0 0\nb\n';
    const told = differenceOf(before, after);
    expect(JSON.stringify(told)).not.toContain('hunter2');
    expect(told.diff.map(showName)).toContain('+//nas/x /x cifs user=u,password=********,rw,soft 0 0');
    expect(changed(before, told.changes)).toBe(after);
  });

  it('says where whatever was changed', () => {
    const random = randomFrom(7);
    for (let round = 0; round < 300; round++) {
      const lines = Array.from({ length: random(12) }, () => randomBytes(random, 12));
      const other = lines.flatMap((line) => [[line], [], [line, randomBytes(random, 6)], [randomBytes(random, 12)]][random(4)] as string[]);
      const [before, after] = [lines.join('\n'), other.join('\n')];
      expect(changed(before, differenceOf(before, after).changes)).toBe(after);
    }
  });

  it('copes with texts that have little in common, and with many lines', () => {
    const lines = (of: (number: number) => string) => Array.from({ length: 10_000 }, (_, index) => `${of(index)}\n`).join('');
    const before = lines((number) => `line ${number}`);
    for (const after of [lines((number) => `other ${number * 7}`), before.replace('line 5000', 'line'), before.replaceAll('line', 'row')]) {
      const told = differenceOf(before, after);
      expect(changed(before, told.changes)).toBe(after);
      expect(told.changes.length).toBeLessThan(1000);
    }
  });
});
