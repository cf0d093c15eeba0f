import { describe, expect, it } from 'vitest';
import { fakeTarget, said, wordsOf } from '../../../test/fake-target.ts';
import { Unknown } from '../../check/asking.ts';
import type { Answer } from '../../check/types.ts';
import { Round } from '../../engine/round.ts';
import { exportConsumers, parseBackstores, parseSavedTargets } from './exports.ts';

const CORE = '/sys/kernel/config/target/core';
const LIVE = `${CORE}/iblock_0/lun0/udev_path\0/dev/vg0/lun0\n${CORE}/iblock_1/by-hand/udev_path\0/dev/vg0/x\n${CORE}/rd_mcp_2/ram/udev_path\0ram\n/dev/null\0\n`;
const SAVED = JSON.stringify({
  fabric_modules: [],
  storage_objects: [
    { attributes: { block_size: 512 }, dev: '/dev/vg0/lun0', name: 'lun0', plugin: 'block', readonly: false },
    { dev: '/srv/image', name: 'image', plugin: 'fileio', size: 1 },
    { name: 'ram', plugin: 'ramdisk', size: 1 },
  ],
  targets: [],
});

it('parseSavedTargets names devices and files', () => {
  expect(parseSavedTargets(SAVED)).toEqual([
    { name: 'lun0', path: '/dev/vg0/lun0' },
    { name: 'image', path: '/srv/image' },
  ]);
  for (const text of ['', '{}', 'null', '{"storage_objects":{}}', SAVED.slice(0, -1)]) {
    expect(() => parseSavedTargets(text)).toThrow(Unknown);
  }
  expect(parseSavedTargets('{"storage_objects":[null,7,{}]}')).toEqual([]);
});

it('parseBackstores needs the whole of it', () => {
  expect(parseBackstores(said(LIVE))).toEqual([
    { name: 'lun0', path: '/dev/vg0/lun0' },
    { name: 'by-hand', path: '/dev/vg0/x' },
  ]);
  expect(() => parseBackstores(said(LIVE.slice(0, -3)))).toThrow(Unknown);
  expect(() => parseBackstores(said(LIVE, 1, `find: '${CORE}': Permission denied\n`))).toThrow('Permission denied');
});

const gather = (live: Answer, saved: string | undefined, units = 'Id=target.service\nUnitFileState=enabled\n') =>
  new Round(
    fakeTarget((probe) => {
      const words = wordsOf(probe);
      if (words.includes(CORE)) {
        return live;
      }
      if (words.startsWith('systemctl')) {
        return said(units);
      }
      const file = '/etc/target/saveconfig.json';
      const missing = "find: '/etc/rtslib-fb-target': No such file or directory\n";
      if (words.includes('sed')) {
        return said(saved === undefined ? '' : `${file}\0${saved}`, 1, missing);
      }
      const listed = saved === undefined ? '' : `${file}\0f\0${saved.length}\0\0`;
      return said(`/etc/target\0d\x004096\0\0${listed}/dev/null\0c\x000\0\0`, 1, missing);
    }),
    Number.MAX_SAFE_INTEGER,
  ).gather(exportConsumers());

describe('exports', () => {
  it('are those of the kernel and those restored at boot', async () => {
    const { consumers, unjudged } = await gather(said(LIVE), SAVED);
    expect(unjudged).toEqual([]);
    expect(consumers.map(({ name, atBoot, isUp, needs, unit }) => [name, atBoot, isUp, needs[0], unit])).toEqual([
      ['lun0', true, true, '/dev/vg0/lun0', 'target.service'],
      ['image', true, false, '/srv/image', 'target.service'],
      ['by-hand', false, true, '/dev/vg0/x', null],
    ]);
  });

  it('are restored by nobody where no unit is enabled', async () => {
    const { consumers } = await gather(said('/dev/null\0\n'), SAVED, 'Id=target.service\nUnitFileState=disabled\n');
    expect(consumers[0]).toMatchObject({ name: 'lun0', atBoot: false, isUp: false, unit: null });
  });

  it('are none where there are none', async () => {
    const live = said('/dev/null\0\n', 1, `find: '${CORE}': No such file or directory\n`);
    expect(await gather(live, undefined)).toEqual({ consumers: [], unjudged: [] });
  });

  it('are not known where a source is broken', async () => {
    const { unjudged } = await gather(said(''), SAVED.slice(0, -1));
    expect(unjudged.map(({ subject }) => subject.name)).toEqual([CORE, '/etc/target/saveconfig.json']);
  });
});
