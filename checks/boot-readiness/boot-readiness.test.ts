import { describe, expect, it } from 'vitest';
import { sourceOf } from '../../src/check/asking.ts';
import type { Answer } from '../../src/check/types.ts';
import { showName } from '../../src/names.ts';
import { applyEdit } from '../../src/steps/file-edits.ts';
import { type BootHost, type FakeDevice, judgeBoot } from '../../test/fake-boot.ts';
import { absent, said, timedOut } from '../../test/fake-target.ts';
import type { BootData } from './data.ts';
import { check } from './index.ts';

const ROOT_LINE = 'UUID=aaaa-root / ext4 errors=remount-ro 0 1\n';
const fstab = (...lines: string[]) => `${ROOT_LINE}${lines.join('\n')}\n`;

function disk(letter: string, more: Partial<FakeDevice> = {}): FakeDevice {
  const minor = (letter.charCodeAt(0) - 97) * 16;
  return {
    name: `sd${letter}`,
    number: `8:${minor}`,
    type: 'disk',
    transport: 'sata',
    links: [`disk/by-id/ata-${letter.toUpperCase()}`],
    ...more,
  };
}

/** A disk with one partition. */
function disks(letter: string, more: Partial<FakeDevice> = {}): FakeDevice[] {
  const whole = disk(letter);
  const number = `8:${Number(whole.number.slice(2)) + 1}`;
  return [
    whole,
    {
      name: `sd${letter}1`,
      number,
      type: 'part',
      signature: 'ext4',
      uuid: `${letter}${letter}${letter}${letter}-data`,
      on: [whole.name],
      ...more,
    },
  ];
}

const mounted = (number: string, point: string, source: string, more = '', root = '/') =>
  `4${number.replace(':', '')} 21 ${number} ${root} ${point} rw,relatime - ${more || 'ext4'} ${source} rw\n`;

async function judge(host: BootHost) {
  const { result, findings } = await judgeBoot(check, host);
  const text = host.fstab ?? ROOT_LINE;
  return {
    outcome: result.outcome,
    reason: result.reason,
    unjudged: result.unjudged.map(({ subject, why }) => `${showName(subject.name)}: ${why}`),
    found: findings.map(({ finding, summary, plan }) => {
      const { edit } = finding.data as unknown as BootData;
      const before =
        { '/etc/fstab': text, '/etc/crypttab': host.crypttab }[edit?.path ?? ''] ??
        host.libvirt?.[(edit?.path ?? '').replace('/etc/libvirt/', '')];
      const bytes = edit === null ? undefined : applyEdit(before === undefined ? undefined : Buffer.from(before, 'latin1'), edit);
      return {
        code: finding.code,
        severity: finding.severity,
        subject: showName(finding.subject.name),
        summary,
        cause: finding.cause,
        evidence: finding.evidence.map(({ excerpt }) => excerpt),
        refused: plan !== null && 'refused' in plan ? plan.refused : undefined,
        edit,
        /** Lines that the edit makes. */
        lines: bytes === undefined ? undefined : newLines(before ?? '', Buffer.from(bytes).toString('latin1')),
      };
    }),
  };
}

function newLines(before: string, after: string): string[] {
  const old = before.split('\n');
  return after.split('\n').filter((line) => !old.includes(line));
}

const codes = ({ found }: Awaited<ReturnType<typeof judge>>) =>
  found.map(({ code, severity, subject }) => `${severity} ${code} ${subject}`);

describe('a host that will come up as it is', () => {
  it('has no finding', async () => {
    expect(await judge({})).toMatchObject({ outcome: 'healthy', found: [], unjudged: [] });
  });

  it('with a dozen oddities has none above info', async () => {
    const judged = await judge({
      fstab: fstab(
        '# /dev/sdb1 /mnt/comment ext4 defaults 0 2',
        '/dev/sdz9 /mnt/noauto ext4 noauto,user 0 0',
        'UUID=nowhere /mnt/usb ext4 nofail,x-systemd.device-timeout=5s 0 0',
        'UUID=away /mnt/auto ext4 noauto,x-systemd.automount 0 0',
        'nas:/a /mnt/nas nfs x-systemd.automount,_netdev 0 0',
        'nas:/b /mnt/lazy nfs4 nofail,bg 0 0',
        '//nas/c /mnt/cifs cifs credentials=/etc/c,nofail 0 0',
        '/srv/a /export/a none bind 0 0',
        '/dev/shm /chroot/shm none rbind 0 0',
        'tmpfs /tmp\t tmpfs\tsize=2G,mode=1777\t0\t0',
        'overlay /merged overlay lowerdir=/srv/a,upperdir=/u,workdir=/w 0 0',
        'LABEL=My\\040Disk /mnt/a\\040b ext4 defaults 0 2',
        'PARTUUID=22-01 /srv/p xfs noatime 0 0',
        '/dev/disk/by-path/pci-0000:00:1f.2-ata-2-part1 /srv/path xfs defaults 0 0',
        '/dev/mapper/vg0-data /srv/lv ext4 defaults 0 2',
        '/dev/md0 /srv/md ext4 defaults 0 2',
        '/dev/sr0 /media/cdrom0 udf,iso9660 user,noauto 0 0',
        'LABEL=swap none swap sw 0 0',
        '/dev/zram0 none swap pri=100 0 0',
        '/swapfile none swap sw 0 0',
        '/srv/image.iso /mnt/iso iso9660 loop,ro 0 0',
        'sshfs#op@host:/ /mnt/old fuse noauto,user 0 0',
        'op@host:/ /mnt/sshfs fuse.sshfs _netdev,nofail 0 0',
        '/mnt/d*:/mnt/e /mnt/merged fuse.mergerfs defaults 0 0',
        'tank/data /tank zfs defaults 0 0',
        '/dev/sdb:/dev/sdc /bc bcachefs defaults 0 0',
        'proc /proc proc defaults 0 0',
      ),
      files: ['/swapfile', '/srv/image.iso'],
      devices: [
        { name: 'sdb', number: '8:16', type: 'disk', links: [] },
        { name: 'sdb1', number: '8:17', type: 'part', signature: 'ext4', uuid: 'u1', label: 'My Disk', on: ['sdb'] },
        { name: 'sdb2', number: '8:18', type: 'part', signature: 'xfs', uuid: 'u2', partuuid: '22-01', on: ['sdb'] },
        {
          name: 'sdb3',
          number: '8:19',
          type: 'part',
          signature: 'xfs',
          uuid: 'u3',
          links: ['disk/by-path/pci-0000:00:1f.2-ata-2-part1'],
          on: ['sdb'],
        },
        { name: 'sdb4', number: '8:20', type: 'part', signature: 'swap', uuid: 'u4', label: 'swap', on: ['sdb'] },
        { name: 'dm-0', number: '254:0', type: 'lvm', signature: 'ext4', uuid: 'u5', links: ['mapper/vg0-data'], on: ['sdc'] },
        { name: 'md0', number: '9:0', type: 'raid1', signature: 'ext4', uuid: 'u6', on: ['sdd'] },
        { name: 'sr0', number: '11:0', type: 'rom' },
        { name: 'zram0', number: '252:0', type: 'disk', signature: 'swap' },
      ],
      mounts: mounted('8:17', '/mnt/a\\040b', '/dev/sdb1') + mounted('254:0', '/srv/lv', '/dev/mapper/vg0-data'),
    });
    expect(judged).toMatchObject({ outcome: 'healthy', found: [], unjudged: [] });
  });

  it('is not judged in a container, nor where nothing boots by /etc/fstab', async () => {
    expect(await judge({ container: true })).toMatchObject({ outcome: 'not-applicable', found: [] });
    expect(await judge({ systemd: false, fstab: '# UNCONFIGURED FSTAB\n' })).toMatchObject({ outcome: 'not-applicable', found: [] });
  });
});

describe('what cannot be told', () => {
  const host = { fstab: fstab('UUID=bbbb-data /srv ext4 defaults 0 2'), devices: disks('b') };

  it.each<[string, string, ReturnType<typeof said>]>([
    ['/etc/fstab', '/etc/fstab', said('UUID=aaaa-root / ext4\n')],
    ['/etc/crypttab', '/etc/crypttab', said('', 1, "find: '/etc/crypttab': Permission denied\n")],
    ['the names below /dev', 'stat -L', timedOut()],
    ['the tags of devices', 'PARTLABEL', said('')],
    ['the kernels', 'find /boot', said('')],
    ['the units', '*.automount', said('', 1, 'Failed to connect to bus\n')],
  ])('%s is neither healthy nor a finding', async (_, words, answer) => {
    const judged = await judge({ ...host, instead: [[words, answer]] });
    expect([judged.outcome, judged.found]).toEqual(['unknown', []]);
  });

  it('a line of no known format is named', async () => {
    const judged = await judge({ fstab: fstab('/dev/sdb1 srv', '\xff\xfe\x01 relative ext4') });
    expect(judged).toMatchObject({ outcome: 'unknown', found: [] });
    expect(judged.unjudged).toHaveLength(2);
  });
});

describe('a line whose source is gone', () => {
  it('ends in emergency mode where it is required; what is mounted tells what to write', async () => {
    const { found } = await judge({
      fstab: fstab('UUID=old  /srv\txfs  defaults 0 0 # data'),
      devices: disks('b', { signature: 'xfs' }),
      mounts: mounted('8:17', '/srv', '/dev/sdb1', 'xfs'),
    });
    expect(found).toMatchObject([
      {
        code: 'line-source-gone',
        severity: 'critical',
        subject: '/srv',
        summary: '/srv: line 2 of /etc/fstab needs UUID=old, which is not there: the next boot ends in emergency mode',
        lines: ['UUID=bbbb-data  /srv\txfs  defaults 0 0 # data'],
        cause: undefined,
      },
    ]);
    expect(found[0]?.evidence).toEqual([
      'line 2: UUID=old  /srv\\txfs  defaults 0 0 # data',
      'UUID=old is not there',
      '4817 21 8:17 / /srv rw,relatime - xfs /dev/sdb1 rw',
    ]);
  });

  it.each([
    ['UUID=old /srv ext4 defaults 0 0', ['critical line-source-gone /srv']],
    ['UUID=old /srv ext4 nofail 0 0', []],
    ['UUID=old /srv ext4 noauto 0 0', []],
    ['UUID=old /srv ext4 x-systemd.automount 0 0', []],
    ['UUID=old /srv ext4 _netdev 0 0', ['warning line-source-gone /srv']],
    ['UUID=old none swap sw 0 0', []],
    ['/dev/vg9/data /srv ext4 defaults 0 0', ['critical line-source-gone /srv']],
    ['/dev/root /srv ext4 defaults 0 0', []],
  ])('%s, with nothing mounted', async (line, expected) => {
    expect(codes(await judge({ fstab: fstab(line) }))).toEqual(expected);
  });

  it('lets the host come up without it where nothing is mounted, and comes of what is missing now', async () => {
    const { found } = await judge({ fstab: fstab('UUID=old /srv ext4') });
    expect(found).toMatchObject([{ lines: ['UUID=old /srv ext4 nofail'], cause: { kind: 'mount', name: '/srv' } }]);
  });

  it('is a warning without systemd, and for an optional one that is mounted', async () => {
    const host = { mounts: mounted('8:17', '/srv', '/dev/sdb1'), devices: disks('b') };
    expect(codes(await judge({ ...host, systemd: false, fstab: fstab('UUID=old /srv ext4') }))).toEqual(['warning line-source-gone /srv']);
    expect(codes(await judge({ ...host, fstab: fstab('UUID=old /srv ext4 nofail') }))).toEqual(['warning line-source-gone /srv']);
  });

  it('of the root leaves it read-only', async () => {
    const { found } = await judge({ fstab: 'UUID=other / ext4 defaults 0 1\n' });
    expect(found).toMatchObject([{ severity: 'critical', lines: ['UUID=aaaa-root / ext4 defaults 0 1'] }]);
    expect(found[0]?.summary).toContain('leaves the root read-only');
  });

  it('is no fault where /etc/crypttab opens it by then', async () => {
    const host = {
      fstab: fstab('/dev/mapper/vault /srv ext4 defaults 0 2'),
      devices: disks('b', { signature: 'crypto_LUKS', uuid: 'luks' }),
    };
    expect(codes(await judge({ ...host, crypttab: 'vault UUID=luks none luks\n' }))).toEqual([]);
    expect(codes(await judge({ ...host, crypttab: 'vault UUID=luks none noauto\n' }))).toEqual(['critical line-source-gone /srv']);
  });
});

describe('/etc/crypttab', () => {
  const open: FakeDevice = {
    name: 'dm-0',
    number: '254:0',
    type: 'crypt',
    signature: 'ext4',
    uuid: 'in',
    links: ['mapper/vault'],
    on: ['sdb1'],
  };
  const host = {
    fstab: fstab('/dev/mapper/vault /srv ext4 defaults 0 2'),
    devices: [...disks('b', { signature: 'crypto_LUKS', uuid: 'luks' }), open],
  };

  it('with a source that is gone is critical where a required line stands on it', async () => {
    const { found } = await judge({ ...host, crypttab: '# vaults\nvault\tUUID=old\tnone\tluks,discard\n' });
    expect(found).toMatchObject([{ code: 'crypt-source-gone', severity: 'critical', lines: ['vault\tUUID=luks\tnone\tluks,discard'] }]);
  });

  it.each([
    ['vault UUID=luks /etc/keys/vault luks', [], ['critical crypt-key-gone vault']],
    ['vault UUID=luks /etc/keys/vault luks,nofail', [], ['warning crypt-key-gone vault']],
    ['vault UUID=luks /etc/keys/vault luks', ['/etc/keys/vault'], []],
    ['vault UUID=luks /key:UUID=stick luks', [], []],
    ['vault UUID=luks /etc/x luks,keyscript=/lib/y', [], []],
    ['vault UUID=luks /dev/urandom swap', [], []],
    ['vault UUID=luks - luks', [], []],
    ['away UUID=gone none luks,nofail', [], []],
    ['away UUID=gone none luks,noauto', [], []],
    ['away UUID=gone none luks', [], ['warning crypt-source-gone away']],
    ['vault /dev/sdb1 none luks', [], ['warning crypt-name-unstable vault']],
  ])('%s', async (line, files, expected) => {
    expect(codes(await judge({ ...host, crypttab: `${line}\n`, files }))).toEqual(expected);
  });

  it('gets the name of the partition for what has another signature after each boot', async () => {
    const { found } = await judge({
      crypttab: 'cswap /dev/sdb1 /dev/urandom swap\n',
      devices: disks('b', { signature: 'swap', links: ['disk/by-id/ata-B-part1'] }),
    });
    expect(found).toMatchObject([{ code: 'crypt-name-unstable', lines: ['cswap /dev/disk/by-id/ata-B-part1 /dev/urandom swap'] }]);
  });
});

describe('names that move', () => {
  it('are replaced by what does not', async () => {
    const { found } = await judge({
      fstab: fstab('/dev/sdb1\t/a b\\040c  ext4  defaults,noatime\t0 2'.replace('/a b', '/a')),
      devices: disks('b'),
    });
    expect(found).toMatchObject([
      {
        code: 'name-unstable',
        severity: 'warning',
        summary:
          '/a c: line 2 of /etc/fstab names /dev/sdb1, and the next boot may give that name to another one of 2 devices: write UUID=bbbb-data instead',
        lines: ['UUID=bbbb-data\t/a\\040c  ext4  defaults,noatime\t0 2'],
        refused: undefined,
      },
    ]);
  });

  it.each<[string, FakeDevice[], string[], string | undefined]>([
    ['/dev/sda1 /srv ext4', [], ['info name-unstable /srv'], 'UUID=aaaa-root /srv ext4'],
    ['/dev/sdb1 /srv ext4 noauto', disks('b'), ['info name-unstable /srv'], 'UUID=bbbb-data /srv ext4 noauto'],
    ['/dev/sdb1 none swap sw', disks('b', { signature: 'swap' }), ['warning name-unstable /dev/sdb1'], 'UUID=bbbb-data none swap sw'],
    [
      '/dev/vda1 /srv ext4',
      [
        { name: 'vda', number: '253:0' },
        { name: 'vda1', number: '253:1', signature: 'ext4' },
      ],
      [],
      undefined,
    ],
    [
      '/dev/vdb /srv ext4',
      [
        { name: 'vda', number: '253:0' },
        { name: 'vdb', number: '253:16', signature: 'ext4', uuid: 'v' },
      ],
      ['info name-unstable /srv'],
      'UUID=v /srv ext4',
    ],
    [
      '/dev/dm-1 /srv ext4',
      [
        { name: 'dm-0', number: '254:0', type: 'lvm' },
        {
          name: 'dm-1',
          number: '254:1',
          type: 'lvm',
          signature: 'ext4',
          uuid: 'd',
          links: ['mapper/vg0-srv', 'disk/by-id/dm-name-vg0-srv'],
        },
      ],
      ['warning name-unstable /srv'],
      '/dev/mapper/vg0-srv /srv ext4',
    ],
    [
      '/dev/loop3 /srv ext4',
      [{ name: 'loop3', number: '7:3', type: 'loop', signature: 'ext4', uuid: 'l' }],
      ['warning name-unstable /srv'],
      'UUID=l /srv ext4',
    ],
    [
      '/dev/xvdb /srv ext4',
      [
        { name: 'xvda', number: '202:0' },
        { name: 'xvdb', number: '202:16', signature: 'ext4' },
      ],
      [],
      undefined,
    ],
  ])('%s', async (line, devices, expected, wanted) => {
    const judged = await judge({ fstab: fstab(line), devices });
    expect(codes(judged)).toEqual(expected);
    expect(judged.found[0]?.lines?.[0]).toBe(wanted);
  });

  it('in the definition of a guest are replaced by what the disk is called by itself', async () => {
    const xml = `<domain><name>web</name><devices><disk type='block'><source dev='/dev/sdb'/><target dev='vda'/></disk></devices></domain>`;
    const { found } = await judge({ libvirt: { 'qemu/web.xml': xml }, devices: disks('b') });
    expect(found).toMatchObject([{ code: 'guest-name-unstable', severity: 'warning', subject: 'web' }]);
    expect(found[0]?.lines?.[0]).toContain(`<source dev='/dev/disk/by-id/ata-B'/><target dev='vda'/>`);
  });
});

describe('lines that do not say what is so', () => {
  it('another device is mounted than the line names', async () => {
    const { found } = await judge({
      fstab: fstab('UUID=bbbb-data /srv ext4 defaults 0 2'),
      devices: [...disks('b'), ...disks('c')],
      mounts: mounted('8:33', '/srv', '/dev/sdc1'),
    });
    expect(found).toMatchObject([
      {
        code: 'line-device-differs',
        severity: 'warning',
        lines: ['UUID=cccc-data /srv ext4 defaults 0 2'],
        summary: expect.stringContaining('mounted now is /dev/sdc1'),
      },
    ]);
  });

  it.each<[string, string, string, FakeDevice[]]>([
    [
      'a path and its multipath map',
      '/dev/sdb /srv ext4',
      mounted('254:0', '/srv', '/dev/mapper/mpatha'),
      [
        disk('b', { signature: 'mpath_member' }),
        { name: 'dm-0', number: '254:0', type: 'mpath', signature: 'ext4', uuid: 'm', on: ['sdb'] },
      ],
    ],
    [
      'two disks of one btrfs',
      'UUID=bt /srv btrfs',
      mounted('0:50', '/srv', '/dev/sdc', 'btrfs'),
      [disk('b', { signature: 'btrfs', uuid: 'bt' }), disk('c', { signature: 'btrfs', uuid: 'bt' })],
    ],
    ['NFS with another spelling', 'NAS:/a/ /srv nfs nofail', mounted('0:51', '/srv', 'nas:/a', 'nfs4'), []],
    [
      'an overlay over what the line mounts',
      'UUID=bbbb-data /srv ext4',
      `${mounted('8:17', '/srv', '/dev/sdb1')}99 4817 0:60 / /srv rw - overlay o rw\n`,
      disks('b'),
    ],
    ['a bind mount', '/data /srv none bind', mounted('8:1', '/srv', '/dev/sda1', 'ext4', '/data'), []],
  ])('%s is the same', async (_, line, mounts, devices) => {
    const found = codes(await judge({ fstab: fstab(line), mounts, devices }));
    expect(found.filter((each) => !each.includes('name-unstable'))).toEqual([]);
  });

  it.each([
    ['UUID=bbbb-data /srv xfs defaults 0 0', ['critical line-type-differs /srv'], 'UUID=bbbb-data /srv ext4 defaults 0 0'],
    ['UUID=bbbb-data /srv xfs nofail 0 0', ['warning line-type-differs /srv'], 'UUID=bbbb-data /srv ext4 nofail 0 0'],
    ['UUID=bbbb-data /srv ext3 defaults 0 0', [], undefined],
    ['UUID=bbbb-data /srv auto defaults 0 0', [], undefined],
    ['UUID=bbbb-data /srv strangefs defaults 0 0', [], undefined],
    ['UUID=bbbb-data none swap sw 0 0', ['warning line-type-differs UUID=bbbb-data'], undefined],
    ['UUID=bbbb-data /srv ext4 defaults, nofail 0 0', ['warning line-misread /srv'], 'UUID=bbbb-data /srv ext4 defaults,nofail 0 0'],
    ['UUID=bbbb-data /srv ext4 noatime ,nofail', ['warning line-misread /srv'], 'UUID=bbbb-data /srv ext4 noatime,nofail'],
    ['UUID=bbbb-data /srv ext4 nofial,noatime 0 0', ['critical line-misread /srv'], 'UUID=bbbb-data /srv ext4 noatime,nofail 0 0'],
    ['UUID=bbbb-data /srv ext4 defaults 0 2 # comment', [], undefined],
    ['UUID=bbbb-data /srv ext4 defaults # comment', [], undefined],
    ['UUID=bbbb-data /srv ext4 noacl,nodelalloc,x-nofial,comment=nofial 0 0', [], undefined],
  ])('%s', async (line, expected, wanted) => {
    const judged = await judge({ fstab: fstab(line), devices: disks('b') });
    expect(codes(judged)).toEqual(expected);
    expect(judged.found[0]?.lines?.[0]).toBe(wanted);
  });
});

describe('one name twice', () => {
  const line = 'UUID=bbbb-data /srv ext4 defaults 0 2';
  const copy = disks('c', { uuid: 'bbbb-data' });

  it('is told with both devices, and the mounted one by its id', async () => {
    const original = disks('b', { links: ['disk/by-id/ata-B-part1'] });
    const { found } = await judge({ fstab: fstab(line), devices: [...original, ...copy], mounts: mounted('8:17', '/srv', '/dev/sdb1') });
    expect(found).toMatchObject([
      {
        code: 'tag-twice',
        severity: 'warning',
        subject: 'UUID=bbbb-data',
        lines: ['/dev/disk/by-id/ata-B-part1 /srv ext4 defaults 0 2'],
        summary:
          'UUID=bbbb-data: 2 devices answer to this name, which line 2 of /etc/fstab uses: /dev/sdb1, /dev/sdc1; the next boot takes either',
      },
    ]);
  });

  it.each<[string, FakeDevice[]]>([
    [
      'two paths to one disk',
      [disk('b', { wwn: '0x5', signature: 'ext4', uuid: 'bbbb-data' }), disk('c', { wwn: '0x5', signature: 'ext4', uuid: 'bbbb-data' })],
    ],
    [
      'a raid and its legs',
      [disk('b', { signature: 'linux_raid_member', uuid: 'bbbb-data' }), disk('c', { signature: 'linux_raid_member', uuid: 'bbbb-data' })],
    ],
    [
      'a map and its paths',
      [
        disk('b', { signature: 'ext4', uuid: 'bbbb-data' }),
        disk('c', { signature: 'ext4', uuid: 'bbbb-data' }),
        { name: 'dm-0', number: '254:0', type: 'mpath', signature: 'ext4', uuid: 'bbbb-data', on: ['sdb', 'sdc'] },
      ],
    ],
    [
      'a volume and its snapshot',
      [
        { name: 'dm-1', number: '254:1', type: 'lvm', on: ['sdb'] },
        { name: 'dm-0', number: '254:0', type: 'lvm', signature: 'ext4', uuid: 'bbbb-data', on: ['dm-1'] },
        { name: 'dm-2', number: '254:2', type: 'lvm', signature: 'ext4', uuid: 'bbbb-data', on: ['dm-1'] },
      ],
    ],
  ])('%s are no two', async (_, devices) => {
    expect(codes(await judge({ fstab: fstab(line), devices }))).toEqual([]);
  });

  it('two lines for one place', async () => {
    const devices = [...disks('b'), ...disks('c')];
    const twice = await judge({ fstab: fstab(line, 'UUID=cccc-data /srv/ ext4 defaults 0 2'), devices });
    expect(twice.found).toMatchObject([{ code: 'line-twice', severity: 'warning', lines: undefined }]);
    const now = await judge({
      fstab: fstab(line, 'UUID=cccc-data /srv ext4 defaults 0 2'),
      devices,
      mounts: mounted('8:17', '/srv', '/dev/sdb1'),
    });
    expect(codes(now)).toEqual(['warning line-twice /srv']);
    const same = await judge({ fstab: fstab(line, line), devices });
    expect(same.found).toMatchObject([{ code: 'line-twice', severity: 'info', lines: [`# ${line}`] }]);
  });
});

describe('storage from the network', () => {
  const iscsi = [disk('b', { transport: 'iscsi', signature: 'ext4', uuid: 'net' })];
  const onLvm: FakeDevice[] = [
    disk('b', { transport: 'iscsi', signature: 'LVM2_member', uuid: 'pv' }),
    { name: 'dm-0', number: '254:0', type: 'lvm', signature: 'ext4', uuid: 'net', links: ['mapper/vg0-net'], on: ['sdb'] },
  ];

  it.each<[string, FakeDevice[], string[], string | undefined]>([
    ['UUID=net /srv ext4 defaults 0 0', iscsi, ['critical netdev-missing /srv'], 'UUID=net /srv ext4 defaults,_netdev 0 0'],
    [
      '/dev/mapper/vg0-net /srv ext4 defaults 0 0',
      onLvm,
      ['critical netdev-missing /srv'],
      '/dev/mapper/vg0-net /srv ext4 defaults,_netdev 0 0',
    ],
    ['UUID=net /srv ext4 nofail 0 0', iscsi, ['info netdev-missing /srv'], 'UUID=net /srv ext4 nofail,_netdev 0 0'],
    ['UUID=net /srv ext4 _netdev 0 0', iscsi, [], undefined],
    ['UUID=net /srv ext4 x-systemd.automount 0 0', iscsi, [], undefined],
    ['UUID=net /usr ext4 defaults 0 0', iscsi, [], undefined],
    ['bucket /srv fuse.s3fs defaults 0 0', [], ['critical netdev-missing /srv'], 'bucket /srv fuse.s3fs defaults,_netdev 0 0'],
    ['sshfs#op@host:/ /srv fuse defaults 0 0', [], ['critical netdev-missing /srv'], 'sshfs#op@host:/ /srv fuse defaults,_netdev 0 0'],
    ['nas:/a /srv nfs defaults 0 0', [], [], undefined],
    ['op@host:/ /srv fuse.sshfs defaults 0 0', [], [], undefined],
    [
      'UUID=usb /backup ext4 defaults 0 0',
      [disk('b', { transport: 'usb', signature: 'ext4', uuid: 'usb' })],
      ['info removable-required /backup'],
      'UUID=usb /backup ext4 defaults,nofail 0 0',
    ],
  ])('%s', async (line, devices, expected, wanted) => {
    const judged = await judge({ fstab: fstab(line), devices });
    expect(codes(judged)).toEqual(expected);
    expect(judged.found[0]?.lines?.[0]).toBe(wanted);
  });

  it('below LUKS', async () => {
    const judged = await judge({ crypttab: 'v UUID=net none\nw UUID=net none _netdev\n', devices: iscsi });
    expect(judged.found).toMatchObject([{ code: 'crypt-netdev-missing', severity: 'warning', lines: ['v UUID=net none _netdev'] }]);
  });
});

describe('who starts before his storage', () => {
  const nfs = { fstab: fstab('nas:/a /srv nfs defaults 0 0'), mounts: mounted('0:51', '/srv', 'nas:/a', 'nfs4') };
  const open: BootHost['open'] = [[77, '/srv/db/ibdata1', 'mariadb.service']];

  it('a service gets a drop-in', async () => {
    const { found } = await judge({ ...nfs, open, services: { 'mariadb.service': { After: 'basic.target network.target' } } });
    expect(found).toMatchObject([
      {
        code: 'service-before-storage',
        severity: 'warning',
        subject: 'mariadb.service',
        edit: {
          kind: 'create',
          path: '/etc/systemd/system/mariadb.service.d/50-stdoctor-srv.mount.conf',
          content: '[Unit]\nRequiresMountsFor=/srv\n',
        },
      },
    ]);
  });

  it.each<[string, string, Record<string, Record<string, string>>, string[]]>([
    ['that waits for it', 'nas:/a /srv nfs', { 'mariadb.service': { After: 'srv.mount' } }, []],
    [
      'that waits for all of the network',
      'nas:/a /srv nfs',
      { 'mariadb.service': { After: 'remote-fs.target' }, 'remote-fs.target': { After: 'srv.mount' } },
      [],
    ],
    [
      'whose target waits for an optional one no more',
      'nas:/a /srv nfs nofail',
      { 'mariadb.service': { After: 'remote-fs.target' }, 'remote-fs.target': {} },
      ['warning service-before-storage mariadb.service'],
    ],
    [
      'of a mount that was made by hand, as a local one',
      'nas:/a /srv nfs',
      { 'mariadb.service': { After: 'local-fs.target' }, 'local-fs.target': { After: 'srv.mount' } },
      ['warning service-before-storage mariadb.service'],
    ],
    ['that is not enabled', 'nas:/a /srv nfs', { 'mariadb.service': { UnitFileState: 'disabled' } }, []],
    ['of a mount on first access', 'nas:/a /srv nfs x-systemd.automount', { 'mariadb.service': {} }, []],
  ])('a service %s', async (_, line, services, expected) => {
    expect(codes(await judge({ ...nfs, fstab: fstab(line), open, services }))).toEqual(expected);
  });

  it('a local disk that is optional is there soon', async () => {
    const host = { fstab: fstab('UUID=bbbb-data /srv ext4 nofail 0 0'), devices: disks('b'), mounts: mounted('8:17', '/srv', '/dev/sdb1') };
    expect(codes(await judge({ ...host, open, services: { 'mariadb.service': {} } }))).toEqual([
      'info service-before-storage mariadb.service',
    ]);
  });

  it('a guest that starts at boot', async () => {
    const xml = `<domain><name>web</name><devices><disk type='file'><source file='/srv/web.img'/><target dev='vda'/></disk></devices></domain>`;
    const { found } = await judge({
      ...nfs,
      libvirt: { 'qemu/web.xml': xml, 'qemu/autostart/web.xml': '' },
      services: { 'libvirtd.service': { After: 'network.target' } },
    });
    expect(found).toMatchObject([
      {
        code: 'guest-before-storage',
        severity: 'warning',
        edit: {
          path: '/etc/systemd/system/libvirtd.service.d/50-stdoctor-srv.mount.conf',
          content: '[Unit]\nWants=srv.mount\nAfter=srv.mount\n',
        },
      },
    ]);
  });
});

describe('mounts made by hand', () => {
  const host = { devices: disks('b'), mounts: mounted('8:17', '/srv', '/dev/sdb1') };

  it('are good to know where nothing depends on them', async () => {
    const { found } = await judge(host);
    expect(found).toMatchObject([{ code: 'line-missing', severity: 'info', lines: ['UUID=bbbb-data /srv ext4 nofail 0 2'] }]);
  });

  it('get a line that comes before whoever uses it', async () => {
    const { found } = await judge({ ...host, open: [[7, '/srv/x', 'app.service']], services: { 'app.service': {} } });
    expect(found).toMatchObject([{ lines: ['UUID=bbbb-data /srv ext4 nofail,x-systemd.before=app.service 0 2'] }]);
  });

  it.each<[string, BootHost, string]>([
    ['a service', { open: [[7, '/srv/x', 'app.service']], services: { 'app.service': {} } }, 'the service app.service depends on it'],
    ['an export', { exports: '# all\n/srv/share *(rw)\n' }, 'the export /srv/share depends on it'],
    ['a bind line', { fstab: fstab('/srv/www /var/www none bind 0 0') }, 'line 2 of /etc/fstab depends on it'],
    [
      'a swap file',
      { fstab: fstab('/srv/swap none swap sw 0 0'), files: ['/srv/swap'], swaps: '/srv/swap file\t\t100\t\t0\t\t-2\n' },
      'line 2 of /etc/fstab depends on it',
    ],
  ])('are missed by %s', async (_, more, says) => {
    const { found } = await judge({ ...host, ...more });
    expect(found).toMatchObject([{ code: 'line-missing', severity: 'warning', summary: expect.stringContaining(says) }]);
  });

  it.each<[string, string, BootHost]>([
    ['a removable medium', mounted('8:17', '/media/op/stick', '/dev/sdb1'), {}],
    ['a snap', mounted('7:1', '/snap/core/1', '/dev/loop1', 'squashfs'), {}],
    ['a container', mounted('0:70', '/var/lib/docker/overlay2/x/merged', 'overlay', 'overlay'), {}],
    ['a pod', mounted('8:17', '/var/lib/kubelet/pods/1/volumes/x', '/dev/sdb1'), {}],
    ['a user with sshfs', mounted('0:71', '/home/op/x', 'h:/', 'fuse.sshfs').replace(/rw\n$/, 'rw,user_id=1000\n'), {}],
    ['a pool of ZFS', mounted('0:72', '/tank', 'tank', 'zfs'), {}],
    ['autofs', `50 21 0:80 / /net rw - autofs a rw\n${mounted('0:73', '/net/x', 'h:/', 'nfs4')}`, {}],
    ['a unit of its own', mounted('8:17', '/srv', '/dev/sdb1'), { units: { '/srv': '/etc/systemd/system/srv.mount' } }],
    [
      'a pool of libvirt',
      mounted('0:74', '/pool', 'nas:/p', 'nfs4'),
      { libvirt: { 'storage/p.xml': `<pool type='netfs'><name>p</name><target><path>/pool</path></target></pool>` } },
    ],
    [
      'a line whose target is a link',
      mounted('8:17', '/data/srv', '/dev/sdb1'),
      { fstab: fstab('UUID=bbbb-data /link/srv ext4'), symlinks: { '/link': '/data' } },
    ],
    ['a second view of the root', mounted('8:1', '/view', '/dev/sda1', 'ext4', '/srv'), {}],
  ])('%s is none', async (_, mounts, more) => {
    expect(codes(await judge({ devices: disks('b'), mounts, ...more }))).toEqual([]);
  });
});

describe('files that lines need', () => {
  it.each<[string, string[], string[]]>([
    ['/srv/a.img /mnt/a ext4 loop 0 0', [], ['critical line-file-gone /mnt/a']],
    ['/srv/a.img /mnt/a ext4 loop 0 0', ['/srv/a.img'], []],
    ['/srv/a.img /mnt/a ext4 loop,nofail 0 0', [], []],
    ['/swap.img none swap sw 0 0', [], ['warning line-file-gone /swap.img']],
    ['/swap.img none swap sw,noauto 0 0', [], []],
  ])('%s', async (line, files, expected) => {
    expect(codes(await judge({ fstab: fstab(line), files }))).toEqual(expected);
  });
});

describe('the initramfs', () => {
  const LVM_ROOT: FakeDevice[] = [
    { name: 'sda', number: '8:0' },
    { name: 'dm-0', number: '8:1', type: 'lvm', uuid: 'aaaa-root', signature: 'ext4', on: ['sda'] },
  ];
  const boot = { 'vmlinuz-6.1.0-10-amd64': 9, 'vmlinuz-6.1.0-9-amd64': 9, 'initrd.img-6.1.0-9-amd64': 9, 'vmlinuz-6.1.0-9-amd64.old': 1 };

  it('of the newest kernel is missing or empty', async () => {
    expect(codes(await judge({ boot }))).toEqual(['warning initramfs-missing 6.1.0-10-amd64']);
    expect(codes(await judge({ boot: { ...boot, 'initrd.img-6.1.0-10-amd64': 0 } }))).toEqual(['warning initramfs-missing 6.1.0-10-amd64']);
    expect(codes(await judge({ boot: { ...boot, 'initrd.img-6.1.0-10-amd64': 7 } }))).toEqual([]);
    expect(codes(await judge({ boot: { 'vmlinuz-6.1.0-10-amd64': 9 } }))).toEqual([]);
  });

  it('holds what opens the root', async () => {
    const whole = { ...boot, 'initrd.img-6.1.0-10-amd64': 7 };
    const host = { boot: whole, root: LVM_ROOT };
    expect(codes(await judge({ ...host, initramfs: '.\nbin\ninit\nsbin/lvm\n' }))).toEqual([]);
    expect(codes(await judge({ ...host, initramfs: '.\nbin\ninit\n' }))).toEqual([
      'warning initramfs-lacks /boot/initrd.img-6.1.0-10-amd64',
    ]);
    expect(await judge(host)).toMatchObject({ outcome: 'unknown', found: [] });
    expect(await judge({ ...host, initramfs: '' })).toMatchObject({ outcome: 'unknown', found: [] });
  });
});

it('ten thousand lines, one child for each question', async () => {
  const lines = Array.from({ length: 10_000 }, (_, index) => `UUID=u${index} /srv/${index} ext4 nofail 0 0`);
  const { findings, asked, ms } = await judgeBoot(check, { fstab: fstab(...lines) });
  expect(findings).toEqual([]);
  expect(asked.length).toBeLessThan(60);
  expect(ms).toBeLessThan(5000);
});

describe('with any one answer harmed', () => {
  const half = (text: Uint8Array) => {
    let end = text.length >> 1;
    while (end > 0 && [0, 10].includes(text[end - 1] as number)) {
      end--;
    }
    return text.subarray(0, end);
  };
  const reworded = (word: (text: Uint8Array) => Uint8Array) => (answer: Answer) =>
    answer.state === 'ok' ? { ...answer, out: answer.out.length > 0 ? word(answer.out) : answer.out, err: '' } : answer;
  const HARMS: [string, (answer: Answer) => Answer][] = [
    ['garbled', reworded(() => Buffer.from('\x07%!@ 12:ab\xff\xfe\0-- {"]\t/x\n\x80 garbled', 'latin1'))],
    ['emptied', reworded(() => Buffer.alloc(0))],
    ['truncated', reworded(half)],
    ['absent', () => absent()],
    ['late', () => timedOut()],
  ];
  const fine: BootHost = {
    fstab: fstab(
      'UUID=bbbb-data /link/srv ext4 defaults 0 2',
      '/dev/mapper/mpatha /srv/map ext4 nofail 0 0',
      '/dev/mapper/vault /srv/vault ext4 defaults 0 0',
      '/dev/vg0/off /srv/off ext4 defaults 0 0',
      '/srv/a.img /mnt/a ext4 loop 0 0',
      'nas:/a /srv/nas nfs defaults 0 0',
    ),
    crypttab: 'vault UUID=luks /etc/keys/vault luks\n',
    files: ['/srv/a.img', '/etc/keys/vault'],
    symlinks: { '/link': '/data' },
    devices: [
      ...disks('b'),
      disk('c', { signature: 'mpath_member' }),
      { name: 'dm-0', number: '254:0', type: 'mpath', signature: 'ext4', uuid: 'm', links: ['mapper/mpatha'], on: ['sdc'] },
      disk('d', { signature: 'crypto_LUKS', uuid: 'luks' }),
    ],
    mounts: `${mounted('8:17', '/data/srv', '/dev/sdb1')}${mounted('8:32', '/srv/map', '/dev/sdc')}${mounted('0:51', '/srv/nas', 'nas:/a', 'nfs4')}${mounted('0:74', '/pool', 'nas:/p', 'nfs4')}`,
    libvirt: { 'storage/p.xml': `<pool type='netfs'><name>p</name><target><path>/pool</path></target></pool>` },
    open: [[77, '/srv/nas/x', 'app.service']],
    services: { 'app.service': { After: 'srv-nas.mount' } },
    lvm: true,
  };
  const sick: BootHost = {
    ...fine,
    fstab: fstab(
      'UUID=old /srv ext4 defaults 0 2',
      '/dev/sdb1 /srv/moves xfs nofail 0 0',
      'LABEL=twice /srv/twice ext4 nofail 0 0',
      '/srv/none.img /mnt/a ext4 loop 0 0',
      'nas:/a /srv/nas nfs defaults 0 0',
      'UUID=net /srv/net ext4 defaults 0 0',
    ),
    crypttab: 'vault UUID=gone /etc/keys/vault luks\ncswap UUID=luks /etc/none none\n',
    devices: [
      ...disks('b'),
      ...disks('c', { label: 'twice' }),
      ...disks('d', { label: 'twice' }),
      disk('e', { transport: 'iscsi', signature: 'ext4', uuid: 'net' }),
      disk('f', { signature: 'crypto_LUKS', uuid: 'luks' }),
    ],
    mounts: `${mounted('0:51', '/srv/nas', 'nas:/a', 'nfs4')}${mounted('8:49', '/by-hand', '/dev/sdd1')}`,
    exports: '/by-hand *(rw)\n',
    services: { 'app.service': {} },
    boot: { 'vmlinuz-6.2': 1, 'vmlinuz-6.1': 1, 'initrd.img-6.1': 1 },
    lvm: false,
  };

  it.each([
    ['a host that is fine', fine, 0],
    ['one with much amiss', sick, 11],
  ])('%s finds nothing else, and calls nothing sick healthy', async (_, host, count) => {
    const whole = await judgeBoot(check, host);
    const names = ({ findings }: typeof whole) => findings.map(({ finding }) => `${finding.code} ${showName(finding.subject.name)}`);
    expect([names(whole).length, whole.result.unjudged]).toEqual([count, []]);
    const wrong: string[] = [];
    for (const probe of whole.asked) {
      for (const [name, harm] of HARMS) {
        // Without LVM's tools nothing brings a volume up: that is no harm to what is asked.
        if (name === 'absent' && /^(lvs|vgs|pvs) /.test(sourceOf(probe))) {
          continue;
        }
        const judged = await judgeBoot(check, { ...host, harm: [probe, harm] });
        const about = `${sourceOf(probe).slice(0, 100)} ${name}`;
        wrong.push(
          ...names(judged)
            .filter((each) => !names(whole).includes(each))
            .map((each) => `${about}: finds ${each}`),
        );
        const lost = names(whole).filter((each) => !names(judged).includes(each));
        if (lost.length > 0 && judged.result.outcome !== 'unknown' && judged.result.unjudged.length === 0) {
          wrong.push(`${about}: says nothing of ${lost.join(', ')}`);
        }
        if (judged.result.reason?.includes("stdoctor's own")) {
          wrong.push(`${about}: ${judged.result.reason}`);
        }
      }
    }
    expect(wrong).toEqual([]);
  });
});
