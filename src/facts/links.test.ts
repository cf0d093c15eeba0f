import { expect, it } from 'vitest';
import { fakeTarget, said, timedOut, wordsOf } from '../../test/fake-target.ts';
import type { Asking } from '../check/types.ts';
import { Round } from '../engine/round.ts';
import { followLinks } from './links.ts';
import { type MountTable, parseMountinfo, visibleMounts } from './mountinfo.ts';

const MOUNTS = parseMountinfo('27 1 254:0 / / rw - ext4 /dev/vda rw\n40 27 0:50 / /net rw - autofs systemd-1 rw\n');
const TABLE: MountTable = { seen: { source: '', at: '' }, mounts: MOUNTS, visible: visibleMounts(MOUNTS) };

/** What is a link, and where it leads; all else is a directory, but what is below /gone. */
async function follow(paths: string[], links: Record<string, string>) {
  const target = fakeTarget((probe) => {
    const words = wordsOf(probe).split(' ');
    const asked = words.slice(1, words.indexOf('-maxdepth'));
    const there = asked.filter((path) => !path.startsWith('/gone'));
    const out = there.map((path) => `${path}\0${links[path] === undefined ? 'd' : 'l'}\0${links[path] ?? ''}\0`).join('');
    const err = asked.filter((path) => path.startsWith('/gone')).map((path) => `find: '${path}': No such file or directory\n`);
    return said(out, err.length > 0 ? 1 : 0, err.join(''));
  });
  const followed = await new Round(target, Number.MAX_SAFE_INTEGER).gather(
    followLinks(paths, TABLE) as Asking<ReadonlyMap<string, string>>,
  );
  return { followed: Object.fromEntries(followed), asked: target.asked.map(wordsOf) };
}

it('follows absolute and relative links, and .. behind them', async () => {
  const { followed } = await follow(['/a/x', '/b/x', '/c', '/plain/deep/y', '/gone/z'], {
    '/a': '/srv/a',
    '/b': 'srv/../other',
    '/srv/a/x': '../one//two/',
    '/c': '/',
  });
  expect(followed).toEqual({
    '/a/x': '/srv/one/two',
    '/b/x': '/other/x',
    '/c': '/',
    '/plain/deep/y': '/plain/deep/y',
    '/gone/z': '/gone/z',
  });
});

it('asks nothing of autofs or below it, even where a link leads there', async () => {
  const { followed, asked } = await follow(['/net/host/x', '/data/x'], { '/data': '/net/host/data' });
  expect(followed).toEqual({ '/net/host/x': '/net/host/x', '/data/x': '/net/host/data/x' });
  expect(asked.join(' ')).not.toContain('/net');
});

it('asks once for each depth, however many paths there are', async () => {
  const paths = Array.from({ length: 500 }, (_, index) => `/mnt/${index}/data`);
  expect((await follow(paths, {})).asked).toHaveLength(3);
});

it('leaves out what runs in circles or was not told', async () => {
  expect((await follow(['/a/x', '/ok'], { '/a': '/b', '/b': '/a' })).followed).toEqual({ '/ok': '/ok' });
  const silent = new Round(
    fakeTarget(() => timedOut()),
    Number.MAX_SAFE_INTEGER,
  );
  expect((await silent.gather(followLinks(['/a/x'], TABLE))).size).toBe(0);
});
