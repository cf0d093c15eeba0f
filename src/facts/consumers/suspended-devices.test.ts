import { describe, expect, it } from 'vitest';
import { fakeTarget, said, timedOut } from '../../../test/fake-target.ts';
import { Unknown } from '../../check/asking.ts';
import { Round } from '../../engine/round.ts';
import { parseSuspended, suspendedDevices } from './suspended-devices.ts';

const BLOCKS = '/sys/devices/virtual/block';
const FILES = [
  ['dm-0/dev', '253:0'],
  ['dm-0/dm/suspended', '1'],
  ['dm-1/dev', '253:1'],
  ['dm-1/dm/suspended', '0'],
  ['dm-2/dev', '253:2'],
  ['dm-2/dm/suspended', '0'],
  ['dm-3/dev', '253:3'],
  ['dm-3/dm/suspended', '0'],
  ['loop0/dev', '7:0'],
] as const;
const LISTED = FILES.map(([path]) => `${BLOCKS}/${path}\0listed\n`).join('');
const SLAVES = ['dm-2/slaves/dm-1', 'dm-1/slaves/dm-0', 'dm-3/slaves/sda'].map((path) => `${BLOCKS}/${path}\0\n`).join('');
const READ = FILES.map(([path, value]) => `${BLOCKS}/${path}\0${value}\n`).join('');
const TEXT = `${LISTED}${SLAVES}/dev/null\0\n${READ}`;

describe('suspended devices', () => {
  it('are those, and all that stand on them', () => {
    const { names, numbers } = parseSuspended(TEXT);
    expect([...names].toSorted()).toEqual(['dm-0', 'dm-1', 'dm-2']);
    expect([...numbers].toSorted()).toEqual(['253:0', '253:1', '253:2']);
  });

  it('are none where there are no such devices', () => {
    expect(parseSuspended('/dev/null\0\n').names.size).toBe(0);
  });

  it('could not be told where a line is missing', () => {
    expect(() => parseSuspended('')).toThrow(Unknown);
    expect(() => parseSuspended(TEXT.slice(0, -1))).toThrow(Unknown);
    expect(() => parseSuspended(`${LISTED}${SLAVES}${READ}`)).toThrow(Unknown);
    expect(() => parseSuspended(`${LISTED}${SLAVES}/dev/null\0\n`)).toThrow(Unknown);
  });

  it.each([
    ['late', timedOut(TEXT)],
    ['garbled', said('\x07%!@\n')],
  ])('could not be told where the answer is %s', async (_, answer) => {
    const round = new Round(
      fakeTarget(() => answer),
      Number.MAX_SAFE_INTEGER,
    );
    await expect(round.gather(suspendedDevices())).rejects.toThrow(Unknown);
  });
});
