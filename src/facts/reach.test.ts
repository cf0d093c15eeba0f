import { expect, it } from 'vitest';
import { fakeTarget, said, wordsOf } from '../../test/fake-target.ts';
import { Round } from '../engine/round.ts';
import { reach } from './reach.ts';
import type { Reach } from './reach-questions.ts';

const TABLE = '20 1 8:1 / / rw - ext4 /dev/sda1 rw\n21 20 8:2 / /data rw - ext4 /dev/sdb1 rw\n';
const XFS = TABLE.replace('- ext4 /dev/sdb1', '- xfs /dev/sdb1');
const SHUT_DOWN = '[ 9.5] XFS (sdb1): Log I/O Error (0x2) detected at xlog_ioend_work+0x6b/0x90. Shutting down filesystem.\n';
const EIO = "find: '/data': Input/output error\n";

/** /data fails its first listing; listings of its own answer as told, in their order. */
function reachData(...listings: ('fails' | 'answers')[]): Promise<Reach | undefined> {
  return reachOn({ table: TABLE, log: '' }, listings);
}

async function reachOn({ table, log }: { table: string; log: string }, listings: ('fails' | 'answers')[]): Promise<Reach | undefined> {
  const target = fakeTarget((probe) => {
    const words = wordsOf(probe);
    if (words === '/proc/self/mountinfo') {
      return said(table);
    }
    if (words.startsWith('dmesg')) {
      return said(log);
    }
    if (words === '/sys/dev/block/8:2/uevent') {
      return said('MAJOR=8\nMINOR=2\nDEVNAME=sdb1\n');
    }
    if (probe.kind === 'left-behind') {
      return said('[]');
    }
    if (words.startsWith('stdbuf')) {
      return said('/\0d 1 2 2049 3\0not\0/data\0d 1 2 2050 3\0not\0', 1, EIO);
    }
    if (words.startsWith('find /data')) {
      return listings.shift() === 'answers' ? said('/data/a\n') : said('', 1, EIO);
    }
    return words.startsWith('stat -f') ? said('ef53 1 1\n') : said('2\n');
  });
  return (await new Round(target, Date.now() + 20_000).gather(reach())).get(21);
}

it('asks for the listing again where the listing failed: a stat from the cache would hide it', async () => {
  expect(await reachData('fails', 'fails')).toMatchObject({ state: 'errno', call: 'readdir', errno: 5, statfsAnswers: true });
});

it('takes a listing that succeeds a second later as an answer', async () => {
  expect(await reachData('fails', 'answers')).toMatchObject({ state: 'answers' });
});

it('does not ask again where the kernel says that this XFS has shut itself down, and does where it does not say so', async () => {
  const settled = ['answers'] as 'answers'[];
  expect(await reachOn({ table: XFS, log: SHUT_DOWN }, settled)).toMatchObject({ state: 'errno', errno: 5, statfsAnswers: true });
  expect(settled).toEqual(['answers']);
  expect(await reachOn({ table: XFS, log: '' }, ['answers'])).toMatchObject({ state: 'answers' });
  expect(await reachOn({ table: TABLE, log: SHUT_DOWN }, ['answers'])).toMatchObject({ state: 'answers' });
});
