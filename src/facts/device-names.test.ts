import { expect, it } from 'vitest';
import { absent, fakeTarget, said, timedOut } from '../../test/fake-target.ts';
import type { Answer } from '../check/types.ts';
import { Round } from '../engine/round.ts';
import type { Name } from '../names.ts';
import { namedDevices, namesDevice } from './device-names.ts';

const UDEV = '/dev/disk\0directory 0:0\0';
const MISSING = (...paths: string[]) => paths.map((path) => `stat: cannot statx '${path}': No such file or directory\n`).join('');

async function look(sources: Name[], answer: Answer) {
  const target = fakeTarget(() => answer);
  const named = await new Round(target, Number.MAX_SAFE_INTEGER).gather(namedDevices(sources));
  return { asked: target.asked, states: [...named].map(([source, device]) => [source, device.state]), named };
}

it.each([
  ['UUID=1', true],
  ['PARTLABEL=My Disk', true],
  ['/dev/sdb1', true],
  ['/dev/', false],
  ['UUID=', false],
  ['host:/export', false],
  ['tmpfs', false],
  ['/srv/image', false],
])('%s stands for a block device: %s', (source, expected) => {
  expect(namesDevice(source)).toBe(expected);
});

it('finds names in every spelling that udev and mount(8) know', async () => {
  const out = `${UDEV}/dev/sdb1\0block special file 8:11\0/dev/disk/by-uuid/c0ffee\0block special file fd:1a\0/dev/disk/by-label/My\\x20Disk\0block special file 7:0\0`;
  const { named, asked } = await look(
    ['/dev/sdb1', 'UUID=C0FFEE', 'LABEL=My Disk', 'tmpfs'],
    said(out, 1, MISSING('/dev/disk/by-uuid/C0FFEE')),
  );
  expect([...named.values()]).toMatchObject([
    { state: 'there', path: '/dev/sdb1', device: '8:17' },
    { state: 'there', path: '/dev/disk/by-uuid/c0ffee', device: '253:26' },
    { state: 'there', path: '/dev/disk/by-label/My\\x20Disk', device: '7:0' },
  ]);
  expect(asked).toHaveLength(1);
});

it('tells missing from not known', async () => {
  const all = ['/dev/sdb1', 'UUID=c0'];
  expect((await look(all, said(UDEV, 1, MISSING('/dev/sdb1', '/dev/disk/by-uuid/c0', '/dev/disk/by-uuid/C0')))).states).toEqual([
    ['/dev/sdb1', 'missing'],
    ['UUID=c0', 'missing'],
  ]);
  // No udev: no name by UUID says anything.
  expect((await look(['/dev/sdb1', 'UUID=1'], said('', 1, MISSING('/dev/disk', '/dev/sdb1', '/dev/disk/by-uuid/1')))).states).toEqual([
    ['/dev/sdb1', 'missing'],
    ['UUID=1', 'unknown'],
  ]);
  expect((await look(['/dev/null'], said(`${UDEV}/dev/null\0character special file 1:3\0`))).states).toEqual([['/dev/null', 'unknown']]);
});

it.each([
  ['garbled', said('\x07%\0@\0')],
  ['emptied', said('', 1)],
  ['cut off', said('/dev/dis', 1, MISSING('/dev/sdb1'))],
  ['without stat', absent()],
  ['late', timedOut()],
])('knows nothing where the answer is %s', async (_, answer) => {
  expect((await look(['/dev/sdb1', 'UUID=1'], answer)).states).toEqual([
    ['/dev/sdb1', 'unknown'],
    ['UUID=1', 'unknown'],
  ]);
});

it('asks nothing where there is nothing to ask', async () => {
  expect((await look(['tmpfs'], absent())).asked).toEqual([]);
});
