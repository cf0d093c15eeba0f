import { describe, expect, it } from 'vitest';
import { fakeTarget, said, wordsOf } from '../../test/fake-target.ts';
import { examine } from '../check/condition.ts';
import { Round } from '../engine/round.ts';
import { mappingForgotten, suspendedMappings } from './suspended.ts';

const TABLE =
  '1 0 254:0 / / rw - ext4 /dev/vda rw\n2 1 0:22 / /sys rw - sysfs sysfs rw\n3 1 253:0 / /a rw - xfs /dev/mapper/vg-a rw\n4 1 253:0 / /bind rw - xfs /dev/mapper/vg-a rw\n5 1 253:1 / /b rw - ext4 /dev/mapper/vg-b rw\n';
const LOWER = '253:2 ../../devices/virtual/block/dm-2';
const LIST = ['254:0 ../../devices/vda', '253:0 ../../devices/virtual/block/dm-0', '253:1 ../../devices/virtual/block/dm-1'];

async function suspended(
  states: Record<string, [first: string, again: string]>,
  more: { list?: string[]; slaves?: string } = {},
): Promise<[unknown, string[]]> {
  const target = fakeTarget((probe) => {
    const words = wordsOf(probe);
    const [, name, file] = /^\/sys\/block\/(dm-\d)\/dm\/(\w+)$/.exec(words) ?? [];
    if (name !== undefined) {
      return said(file === 'name' ? `vg-${name}\n` : ((states[name] ?? ['0\n', '0\n'])[probe.take === 'again' ? 1 : 0] as string));
    }
    if (words.includes('/slaves')) {
      return more.slaves === undefined ? undefined : said(more.slaves);
    }
    return said(words === '/proc/self/mountinfo' ? TABLE : (more.list ?? LIST).map((line) => `${line}\n`).join(''));
  });
  const round = new Round({ ...target, via: 'recording' }, Date.now() + 5000);
  const { suspended: found, unjudged } = await round.gather(suspendedMappings());
  return [
    [
      ...[...unjudged.keys()].map((device) => [device, 'unjudged']),
      ...[...found].map(([device, { name, evidence }]) => [device, name, evidence.excerpt]),
    ],
    target.asked.map(wordsOf),
  ];
}

describe('suspendedMappings', () => {
  it('is told of a device that stays suspended, once', async () => {
    const [found] = await suspended({ 'dm-0': ['1\n', '1\n'] });
    expect(found).toEqual([['253:0', 'vg-dm-0', '1, and 3 s later 1']]);
  });

  it('not of one that was for a moment, nor where it cannot be read', async () => {
    expect((await suspended({ 'dm-0': ['1\n', '0\n'], 'dm-1': ['0\n', '1\n'] }))[0]).toEqual([]);
    expect((await suspended({ 'dm-0': ['', ''], 'dm-1': ['1\n', 'x'] }))[0]).toEqual([
      ['253:0', 'unjudged'],
      ['253:1', 'unjudged'],
    ]);
  });

  it('what stands on a suspended device further down is not healthy', async () => {
    const list = [...LIST, LOWER];
    const states: Record<string, [string, string]> = { 'dm-2': ['1\n', '1\n'] };
    const slaves = '/sys/block/dm-1/slaves dm-2\n/sys/block/dm-0/slaves sda\n/sys/block/dm-2/slaves sda\n';
    expect((await suspended(states, { list, slaves }))[0]).toEqual([['253:1', 'unjudged']]);
    expect((await suspended(states, { list }))[0]).toEqual([
      ['253:0', 'unjudged'],
      ['253:1', 'unjudged'],
    ]);
    expect((await suspended({ 'dm-2': ['1\n', '0\n'] }, { list, slaves }))[0]).toEqual([]);
  });

  it('looks once where none is', async () => {
    const [, asked] = await suspended({});
    expect(asked.filter((words) => words.startsWith('/sys/block'))).toEqual([
      '/sys/block/dm-0/dm/suspended',
      '/sys/block/dm-1/dm/suspended',
    ]);
  });
});

describe('mappingForgotten', () => {
  const LOCK = '1: FLOCK  ADVISORY  WRITE 585 00:18:40 0 EOF\n';

  async function forgotten(processes: string[], locks = '', tables = 'Live'): Promise<unknown> {
    const answers: [start: string, text: string][] = [
      ['/sys/dev/block/253:0/dm/name', 'vg-a\n'],
      ['/sys/dev/block/253:0/dm/', '1\n'],
      ['dmsetup info', `  ${tables}\n`],
      ['find /proc ', ['systemd', ...processes].map((comm, index) => `/proc/${index + 1}/comm:${comm}\n`).join('')],
      ['find /run/lock/lvm', 'lvm 24 1\nV_vg 24 40\n'],
      ['/proc/locks', locks],
      ['/proc/585/comm', 'dmeventd\n'],
    ];
    const target = fakeTarget((probe) => said(answers.find(([start]) => wordsOf(probe).startsWith(start))?.[1] ?? ''));
    const round = new Round({ ...target, via: 'recording' }, Date.now() + 5000);
    const held = await round.gather(examine(mappingForgotten({ device: '253:0', name: 'vg-a' })));
    return held.holds || held.found;
  }

  it('holds while nobody is at work on volumes', async () => {
    expect(await forgotten(['sshd', 'multipathd'])).toBe(true);
    expect(await forgotten(['lvconvert'])).toBe('lvconvert (pid 2) at work');
    expect(await forgotten([], '', 'Both')).toBe('tables loaded: Both');
  });

  it('beside dmeventd, which runs wherever something is monitored, while it holds no lock', async () => {
    expect(await forgotten(['dmeventd'])).toBe(true);
    expect(await forgotten(['dmeventd'], LOCK)).toBe('dmeventd holds a lock of LVM');
    expect(await forgotten(['dmeventd'], 'garbled\n')).toContain('/proc/locks');
  });
});
