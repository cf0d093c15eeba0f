import { describe, expect, it } from 'vitest';
import { codeOf, ownerOf, select } from './select.ts';

const MOUNTS = { id: 'zombie-mounts', scope: 'host', codes: { 'fuse-dead': '', 'fuse-dead-2': '' } };
const XFS = { id: 'xfs-consistency', scope: 'host', codes: { 'xfs-dirty-log': '' } };
const ALL = [MOUNTS, XFS];

describe('select', () => {
  it('always takes what concerns the run itself, at the end, once', () => {
    const run = { id: 'interrupted-repairs', scope: 'run', codes: {} };
    expect(select([], [run, ...ALL], ['interrupted-repairs']).entries).toEqual([...ALL, run]);
    expect(select(['zombie-mounts'], [run, ...ALL], []).entries).toEqual([MOUNTS, run]);
    expect(select(['interrupted-repairs'], [run, ...ALL], []).entries).toEqual([run]);
  });

  it('takes all but the skipped where nothing is named', () => {
    expect(select([], ALL, [])).toEqual({ entries: ALL, findings: [] });
    expect(select([], ALL, ['zombie-mounts'])).toEqual({ entries: [XFS], findings: [] });
  });

  it('takes what is named, skipped or not, once', () => {
    expect(select(['zombie-mounts', 'zombie-mounts'], ALL, ['zombie-mounts'])).toEqual({ entries: [MOUNTS], findings: [] });
    expect(select(['xfs-consistency', 'zombie-mounts'], ALL, []).entries).toEqual([XFS, MOUNTS]);
  });

  it('finds the check of a finding by its code', () => {
    expect(select(['fuse-dead-1a2b3c4d', 'fuse-dead-2-1a2b3c4d'], ALL, [], true)).toEqual({
      entries: [MOUNTS],
      findings: ['fuse-dead-1a2b3c4d', 'fuse-dead-2-1a2b3c4d'],
    });
    expect(select(['xfs-consistency', 'fuse-dead-1a2b3c4d'], ALL, [], true).entries).toEqual([XFS, MOUNTS]);
  });

  it.each([
    '',
    'fuse-dead',
    'zombie',
    'ZOMBIE-MOUNTS',
    'fuse-gone-1a2b3c4d',
    'constructor-1a2b3c4d',
    'toString-1a2b3c4d',
    '__proto__-1a2b3c4d',
    '--',
  ])('refuses %j', (word) => {
    expect(() => select([word], ALL, [], true)).toThrow(expect.objectContaining({ code: 'STD_USAGE', exitCode: 64 }));
  });

  it('names no findings where none are asked for, and says what is known', () => {
    expect(() => select(['fuse-dead-1a2b3c4d'], ALL, [])).toThrow('expected one of zombie-mounts, xfs-consistency');
    expect(() => select(['\x1b[2J'], ALL, [])).toThrow('\\e[2J is no check:');
  });
});

it.each([
  ['fuse-dead-1a2b3c4d', 'fuse-dead'],
  ['fuse-dead-1A2B3C4D', undefined],
  ['fuse-dead-1a2b3c4', undefined],
  ['-1a2b3c4d', undefined],
  ['1a2b3c4d', undefined],
  ['fuse-dead-1a2b3c4d\n', undefined],
])('the code of %j is %s', (finding, code) => {
  expect(codeOf(finding)).toBe(code);
  expect(ownerOf(finding, ALL)).toBe(code === undefined ? undefined : MOUNTS);
});
