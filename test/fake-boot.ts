/** A whole host, as far as is asked about its next boot. */
import type { Answer, AnyCheck, Probe } from '../src/check/types.ts';
import { inspect } from '../src/engine/inspect.ts';
import type { CheckResult, FindingResult } from '../src/engine/result.ts';
import { DISK, GROUP, INACTIVE, reportText, VOLUME } from './fake-lvm.ts';
import { absent, fakeTarget, said, wordsOf } from './fake-target.ts';

export interface FakeDevice {
  /** `sda1` */
  name: string;
  /** `8:1` */
  number: string;
  type?: string;
  transport?: string;
  wwn?: string;
  signature?: string;
  uuid?: string;
  label?: string;
  partuuid?: string;
  /** Below /dev, without that: `disk/by-id/ata-X`, `mapper/vg0-a`. Its UUID and label have theirs in any case. */
  links?: string[];
  /** Names of what it is made from. */
  on?: string[];
}

export interface BootHost {
  fstab?: string;
  crypttab?: string;
  exports?: string;
  devices?: FakeDevice[];
  /** In place of a disk with one partition. One of them has the number 8:1. */
  root?: FakeDevice[];
  /** Lines of mountinfo after the first three. */
  mounts?: string;
  /** Files that are there. */
  files?: string[];
  /** As `lsattr` shows them, of /etc/fstab. */
  attributes?: string;
  /** Path → what a link there holds. */
  symlinks?: Record<string, string>;
  /** Lines `pid path service`. */
  open?: [pid: number, path: string, service: string][];
  /** `Id` → properties, for services. */
  services?: Record<string, Record<string, string>>;
  /** Of mount units: `Where` → FragmentPath. */
  units?: Record<string, string>;
  /** Path below /etc/libvirt → definition. */
  libvirt?: Record<string, string>;
  swaps?: string;
  boot?: Record<string, number>;
  initramfs?: string;
  /** A volume vg0/off that is not active. */
  lvm?: boolean;
  systemd?: boolean;
  container?: boolean;
  /** Probes whose words contain one of these are answered so. */
  instead?: [words: string, answer: Answer][];
  /** This one probe gets another answer. */
  harm?: [probe: Probe, harm: (answer: Answer) => Answer];
}

const MISSING = (path: string) => `find: '${path}': No such file or directory\n`;
const END = '/dev/null';
const HEAD = [
  '21 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw',
  '22 21 0:20 / /sys rw - sysfs sysfs rw',
  '23 21 0:5 / /dev rw - devtmpfs udev rw',
  '24 21 0:21 / /run rw - tmpfs tmpfs rw',
].join('\n');
const ROOT_DISK: FakeDevice[] = [
  { name: 'sda', number: '8:0', type: 'disk', transport: 'sata', links: ['disk/by-id/ata-ROOT'] },
  { name: 'sda1', number: '8:1', type: 'part', signature: 'ext4', uuid: 'aaaa-root', partuuid: '11-01', on: ['sda'] },
];

/** What a check says of it. */
export async function judgeBoot(
  check: AnyCheck,
  host: BootHost,
): Promise<{ result: CheckResult; findings: FindingResult[]; asked: Probe[]; ms: number }> {
  const target = fakeTarget((probe) => {
    const given = answer(probe, host) ?? absent();
    return JSON.stringify(host.harm?.[0]) === JSON.stringify(probe) ? (host.harm as NonNullable<BootHost['harm']>)[1](given) : given;
  });
  const entry = { id: check.meta.id, title: '', load: async () => check };
  const started = Date.now();
  const { target: judged } = await inspect(target, [entry], { until: started + 20_000 });
  const result = judged.checks.find(({ id }) => id === check.meta.id) as CheckResult;
  return { result, findings: judged.findings, asked: target.asked, ms: Date.now() - started };
}

function linksOf({ uuid, label, partuuid, links = [] }: FakeDevice): string[] {
  return [
    ...links,
    ...(uuid === undefined ? [] : [`disk/by-uuid/${uuid}`]),
    ...(label === undefined ? [] : [`disk/by-label/${label.replaceAll(' ', '\\x20')}`]),
    ...(partuuid === undefined ? [] : [`disk/by-partuuid/${partuuid}`]),
  ];
}

function answer(probe: Probe, host: BootHost): Answer | undefined {
  const words = wordsOf(probe);
  const argv = probe.kind === 'run' ? probe.argv.map(String) : [];
  const devices = [...(host.root ?? ROOT_DISK), ...(host.devices ?? [])];
  const systemd = host.systemd !== false;
  const instead = host.instead?.find(([each]) => words.includes(each));
  if (instead !== undefined) {
    return instead[1];
  }
  const file = (text: string | undefined, path: string) => (text === undefined ? said('', 1, MISSING(path)) : said(`${text}\0`));
  const starts = argv.slice(
    argv[0] === 'stdbuf' ? 3 : 1,
    argv.findIndex((word, index) => index > 2 && /^[-(]/.test(word)),
  );
  switch (true) {
    case ['lvs', 'vgs', 'pvs'].includes(argv[0] ?? ''):
      return host.lvm ? lvmAnswer(argv) : absent();
    case words === '/proc/self/mountinfo':
      return said(`${HEAD}\n${host.mounts ?? ''}`);
    case words.startsWith('find -P'):
      return words.includes('-exec') ? content(String(argv[2]), host) : said('f 1 w\0d 2 w\0');
    case argv[0] === 'lsattr':
      return said(`${host.attributes ?? '--------------e-------'} /etc/fstab\n`);
    case words.startsWith('find') && words.includes('%p\\0%y\\0%l\\0'): {
      const out = starts
        .filter((path) => path !== END)
        .map((path) => `${path}\0${host.symlinks?.[path] ? 'l' : 'd'}\0${host.symlinks?.[path] ?? ''}\0`);
      return said(out.join(''));
    }
    case words.includes('/etc/fstab'):
      return file(host.fstab ?? 'UUID=aaaa-root / ext4 errors=remount-ro 0 1\n', '/etc/fstab');
    case words.includes('/etc/crypttab'):
      return file(host.crypttab, '/etc/crypttab');
    case words.includes('/etc/exports'):
      return file(host.exports, '/etc/exports');
    case words.includes('/run/systemd/system'):
      return said(
        `${systemd ? '/run/systemd/system\0' : ''}${host.container ? '/run/systemd/container\0' : ''}`,
        1,
        `${systemd ? '' : MISSING('/run/systemd/system')}${host.container ? '' : MISSING('/run/systemd/container')}`,
      );
    case words === '/proc/self/status':
      return said('Uid:\t0\t0\t0\t0\nCapEff:\t000001ffffffffff\nNSpid:\t7\n');
    case words === '/proc/2/comm':
      return said('kthreadd\n');
    case words === '/proc/swaps':
      return said(`Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n${host.swaps ?? ''}`);
    case words === '/proc/meminfo':
      return said('MemAvailable:   100 kB\nSwapTotal:       0 kB\n');
    case words.startsWith('lsblk') && words.includes('PKNAME'):
      return said(devices.flatMap((device) => layerLines(device)).join(''));
    case words.startsWith('lsblk'):
      return said(devices.map(tagLine).join(''));
    case words.startsWith('stat -L'): {
      const asked = argv.slice(argv.indexOf('--') + 1);
      const nodes = new Map<string, string>(
        devices.flatMap((each) => [each.name, ...linksOf(each)].map((name) => [`/dev/${name}`, each.number] as const)),
      );
      const out = asked.flatMap((path) => {
        const [major, minor] = (nodes.get(path) ?? '').split(':').map((part) => Number(part).toString(16));
        return path === '/dev/disk'
          ? [`${path}\0directory 0:0\0`]
          : minor === undefined
            ? []
            : [`${path}\0block special file ${major}:${minor}\0`];
      });
      const gone = asked.filter((path) => path !== '/dev/disk' && !nodes.has(path));
      return said(
        out.join(''),
        gone.length > 0 ? 1 : 0,
        gone.map((path) => `stat: cannot statx '${path}': No such file or directory\n`).join(''),
      );
    }
    case words.startsWith('find /dev/disk'):
      return said(`${devices.flatMap((each) => linksOf(each).map((link) => `/dev/${link}\0/dev/${each.name}\0`)).join('')}${END}\0\0`);
    case words.startsWith('find /sys/dev/block'):
      return said(devices.map(({ name, number }) => `${number} ../../devices/x/${name}\n`).join(''));
    case words.startsWith('find /boot'):
      return said(
        `${Object.entries(host.boot ?? {})
          .map(([name, size]) => `/boot/${name}\0${size}\0`)
          .join('')}${END}\0${0}\0`,
      );
    case argv[0] === 'lsinitramfs':
      return host.initramfs === undefined ? absent() : said(host.initramfs);
    case argv[0] === 'systemctl' && words.includes('*.automount'):
      return systemd ? said(unitBlocks(host)) : absent();
    case argv[0] === 'systemctl' && words.includes('*.target'):
      return systemd ? said(serviceBlocks(host)) : absent();
    case words.startsWith('find /proc') && words.includes('-lname'):
      return said(`${(host.open ?? []).map(([pid, path]) => `/proc/${pid}/fd/3\0${path}\0`).join('')}${END}\0\0`);
    case argv[0] === 'grep' && words.includes('cgroup'):
      return said((host.open ?? []).map(([pid, , service]) => `/proc/${pid}/cgroup:0::/system.slice/${service}\n`).join(''));
    case words.includes('/etc/libvirt/qemu'): {
      const texts = Object.entries(host.libvirt ?? {}).map(([name, text]) => [`/etc/libvirt/${name}`, text] as const);
      const errors = ['/etc/libvirt/qemu', '/etc/libvirt/qemu/autostart', '/etc/libvirt/storage', '/run/libvirt/qemu']
        .map(MISSING)
        .join('');
      const isText = words.includes('sed');
      const out = texts.map(([path, text]) =>
        isText ? (text === '' ? '' : `${path}\0${text}\0`) : `${path}\0${text === '' ? 'l' : 'f'}\0${text.length || 1}\0\0`,
      );
      return said(isText ? out.join('').slice(0, -1) : `${out.join('')}${END}\0c\x000\0\0`, 1, errors);
    }
    case words.includes('host.conf'):
      return said('', 1, MISSING('/etc/yunion/host.conf'));
    case words.includes('cmdline'):
      return said('/proc/1/cmdline\0/sbin/init\0\n');
    case words.includes('/sys/devices/virtual/block'):
      return said(`${END}\0\n`);
    case words.includes('%p\\0%y\\0%s\\0%l\\0'):
      return said(`${END}\0c\x000\0\0`, 1, starts.map(MISSING).join(''));
    case argv[0] === 'stdbuf': {
      const there = starts.filter((path) => host.files?.includes(path));
      const gone = starts.filter((path) => !host.files?.includes(path));
      return said(there.map((path) => `${path}\0f 4096 12 2049 1\0not\0`).join(''), gone.length > 0 ? 1 : 0, gone.map(MISSING).join(''));
    }
    default:
      return undefined;
  }
}

/** What somebody would edit. */
function content(path: string, { fstab = 'UUID=aaaa-root / ext4 errors=remount-ro 0 1\n', crypttab }: BootHost): Answer {
  const text = { '/etc/fstab': fstab, '/etc/crypttab': crypttab }[path];
  return text === undefined ? said('', 1, MISSING(path)) : said(`f ${text.length}\0${text}`);
}

function layerLines({ name, number, type = 'disk', signature = '', uuid = '', on = [] }: FakeDevice): string[] {
  return (on.length === 0 ? [''] : on).map(
    (lower) => `NAME="${name}" KNAME="${name}" PKNAME="${lower}" MAJ:MIN="${number}" TYPE="${type}" FSTYPE="${signature}" UUID="${uuid}"\n`,
  );
}

function tagLine({
  name,
  number,
  type = 'disk',
  transport = '',
  wwn = '',
  signature = '',
  uuid = '',
  label = '',
  partuuid = '',
}: FakeDevice): string {
  const head = `KNAME="${name}" MAJ:MIN="${number}" TYPE="${type}" TRAN="${transport}" WWN="${wwn}" FSTYPE="${signature}"`;
  return `${head} UUID="${uuid}" LABEL="${label.replaceAll(' ', '\\x20')}" PARTUUID="${partuuid}" PARTLABEL=""\n`;
}

function unitBlocks({ units = {} }: BootHost): string {
  const block = (where: string, fragment: string) =>
    `Id=${where === '/' ? '-' : where.slice(1).replaceAll('/', '-')}.mount\nWhere=${where}\nWhat=x\nLoadState=loaded\nActiveState=active\nFragmentPath=${fragment}\n`;
  return `${block('/', '/run/systemd/generator/-.mount')}\n${Object.entries(units)
    .map(([where, path]) => block(where, path))
    .join('\n')}`;
}

function serviceBlocks({ services = {} }: BootHost): string {
  const standard = { 'basic.target': { After: 'sysinit.target' }, 'sysinit.target': { After: 'local-fs.target' }, 'local-fs.target': {} };
  const blocks = Object.entries({ ...standard, ...services }).map(([id, properties]) => {
    const all = { Id: id, ActiveState: 'active', UnitFileState: id.endsWith('.service') ? 'enabled' : 'static', ...properties };
    return Object.entries(all)
      .map(([name, value]) => `${name}=${value}\n`)
      .join('');
  });
  return blocks.join('\n');
}

const OFF = { ...VOLUME, ...INACTIVE, lv_name: 'off', lv_full_name: 'vg0/off', lv_path: '/dev/vg0/off', lv_dm_path: '/dev/mapper/vg0-off' };

function lvmAnswer(argv: readonly string[]): Answer {
  const [key, row] = ({ lvs: ['lv', OFF], vgs: ['vg', GROUP], pvs: ['pv', DISK] } as const)[argv[0] as 'lvs' | 'vgs' | 'pvs'];
  const fields = (argv.at(-1) ?? '').split(',');
  return said(reportText(key, [Object.fromEntries(Object.entries(row).filter(([name]) => fields.includes(name)))]));
}
