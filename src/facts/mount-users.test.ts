import { describe, expect, it } from 'vitest';
import { fakeTarget, said, timedOut, wordsOf } from '../../test/fake-target.ts';
import { Round } from '../engine/round.ts';
import { mountUsers } from './mount-users.ts';

const LINKS = '/proc/7/fd/3\0/srv/a/b/file\0/proc/7/cwd\0/srv/a\0/proc/8/fd/4\0/srv/ab/x\0/proc/9/fd/1\0/srv/a/x\0/dev/null\0\0';
const GROUPS = '/proc/7/cgroup:0::/system.slice/db.service\n/proc/9/cgroup:0::/user.slice/user-0.slice/session-1.scope\n';

function ask(links: ReturnType<typeof said>, groups = said(GROUPS), points = ['/srv/a', '/srv/a/b', '/srv/[x]*']) {
  const target = fakeTarget((probe) => (wordsOf(probe).startsWith('grep') ? groups : links));
  return new Round(target, Date.now() + 5000).gather(mountUsers(points)).then((users) => ({ users, asked: target.asked.map(wordsOf) }));
}

describe('who has files open below a mount', () => {
  it('is the service of the process, at the deepest of the points', async () => {
    const { users, asked } = await ask(said(LINKS, 1));
    expect(users.files.map(({ service, path, point }) => [service, path, point])).toEqual([
      ['db.service', '/srv/a/b/file', '/srv/a/b'],
      ['db.service', '/srv/a', '/srv/a'],
    ]);
    expect(users.why).toBeUndefined();
    expect(asked[0]).toContain('-lname /srv/\\[x\\]\\*/*');
  });

  it('is not asked where there is no point', async () => {
    expect(await ask(said(''), said(''), [])).toEqual({ users: { files: [] }, asked: [] });
  });

  it.each([
    ['the links are cut off', said(LINKS.slice(0, 40)), said(GROUPS)],
    ['the links are late', timedOut(LINKS), said(GROUPS)],
    ['the groups are cut off', said(LINKS), said(GROUPS.slice(0, -3))],
    ['the groups are empty', said(LINKS), said('')],
    ['processes are closed to us', said(LINKS, 1, "find: '/proc/1/fd': Permission denied\n"), said(GROUPS)],
  ])('is not all known where %s', async (_, links, groups) => {
    expect((await ask(links, groups)).users.why).toBeDefined();
  });
});
