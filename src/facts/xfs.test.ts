import { expect, it } from 'vitest';
import { fakeTarget, said, wordsOf } from '../../test/fake-target.ts';
import type { Answer } from '../check/types.ts';
import { Round } from '../engine/round.ts';
import { xfsShutdown } from './xfs.ts';

const MOUNT = '[   90.1] XFS (dm-3): Mounting V5 Filesystem 5b0a\n[   90.2] XFS (dm-3): Ending clean mount\n';
const SHUT = '[   95.5] XFS (dm-3): Metadata I/O Error (0x4) detected at xfs_fs_goingdown+0x5c/0x90. Shutting down filesystem.\n';
const PLEASE = '[   95.6] XFS (dm-3): Please unmount the filesystem and rectify the problem(s)\n';

async function said253(log: string | Answer, uevent = 'MAJOR=253\nMINOR=3\nDEVNAME=dm-3\nDEVTYPE=disk\n'): Promise<string | undefined> {
  const target = fakeTarget((probe) => {
    const words = wordsOf(probe);
    return words === '/sys/dev/block/253:3/uevent'
      ? said(uevent)
      : words.startsWith('dmesg')
        ? typeof log === 'string'
          ? said(log)
          : log
        : undefined;
  });
  return (await new Round(target, Date.now() + 5000).gather(xfsShutdown('253:3')))?.excerpt;
}

it('finds the line by the name that the kernel gives the device', async () => {
  expect(await said253(MOUNT + SHUT + PLEASE)).toBe(SHUT.trim());
  expect(await said253(SHUT)).toBe(SHUT.trim());
});

it.each([
  ['it was mounted since', SHUT + MOUNT],
  ['another device was', MOUNT + SHUT.replace('dm-3', 'dm-33')],
  ['nothing was', MOUNT],
  ['the log is hidden', said('', 1, 'dmesg: read kernel buffer failed: Operation not permitted')],
])('says nothing where %s', async (_, log) => {
  expect(await said253(log)).toBeUndefined();
});

it('says nothing of a device without a whole name', async () => {
  expect(await said253(SHUT, 'MAJOR=253\nDEVNAME=dm-3')).toBeUndefined();
});
