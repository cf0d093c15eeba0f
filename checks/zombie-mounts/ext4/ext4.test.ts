import { describe, expect, it } from 'vitest';
import type { Ext4Stop } from '../../../src/facts/ext4.ts';
import type { LoopDevice } from '../../../src/facts/loop.ts';
import { parseMountinfo, visibleMounts } from '../../../src/facts/mountinfo.ts';
import type { Elsewhere } from '../../../src/facts/namespaces.ts';
import type { ZombieFacts } from '../facts.ts';
import { type Ext4Found, judgeExt4 } from './detect.ts';
import { ext4 } from './index.ts';

const seen = { source: 'somewhere', at: '2026-11-03T09:00:00.000Z' };
const LINE = '5 1 8:17 / /data rw,noatime - ext4 /dev/sdb1 rw,emergency_ro,data=ordered\n';

interface World {
  line?: string;
  by?: Ext4Stop['by'];
  loop?: Partial<LoopDevice>;
  elsewhere?: Elsewhere['mounts'];
  mayMount?: boolean;
}

function judge({ line = LINE, by = 'options', loop, elsewhere = [], mayMount = true }: World) {
  const mounts = parseMountinfo(`1 0 0:3 / / rw - tmpfs tmpfs rw\n${line}`);
  const facts = {
    table: { seen, mounts, visible: visibleMounts(mounts) },
    ext4Stops: { stops: new Map([['8:17', { by, evidence: [] }]]), unjudged: new Map([['8:18', 'because']]) },
    stoppedElsewhere: new Map([['8:17', { mounts: elsewhere, looked: true, complete: true }]]),
    loops: {
      loops: loop === undefined ? [] : [{ device: '8:17', node: '/dev/loop1', backing: '/srv/i', offset: 0, seen, file: {}, ...loop }],
    },
    kernelHolders: new Map(),
    self: { mayMount },
  } as unknown as ZombieFacts;
  const judgement = judgeExt4(mounts.at(-1) as (typeof mounts)[number], { state: 'answers', seen }, facts);
  if (judgement === undefined || !('finding' in judgement)) {
    return { judgement };
  }
  const plan = ext4.plan({ ...(judgement.finding as Ext4Found), id: 'x', check: 'zombie-mounts' }, facts);
  return 'refused' in plan
    ? { confidence: judgement.finding.confidence, refused: plan.refused }
    : {
        confidence: judgement.finding.confidence,
        steps: plan.steps.map(({ risk, action }) => [
          risk,
          'argv' in action ? action.argv.at(-1) : '',
          'argv' in action ? action.argv.join(' ') : '',
        ]),
      };
}

describe('fs-shutdown-ext4', () => {
  it('is unmounted, checked with an undo file, and mounted with the options it had', () => {
    expect(judge({})).toMatchObject({
      confidence: 'certain',
      steps: [
        ['disruptive', '/data', 'umount -c /data'],
        ['data-loss', '/dev/sdb1', expect.stringMatching(/^e2fsck -f -p -z /)],
        ['disruptive', '/data', 'mount -t ext4 -o rw,noatime,data=ordered /dev/sdb1 /data'],
      ],
    });
  });

  it('of an older kernel, whose superblock is read-only, is mounted writable again', () => {
    const line = '5 1 8:17 / /data rw,noatime - ext4 /dev/sdb1 ro,data=ordered\n';
    expect(judge({ line, by: 'log' })).toMatchObject({
      confidence: 'high',
      steps: [{}, {}, [{}, {}, 'mount -t ext4 -o rw,noatime,data=ordered /dev/sdb1 /data']],
    });
    expect(judge({ line, by: 'read-only' })).toMatchObject({
      confidence: 'medium',
      refused: expect.stringContaining('umount -c /data; e2fsck -f -p /dev/sdb1; mount -t ext4'),
    });
  });

  it.each<[string, World, string]>([
    ['the root file system', { line: LINE.replace('/data', '/') }, 'fsck.mode=force'],
    ['without rights', { mayMount: false }, 'it needs root'],
    ['on a deleted image', { loop: { deleted: true } }, 'stands on a deleted file'],
    ['on a loop device that goes with it', { loop: { autoclear: true } }, 'losetup --find --show --offset 0 /srv/i'],
    ['kept in another namespace', { elsewhere: [{ pid: 7, tags: [] }] as unknown as Elsewhere['mounts'] }, 'process 7 keeps it mounted'],
    ['mounted twice', { line: `6 1 8:17 / /again rw - ext4 /dev/sdb1 rw\n${LINE}` }, 'it is mounted at /again too'],
  ])('%s is refused', (_, world, reason) => {
    expect(judge(world)).toMatchObject({ refused: expect.stringContaining(reason) });
  });

  it('that cannot be told is neither healthy nor found', () => {
    expect(judge({ line: LINE.replace('8:17', '8:18') })).toEqual({ judgement: { unjudged: 'because' } });
    expect(judge({ line: LINE.replace('8:17', '8:19') })).toEqual({ judgement: undefined });
  });
});
