import { describe, expect, it } from 'vitest';
import { absent, fakeTarget, said, wordsOf } from '../../../test/fake-target.ts';
import type { Answer } from '../../check/types.ts';
import { Round } from '../../engine/round.ts';
import { cryptConsumers, parseCrypttab } from './crypttab.ts';

const gather = (crypttab: Answer, there: string[] = []) =>
  new Round(
    fakeTarget((probe) => {
      const words = wordsOf(probe);
      if (words.includes('/etc/crypttab')) {
        return crypttab;
      }
      if (words.includes('/run/systemd/system')) {
        return said('/run/systemd/system\0', 1, "find: '/run/systemd/container': No such file or directory\n");
      }
      const asked = probe.kind === 'run' ? probe.argv.slice(5).map(String) : [];
      const missing = asked.filter((path) => !there.includes(path)).map((path) => `stat: '${path}': No such file or directory\n`);
      return said(there.map((path) => `${path}\0block special file fd:3\0`).join(''), 1, missing.join(''));
    }),
    Number.MAX_SAFE_INTEGER,
  ).gather(cryptConsumers());

describe('parseCrypttab', () => {
  it('knows comments, blanks and quotes', () => {
    const text = '# <target> <source> <key> <options>\n\ndata\t/dev/vg0/luks  none luks,nofail\r\nhome UUID="1-2"\nalone\n a/b /dev/x\n';
    const { lines, strange } = parseCrypttab(text);
    expect(lines.map(({ number, name, source, options }) => [number, name, source, options])).toEqual([
      [3, 'data', '/dev/vg0/luks', ['luks', 'nofail']],
      [4, 'home', 'UUID=1-2', ['']],
    ]);
    expect(strange.map(({ number }) => number)).toEqual([5, 6]);
  });
});

describe('what crypttab opens', () => {
  it('needs its source, and a header that is kept apart', async () => {
    const { consumers, unjudged } = await gather(
      said('my-data /dev/vg0/luks none luks,header=/dev/vg0/head\nopen UUID=1 - noauto,nofail\n\0'),
      ['/dev/mapper/open'],
    );
    expect(unjudged).toEqual([]);
    expect(consumers).toEqual([
      {
        kind: 'crypt',
        name: 'my-data',
        atBoot: true,
        isUp: false,
        needs: ['/dev/vg0/luks', '/dev/vg0/head'],
        certainty: 'proven',
        evidence: expect.objectContaining({ source: '/etc/crypttab' }),
        unit: 'systemd-cryptsetup@my\\x2ddata.service',
        nofail: false,
      },
      expect.objectContaining({ name: 'open', atBoot: false, isUp: true, needs: ['UUID=1'], certainty: 'possible', nofail: true }),
    ]);
  });

  it('is nothing where there is no such file', async () => {
    const part = await gather(said('', 1, "find: '/etc/crypttab': No such file or directory\n"));
    expect(part).toEqual({ consumers: [], unjudged: [] });
  });

  it.each([
    ['cut off', said('data /dev/vg0/l')],
    ['denied', said('', 1, "find: '/etc/crypttab': Permission denied\n")],
    ['not asked', absent()],
  ])('is not known where the file is %s', async (_, answer) => {
    const { consumers, unjudged } = await gather(answer);
    expect(consumers).toEqual([]);
    expect(unjudged).toMatchObject([{ subject: { kind: 'file', name: '/etc/crypttab' } }]);
  });
});
