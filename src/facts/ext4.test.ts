import { describe, expect, it } from 'vitest';
import { absent, fakeTarget, said, timedOut, wordsOf } from '../../test/fake-target.ts';
import { examine } from '../check/condition.ts';
import type { Answer } from '../check/types.ts';
import { Round } from '../engine/round.ts';
import { ext4Clean, ext4Stopped, ext4Stops } from './ext4.ts';

const SYS = '1 0 0:3 / / rw - tmpfs tmpfs rw\n2 1 0:22 / /sys rw - sysfs sysfs rw\n';
const FIND = 'find /sys/dev/block -mindepth 1 -maxdepth 1 -printf %f %l\\n';
const DMESG = 'dmesg --kernel --color=never';
const MOUNTED =
  '[ 3988.811000] EXT4-fs (sdb1): mounted filesystem 674a59e8-5fee-45dc-97ab-05465f6d7ad4 with ordered data mode. Quota mode: none.\n';
const READ_ONLY = '[ 3989.213511] EXT4-fs (sdb1): Remounting filesystem read-only\n';
const SHUT = '[ 3988.822781] EXT4-fs (sdb1): shut down requested (2)\n';
const UNMOUNTED = '[ 3990.724222] EXT4-fs (sdb1): unmounting filesystem 674a59e8-5fee-45dc-97ab-05465f6d7ad4.\n';
const REMOUNTED = '[ 3991.1] EXT4-fs (sdb1): re-mounted 674a59e8-5fee-45dc-97ab-05465f6d7ad4 r/w. Quota mode: none.\n';

interface World {
  options?: string;
  superOptions?: string;
  kernel?: string | Answer;
  log?: string | Answer;
  errors?: string | Answer;
  more?: Record<string, string | Answer>;
}

function target({ options = 'rw,relatime', superOptions = 'rw', kernel = '6.1.0-28-amd64\n', log = MOUNTED, errors = '0\n', more }: World) {
  const answers: Record<string, string | Answer> = {
    '/proc/self/mountinfo': `${SYS}5 1 8:17 / /data ${options} - ext4 /dev/sdb1 ${superOptions}\n`,
    '/proc/sys/kernel/osrelease': kernel,
    [FIND]: '8:17 ../../devices/x/block/sdb/sdb1\n',
    [DMESG]: log,
    '/sys/fs/ext4/sdb1/errors_count': errors,
    '/sys/fs/ext4/sdb1/last_error_time': '1795270689\n',
    ...more,
  };
  return fakeTarget((probe) => {
    const answer = answers[wordsOf(probe)];
    return typeof answer === 'string' ? said(answer) : answer;
  });
}

async function told(world: World) {
  const { stops, unjudged } = await new Round(target(world), Date.now() + 5000).gather(ext4Stops());
  const stop = stops.get('8:17');
  return stop === undefined ? (unjudged.has('8:17') ? 'cannot tell' : 'runs') : [stop.by, ...stop.evidence.map(({ excerpt }) => excerpt)];
}

describe('ext4Stops', () => {
  it.each(['rw,shutdown', 'rw,emergency_ro', 'rw,errors=remount-ro,emergency_ro'])(
    'believes the kernel that shows %s',
    async (superOptions) => {
      expect(await told({ superOptions, kernel: '6.18.4\n' })).toEqual(['options']);
      expect(await told({ superOptions, kernel: absent(), log: MOUNTED + READ_ONLY })).toEqual(['options', READ_ONLY.trim()]);
      expect(await told({ superOptions, log: said('', 1, 'denied') })).toEqual(['options']);
    },
  );

  it('believes a kernel that would show it and does not, and asks no log', async () => {
    for (const kernel of ['6.18.44-fc\n', '6.19.0\n', '7.0.0\n']) {
      const asked = target({ kernel, log: READ_ONLY, errors: '3\n' });
      expect((await new Round(asked, Date.now() + 5000).gather(ext4Stops())).stops.size).toBe(0);
      expect(asked.asked.map(wordsOf)).not.toContain(DMESG);
    }
  });

  it('knows by the log what an older kernel does not show', async () => {
    expect(await told({ log: MOUNTED + READ_ONLY, errors: '2\n' })).toEqual([
      'log',
      READ_ONLY.trim(),
      '2 errors, the last at 2026-11-21T14:18:09.000Z',
    ]);
    expect(await told({ log: MOUNTED + SHUT })).toEqual(['log', SHUT.trim()]);
    // The line of its mounting has left the ring buffer.
    expect(await told({ log: READ_ONLY, errors: '2\n' })).toMatchObject(['log', READ_ONLY.trim(), expect.any(String)]);
  });

  it('knows that remount,rw brings nothing back there', async () => {
    expect(await told({ log: MOUNTED + READ_ONLY + REMOUNTED, errors: '2\n' })).toMatchObject([
      'log',
      READ_ONLY.trim(),
      expect.any(String),
    ]);
  });

  it.each<[string, World]>([
    ['mounted anew since', { log: MOUNTED + READ_ONLY + UNMOUNTED + MOUNTED, errors: '2\n' }],
    ['unmounted since, and the next mounting not logged', { log: MOUNTED + READ_ONLY + UNMOUNTED, errors: '2\n' }],
    ['checked since, and no mounting logged', { log: MOUNTED + READ_ONLY, errors: '0\n' }],
    ['of another device', { log: READ_ONLY.replace('sdb1', 'sdb11') + SHUT.replace('sdb1', 'sdb'), errors: '2\n' }],
    ['with errors recorded, and writable', { errors: '7\n' }],
    ['made read-only by hand', { options: 'ro', superOptions: 'ro', log: MOUNTED + READ_ONLY, errors: '2\n' }],
    ['a read-only bind', { options: 'ro', errors: '2\n' }],
    ['read-only below, without an error', { superOptions: 'ro' }],
  ])('is healthy when %s', async (_, world) => {
    expect(await told(world)).toBe('runs');
  });

  it('suspects one that is read-only below only, with errors', async () => {
    expect(await told({ superOptions: 'ro', errors: '2\n' })).toMatchObject(['read-only', expect.stringContaining('2 errors')]);
  });

  it('cannot tell where errors are recorded and the log is hidden, or the count', async () => {
    expect(await told({ log: said('', 1, 'dmesg: Operation not permitted'), errors: '2\n' })).toBe('cannot tell');
    expect(await told({ log: said('', 1, 'dmesg: Operation not permitted') })).toBe('runs');
    expect(await told({ log: MOUNTED + READ_ONLY, errors: absent() })).toBe('cannot tell');
    expect(await told({ log: MOUNTED + READ_ONLY, errors: '2' })).toBe('cannot tell');
  });

  it('asks nothing where no ext4 is mounted', async () => {
    const asked = target({ more: { '/proc/self/mountinfo': SYS } });
    await new Round(asked, Date.now() + 5000).gather(ext4Stops());
    expect(asked.asked.map(wordsOf)).toEqual(['/proc/self/mountinfo']);
  });
});

describe('ext4-stopped', () => {
  const holds = async (world: World, stopped: boolean, device = '8:17') =>
    (await new Round(target(world), Date.now() + 5000).gather(examine(ext4Stopped({ device, stopped })))).holds;

  it('holds for what is so, and for nothing unknown', async () => {
    expect([await holds({ superOptions: 'rw,shutdown' }, true), await holds({ superOptions: 'rw,shutdown' }, false)]).toEqual([
      true,
      false,
    ]);
    expect([await holds({}, true), await holds({}, false)]).toEqual([false, true]);
    expect([await holds({}, true, '8:18'), await holds({}, false, '8:18')]).toEqual([false, false]);
    const unknown = { log: said('', 1), errors: '2\n' };
    expect([await holds(unknown, true), await holds(unknown, false)]).toEqual([false, false]);
  });
});

describe('ext4-clean', () => {
  const dumped = (state: string, more = '', features = 'has_journal extent 64bit') =>
    `Filesystem volume name:   <none>\nFilesystem features:      ${features}\nFilesystem state:         ${state}\n${more}`;
  const STAT = 'stat -L -c %F %t:%T -- /dev/sdb1';
  const DUMP = 'dumpe2fs -h -- /dev/sdb1';
  const look = async (dump: string | Answer, clean: boolean, more: Record<string, string | Answer> = {}) => {
    const asked = target({ more: { '/proc/self/mountinfo': SYS, [STAT]: 'block special file 8:11\n', [DUMP]: dump, ...more } });
    const held = await new Round(asked, Date.now() + 5000).gather(examine(ext4Clean({ node: '/dev/sdb1', device: '8:17', clean })));
    return { held: held.holds, words: asked.asked.map(wordsOf) };
  };

  it.each<[string, boolean]>([
    [dumped('clean'), true],
    [dumped('clean', '', 'has_journal needs_recovery extent'), false],
    [dumped('clean with errors', 'FS Error count:           1\n'), false],
    [dumped('clean', 'FS Error count:           1\n'), false],
    [dumped('not clean'), false],
  ])('reads %j', async (dump, clean) => {
    expect([(await look(dump, true)).held, (await look(dump, false)).held]).toEqual([clean, !clean]);
  });

  it('neither holds where it could not look', async () => {
    for (const dump of [
      '',
      'garbage',
      said(dumped('clean'), 1),
      absent(),
      timedOut(dumped('clean')),
      dumped('clean').replace('features', 'x'),
    ]) {
      expect([(await look(dump, true)).held, (await look(dump, false)).held]).toEqual([false, false]);
    }
  });

  it('does not look at another device, or at one that is mounted', async () => {
    for (const more of [{ [STAT]: 'block special file 8:12\n' }, { [STAT]: 'character special file a:82\n' }, { [STAT]: absent() }]) {
      const { held, words } = await look(dumped('clean'), true, more);
      expect(held).toBe(false);
      expect(words).not.toContain(DUMP);
    }
    const mounted = `${SYS}5 1 8:17 / /data rw - ext4 /dev/sdb1 rw\n`;
    expect((await look(dumped('clean'), true, { '/proc/self/mountinfo': mounted })).held).toBe(false);
  });
});
