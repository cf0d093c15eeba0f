import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/** A directory of its own for one test, removed with all that is in it when the test ends. */
export function scratch(): string {
  const directory = mkdtempSync(join(tmpdir(), 'stdoctor-test-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** A seeded generator (mulberry32): the same numbers in every run. Integers from 0 up to, not including, `below`. */
export function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

/** Random bytes without NUL, half of them those that parsers trip over. One character a byte. */
export function randomBytes(
  random: (below: number) => number,
  atMost: number,
  awkward = ' \t\n\r\v\f\\\'"#,:()-=\xa0\x85\xc3\xff\x7f\x1b0',
): string {
  let bytes = '';
  for (let length = random(atMost + 1); length > 0; length--) {
    bytes += random(2) === 0 ? awkward[random(awkward.length)] : String.fromCharCode(1 + random(255));
  }
  return bytes;
}
