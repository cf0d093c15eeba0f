import { expect, it } from 'vitest';
import { parseMountinfo } from './mountinfo.ts';
import { overlayLayers } from './overlay.ts';

function layersOf(options: string) {
  const [mount] = parseMountinfo(`40 1 0:45 / /m rw - overlay ov ${options}\n`);
  return mount === undefined
    ? []
    : overlayLayers(mount).map(({ role, path }) => `${role} ${typeof path === 'string' ? path : path.base64}`);
}

it.each([
  ['rw,lowerdir=/a:/b,upperdir=/u,workdir=/w,uuid=on', ['lowerdir /a', 'lowerdir /b', 'upperdir /u', 'workdir /w']],
  ['ro,lowerdir=/l\\134:c\\134\\054d:/b', ['lowerdir /l:c,d', 'lowerdir /b']],
  ['rw,lowerdir=/a\\040b\\011\\134\\134c,upperdir=/u\\043', ['lowerdir /a b\t\\c', 'upperdir /u#']],
  ['ro,lowerdir+=/l:c\\054d,lowerdir+=/b\\134e,datadir+=/data', ['lowerdir /l:c,d', 'lowerdir /b\\e', 'lowerdir /data']],
  ['ro,lowerdir=/meta::/data', ['lowerdir /meta', 'lowerdir /data']],
  ['rw,lowerdir=o/lo,upperdir=up', ['lowerdir o/lo', 'upperdir up']],
  ['ro,lowerdir=/caf\xe9', [`lowerdir ${Buffer.from('/caf\xe9', 'latin1').toString('base64')}`]],
  ['rw,relatime', []],
])('%s', (options, expected) => {
  expect(layersOf(options)).toEqual(expected);
});
