import { describe, expect, it } from 'vitest';
import { fakeTarget, said, wordsOf } from '../../test/fake-target.ts';
import { examine } from '../check/condition.ts';
import type { Answer, Claim } from '../check/types.ts';
import { Round } from '../engine/round.ts';
import { seesMounts, seesNoMounts } from './seen-elsewhere.ts';

const ROOT = '1 0 254:0 / / rw - ext4 /dev/vda rw\n';
const OLD = '9 1 0:50 / /mnt/x rw - fuse.sshfs nas:/x rw\n';
const told = { id: 9, device: '0:50', point: '/mnt/x' };
const process = { pid: 7, startTime: '77' };

function holds(claim: Claim, files: Record<string, string | Answer | undefined>) {
  const stat = `7 (sleep) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 77 0 0\n`;
  const all = { '/proc/self/status': 'Uid:\t0\t0\t0\t0\n', '/proc/7/stat': stat, '/proc/7/mountinfo': ROOT + OLD, ...files };
  const target = fakeTarget((probe) => {
    const found = (all as Record<string, string | Answer | undefined>)[wordsOf(probe)];
    return typeof found === 'string' ? said(found) : found;
  });
  return new Round(target, Number.MAX_SAFE_INTEGER).gather(examine(claim));
}

const ENDED = { '/proc/7/stat': undefined };
const REUSED = { '/proc/7/stat': '7 (cat) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 99 0 0\n' };
const GONE = { '/proc/7/mountinfo': ROOT };
const DENIED: Answer = { state: 'denied', why: 'Permission denied', at: '', ms: 0 };

describe('sees-mounts', () => {
  const sees = (files: Record<string, string | Answer | undefined>, mounts = [told]) => holds(seesMounts({ process, mounts }), files);

  it('of the same process, where the path leads to the same mount', async () => {
    expect(await sees({})).toEqual({ holds: true });
  });

  it.each<[string, Record<string, string | Answer | undefined>]>([
    ['it has ended', ENDED],
    ['its number is that of another process', REUSED],
    ['the mount is gone', GONE],
    ['its number is that of another mount', { '/proc/7/mountinfo': `${ROOT}9 1 0:51 / /mnt/x rw - fuse.sshfs nas:/x rw\n` }],
    ['it was moved', { '/proc/7/mountinfo': `${ROOT}9 1 0:50 / /mnt/y rw - fuse.sshfs nas:/x rw\n` }],
    ['another mount lies over it', { '/proc/7/mountinfo': `${ROOT}${OLD}10 9 0:52 / /mnt/x rw - tmpfs tmpfs rw\n` }],
    ['its table was cut off', { '/proc/7/mountinfo': (ROOT + OLD).slice(0, -3) }],
    ['its table may not be read', { '/proc/7/mountinfo': DENIED }],
  ])('not where %s', async (_, files) => {
    expect(await sees(files)).toMatchObject({ holds: false });
  });

  it('not where none is named', async () => {
    expect(await sees({}, [])).toMatchObject({ holds: false });
  });
});

describe('sees-no-mounts', () => {
  const none = (files: Record<string, string | Answer | undefined>, processes = [process]) =>
    holds(seesNoMounts({ processes, mounts: [told] }), files);

  it.each<[string, Record<string, string | Answer | undefined>]>([
    ['they have ended', ENDED],
    ['their numbers are those of other processes', REUSED],
    ['the mount is gone', GONE],
  ])('where %s', async (_, files) => {
    expect(await none(files)).toEqual({ holds: true });
  });

  it.each<[string, Record<string, string | Answer | undefined>]>([
    ['it is still there', {}],
    ['the table may not be read', { '/proc/7/mountinfo': DENIED }],
    ['the process may not be looked at', { '/proc/7/stat': DENIED }],
    ['there is no /proc', { '/proc/self/status': undefined, ...ENDED }],
  ])('not where %s', async (_, files) => {
    expect(await none(files)).toMatchObject({ holds: false });
  });

  it('not where nobody is named', async () => {
    expect(await none({}, [])).toMatchObject({ holds: false });
  });
});
