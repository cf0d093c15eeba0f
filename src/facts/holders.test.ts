import { describe, expect, it } from 'vitest';
import { fakeTarget, said, timedOut, wordsOf } from '../../test/fake-target.ts';
import { examine } from '../check/condition.ts';
import type { Answer } from '../check/types.ts';
import { Round } from '../engine/round.ts';
import { describeHolders, holdersOf, listHolders, nobodySeenHolding } from './holders.ts';

const ROOT = '1 0 254:0 / / rw - ext4 /dev/vda rw\n';
const DEAD = '40 1 0:40 / /mnt/x rw - fuse.sshfs h:/x rw\n';
const DELETED = '40 1 254:0 /srv/x//deleted /mnt/x rw - ext4 /dev/vda rw\n';

interface World {
  table: string;
  /** `/proc/12/cwd` → what the link reads. */
  links?: Record<string, string> | Answer;
  /** pid → mount namespace, where it is not ours. */
  elsewhere?: Record<string, string>;
  /** Path → what find -L prints of its device and inode. */
  inodes?: Record<string, string>;
}

function target({ table, links = {}, elsewhere = {}, inodes = {} }: World) {
  return fakeTarget((probe) => {
    const words = wordsOf(probe);
    if (words === '/proc/self/mountinfo') {
      return said(table);
    }
    if (words.startsWith('find /proc -mindepth')) {
      return 'state' in links
        ? (links as Answer)
        : said(
            Object.entries(links)
              .map(([path, to]) => `${path} ${to}\0`)
              .join(''),
          );
    }
    if (words.startsWith('find /proc/self/ns/mnt')) {
      const pids = words.match(/\d+(?=\/ns)/g) ?? [];
      return said(['self', ...pids].map((pid) => `/proc/${pid}/ns/mnt mnt:[${elsewhere[pid] ?? '1'}]\n`).join(''));
    }
    if (words.startsWith('find -L')) {
      return said(
        Object.entries(inodes)
          .map(([path, inode]) => `${inode} ${path}\0`)
          .join(''),
      );
    }
    return /^\/proc\/\d+\/comm$/.test(words) ? said('bash\n') : undefined;
  });
}

async function held(world: World): Promise<string> {
  const { byPoint } = await new Round(target(world), Date.now() + 5000).gather(holdersOf(['/mnt/x']));
  return listHolders(byPoint.get('/mnt/x') ?? []);
}

describe('holdersOf', () => {
  it('names processes on a mount and how they hold it', async () => {
    const links = { '/proc/12/cwd': '/mnt/x', '/proc/12/fd/3': '/mnt/x/a', '/proc/13/exe': '/mnt/x/bin/y', '/proc/14/cwd': '/mnt/xy' };
    expect(await held({ table: ROOT + DEAD, links })).toBe('bash (pid 12, cwd, fd 3), bash (pid 13, exe)');
  });

  it('tells whose they are, by name or number, and what they hold', async () => {
    const links = { '/proc/12/cwd': '/mnt/x', '/proc/12/fd/3': '/mnt/x/a', '/proc/13/exe': '/mnt/x/b' };
    const plain = target({ table: ROOT + DEAD, links });
    const told = fakeTarget((probe) => {
      const words = wordsOf(probe);
      if (words.endsWith('/etc/passwd')) {
        expect(words).toBe('grep -E ^[^:]+:[^:]*:(1000|1001): /etc/passwd');
        return said('alice:x:1000:1000::/home/alice:/bin/sh\n');
      }
      const pid = /^\/proc\/(\d+)\/status$/.exec(words)?.[1];
      return pid === undefined ? plain.ask(probe, 0) : said(`Name:\tbash\nUid:\t${Number(pid) + 988}\t0\t0\t0\n`);
    });
    const { byPoint } = await new Round(told, Date.now() + 5000).gather(holdersOf(['/mnt/x']));
    const holders = byPoint.get('/mnt/x') ?? [];
    expect(listHolders(holders)).toBe('bash (pid 12 of alice, cwd, fd 3), bash (pid 13 of 1001, exe)');
    expect(describeHolders(holders)).toBe('bash (pid 12 of alice): cwd /mnt/x, fd 3 → /mnt/x/a; bash (pid 13 of 1001): exe /mnt/x/b');
  });

  it('leaves out those of another mount namespace', async () => {
    const links = { '/proc/12/cwd': '/mnt/x', '/proc/13/cwd': '/mnt/x' };
    expect(await held({ table: ROOT + DEAD, links, elsewhere: { 13: '2' } })).toBe('bash (pid 12, cwd)');
  });

  it('knows who holds the root of a deleted bind by its inode', async () => {
    const links = { '/proc/12/cwd': '/mnt/x (deleted)', '/proc/13/fd/0': '/mnt/x (deleted)', '/proc/14/fd/5': '/mnt/x/f (deleted)' };
    const inodes = { '/mnt/x': '65024 7', '/proc/12/cwd': '65024 7', '/proc/13/fd/0': '65024 8' };
    expect(await held({ table: ROOT + DELETED, links, inodes })).toBe('bash (pid 12, cwd), bash (pid 14, fd 5)');
    expect(await held({ table: ROOT + DELETED, links })).toBe('bash (pid 14, fd 5)');
    expect(await held({ table: ROOT + DELETED, links, inodes: { '/mnt/x': 'x', '/proc/12/cwd': 'x' } })).toBe('bash (pid 14, fd 5)');
  });

  it('follows no link where the mount is of nothing deleted', async () => {
    const asked = target({ table: ROOT + DEAD, links: { '/proc/12/cwd': '/mnt/x (deleted)' } });
    const { byPoint } = await new Round(asked, Date.now() + 5000).gather(holdersOf(['/mnt/x']));
    expect(byPoint.get('/mnt/x')).toEqual([]);
    expect(asked.asked.map(wordsOf).some((words) => words.startsWith('find -L'))).toBe(false);
  });
});

describe('nobody-seen-holding', () => {
  const examined = (world: World) => new Round(target(world), Date.now() + 5000).gather(examine(nobodySeenHolding({ point: '/mnt/x' })));

  it('holds where nobody is seen', async () => {
    expect(await examined({ table: ROOT + DEAD })).toEqual({ holds: true });
  });

  it('names the holder it found', async () => {
    expect(await examined({ table: ROOT + DEAD, links: { '/proc/12/cwd': '/mnt/x' } })).toEqual({
      holds: false,
      expected: 'nobody holding /mnt/x',
      found: 'bash (pid 12, cwd)',
    });
  });

  it('takes nobody for a holder who could not be looked at', async () => {
    expect(await examined({ table: ROOT + DEAD, links: timedOut() })).toEqual({ holds: true });
    expect(await examined({ table: ROOT + DEAD, links: said('', 1, "find: '/proc/9/fd': Permission denied\n") })).toEqual({ holds: true });
  });

  it('is about a mount: where there is none, or the table was not read, it does not hold', async () => {
    expect(await examined({ table: ROOT })).toMatchObject({ holds: false, found: 'nothing mounted there' });
    expect((await examined({ table: '' })).holds).toBe(false);
  });
});
