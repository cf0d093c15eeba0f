import { expect, it } from 'vitest';
import type { Severity } from '../../src/check/types.ts';
import type { ZombieFound } from './data.ts';
import { tooMany } from './too-many.ts';

function verdict(examined: number, counts: Record<string, number>, severity: Severity = 'critical') {
  const findings = Object.entries(counts).flatMap(([code, count]) =>
    Array.from({ length: count }, () => ({ code, severity }) as ZombieFound),
  );
  return { examined, findings, unjudged: [] };
}

it('speaks up where more than 20 mounts and more than half have one fault', () => {
  expect(tooMany(verdict(40, { 'fuse-dead': 31 }))).toBe(
    '31 of 40 mounts have a dead FUSE daemon: so many at once rather have one cause; find it first, or repair them one by one with a person',
  );
  expect(tooMany(verdict(21, { 'loop-backing-short': 21 }))).toContain('21 of 21 mounts stand on');
});

it.each([
  ['20 of 21', verdict(21, { 'fuse-dead': 20 })],
  ['half of them', verdict(42, { 'fuse-dead': 21 })],
  ['two faults that make more than half together', verdict(42, { 'fuse-dead': 21, 'fs-shutdown-xfs': 21 })],
  ['what a runtime minds', verdict(30, { 'bind-source-deleted': 30 }, 'info')],
  ['nothing', verdict(0, {})],
])('is silent about %s', (_, few) => {
  expect(tooMany(few)).toBeUndefined();
});
