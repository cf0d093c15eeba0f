import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { fakeTarget, said, timedOut } from '../../test/fake-target.ts';
import { randomBytes, randomFrom, scratch } from '../../test/scratch.ts';
import { examine } from '../check/condition.ts';
import type { Answer, Probe } from '../check/types.ts';
import { Round } from '../engine/round.ts';
import { fromByteString, type Name, toByteString, toBytes } from '../names.ts';
import { viaXargs } from '../target/child.ts';
import { LocalTarget } from '../target/local.ts';
import { ERRNO } from './errno.ts';
import { bulkArgv, emptyDirectory, fileIs, hungAt, type Looked, lookAt, nodeIs, parseBulk, parseErrors, pathIs } from './look.ts';

const SEEN = { source: 'find', at: '' };

function record(path: string, empty: 'empty' | 'not' = 'not', fields = 'd 4096 2 65024 3'): string {
  return `${path}\0${fields}\0${empty}\0`;
}

function parse(paths: Name[], answer: Answer): Record<string, Looked['state']> {
  return Object.fromEntries([...parseBulk(paths, answer, SEEN)].map(([path, { state }]) => [path, state]));
}

/** Names that find quotes in every way it knows. */
const NAMES = [
  '/a b',
  "/it's",
  '/new\nline',
  '/back\\slash',
  '/tab\t',
  '/\x01\x07\x08\x0b\x0c\r\x1b[31m\x7f',
  '/"q"',
  '/caf\xe9',
  '/\xc3\xa0',
  '/$(x)`',
  '/*?[',
];

describe('parseBulk', () => {
  it('reads what was found', () => {
    const found = parseBulk(['/a', '/b'], said(record('/a', 'empty') + record('/b', 'not', 'f 12 99 7 1')), SEEN);
    expect(found.get('/a')).toEqual({ state: 'found', type: 'd', size: 4096, inode: 2, device: 65024, links: 3, empty: true, seen: SEEN });
    expect(found.get('/b')).toEqual({ state: 'found', type: 'f', size: 12, inode: 99, device: 7, links: 1, empty: false, seen: SEEN });
  });

  it.each(NAMES)('finds the name %j', (name) => {
    expect(parse([fromByteString(name), '/z'], said(record(name) + record('/z')))).toEqual({ [name]: 'found', '/z': 'found' });
  });

  it('takes the same path twice', () => {
    expect(parse(['/a', '/a', '/b'], said(record('/a') + record('/a') + record('/b')))).toEqual({ '/a': 'found', '/b': 'found' });
  });

  it('gives errors to those that were passed over', () => {
    const err = "find: '/b': Transport endpoint is not connected\n";
    const found = parseBulk(['/a', '/b', '/c'], said(record('/a') + record('/c'), 1, err), SEEN);
    expect(found.get('/b')).toEqual({ state: 'errno', errno: ERRNO.ENOTCONN, call: 'stat', line: err.trim(), seen: SEEN });
    expect(found.get('/c')?.state).toBe('found');
  });

  it('tells a directory that cannot be listed from an empty one', () => {
    const found = parseBulk(['/a'], said(record('/a', 'not'), 1, "find: '/a': Input/output error\n"), SEEN);
    expect(found.get('/a')).toMatchObject({ state: 'errno', errno: ERRNO.EIO, call: 'readdir' });
  });

  it('does not know errors in words it does not know', () => {
    const found = parseBulk(['/a', '/b'], said('', 1, "find: '/a': Fehler beim Lesen\n"), SEEN);
    expect(found.get('/a')).toMatchObject({ state: 'unknown', why: "find: '/a': Fehler beim Lesen" });
    expect(found.get('/b')).toMatchObject({ state: 'unknown', why: 'find said nothing about it' });
  });

  it('is silent about the one it hung on, and knows nothing of those behind', () => {
    expect(parse(['/a', '/b', '/c'], timedOut(record('/a')))).toEqual({ '/a': 'found', '/b': 'silent' });
    expect(parse(['/a', '/b'], timedOut(''))).toEqual({ '/a': 'silent' });
  });

  it('knows a hang while the directory is read, after its first record', () => {
    for (const so_far of ['/b\0', '/b\0d 4096 2 6', '/b\0d 4096 2 65024 3\0', '/b\0d 4096 2 65024 3\0no']) {
      expect(parse(['/a', '/b', '/c'], timedOut(record('/a') + so_far))).toEqual({ '/a': 'found', '/b': 'silent' });
    }
  });

  it('passes over those that failed before the hang', () => {
    const err = "find: '/b': No such file or directory\nfind: '/c': Stale file handle\n";
    expect(parse(['/a', '/b', '/c', '/d', '/e'], timedOut(record('/a'), err))).toEqual({
      '/a': 'found',
      '/b': 'errno',
      '/c': 'errno',
      '/d': 'silent',
    });
    expect(parse(['/b', '/a', '/d'], timedOut(record('/a'), err))).toEqual({ '/b': 'errno', '/a': 'found', '/d': 'silent' });
  });

  it('blames nobody where all had ended before the limit', () => {
    expect(parse(['/a', '/b'], timedOut(record('/a') + record('/b')))).toEqual({ '/a': 'found', '/b': 'found' });
    expect(parse(['/a', '/b'], timedOut(record('/a'), "find: '/b': Not a directory\n"))).toEqual({ '/a': 'found', '/b': 'errno' });
  });

  it('keeps where a child sleeps and that it was left behind', () => {
    const answer = timedOut('', '', { wchan: 'request_wait_answer', leaked: { pid: 7, startTime: '1' } });
    expect(parseBulk(['/a'], answer, SEEN).get('/a')).toEqual({
      state: 'silent',
      limitMs: 2000,
      wchan: 'request_wait_answer',
      leaked: 7,
      seen: SEEN,
    });
  });

  it.each(['cut', 'denied', 'not-held', 'unreachable', 'absent'] as const)('knows nothing where the answer is %s', (state) => {
    expect(parse(['/a', '/b'], { state, why: 'because', at: '', ms: 0 })).toEqual({ '/a': 'unknown', '/b': 'unknown' });
  });

  it.each([
    'garbage',
    '\0\0\0',
    '/a\0',
    '/a\0d 4096 2 65024 3\0',
    '/a\0d 4096 2 65024 3\0perhaps\0',
    '/a\0d 4096 2 65024\0not\0',
    '/a\0d -1 2 3 4\0not\0',
    '/a\0/a\0not\0',
    '/z\0d 4096 2 65024 3\0not\0',
    'find: /a\0d 4096 2 65024 3\0not\0',
    '/a\0d 4096 2 65024 3\0not',
  ])('finds nothing in %j', (out) => {
    expect(parse(['/a'], said(out))).toEqual({ '/a': 'unknown' });
    expect(parse(['/a'], timedOut(out))).toEqual({ '/a': 'silent' });
  });

  it('never finds what was not said, whatever is lost of the output', () => {
    const random = randomFrom(3);
    const paths = ['/a', '/b', '/c', '/d'];
    const whole = paths.map((path) => record(path)).join('');
    for (let round = 0; round < 2000; round++) {
      const at = random(whole.length);
      const out = whole.slice(0, at) + randomBytes(random, 4, '\0/abcd 1') + whole.slice(at + random(6));
      const found = parseBulk(paths, random(2) === 0 ? said(out) : timedOut(out), SEEN);
      for (const [path, looked] of found) {
        expect(paths).toContain(path);
        if (looked.state === 'found') {
          expect(out).toMatch(new RegExp(`${path}\\0\\w \\d+ \\d+ \\d+ \\d+\\0(empty|not)\\0`));
        }
      }
    }
  });
});

describe('parseErrors', () => {
  it('unquotes names as find quotes them', () => {
    const quoted = "find: '/a\\n\\'b\\\\c\\t\\033[31m\\303\\240\\377': Input/output error";
    expect([...parseErrors(`${quoted}\n`)]).toEqual([["/a\n'b\\c\t\x1b[31m\xc3\xa0\xff", quoted]]);
  });

  it('is not fooled by a name that looks like an error', () => {
    const line = "find: '/a\\': Input/output error': No such file or directory";
    expect([...parseErrors(line)]).toEqual([["/a': Input/output error", line]]);
  });

  it('passes over lines of others', () => {
    expect(parseErrors("stdbuf: failed\nfind: paths must precede expression\nfind: '/a\n").size).toBe(0);
  });

  it('reads the errors of the real find, for random names', () => {
    const random = randomFrom(4);
    const names = NAMES.concat(Array.from({ length: 300 }, () => `/${randomBytes(random, 10).replaceAll('/', '_')}`)).map(
      (name) => `/nowhere${name.length > 1 ? name : '/x'}`,
    );
    const { argv, input } = viaXargs(
      bulkArgv([...names.map(fromByteString), { base64: Buffer.from('/\xff', 'latin1').toString('base64') }]),
    );
    const [file, ...rest] = argv as [string, ...string[]];
    const { stderr } = spawnSync(file, rest, { input, env: { LC_ALL: 'C', PATH: process.env['PATH'] }, timeout: 20_000 });
    const errors = parseErrors(stderr.toString('latin1'));
    expect(names.filter((name) => !errors.has(name))).toEqual([]);
  });
});

describe('the bulk child itself', () => {
  it('says what parseBulk reads, for awkward names', () => {
    const root = scratch();
    const names = NAMES.map((name) => `${root}${name}`);
    for (const [index, name] of names.entries()) {
      const path = Buffer.from(name, 'latin1');
      if (index % 2 === 0) {
        mkdirSync(path);
      } else {
        writeFileSync(path, 'x'.repeat(index));
      }
    }
    const paths = [...names.map(fromByteString), `${root}/absent`, `${root}/it's/below`, root];
    const { argv, input } = viaXargs(bulkArgv(paths));
    const [file, ...rest] = argv as [string, ...string[]];
    const { stdout, stderr } = spawnSync(file, rest, { input, env: { LC_ALL: 'C', PATH: process.env['PATH'] }, timeout: 20_000 });
    const found = parseBulk(paths, { ...said(stdout), err: stderr.toString('latin1') } as Answer, SEEN);
    names.forEach((name, index) => {
      expect(found.get(name)).toMatchObject(
        index % 2 === 0 ? { state: 'found', type: 'd', empty: true } : { state: 'found', type: 'f', size: index },
      );
    });
    expect(found.get(root)).toMatchObject({ state: 'found', type: 'd', empty: false });
    expect(found.get(`${root}/absent`)).toMatchObject({ state: 'errno', errno: ERRNO.ENOENT });
    expect(found.get(`${root}/it's/below`)).toMatchObject({ state: 'errno', errno: ERRNO.ENOTDIR });
  });

  it('is there', () => {
    expect(execFileSync('stdbuf', ['--version'], { timeout: 5000 }).toString()).toContain('stdbuf');
  });
});

describe('lookAt', () => {
  /** Answers like find; hangs at these paths. */
  function finder(hangs: string[], missing: string[] = []) {
    return fakeTarget((probe: Probe) => {
      const argv = (probe as Probe & { kind: 'run' }).argv;
      let out = '';
      let err = '';
      for (const path of argv.slice(3, argv.indexOf('-maxdepth')).map(toByteString)) {
        if (hangs.includes(path)) {
          return timedOut(out, err);
        }
        if (missing.includes(path)) {
          err += `find: '${path}': No such file or directory\n`;
        } else {
          out += record(path);
        }
      }
      return said(out, err === '' ? 0 : 1, err);
    });
  }

  it('asks all with one child where none hangs', async () => {
    const target = finder([], ['/2']);
    const found = await new Round(target, Date.now() + 5000).gather(lookAt(['/1', '/2', '/3'], 1000));
    expect([...found].map(([path, { state }]) => `${path} ${state}`).sort()).toEqual(['/1 found', '/2 errno', '/3 found']);
    expect(target.asked).toHaveLength(1);
  });

  it('learns of every path, whichever hang', async () => {
    const paths = Array.from({ length: 60 }, (_, index) => `/${index}`);
    const hangs = ['/0', '/7', '/8', '/31', '/59'];
    const missing = ['/6', '/30', '/32', '/58'];
    const target = finder(hangs, missing);
    const found = await new Round(target, Date.now() + 5000).gather(lookAt(paths, 1000));
    expect(found.size).toBe(60);
    for (const path of paths) {
      expect(`${path} ${found.get(path)?.state}`).toBe(
        `${path} ${hangs.includes(path) ? 'silent' : missing.includes(path) ? 'errno' : 'found'}`,
      );
    }
  });

  it('does not ask where a child of an earlier run still hangs', async () => {
    const target = finder([]);
    const found = await new Round(target, Date.now() + 5000).gather(lookAt(['/1', '/2'], 1000, new Map([['/2', 77]])));
    expect(found.get('/2')).toMatchObject({ state: 'silent', leaked: 77 });
    expect(target.asked).toHaveLength(1);
    expect((target.asked[0] as Probe & { kind: 'run' }).argv).not.toContain('/2');
  });

  it('asks nothing where there is nothing to ask', async () => {
    const target = finder([]);
    expect((await new Round(target, Date.now() + 5000).gather(lookAt([], 1000))).size).toBe(0);
    expect(target.asked).toHaveLength(0);
  });

  it.each([
    ['d', true],
    ['f', false],
    ['absent', false],
  ])('path-is %s', async (type, holds) => {
    const round = new Round(finder([]), Date.now() + 5000);
    expect((await round.gather(examine(pathIs({ path: '/1', type })))).holds).toBe(holds);
  });

  it('path-is absent needs the word of the kernel, not silence', async () => {
    const absent = pathIs({ path: '/1', type: 'absent' });
    expect((await new Round(finder([], ['/1']), Date.now() + 5000).gather(examine(absent))).holds).toBe(true);
    expect((await new Round(finder(['/1']), Date.now() + 5000).gather(examine(absent))).holds).toBe(false);
  });

  it('path-is says what is there instead', async () => {
    const said = (wanted: string, hung: string[], failing: string[] = []) =>
      new Round(finder(hung, failing), Date.now() + 5000).gather(examine(pathIs({ path: '/1', type: wanted })));
    expect(await said('absent', [])).toEqual({ holds: false, expected: 'nothing at /1', found: 'a directory' });
    expect(await said('f', [])).toEqual({ holds: false, expected: 'a file at /1', found: 'a directory' });
    expect(await said('f', [], ['/1'])).toEqual({ holds: false, expected: 'a file at /1', found: 'nothing' });
    expect(await said('f', ['/1'])).toMatchObject({ holds: false, found: 'no answer within 2 s' });
  });
});

describe('what lies on this host', () => {
  const round = () => new Round(new LocalTarget(undefined), Date.now() + 20_000);

  it('empty-directory', async () => {
    const directory = scratch();
    mkdirSync(`${directory}/d`);
    writeFileSync(`${directory}/f`, '');
    const empty = (name: string) => round().gather(examine(emptyDirectory({ path: `${directory}${name}` })));
    expect(await empty('/d')).toEqual({ holds: true });
    expect(await empty('')).toMatchObject({ holds: false, found: 'a full one' });
    expect(await empty('/f')).toMatchObject({ holds: false, found: 'a file' });
    expect(await empty('/none')).toMatchObject({ holds: false, found: expect.stringContaining('No such file') });
  });

  it('file-is, until another one is renamed over it or it grows', async () => {
    const path = `${scratch()}/f`;
    writeFileSync(path, 'one');
    const { dev, ino } = statSync(path);
    const same = () => round().gather(examine(fileIs({ path, device: dev, inode: ino, size: 3 })));
    expect(await same()).toEqual({ holds: true });
    writeFileSync(path, 'more');
    expect(await same()).toMatchObject({ holds: false, found: `inode ${ino} on device ${dev}, 4 bytes` });
    writeFileSync(`${path}2`, 'two');
    renameSync(`${path}2`, path);
    expect(await same()).toMatchObject({ holds: false });
    rmSync(path);
    expect(await same()).toMatchObject({ holds: false, found: expect.stringContaining('No such file') });
  });

  it('node-is: not a file, not another kind of device, not nothing', async () => {
    const node = (path: string, device = '1:3') => round().gather(examine(nodeIs({ node: path, device })));
    expect(await node('/dev/null')).toEqual({
      holds: false,
      expected: '/dev/null to be block device 1:3',
      found: 'character special file 1:3',
    });
    expect((await node('/proc/self/status')).holds).toBe(false);
    expect(await node('/none')).toMatchObject({ holds: false, found: expect.stringContaining('No such file') });
    expect((await node('')).holds).toBe(false);
  });
});

describe('node-is', () => {
  // LC_ALL=C stat -L -c '%F %t:%T' -- /dev/dm-26
  it.each([
    ['block special file fd:1a\n', true],
    ['block special file fd:1b\n', false],
    ['block special file fd:1a', false],
    ['character special file fd:1a\n', false],
    ['', false],
  ])('%j: %s', async (out, holds) => {
    const round = new Round(
      fakeTarget(() => said(out)),
      Date.now() + 5000,
    );
    expect((await round.gather(examine(nodeIs({ node: '/dev/mapper/vg-a', device: '253:26' })))).holds).toBe(holds);
  });
});

describe('hungAt', () => {
  it('tells where a bulk child hangs from what it had said', () => {
    expect(hungAt(bulkArgv(['/a', '/b', '/c']), Buffer.from(record('/a')))).toBe('/b');
    expect(hungAt(bulkArgv(['/a', '/b', '/c']), Buffer.from(`${record('/a')}/b\0d 4096 2 3 4\0`))).toBe('/b');
    expect(hungAt(bulkArgv(['/a', '/b']), Buffer.from(record('/a') + record('/b')))).toBeUndefined();
  });

  it('passes over those that had failed before', () => {
    expect(hungAt(bulkArgv(['/a', '/b', '/c']), Buffer.from(record('/a')), "find: '/b': No such file or directory\n")).toBe('/c');
  });

  it('knows names that are not UTF-8', () => {
    const name = fromByteString('/caf\xe9');
    expect(toBytes(hungAt(bulkArgv(['/a', name]), Buffer.from(record('/a'))) as Name)).toEqual(toBytes(name));
  });

  it('says nothing of other children', () => {
    expect(hungAt(['stat', '-f', '--', '/a'], Buffer.alloc(0))).toBeUndefined();
    expect(hungAt([], Buffer.alloc(0))).toBeUndefined();
    expect(hungAt(['stdbuf', '-o0', 'find'], Buffer.alloc(0))).toBeUndefined();
  });
});
