import { describe, expect, it } from 'vitest';
import { absent, said, timedOut } from '../../../test/fake-target.ts';
import { randomBytes, randomFrom } from '../../../test/scratch.ts';
import { parseInfo, parseLooked } from './images.ts';
import { parseHead } from './qcow2.ts';

// qemu-img 7.2 of an image in a logical volume
const INFO = `{
    "backing-filename-format": "qcow2",
    "virtual-size": 32212254720,
    "filename": "/dev/dm-4",
    "cluster-size": 65536,
    "format": "qcow2",
    "actual-size": 0,
    "format-specific": {
        "type": "qcow2",
        "data": {
            "compat": "1.1",
            "compression-type": "zlib",
            "lazy-refcounts": false,
            "refcount-bits": 16,
            "corrupt": false,
            "extended-l2": false
        }
    },
    "full-backing-filename": "/dev/vg0/imagecache_7c3f0b71-55b8-4a0a-8f0f-0e8a4d3d9b55",
    "backing-filename": "/dev/vg0/imagecache_7c3f0b71-55b8-4a0a-8f0f-0e8a4d3d9b55",
    "dirty-flag": false
}
`;
const BASE = '/dev/vg0/imagecache_7c3f0b71-55b8-4a0a-8f0f-0e8a4d3d9b55';

describe('parseInfo', () => {
  it('names what an image stands on', () => {
    expect(parseInfo(INFO)).toEqual({ state: 'looked', format: 'qcow2', below: { path: BASE, format: 'qcow2' } });
    expect(parseInfo('{"format":"raw","filename":"/dev/dm-1"}')).toEqual({ state: 'looked', format: 'raw', below: undefined });
  });

  it('knows names that are JSON', () => {
    const spec = JSON.stringify({ driver: 'qcow2', file: { driver: 'host_device', filename: '/dev/vg0/b' } });
    expect(parseInfo(JSON.stringify({ format: 'qcow2', 'backing-filename': `json:${spec}` }))).toMatchObject({
      below: { path: '/dev/vg0/b' },
    });
    expect(parseInfo(JSON.stringify({ format: 'qcow2', 'backing-filename': 'json:{"driver":"nbd"}' }))).toMatchObject({ state: 'unknown' });
    expect(parseInfo(JSON.stringify({ format: 'qcow2', 'backing-filename': 'file:/srv/b' }))).toMatchObject({ below: { path: '/srv/b' } });
  });

  it.each(['', '[]', '7', '{}', INFO.slice(0, -3), INFO.slice(20)])('could not tell from %j', (text) => {
    expect(parseInfo(text)).toMatchObject({ state: 'unknown' });
  });
});

describe('parseLooked', () => {
  const PATHS = ['/a', '/b', '/c', '/d'];

  it('tells each path from the others', () => {
    const out = `/a\0${INFO}\0done\0/b\0\0failed\0/d\0d\0other\0`;
    const err = "qemu-img: Could not open '/b': Image is not in qcow2 format\nfind: '/c': No such file or directory\n";
    expect([...parseLooked(PATHS, said(out, 1, err))]).toEqual([
      ['/a', expect.objectContaining({ state: 'looked' })],
      ['/b', { state: 'unknown', why: "qemu-img: Could not open '/b': Image is not in qcow2 format" }],
      ['/d', { state: 'unknown', why: 'it is no file and no block device' }],
      ['/c', { state: 'absent' }],
    ]);
  });

  it('leaves those open that come after one that hangs', () => {
    const looked = parseLooked(PATHS, timedOut(`/a\0${INFO}\0done\0/b\0`));
    expect([...looked.keys()]).toEqual(['/a', '/b']);
    expect(looked.get('/b')).toEqual({ state: 'unknown', why: 'no answer within 2 s' });
  });

  it('tells of every path where it was answered at all', () => {
    for (const answer of [said(''), said('\x07%!'), said(`/a\0${INFO}`), absent(), said('', 1, "find: 'x")]) {
      const looked = parseLooked(PATHS, answer);
      expect(PATHS.map((path) => looked.get(path)?.state)).toEqual(PATHS.map(() => 'unknown'));
    }
  });
});

/** As qemu-img writes it: version 3, with the format of what lies below as an extension. */
function head(backing: string, format = 'qcow2', version = 3): string {
  const bytes = Buffer.alloc(4096);
  bytes.write('QFI\xfb', 'latin1');
  bytes.writeUInt32BE(version, 4);
  const start = version === 3 ? 112 : 72;
  bytes.writeUInt32BE(112, 100);
  let at = start;
  for (const [type, data] of [
    [0x6803f857, Buffer.alloc(5)],
    [0xe2792aca, Buffer.from(format)],
    [0, Buffer.alloc(0)],
  ] as const) {
    bytes.writeUInt32BE(type, at);
    bytes.writeUInt32BE(data.length, at + 4);
    data.copy(bytes, at + 8);
    at += 8 + Math.ceil(data.length / 8) * 8;
  }
  if (version === 2) {
    at = 200;
  }
  bytes.writeBigUInt64BE(BigInt(backing === '' ? 0 : at), 8);
  bytes.writeUInt32BE(Buffer.byteLength(backing), 16);
  bytes.write(backing, at);
  return bytes.toString('latin1');
}

describe('parseHead', () => {
  it('names what an image stands on', () => {
    expect(parseHead(head(BASE), 'qcow2')).toEqual({ state: 'looked', format: 'qcow2', below: { path: BASE, format: 'qcow2' } });
    expect(parseHead(head('b é', 'raw'), undefined)).toMatchObject({ below: { path: 'b é', format: 'raw' } });
    expect(parseHead(head('/b', 'raw', 2), 'qcow2')).toMatchObject({ below: { path: '/b', format: 'raw' } });
    expect(parseHead(head(''), 'qcow2')).toEqual({ state: 'looked', format: 'qcow2', below: undefined });
  });

  it('takes what bears no name of a format as raw, where nobody says otherwise', () => {
    expect(parseHead('\0'.repeat(4096), undefined)).toEqual({ state: 'looked', format: 'raw', below: undefined });
    expect(parseHead('\0'.repeat(4096), 'qcow2')).toMatchObject({ state: 'unknown' });
    expect(parseHead('KDMV', undefined)).toMatchObject({ state: 'unknown' });
    expect(parseHead('', undefined)).toMatchObject({ state: 'unknown' });
  });

  it('could not tell from one that is cut off', () => {
    for (const length of [4, 40, 103, 150, 160]) {
      expect(parseHead(head(BASE).slice(0, length), 'qcow2')).toMatchObject({ state: 'unknown' });
    }
  });

  it('comes to an end, whatever it is given', () => {
    const random = randomFrom(9);
    for (let count = 0; count < 3000; count++) {
      const whole = head(BASE);
      const at = 4 + random(200);
      expect(['looked', 'unknown']).toContain(
        parseHead(whole.slice(0, at) + randomBytes(random, 40) + whole.slice(at + random(40)), 'qcow2').state,
      );
    }
  });
});
