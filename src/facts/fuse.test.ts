import { describe, expect, it } from 'vitest';
import { absent, fakeTarget, said, wordsOf } from '../../test/fake-target.ts';
import { examine } from '../check/condition.ts';
import type { Answer } from '../check/types.ts';
import { Round } from '../engine/round.ts';
import { fromByteString } from '../names.ts';
import {
  connectionOf,
  daemonGone,
  daemonsOf,
  type FuseDaemons,
  fusectlThere,
  fuseDaemons,
  nobodyWaits,
  onlyFor,
  somebodyWaits,
  waitingOn,
} from './fuse.ts';
import { type Mount, parseMountinfo } from './mountinfo.ts';
import type { Process } from './process.ts';

function mount(options = 'rw,user_id=1000,group_id=100', device = '0:42', point = '/m'): Mount {
  return parseMountinfo(`45 27 ${device} / ${point} rw - fuse.x src ${options}\n`)[0] as Mount;
}

function daemon(pid: number): Process {
  return { pid, name: 'sshfs', state: 'S', startTime: '1', uid: 0, tracer: 0 };
}

function daemons(more: Partial<FuseDaemons> = {}): FuseDaemons {
  return { seen: { source: '', at: '' }, complete: true, byConnection: new Map(), strangers: new Set(), unmapped: [], ...more };
}

describe('connectionOf', () => {
  it.each([
    ['0:42', 42],
    ['0:1048575', 1048575],
    // fuseblk on /dev/sda1 and on device-mapper: fs/fuse/control.c prints fc->dev unsigned.
    ['8:1', 8388609],
    ['253:3', 265289731],
    ['4095:7', 4293918727],
  ])('%s is %i', (device, connection) => {
    expect(connectionOf({ device })).toBe(connection);
  });
});

describe('daemonsOf', () => {
  it('goes by the connection where the kernel tells it', () => {
    const known = daemons({ byConnection: new Map([[42, [daemon(7)]]]), complete: false });
    expect(daemonsOf(mount(), known)).toEqual({ processes: [daemon(7)], by: 'kernel', complete: true });
    expect(daemonsOf(mount(undefined, '0:43'), known)).toEqual({ processes: [], by: 'kernel', complete: false });
  });

  it('goes by the mount point among the arguments where it does not', () => {
    const unmapped = [
      { process: daemon(7), argv: ['sshfs', 'h:/src', '/m2'] },
      { process: daemon(8), argv: ['sshfs', 'h:/src', '/m', '-o', 'ro'] },
    ];
    expect(daemonsOf(mount(), daemons({ unmapped }))).toEqual({ processes: [daemon(8)], by: 'arguments', complete: true });
  });

  it('compares the bytes of arguments', () => {
    const unmapped = [{ process: daemon(7), argv: [fromByteString('/caf\xe9')] }];
    expect(daemonsOf(mount(undefined, '0:42', '/caf\xe9'), daemons({ unmapped })).processes).toHaveLength(1);
  });

  it('proves absence only where every holder of /dev/fuse is accounted for', () => {
    expect(daemonsOf(mount(), daemons())).toMatchObject({ processes: [], complete: true });
    expect(daemonsOf(mount(), daemons({ complete: false }))).toMatchObject({ processes: [], complete: false });
    const unmapped = [{ process: daemon(7), argv: ['rclone', 'mount'] }];
    expect(daemonsOf(mount(), daemons({ unmapped }))).toMatchObject({ processes: [], complete: false });
  });
});

describe('onlyFor', () => {
  it.each([
    ['rw,user_id=1000,group_id=100', { uid: 1000, gid: 100 }],
    ['rw,user_id=0,group_id=0,default_permissions', { uid: 0, gid: 0 }],
    ['rw,user_id=1000,group_id=100,allow_other', undefined],
    ['rw,user_id=1000,group_id=100,not_allow_other', { uid: 1000, gid: 100 }],
    ['rw', undefined],
    ['rw,user_id=1000', undefined],
    ['rw,user_id=,group_id=', undefined],
    ['rw,user_id=x,group_id=0', undefined],
    ['rw,user_id=-1,group_id=0', undefined],
  ])('%s', (options, expected) => {
    expect(onlyFor(mount(options))).toEqual(expected);
  });
});

describe('fuseDaemons', () => {
  const STAT = 'S 1 7 7 0 -1 4194560 211 0 0 0 0 0 0 0 20 0 1 0 99 9187328 900 1';
  const HOST: Record<string, string | Answer> = {
    '/proc/self/status': 'Uid:\t0\t0\t0\t0\nNSpid:\t300\nCapEff:\t000001ffffffffff\n',
    '/proc/2/comm': 'kthreadd\n',
    '/proc/7/stat': `7 (sshfs) ${STAT}`,
    '/proc/8/stat': `8 (rclone) ${STAT}`,
    '/proc/7/fdinfo/3': 'pos:\t0\nflags:\t0100002\nfuse_connection:\t42\n',
    '/proc/7/fdinfo/4': 'pos:\t0\nfuse_connection:\t42\n',
    '/proc/8/fdinfo/5': 'pos:\t0\n',
    'cat /proc/8/cmdline': 'rclone\0mount\0r:\0/mnt/caf\xe9\0',
  };
  const links = '/proc/7/fd/3 /dev/fuse\0/proc/7/fd/4 /dev/fuse\0/proc/8/fd/5 /dev/fuse\0/proc/9/fd/5 /dev/fuse\0';

  function gather(more: Record<string, string | Answer> = {}, found: Answer = said(links)): Promise<FuseDaemons> {
    const target = fakeTarget((probe) => {
      const words = wordsOf(probe);
      const answer = words.startsWith('find /proc ') ? found : { ...HOST, ...more }[words];
      return typeof answer === 'string' ? said(answer) : answer;
    });
    return new Round(target, Date.now() + 5000).gather(fuseDaemons());
  }

  it('proves that a daemon is gone only where every process was looked at', async () => {
    const holds = async (device: string, found: Answer) => {
      const target = fakeTarget((probe) => {
        const words = wordsOf(probe);
        const answer = words.startsWith('find /proc ') ? found : (HOST as Record<string, string | Answer>)[words];
        return typeof answer === 'string' ? said(answer) : answer;
      });
      const round = new Round(target, Date.now() + 5000);
      return (await round.gather(examine(daemonGone({ device, point: '/mnt/x' })))).holds;
    };
    const sshfs = '/proc/7/fd/3 /dev/fuse\0';
    expect(await holds('0:43', said(sshfs))).toBe(true);
    expect(await holds('0:42', said(sshfs))).toBe(false);
    expect(await holds('0:43', said(links))).toBe(false);
    expect(await holds('0:43', said(sshfs, 1, "find: '/proc/77/fd': Permission denied\n"))).toBe(false);
    expect(await holds('0:43', absent())).toBe(false);
  });

  it('knows who holds which connection', async () => {
    const found = await gather();
    expect([...found.byConnection].map(([connection, holders]) => [connection, holders.map(({ pid }) => pid)])).toEqual([[42, [7]]]);
    expect(found.unmapped).toEqual([
      { process: expect.objectContaining({ pid: 8 }), argv: ['rclone', 'mount', 'r:', fromByteString('/mnt/caf\xe9')] },
    ]);
    expect(found.complete).toBe(true);
  });

  it('is not complete where a process could not be looked at', async () => {
    expect((await gather({}, said(links, 1, "find: '/proc/77/fd': Permission denied\n"))).complete).toBe(false);
    expect((await gather({}, said(links, 1, "find: '/proc/77/fd': No such file or directory\n"))).complete).toBe(true);
    expect((await gather({}, absent())).complete).toBe(false);
    expect((await gather({ '/proc/2/comm': 'bash\n' })).complete).toBe(false);
  });
});

describe('waiting callers', () => {
  const round = (text: Answer) =>
    new Round(
      fakeTarget((probe) => (wordsOf(probe) === '/sys/fs/fuse/connections/42/waiting' ? text : absent())),
      Date.now() + 5000,
    );

  it.each([
    [said('0\n'), 0, true, false],
    [said('3\n'), 3, false, true],
    [said('x\n'), undefined, false, false],
    [said(''), undefined, false, false],
    [absent(), undefined, false, false],
  ])('%#', async (answer, count, nobody, somebody) => {
    expect((await round(answer).gather(waitingOn(42, 'test'))).count).toBe(count);
    expect((await round(answer).gather(examine(nobodyWaits({ connection: 42 })))).holds).toBe(nobody);
    expect((await round(answer).gather(examine(somebodyWaits({ connection: 42 })))).holds).toBe(somebody);
    expect((await round(answer).gather(examine(fusectlThere({ connection: 42 })))).holds).toBe(answer.state === 'ok');
  });
});
