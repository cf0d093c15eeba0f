import { expect, it } from 'vitest';
import { fakeTarget, said } from '../../test/fake-target.ts';
import { Round } from '../engine/round.ts';
import { below, canLookBelow } from './below.ts';
import { type Mount, parseMountinfo } from './mountinfo.ts';

function mount(id: number, parent: number, point: string): Mount {
  return parseMountinfo(`${id} ${parent} 8:${id} / ${point} rw - ext4 /dev/x rw\n`)[0] as Mount;
}

it('binds the parent alone over a directory of a private namespace, and looks there', async () => {
  const target = fakeTarget(() =>
    said('/sys/a\0d 4096 2 3 4\0not\0/sys/b c\0d 4096 2 3 4\0empty\0', 1, "find: '/sys/gone': No such file or directory\n"),
  );
  const looked = await new Round(target, Number.MAX_SAFE_INTEGER).gather(below('/mnt', ['/mnt/a', '/mnt/b c', '/mnt/gone']));
  expect(Object.fromEntries(looked)).toMatchObject({
    '/mnt/a': { state: 'found', type: 'd', empty: false },
    '/mnt/b c': { state: 'found', type: 'd', empty: true },
    '/mnt/gone': { state: 'errno', errno: 2 },
  });
  expect(target.asked).toMatchObject([
    {
      argv: [
        ...['unshare', '--mount', '--propagation', 'private', 'find', '/', '-maxdepth', '0'],
        ...[
          '-exec',
          'mount',
          '-n',
          '-c',
          '--bind',
          '--',
          '/mnt',
          '/sys',
          ';',
          '-exec',
          'stdbuf',
          '-o0',
          'find',
          '/sys/a',
          '/sys/b c',
          '/sys/gone',
        ],
        ...[
          '-maxdepth',
          '0',
          '-printf',
          '%p\\0%y %s %i %D %n\\0',
          '(',
          '-empty',
          '-printf',
          'empty\\0',
          '-o',
          '-printf',
          'not\\0',
          ')',
          ';',
        ],
      ],
    },
  ]);
});

it('knows nothing where the namespace was refused', async () => {
  const target = fakeTarget(() => said('', 1, 'unshare: unshare failed: Operation not permitted\n'));
  const looked = await new Round(target, Number.MAX_SAFE_INTEGER).gather(below('/', ['/a']));
  expect(looked.get('/a')).toMatchObject({ state: 'unknown' });
});

it('is for no stack, no root, and no name that find would replace', () => {
  const root = mount(1, 1, '/');
  expect(canLookBelow(mount(2, 1, '/mnt/a'), root)).toBe(true);
  expect(canLookBelow(mount(3, 2, '/mnt/a'), mount(2, 1, '/mnt/a'))).toBe(false);
  expect(canLookBelow(root, root)).toBe(false);
  expect(canLookBelow(mount(2, 9, '/mnt/a'), undefined)).toBe(false);
  expect(canLookBelow(mount(2, 1, '/mnt/{}'), root)).toBe(false);
});
