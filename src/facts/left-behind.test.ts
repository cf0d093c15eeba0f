import { describe, expect, it } from 'vitest';
import { absent, fakeTarget, said } from '../../test/fake-target.ts';
import { Unknown } from '../check/asking.ts';
import type { Answer } from '../check/types.ts';
import { Round } from '../engine/round.ts';
import { fromByteString, toByteString } from '../names.ts';
import { type LeftBehind, stillHung } from './left-behind.ts';
import { bulkArgv } from './look.ts';

function gather(answer: Answer) {
  return new Round(
    fakeTarget(() => answer),
    Date.now() + 5000,
  ).gather(stillHung());
}

function remembered(...children: Partial<LeftBehind>[]): Answer {
  return said(Buffer.from(JSON.stringify(children.map((child) => ({ pid: 7, startTime: '1', argv: [], out: '', ...child })))));
}

describe('stillHung', () => {
  it('knows the path by its bytes', async () => {
    for (const path of ['/mnt/a', '/mnt/日本é', fromByteString('/caf\xe9')]) {
      const before = Buffer.from('/a\0d 4096 2 65024 3\0not\0').toString('base64');
      const hung = await gather(remembered({ argv: bulkArgv(['/a', path, '/z']), out: before }));
      expect([...hung]).toEqual([[toByteString(path), 7]]);
    }
  });

  it('passes over what had failed before the hang', async () => {
    const hung = await gather(remembered({ argv: bulkArgv(['/a', '/b']), err: "find: '/a': No such file or directory\n" }));
    expect([...hung]).toEqual([['/b', 7]]);
  });

  it('passes over children that asked something else', async () => {
    expect((await gather(remembered({ argv: ['stat', '-f', '/a'] }))).size).toBe(0);
    expect((await gather(said('[]'))).size).toBe(0);
    expect((await gather(absent())).size).toBe(0);
  });

  it.each([
    '{',
    '{}',
    'null',
    '[null]',
    '[7]',
    '[{"pid":7}]',
    '[{"pid":7,"startTime":"1","argv":[7],"out":""}]',
    '[{"pid":7,"startTime":"1","argv":[null],"out":""}]',
  ])('does not know %s', async (text) => {
    await expect(gather(said(text))).rejects.toThrow(Unknown);
  });
});
