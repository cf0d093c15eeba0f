import { expect, it } from 'vitest';
import { fakeTarget, said, wordsOf } from '../../test/fake-target.ts';
import { Round } from '../engine/round.ts';
import { type Reach, reach } from './reach.ts';

const TABLE = '20 1 8:1 / / rw - ext4 /dev/sda1 rw\n21 20 8:2 / /data rw - ext4 /dev/sdb1 rw\n';
const EIO = "find: '/data': Input/output error\n";

/** /data fails its first listing; listings of its own answer as told, in their order. */
async function reachData(...listings: ('fails' | 'answers')[]): Promise<Reach | undefined> {
  const target = fakeTarget((probe) => {
    const words = wordsOf(probe);
    if (words === '/proc/self/mountinfo') {
      return said(TABLE);
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
