import { describe, expect, it } from 'vitest';
import { absent, fakeTarget, said, wordsOf } from '../../test/fake-target.ts';
import type { Answer } from '../check/types.ts';
import { Round } from '../engine/round.ts';
import { mountedElsewhere, otherTables } from './namespaces.ts';

const OURS = '1 0 254:0 / / rw - ext4 /dev/vda rw\n';
const THEIRS = `${OURS}9 1 7:0 / /mnt/x rw master:3 - xfs /dev/loop0 rw\n`;

interface World {
  own?: string;
  /** pid → namespace. */
  pids?: Record<number, string>;
  err?: string;
  tables?: Record<number, string | Answer>;
  ended?: number[];
}

function gather<T>(
  { own = OURS, pids = { 5: 'mnt:[1]', 7: 'mnt:[2]', 8: 'mnt:[2]' }, err = '', tables = {}, ended = [] }: World,
  fact: Parameters<Round['gather']>[0],
) {
  const target = fakeTarget((probe) => {
    const words = wordsOf(probe);
    if (words === 'readlink /proc/self/ns/mnt') {
      return said('mnt:[1]\n');
    }
    if (words.startsWith('find /proc')) {
      const lines = Object.entries(pids).map(([pid, namespace]) => `/proc/${pid}/ns/mnt ${namespace}\n`);
      return said(lines.join(''), err === '' ? 0 : 1, err);
    }
    if (words === '/proc/self/mountinfo') {
      return said(own);
    }
    const [, pid, file] = /^\/proc\/(\d+)\/(\w+)$/.exec(words) ?? [];
    if (file === 'stat') {
      return ended.includes(Number(pid)) ? absent() : said(`${pid} (sh) S 1 1 1 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 77 0 0\n`);
    }
    const table = tables[Number(pid)];
    return typeof table === 'string' ? said(table) : table;
  });
  return new Round(target, Date.now() + 5000).gather(fact) as Promise<T>;
}

describe('otherTables', () => {
  const tables = (world: World) =>
    gather<{ looked: boolean; complete: boolean; why?: string; tables: { pid: number }[] }>(world, otherTables(''));

  it('reads the table of one process of each other namespace', async () => {
    expect(await tables({ tables: { 7: THEIRS } })).toMatchObject({ looked: true, complete: true, tables: [{ pid: 7, text: THEIRS }] });
  });

  it('takes the next process where one has ended, and none where all have', async () => {
    expect(await tables({ tables: { 8: THEIRS }, ended: [7] })).toMatchObject({ complete: true, tables: [{ pid: 8 }] });
    expect(await tables({ ended: [7, 8] })).toMatchObject({ complete: true, tables: [] });
  });

  it('is not complete where a living process shows no whole table', async () => {
    expect(await tables({})).toMatchObject({ looked: true, complete: false, why: '/proc/7/mountinfo: it is not there' });
    expect(await tables({ tables: { 7: THEIRS.slice(0, -4) } })).toMatchObject({ complete: false });
  });

  it('reads the table of who does not say its namespace', async () => {
    const err =
      "find: '/proc/1/ns/mnt': Permission denied\nfind: '/proc/99/net': No such process\nfind: '/proc/98': No such file or directory\n";
    expect(await tables({ err, tables: { 1: OURS, 7: THEIRS } })).toMatchObject({ complete: true, tables: [{ pid: 7 }, { pid: 1 }] });
    expect(await tables({ err, tables: { 7: THEIRS } })).toMatchObject({ complete: false });
  });

  it.each([
    ['another refusal', { err: "find: '/proc/9': Permission denied\n" }, true],
    ['no line of our own namespace', { pids: { 7: 'mnt:[2]' } }, false],
    ['a namespace that only a mount keeps', { own: `${OURS}9 1 0:4 mnt:[7] /run/ns/a rw - nsfs nsfs rw\n` }, true],
  ])('is not complete with %s', async (_, world: World, looked) => {
    expect(await tables({ tables: { 7: THEIRS }, ...world })).toMatchObject({ looked, complete: false });
  });
});

describe('mountedElsewhere', () => {
  it('names who has a superblock, and its propagation there', async () => {
    const world = { tables: { 7: THEIRS } };
    expect(await gather(world, mountedElsewhere('7:0', null))).toMatchObject({ mounts: [{ pid: 7, tags: ['master:3'] }] });
    expect(await gather(world, mountedElsewhere('7:1', null))).toMatchObject({ mounts: [] });
  });
});
