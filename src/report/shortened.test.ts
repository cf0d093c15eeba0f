import { describe, expect, it } from 'vitest';
import { shortened } from './shortened.ts';

describe('a shortened text', () => {
  it.each([
    ['short', 'short'],
    ['exactly twenty chars', 'exactly twenty chars'],
    ['more than twenty characters', 'more than twenty …'],
    ['x'.repeat(30), `${'x'.repeat(17)} …`],
    [`${'x'.repeat(16)}\u{1f600}\u{1f600}\u{1f600}`, `${'x'.repeat(16)} …`],
    ['\u001b'.repeat(12), `${'\\e'.repeat(8)}\\ …`],
  ])('%j', (text, short) => {
    expect(shortened(text, 20)).toBe(short);
  });

  it('keeps its end where that says what it is about', () => {
    expect(shortened('stat -f -c "%t %b %f" -- /mnt/backup', 30, 15)).toBe('stat -f -c … -- /mnt/backup');
    expect(shortened(`find ${'/mnt/many '.repeat(100_000)} -maxdepth 0`, 30, 12)).toBe('find /mnt/many … -maxdepth 0');
  });
});
