import { describe, expect, it } from 'vitest';
import { fakeTarget, said, wordsOf } from '../../../test/fake-target.ts';
import { randomBytes, randomFrom } from '../../../test/scratch.ts';
import { Unknown } from '../../check/asking.ts';
import type { Answer } from '../../check/types.ts';
import { Round } from '../../engine/round.ts';
import { cloudpodsGuests, parseDescription, parseServersPath } from './cloudpods.ts';

const ONE = '05b787e9-b78e-4ebc-8128-04f55d37306f';
const TWO = '1f6c3a52-0d5e-4f0c-86a0-6a3b8c6e1d11';
const description = (uuid: string, more: object = {}) =>
  JSON.stringify({
    name: `vm-${uuid.slice(0, 2)}`,
    uuid,
    mem: 2048,
    cpu: 2,
    is_slave: false,
    is_volatile_host: false,
    host_id: 'a1',
    nics: [{ mac: '00:22:0d:5a:b6:fd', ip: '10.0.0.4' }],
    disks: [
      {
        disk_id: 'd0ae3f48-5b4b-4d29-8b0b-1c5c4f6c2f11',
        driver: 'scsi',
        format: 'qcow2',
        index: 0,
        path: '/dev/vg0/d0ae3f48-5b4b-4d29-8b0b-1c5c4f6c2f11',
        storage_type: 'lvm',
        template_id: '7c3f0b71-55b8-4a0a-8f0f-0e8a4d3d9b55',
      },
    ],
    cdrom: { id: '', path: '' },
    ...more,
  });

describe('parseDescription', () => {
  it('names the disks', () => {
    expect(parseDescription(description(ONE, { name: 'wéb' }))).toEqual({
      uuid: ONE,
      name: 'wéb',
      isElsewhere: false,
      isDaemon: false,
      disks: [{ images: [{ path: '/dev/vg0/d0ae3f48-5b4b-4d29-8b0b-1c5c4f6c2f11', format: 'qcow2' }], closed: false }],
      onDemand: [],
    });
  });

  it('sets apart what the agent activates itself, and tells who is started with the host', () => {
    const disks = ['lvm', 'slvm', 'clvm'].map((storage_type) => ({ path: `/dev/${storage_type}/a`, format: 'qcow2', storage_type }));
    const { disks: own, onDemand, isDaemon } = parseDescription(description(ONE, { disks, is_daemon: true }));
    expect([own, onDemand].map((each) => each.map(({ images }) => images[0]?.path))).toEqual([
      ['/dev/lvm/a'],
      ['/dev/slvm/a', '/dev/clvm/a'],
    ]);
    expect(isDaemon).toBe(true);
  });

  it('does without what is left out', () => {
    expect(parseDescription(`{"uuid":"${ONE}","disks":null}`)).toMatchObject({ name: ONE, disks: [] });
    expect(parseDescription(`{"uuid":"u","disks":[{"path":""},{"path":"/a"},{"disk_id":"x"}]}`)).toMatchObject({
      disks: [{ images: [{ path: '/a', format: undefined }] }],
    });
  });

  it.each([
    ['', 'well-formed'],
    ['[]', 'no object'],
    ['null', 'no object'],
    ['{"uuid":7}', 'no uuid'],
    ['{"uuid":"u","disks":{}}', 'no list'],
    ['{"uuid":"u","disks":[7]}', 'its disk 0 is no object'],
    ['{"uuid":"u","disks":[{"path":"/a\\u0000"}]}', 'can be none'],
    ['{"uuid":"u","disks":[{"path":"/\\ud800"}]}', 'can be none'],
  ])('could not tell from %s', (text, why) => {
    expect(() => parseDescription(text)).toThrow(why);
  });

  it('tells or could not tell, wherever it is cut or broken', () => {
    const random = randomFrom(5);
    const text = description(ONE);
    for (let count = 0; count < 1000; count++) {
      const at = random(text.length);
      try {
        expect(parseDescription(text.slice(0, at) + randomBytes(random, 4, '{}[]",:0\\') + text.slice(at + random(9))).uuid).toBeTypeOf(
          'string',
        );
      } catch (error) {
        expect(error).toBeInstanceOf(Unknown);
      }
    }
  });
});

describe('parseServersPath', () => {
  it.each([
    ['servers_path: /srv/servers\n', '/srv/servers'],
    ['servers_path: "/srv/my servers" # here\n', '/srv/my servers'],
    ["servers_path = '/opt/owl/servers'\n", '/opt/owl/servers'],
    ['servers-path=/a\n', '/a'],
    ['', undefined],
  ])('%j: %s', (lines, path) => {
    expect(parseServersPath(lines)).toBe(path);
  });

  it.each(['servers_path: 7\n', 'servers_path: [/a]\n', 'servers_path:\n', 'servers_path: "/a\n', 'servers_path: relative\n'])(
    'could not tell from %j',
    (lines) => {
      expect(() => parseServersPath(lines)).toThrow(Unknown);
    },
  );
});

const SERVERS = '/opt/cloud/workspace/servers';
const NO_CONFIG = said('', 1, "find: '/etc/yunion/host.conf': No such file or directory\n");

interface Host {
  config?: Answer;
  files?: Record<string, string>;
  /** Directories that are links → where they lead. */
  links?: Record<string, string>;
  cmdlines?: string;
  mountinfo?: string;
}

function host({ config = NO_CONFIG, files = {}, links = {}, cmdlines = '', mountinfo = '21 1 254:0 / / rw - ext4 /dev/root rw\n' }: Host) {
  return fakeTarget((probe) => {
    const words = wordsOf(probe);
    if (words.includes('host.conf')) {
      return config;
    }
    if (words === '/proc/self/mountinfo') {
      return said(mountinfo);
    }
    if (words.includes('cmdline')) {
      return said(cmdlines);
    }
    const starts =
      probe.kind === 'run'
        ? probe.argv
            .slice(
              1,
              probe.argv.findIndex((word) => String(word).startsWith('-')),
            )
            .map(String)
        : [];
    if (words.includes('-maxdepth 0')) {
      return said(starts.map((path) => (links[path] === undefined ? `${path}\0d\0\0` : `${path}\0l\0${links[path]}\0`)).join(''));
    }
    const below = Object.entries(files).filter(([path]) => starts.some((start) => path.startsWith(`${start}/`)));
    if (words.includes('sed')) {
      return said(below.map(([path, text]) => `${path}\0${text}`).join('\0'));
    }
    const directories = starts.filter((path) => path !== '/dev/null').map((path) => `${path}\0d\x004096\0\0`);
    const linked = Object.entries(links).filter(([path]) => starts.some((start) => path.startsWith(`${start}/`)));
    const listed = below.map(([path, text]) => `${path}\0f\0${text.length}\0\0`);
    return said([...directories, ...linked.map(([path, to]) => `${path}\0l\x005\0${to}\0`), ...listed, '/dev/null\0c\x000\0\0'].join(''));
  });
}

const gather = (options: Host) => new Round(host(options), Number.MAX_SAFE_INTEGER).gather(cloudpodsGuests());

describe('guests of Cloudpods', () => {
  it('are those described, with whether they run', async () => {
    const { guests, pids, unjudged } = await gather({
      files: {
        [`${SERVERS}/${ONE}/desc`]: description(ONE),
        [`${SERVERS}/${TWO}/desc`]: description(TWO),
        [`${SERVERS}/away/desc`]: description('away', { is_volatile_host: true }),
      },
      cmdlines: `/proc/31/cmdline\0/usr/local/qemu-4.2.0/bin/qemu-system-x86_64\0-uuid\0${TWO}\0-drive\0file=/dev/vg0/hot,format=raw\0\n/proc/32/cmdline\0/bin/vi\0${ONE}\0\n`,
    });
    expect(unjudged).toEqual([]);
    expect(pids).toEqual([31]);
    expect(guests).toMatchObject([
      { kind: 'guest', name: 'vm-05', isUp: false, atBoot: false, disks: [{ images: [{ format: 'qcow2' }], closed: false }] },
      { name: 'vm-1f', isUp: true, disks: [{}, { images: [{ path: '/dev/vg0/hot', format: 'raw' }] }] },
    ]);
    expect(guests[0]?.evidence).toMatchObject({
      source: `${SERVERS}/${ONE}/desc`,
      excerpt: `${ONE}: /dev/vg0/d0ae3f48-5b4b-4d29-8b0b-1c5c4f6c2f11`,
    });
  });

  it('need what their agent activates for them only while they run', async () => {
    const disks = [{ path: '/dev/shared/a', format: 'qcow2', storage_type: 'slvm' }];
    const files = { [`${SERVERS}/${ONE}/desc`]: description(ONE, { disks, is_daemon: true }) };
    expect((await gather({ files })).guests).toMatchObject([{ atBoot: true, isUp: false, disks: [] }]);
    const cmdlines = `/proc/31/cmdline\0/bin/qemu-system-x86_64\0-uuid\0${ONE}\0\n`;
    expect((await gather({ files, cmdlines })).guests).toMatchObject([{ isUp: true, disks: [{ images: [{ path: '/dev/shared/a' }] }] }]);
  });

  it('lie where the configuration says, and behind links', async () => {
    const { guests, unjudged } = await gather({
      config: said('servers_path: /srv/s\n\0'),
      files: { [`/srv/s/${ONE}/desc`]: description(ONE), [`/data/${TWO}/desc`]: description(TWO) },
      links: { [`/srv/s/${TWO}`]: `/data/${TWO}` },
    });
    expect(unjudged).toEqual([]);
    expect(guests.map(({ name }) => name)).toEqual(['vm-05', 'vm-1f']);
  });

  it('on a mount that may hang are not asked about', async () => {
    const mountinfo = '21 1 254:0 / / rw - ext4 /dev/root rw\n30 21 0:50 / /data rw - nfs4 s:/x rw\n';
    const { guests, unjudged } = await gather({
      mountinfo,
      files: { [`${SERVERS}/${ONE}/desc`]: description(ONE), [`/data/${TWO}/desc`]: description(TWO) },
      links: { [`${SERVERS}/${TWO}`]: `/data/${TWO}` },
    });
    expect(guests.map(({ name }) => name)).toEqual(['vm-05']);
    expect(unjudged).toMatchObject([{ subject: { name: `${SERVERS}/${TWO}` } }]);
    const all = await gather({ mountinfo, config: said('servers_path: /data/s\n\0') });
    expect(all).toMatchObject({
      guests: [],
      unjudged: [{ subject: { kind: 'directory', name: '/data/s' }, why: 'it lies on a mount that may hang' }],
    });
  });

  it('that are broken hide no other', async () => {
    const { guests, unjudged } = await gather({
      files: { [`${SERVERS}/a/desc`]: description(ONE).slice(0, 99), [`${SERVERS}/${TWO}/desc`]: description(TWO) },
    });
    expect(guests.map(({ name }) => name)).toEqual(['vm-1f']);
    expect(unjudged).toEqual([{ subject: { kind: 'file', name: `${SERVERS}/a/desc` }, why: 'it is not well-formed JSON' }]);
  });

  it.each([
    ['cut off', said('servers_path: /s')],
    ['denied', said('', 1, "find: '/etc/yunion/host.conf': Permission denied\n")],
    ['strange', said('servers_path: {}\n\0')],
  ])('are not known where the configuration is %s', async (_, config) => {
    expect(await gather({ config })).toMatchObject({
      guests: [],
      unjudged: [{ subject: { kind: 'file', name: '/etc/yunion/host.conf' } }],
    });
  });
});
