import { describe, expect, it } from 'vitest';
import { fakeTarget, said, timedOut } from '../../test/fake-target.ts';
import { Round } from '../engine/round.ts';
import { nfsExports, parseExports } from './nfs-exports.ts';

describe('exports', () => {
  it('are the paths at the beginning of lines', () => {
    const text = '# all\n/srv/a *(rw)\n  "/srv/b c" host(ro)\n/srv/d\\040e/ *\n\n-sec=sys host\n';
    expect(parseExports(text).map(({ number, path }) => [number, path])).toEqual([
      [2, '/srv/a'],
      [3, '/srv/b c'],
      [4, '/srv/d e'],
    ]);
  });

  it.each([
    ['none where there is no file', said('', 1, "find: '/etc/exports': No such file or directory\n"), false],
    ['known where the file is empty', said('\0'), false],
    ['unknown where it is cut off', said('/srv/a *'), true],
    ['unknown where it may not be read', said('', 1, "find: '/etc/exports': Permission denied\n"), true],
    ['unknown where it is late', timedOut(), true],
  ])('are %s', async (_, answer, isUnknown) => {
    const round = new Round(
      fakeTarget(() => answer),
      Date.now() + 5000,
    );
    const { exports, why } = await round.gather(nfsExports());
    expect([exports, why !== undefined]).toEqual([[], isUnknown]);
  });
});
