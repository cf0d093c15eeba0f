import { describe, expect, it } from 'vitest';
import { fakeTarget, said, wordsOf } from '../../../test/fake-target.ts';
import { randomFrom } from '../../../test/scratch.ts';
import { Unknown } from '../../check/asking.ts';
import type { Answer } from '../../check/types.ts';
import { Round } from '../../engine/round.ts';
import { libvirtGuests } from './libvirt.ts';
import { type Pool, parseDomain, parsePool } from './libvirt-xml.ts';

const UUID = '4dea22b3-1d52-d8f3-2516-782e98ab3fa0';
const domain = (name: string, disks: string, uuid = UUID) => `<!--
WARNING: THIS IS AN AUTO-GENERATED FILE. CHANGES TO IT ARE LIKELY TO BE
OVERWRITTEN AND LOST. Changes to this xml configuration should be made using:
  virsh edit ${name}
or other application using the libvirt API.
-->

<domain type='kvm'>
  <name>${name}</name>
  <uuid>${uuid}</uuid>
  <memory unit='KiB'>1048576</memory>
  <os>
    <type arch='x86_64' machine='pc-q35-7.2'>hvm</type>
    <boot dev='hd'/>
  </os>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
${disks}
    <graphics type='vnc' port='-1' autoport='yes' listen='127.0.0.1'>
      <listen type='address' address='127.0.0.1'/>
    </graphics>
  </devices>
</domain>
`;
const block = (path: string, format = 'raw', more = '') => `    <disk type='block' device='disk'>
      <driver name='qemu' type='${format}' cache='none' io='native' discard='unmap'/>
      <source dev='${path}'/>${more}
      <target dev='vda' bus='virtio'/>
      <address type='pci' domain='0x0000' bus='0x04' slot='0x00' function='0x0'/>
    </disk>`;
const BACKED = `
      <backingStore type='block' index='2'>
        <format type='qcow2'/>
        <source dev='/dev/vg0/base'/>
        <backingStore type='file' index='3'>
          <format type='raw'/>
          <source file='/srv/template.img'/>
          <backingStore/>
        </backingStore>
      </backingStore>`;
const volume = `    <disk type='volume' device='disk'>
      <driver name='qemu' type='raw'/>
      <source pool='guests' volume='web é'/>
      <target dev='vdb' bus='virtio'/>
    </disk>`;
const POOL = `<pool type='logical'>
  <name>guests</name>
  <uuid>11c9a8ed-8d9a-4f18-9ea5-9e7d1d0fd3d1</uuid>
  <capacity unit='bytes'>0</capacity>
  <source>
    <device path='/dev/sdb'/>
    <name>vg_guests</name>
    <format type='lvm2'/>
  </source>
  <target>
    <path>/dev/vg_guests</path>
  </target>
</pool>
`;
const live = (inner: string, state = 'running', pid = 4711) => `<domstatus state='${state}' reason='booted' pid='${pid}'>
  <taint flag='high-privileges'/>
  <monitor path='/var/lib/libvirt/qemu/domain-1-web/monitor.sock' type='unix'/>
${inner}</domstatus>
`;
const pools = new Map<string, Pool>([['guests', parsePool(POOL)]]);

describe('parseDomain', () => {
  it('names disks with what libvirt says lies below them', () => {
    const { disks, uuid, state } = parseDomain(domain('web', block('/dev/vg0/web', 'qcow2', BACKED)), pools);
    expect(uuid).toBe(UUID);
    expect(state).toBeUndefined();
    expect(disks).toEqual([
      {
        target: 'vda',
        images: [
          { path: '/dev/vg0/web', format: 'qcow2' },
          { path: '/dev/vg0/base', format: 'qcow2' },
          { path: '/srv/template.img', format: 'raw' },
        ],
        closed: true,
      },
    ]);
  });

  it('leaves the end open where nobody has looked', () => {
    const file =
      "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/srv/a.qcow2'/><target dev='vda'/></disk>";
    expect(parseDomain(domain('a', file), pools).disks).toEqual([
      { target: 'vda', images: [{ path: '/srv/a.qcow2', format: 'qcow2' }], closed: false },
    ]);
  });

  it('finds volumes by their pool', () => {
    expect(parseDomain(domain('a', volume), pools)).toMatchObject({
      disks: [{ images: [{ path: '/dev/vg_guests/web é' }] }],
      unresolved: [],
    });
    expect(parseDomain(domain('a', volume), new Map())).toMatchObject({
      disks: [],
      unresolved: [{ target: 'vdb', pool: 'guests', volume: 'web é' }],
    });
  });

  it('leaves out what is empty, optional or elsewhere', () => {
    const disks = `
<disk type='file' device='cdrom'><driver name='qemu' type='raw'/><target dev='sda' bus='sata'/><readonly/></disk>
<disk type='file' device='cdrom'><source file='/iso/x.iso' startupPolicy='optional'/><target dev='sdb'/></disk>
<disk type='network' device='disk'><driver type='raw'/><source protocol='rbd' name='pool/image'><host name='ceph'/></source><target dev='vdc'/></disk>
<disk type='block' device='lun'><source dev=''/><target dev='vdd'/></disk>`;
    expect(parseDomain(domain('a', disks), pools).disks).toEqual([]);
  });

  it('names mirrors, and file systems of the host', () => {
    const disks = `${block('/dev/vg0/a', 'raw', "\n<mirror type='block' job='copy'><source dev='/dev/vg0/copy'/></mirror>")}
<filesystem type='mount'><driver type='virtiofs'/><source dir='/srv/share'/><target dir='share'/></filesystem>`;
    const paths = parseDomain(domain('a', disks), pools).disks.flatMap(({ images }) => images.map(({ path }) => path));
    expect(paths).toEqual(['/dev/vg0/a', '/dev/vg0/copy', '/srv/share']);
  });

  it.each([
    ['a pool', POOL],
    ['a domain without a name', '<domain><uuid>1</uuid></domain>'],
    ['a path with a surrogate alone', domain('a', block('/dev/vg0/&#xD800;'))],
  ])('could not tell from %s', (_, text) => {
    expect(() => parseDomain(text, pools)).toThrow(Unknown);
  });

  it('could not tell from any beginning of a definition', () => {
    const text = domain('web', block('/dev/vg0/web')).trimEnd();
    const random = randomFrom(11);
    for (let count = 0; count < 300; count++) {
      expect(() => parseDomain(text.slice(0, random(text.length)), pools)).toThrow(Unknown);
    }
  });
});

describe('parsePool', () => {
  it.each([
    [POOL, '/dev/vg_guests'],
    ["<pool type='logical'><name>vg1</name></pool>", '/dev/vg1'],
    ["<pool type='dir'><name>d</name><target><path>/srv/images</path></target></pool>", '/srv/images'],
    ["<pool type='iscsi'><name>i</name><target><path>/dev/disk/by-path</path></target></pool>", undefined],
  ])('%#: volumes lie in %s', (text, directory) => {
    expect(parsePool(text).directory).toBe(directory);
  });
});

type Tree = Record<string, string>;

function host(files: Tree, more: { links?: string[]; cmdlines?: Answer; err?: string; list?: (text: string) => string } = {}) {
  const directories = ['/etc/libvirt/qemu', '/etc/libvirt/qemu/autostart', '/etc/libvirt/storage', '/run/libvirt/qemu'];
  const listing = [
    ...directories.map((path) => [path, 'd', '4096', '']),
    ...Object.entries(files).map(([path, text]) => [path, 'f', String(text.length), '']),
    ...(more.links ?? []).map((path) => [path, 'l', '20', path.replace('/autostart', '')]),
    ['/dev/null', 'c', '0', ''],
  ];
  const list = listing.map((fields) => `${fields.join('\0')}\0`).join('');
  const texts = Object.entries(files).flatMap(([path, text]) =>
    text === '' ? [] : [`${path}\0${text.includes('\xff') ? text : Buffer.from(text).toString('latin1')}`],
  );
  return fakeTarget((probe) => {
    const words = wordsOf(probe);
    if (words.includes('cmdline')) {
      return more.cmdlines ?? said('/proc/4711/cmdline\0/usr/bin/qemu-system-x86_64\0-name\0guest=web\0\n');
    }
    return words.includes('sed')
      ? said(texts.join('\0'))
      : said((more.list ?? ((text) => text))(list), more.err === undefined ? 0 : 1, more.err);
  });
}

const gather = (...args: Parameters<typeof host>) => new Round(host(...args), Number.MAX_SAFE_INTEGER).gather(libvirtGuests());
const QEMU = '/etc/libvirt/qemu';
const OTHER = 'a0000000-1d52-d8f3-2516-782e98ab3fa0';

describe('guests of libvirt', () => {
  it('are those that are defined, with whether they start and run', async () => {
    const { guests, pids, unjudged } = await gather(
      {
        [`${QEMU}/web.xml`]: domain('web', block('/dev/vg0/web')),
        [`${QEMU}/db.xml`]: domain('db', `${block('/dev/vg0/db')}${volume}`, OTHER),
        '/etc/libvirt/storage/guests.xml': POOL,
        '/run/libvirt/qemu/web.xml': live(domain('web', block('/dev/vg0/web', 'raw', '<backingStore/>'))),
      },
      { links: [`${QEMU}/autostart/db.xml`] },
    );
    expect(unjudged).toEqual([]);
    expect(pids).toEqual([4711]);
    expect(guests).toMatchObject([
      { kind: 'guest', name: 'web', atBoot: false, isUp: true, disks: [{ images: [{ path: '/dev/vg0/web' }], closed: true }] },
      {
        name: 'db',
        atBoot: true,
        isUp: false,
        disks: [{ images: [{ path: '/dev/vg0/db' }] }, { images: [{ path: '/dev/vg_guests/web é' }] }],
      },
    ]);
    expect(guests[1]?.evidence).toMatchObject({
      source: '/etc/libvirt/qemu/db.xml',
      excerpt: 'vda: /dev/vg0/db; vdb: /dev/vg_guests/web é; autostart',
    });
  });

  it('may be defined nowhere while they run', async () => {
    const { guests } = await gather({ '/run/libvirt/qemu/t.xml': live(domain('t', block('/dev/vg0/t')), 'paused') });
    expect(guests).toMatchObject([{ name: 't', isUp: true, atBoot: false }]);
  });

  it('run no more where the process of their state is gone', async () => {
    const files = { '/run/libvirt/qemu/t.xml': live(domain('t', block('/dev/vg0/t')), 'running', 99) };
    expect((await gather(files)).guests).toMatchObject([{ isUp: false }]);
    const denied = said('', 1, 'grep: /proc/99/cmdline: Permission denied\n');
    expect((await gather(files, { cmdlines: denied })).guests).toMatchObject([{ isUp: true }]);
  });

  it('that are broken are named, and hide no other', async () => {
    const { guests, unjudged } = await gather({
      [`${QEMU}/a.xml`]: domain('a', block('/dev/vg0/a')).slice(0, -20),
      [`${QEMU}/b.xml`]: '<domain>\xff</domain>',
      [`${QEMU}/c.xml`]: '',
      [`${QEMU}/d.xml`]: `${domain('d', '')}\0/etc/more\0x`,
      [`${QEMU}/e.xml`]: domain('e', volume),
      [`${QEMU}/f.xml`]: domain('f', block('/dev/vg0/f'), OTHER),
    });
    expect(guests.map(({ name }) => name)).toEqual(['e', 'f']);
    expect(unjudged.map(({ subject, why }) => [subject.name, why.slice(0, 25)])).toEqual([
      [`${QEMU}/c.xml`, 'it is empty'],
      [`${QEMU}/a.xml`, 'it is not well-formed XML'],
      [`${QEMU}/b.xml`, 'it is not UTF-8'],
      [`${QEMU}/d.xml`, 'it is not well-formed XML'],
      ['e', 'its vdb is volume web é o'],
    ]);
  });

  it('are not known where a directory may not be read', async () => {
    const { guests, unjudged } = await gather({}, { err: "find: '/etc/libvirt/qemu': Permission denied\n" });
    expect(guests).toEqual([]);
    expect(unjudged).toMatchObject([{ subject: { name: '/etc/libvirt/qemu' } }]);
  });

  it.each([
    ['cut off', (text: string) => text.slice(0, -30)],
    ['empty', () => ''],
    ['garbled', (text: string) => text.replaceAll('e', '\x07')],
  ])('are not known where the listing is %s', async (_, list) => {
    const { guests, unjudged } = await gather({ [`${QEMU}/web.xml`]: domain('web', '') }, { list });
    expect(guests).toEqual([]);
    expect(unjudged).toMatchObject([{ subject: { kind: 'directory', name: '/etc/libvirt' }, why: 'the listing did not come whole' }]);
  });

  it('are asked for by few children, however many they are', async () => {
    const files = Object.fromEntries(
      Array.from({ length: 1000 }, (_, index) => [
        `${QEMU}/vm${index}.xml`,
        domain(`vm${index}`, block(`/dev/vg0/vm${index}`), `${index}`),
      ]),
    );
    const target = host(files);
    const { guests } = await new Round(target, Number.MAX_SAFE_INTEGER).gather(libvirtGuests());
    expect(guests).toHaveLength(1000);
    expect(target.asked).toHaveLength(2);
  });
});
