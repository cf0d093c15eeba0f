import { describe, expect, it } from 'vitest';
import { type Frame, FrameReader, parseFrame, parseReady } from './frames.ts';

interface Read {
  frames: Frame[];
  markers: string[][];
  broken: string[];
  noise: string;
}

function readIn(text: string, size: number): Read {
  const read: Read = { frames: [], markers: [], broken: [], noise: '' };
  const reader = new FrameReader('abc', {
    marker: (words) => read.markers.push(words),
    frame: (frame) => read.frames.push(frame),
    broken: (what) => read.broken.push(what),
  });
  const bytes = Buffer.from(text, 'latin1');
  for (let at = 0; at < bytes.length; at += size) {
    reader.feed(bytes.subarray(at, at + size));
  }
  return { ...read, noise: reader.noise };
}

const TEXT = 'Welcome\nno newline here\nabc ready 1 b64 setsid 0\n1 P 77\n1 O aGk=\n2 E AP8=\n1 X 0\n1 O .\n1 E .\n';

describe('FrameReader', () => {
  it.each([1, 2, 3, 7, 1000])('reads the same in pieces of %i bytes', (size) => {
    expect(readIn(TEXT, size)).toEqual({
      noise: 'Welcome\nno newline here\n',
      markers: [['ready', '1', 'b64', 'setsid', '0']],
      broken: [],
      frames: [
        { id: 1, is: 'pid', pid: 77 },
        { id: 1, is: 'out', data: Buffer.from('hi') },
        { id: 2, is: 'err', data: Buffer.from([0, 255]) },
        { id: 1, is: 'status', code: 0 },
        { id: 1, is: 'out-end' },
        { id: 1, is: 'err-end' },
      ],
    });
  });

  it('what is no line of the program ends it, once', () => {
    const { broken, frames } = readIn(`${TEXT}rm: something\n3 X 0\nmore\n`, 100);
    expect(broken).toEqual(['the line rm: something']);
    expect(frames).toHaveLength(6);
  });

  it('a line without end is not kept', () => {
    expect(readIn(TEXT + '1 O '.padEnd(10_000, 'A'), 512).broken).toEqual(['a line without end']);
  });

  it.each([`${'x'.repeat(200_000)}`, 'yes\n'.repeat(60_000)])('noise without end is cut', (text) => {
    const { noise, broken, markers } = readIn(text, 4096);
    expect(noise.length).toBeLessThanOrEqual(64 * 1024 + 5);
    expect([broken.length, markers]).toEqual([broken.length, []]);
  });
});

describe('parseFrame', () => {
  it.each([
    ['1 X', 'b64'],
    ['1 X -1', 'b64'],
    ['1 P x', 'b64'],
    ['1 Q 0', 'b64'],
    ['x X 0', 'b64'],
    ['99999999999 X 0', 'b64'],
    ['1 O a', 'b64'],
    ['1 O $$$$', 'b64'],
    ['1 O aGk', 'b64'],
    ['1 O 0g', 'hex'],
    ['1 O 0', 'hex'],
    ['1 X 0 ', 'b64'],
  ])('%j is none', (line, encoding) => {
    expect(parseFrame(line, encoding)).toBeUndefined();
  });

  it('hexadecimal bytes', () => {
    expect(parseFrame('7 O 00ff0a', 'hex')).toEqual({ id: 7, is: 'out', data: Buffer.from([0, 255, 10]) });
  });
});

describe('parseReady', () => {
  it.each([
    ['ready 1 b64 setsid 0 d9f8-1', { encoding: 'b64', setsid: true, uid: 0, boot: 'd9f8-1' }],
    ['ready 1 hex nosetsid 1000', { encoding: 'hex', setsid: false, uid: 1000, boot: '' }],
    ['ready 1 none nosetsid', { encoding: 'none', setsid: false, uid: undefined, boot: '' }],
    ['ready 2 b64 setsid 0', undefined],
    ['root', undefined],
  ])('%s', (line, expected) => {
    expect(parseReady(line.split(' '))).toEqual(expected);
  });
});
