import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { absent, fakeTarget, said, wordsOf } from '../../test/fake-target.ts';
import { examine } from '../check/condition.ts';
import type { Answer } from '../check/types.ts';
import { Round } from '../engine/round.ts';
import { parseStat, processIs, processOf, self } from './process.ts';

const AFTER_NAME = 'S 1 2583 2583 0 -1 4194560 211 0 0 0 0 0 0 0 20 0 1 0 123456 9187328 900 18446744073709551615';

function gatherWith<T>(files: Record<string, string | Answer>, part: Parameters<Round['gather']>[0]): Promise<T> {
  const target = fakeTarget((probe) => {
    const found = files[wordsOf(probe)];
    return typeof found === 'string' ? said(found) : found;
  });
  return new Round(target, Date.now() + 5000).gather(part) as Promise<T>;
}

describe('parseStat', () => {
  it.each(['bash', 'a b', 'a) b', ') R 1 (', '((sd-pam))', '', 'x\ny', ') S 1 1 1 1 1 1 1 1'])('reads the name %j', (name) => {
    expect(parseStat(`2583 (${name}) ${AFTER_NAME}\n`)).toEqual({ pid: 2583, name, state: 'S', startTime: '123456' });
  });

  it.each([
    '',
    '\n',
    '2583',
    '2583 (bash',
    '2583 (bash) S 1 2',
    '(bash) S',
    `garbage ${AFTER_NAME}`,
    AFTER_NAME,
    '2583 (bash) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 x',
  ])('does not know %j', (text) => {
    expect(parseStat(text)).toBeUndefined();
  });

  it('reads its own process', () => {
    const own = parseStat(readFileSync('/proc/self/stat', 'latin1'));
    expect(own).toMatchObject({ pid: process.pid });
    expect(own?.state).toMatch(/^[RSD]$/);
  });
});

describe('processOf', () => {
  const status = 'Name:\tbash\nTracerPid:\t7\nUid:\t1000\t0\t0\t0\n';

  it('joins stat and status', async () => {
    const files = { '/proc/2583/stat': `2583 (bash) ${AFTER_NAME}`, '/proc/2583/status': status };
    expect(await gatherWith(files, processOf(2583))).toEqual({
      pid: 2583,
      name: 'bash',
      state: 'S',
      startTime: '123456',
      uid: 1000,
      tracer: 7,
    });
  });

  it('is undefined where there is no process, and null where status cannot be read', async () => {
    expect(await gatherWith({}, processOf(2583))).toBeUndefined();
    expect(await gatherWith({ '/proc/2583/stat': `2583 (bash) ${AFTER_NAME}` }, processOf(2583))).toMatchObject({
      uid: null,
      tracer: null,
    });
  });

  it.each([
    ['123456', 'S', '0', true],
    ['123456', 'TS', '0', true],
    ['123457', 'S', '0', false],
    ['123456', 'T', '0', false],
    ['123456', 'S', '7', false],
  ])('process-is: tick %s, states %s, tracer %s', async (startTime, states, tracer, holds) => {
    const files = { '/proc/2583/stat': `2583 (bash) ${AFTER_NAME}`, '/proc/2583/status': `TracerPid:\t${tracer}\n` };
    expect(await gatherWith(files, examine(processIs({ pid: 2583, startTime, states })))).toMatchObject({ holds });
  });

  it('process-is does not hold for a process that is gone', async () => {
    expect(await gatherWith({}, examine(processIs({ pid: 2583, startTime: '1', states: 'S' })))).toMatchObject({ holds: false });
  });
});

describe('self', () => {
  const root = 'Name:\tnode\nUid:\t0\t0\t0\t0\nNSpid:\t300\nCapEff:\t000001ffffffffff\n';

  it.each([
    ['root on the host', root, 'kthreadd\n', { uid: 0, mayMount: true, seesAllProcesses: true }],
    [
      'a user',
      root.replace('0\t0\t0\t0', '1000\t1000\t1000\t1000').replace('1ffffffffff', '00000000000'),
      'kthreadd\n',
      { uid: 1000, mayMount: false, seesAllProcesses: true },
    ],
    [
      'root without CAP_SYS_ADMIN',
      root.replace('000001ffffffffff', '00000000a80425fb'),
      'kthreadd\n',
      { uid: 0, mayMount: false, seesAllProcesses: true },
    ],
    [
      'CAP_SYS_ADMIN alone',
      root.replace('000001ffffffffff', '0000000000200000'),
      'kthreadd\n',
      { uid: 0, mayMount: true, seesAllProcesses: true },
    ],
    ['a nested pid namespace', root.replace('300', '300\t12'), 'kthreadd\n', { uid: 0, mayMount: true, seesAllProcesses: false }],
    ['a container, with a process 2 of its own', root, 'bash\n', { uid: 0, mayMount: true, seesAllProcesses: false }],
    ['a status of which nothing is known', '', 'kthreadd\n', { uid: -1, mayMount: false, seesAllProcesses: false }],
  ])('%s', async (_, status, second, expected) => {
    expect(await gatherWith({ '/proc/self/status': status, '/proc/2/comm': second }, self())).toEqual(expected);
  });

  it('does not claim to see all where process 2 cannot be read', async () => {
    expect(await gatherWith({ '/proc/self/status': root, '/proc/2/comm': absent() }, self())).toMatchObject({ seesAllProcesses: false });
  });
});
