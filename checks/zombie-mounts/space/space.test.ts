import { describe, expect, it } from 'vitest';
import { parseMountinfo } from '../../../src/facts/mountinfo.ts';
import type { Space } from '../../../src/facts/space.ts';
import type { ZombieFacts } from '../facts.ts';
import { seekSpace } from './detect.ts';
import { space } from './index.ts';

const seen = { source: 'stat -f', at: '2026-11-03T09:00:00.000Z' };

/** `fstype root options: inodes free blocks usable` of each mount. */
function judge(...lines: string[]) {
  const spaces = lines.map((line, index): Space => {
    const [fstype, root, options, ...counts] = line.split(' ') as [string, string, string, ...string[]];
    const [inodes, freeInodes, blocks, usableBlocks] = counts.map(Number) as [number, number, number, number];
    const [mount] = parseMountinfo(`${index + 5} 1 8:1 ${root} /m${index} rw - ${fstype} /dev/sda1 ${options}\n`);
    return { mount: mount as Space['mount'], seen, inodes, freeInodes, blocks, usableBlocks };
  });
  const facts = { space: { spaces, unjudged: [] }, table: { seen } } as unknown as ZombieFacts;
  return seekSpace(facts).findings.map((finding) => {
    const plan = space.plan({ ...finding, id: 'x', check: 'zombie-mounts' }, facts);
    const { of, free, total } = finding.data as { of: string; free: number; total: number };
    return [finding.severity, finding.subject.name, of, free, total, 'refused' in plan ? plan.refused : ''];
  });
}

describe('inodes-or-quota-full', () => {
  it.each<[string, string, 'critical' | 'warning' | undefined]>([
    ['no inode, but blocks', 'ext4 / rw 64 0 27876 25569', 'critical'],
    ['no inode, as maxpct says', 'xfs / rw 6528 0 65536 60045', 'critical'],
    ['few inodes, and more blocks', 'ext4 / rw 1000000 9999 9000000 800000', 'warning'],
    ['few inodes, but no more blocks either', 'ext4 / rw 1000000 9999 9000000 9998', undefined],
    ['one in a hundred', 'ext4 / rw 1000000 10000 9000000 800000', undefined],
    ['an XFS without a block: it has no inode either', 'xfs / rw 5000 0 65536 0', undefined],
    ['an XFS with few blocks: eight inodes for each', 'xfs / rw 100000 80 65536 10', undefined],
    ['a full ext4 with inodes', 'ext4 / rw 8192 8000 27876 0', undefined],
    ['one that does not count inodes', 'ext4 / rw 0 0 27876 25569', undefined],
  ])('%s', (_, line, severity) => {
    expect(judge(line).map(([found]) => found)).toEqual(severity === undefined ? [] : [severity]);
  });

  it('of a project: its directory has a limit, the file system has room', () => {
    const whole = 'xfs / rw,prjquota 100000 90000 65536 60000';
    expect(judge(whole, 'xfs /p1 rw,prjquota 100000 90000 256 0')).toMatchObject([
      ['critical', '/m1', 'quota', 0, 256, expect.stringContaining('xfs_quota')],
    ]);
    expect(judge(whole, 'ext4 /p1 rw,prjquota 5 0 65536 60000')).toMatchObject([
      ['critical', '/m1', 'quota', 0, 5, expect.stringContaining('repquota')],
    ]);
    expect(judge(whole, 'xfs /p1 rw,prjquota 100 1 256 1', 'xfs /p2 rw,prjquota 100000 90000 65536 60000')).toEqual([]);
    expect(judge('xfs / rw,prjquota 100000 90000 65536 0', 'xfs /p1 rw,prjquota 100000 90000 256 0')).toEqual([]);
  });

  it('of a project whose file system is not mounted as a whole is not told', () => {
    expect(judge('xfs /p1 rw,prjquota 5 0 256 0')).toEqual([]);
  });
});
