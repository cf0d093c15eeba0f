import { describe, expect, it } from 'vitest';
import type { Finding, Plan } from '../../../src/check/types.ts';
// biome-ignore lint/style/noRestrictedImports: the test gathers the facts that the check is given
import { Round } from '../../../src/engine/round.ts';
import { mountTable } from '../../../src/facts/mountinfo.ts';
import { self } from '../../../src/facts/process.ts';
import { swaps } from '../../../src/facts/swaps.ts';
import { fakeTarget, said, wordsOf } from '../../../test/fake-target.ts';
import type { ZombieFacts } from '../facts.ts';
import { type ConfiguredFound, seekConfigured } from './detect.ts';
import { configured } from './facts.ts';
import { planConfigured } from './plan.ts';

interface Host {
  mounts?: string[];
  fstab?: string[];
  /** Property texts of units; undefined: no systemd. */
  units?: Record<string, string>[];
  container?: boolean;
  /** Path → `major:minor` in hex. */
  devices?: Record<string, string>;
  /** What lies at a path: a full or an empty directory; nothing where it is not named. */
  places?: Record<string, 'full' | 'empty'>;
  swaps?: string[];
  /** Not the first pid namespace. */
  inside?: boolean;
  asked?: string[];
}

const MOUNTS = ['27 1 254:0 / / rw - ext4 /dev/vda rw'];
const ROOT_UNIT = { Id: '-.mount', Where: '/', What: '/dev/vda', ActiveState: 'active', SubState: 'mounted', LoadState: 'loaded' };
const NOT_THERE = 'No such file or directory';

/** A unit of a line in /etc/fstab that was never started, as systemd 252 shows it. */
function unit(id: string, where: string, more: Record<string, string> = {}): Record<string, string> {
  return {
    Id: id,
    Where: where,
    What: '/dev/disk/by-uuid/1',
    LoadState: 'loaded',
    ActiveState: 'inactive',
    SubState: 'dead',
    Result: 'success',
    SourcePath: '/etc/fstab',
    UnitFileState: 'generated',
    NeedDaemonReload: 'no',
    ActiveEnterTimestampMonotonic: '0',
    ...more,
  };
}

async function factsOf(host: Host): Promise<ZombieFacts> {
  const target = fakeTarget((probe) => {
    const words = wordsOf(probe);
    host.asked?.push(words);
    const argv = words.split(' ');
    if (words === '/proc/self/mountinfo') {
      return said([...MOUNTS, ...(host.mounts ?? [])].map((line) => `${line}\n`).join(''));
    }
    if (words === '/proc/self/status') {
      return said(`Uid:\t0\t0\t0\t0\nNSpid:\t300${host.inside ? '\t7' : ''}\nCapEff:\t000001ffffffffff\n`);
    }
    if (words === '/proc/2/comm') {
      return said('kthreadd\n');
    }
    if (words === '/proc/swaps') {
      return said(['Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority', ...(host.swaps ?? [])].map((line) => `${line}\n`).join(''));
    }
    if (words.includes('/etc/fstab')) {
      return said(`${(host.fstab ?? []).join('\n')}\n\0`);
    }
    if (words.includes('/run/systemd/system')) {
      const marks = { '/run/systemd/system': host.units !== undefined, '/run/systemd/container': host.container === true };
      const gone = Object.entries(marks).filter(([, there]) => !there);
      const out = Object.entries(marks).filter(([, there]) => there);
      return said(
        out.map(([path]) => `${path}\0`).join(''),
        gone.length > 0 ? 1 : 0,
        gone.map(([path]) => `find: '${path}': ${NOT_THERE}\n`).join(''),
      );
    }
    if (argv[0] === 'systemctl') {
      const lines = (each: Record<string, string>) =>
        Object.entries(each)
          .map(([name, value]) => `${name}=${value}\n`)
          .join('');
      return said([ROOT_UNIT, ...(host.units ?? [])].map(lines).join('\n'));
    }
    if (words.startsWith('stat -L --printf')) {
      const asked = argv.slice(argv.indexOf('--') + 1);
      const known: Record<string, string> = { '/dev/disk': 'directory 0:0', ...host.devices };
      const gone = asked.filter((path) => known[path] === undefined);
      const out = asked.filter((path) => known[path] !== undefined).map((path) => `${path}\0${known[path]}\0`);
      return said(out.join(''), gone.length > 0 ? 1 : 0, gone.map((path) => `stat: cannot statx '${path}': ${NOT_THERE}\n`).join(''));
    }
    if (words.startsWith('stdbuf -o0 find')) {
      const asked = argv.slice(3, argv.indexOf('-maxdepth'));
      const place = (path: string) => (path === '/' ? 'full' : host.places?.[path]);
      const gone = asked.filter((path) => place(path) === undefined);
      const out = asked
        .filter((path) => place(path) !== undefined)
        .map((path) => `${path}\0d 4096 2 3 4\0${place(path) === 'full' ? 'not' : 'empty'}\0`);
      return said(out.join(''), gone.length > 0 ? 1 : 0, gone.map((path) => `find: '${path}': ${NOT_THERE}\n`).join(''));
    }
    if (argv[0] === 'find' && words.includes('%y\\0%l')) {
      return said(
        argv
          .slice(1, argv.indexOf('-maxdepth'))
          .map((path) => `${path}\0d\0\0`)
          .join(''),
      );
    }
    return undefined;
  });
  const round = new Round(target, Number.MAX_SAFE_INTEGER);
  const gathered = { table: mountTable, self, swaps, configured };
  const values = await Promise.all(Object.entries(gathered).map(async ([name, fact]) => [name, await round.gather<unknown>(fact())]));
  return Object.fromEntries(values) as ZombieFacts;
}

async function judged(host: Host) {
  const facts = await factsOf(host);
  const { findings, unjudged = [], examined } = seekConfigured(facts);
  const plans = findings.map((each) => planConfigured(each as Finding<ConfiguredFound>, facts));
  return {
    told: findings.map(({ code, subject, severity }) => `${code} ${subject.name} ${severity}`),
    findings,
    unjudged,
    examined,
    plans,
  };
}

function refused(plan: Plan | undefined): string {
  return plan !== undefined && 'refused' in plan ? plan.refused : 'it is planned';
}

const LINE = 'UUID=1 /mnt/data ext4 defaults 0 2';
const BLOCK = { '/dev/disk/by-uuid/1': 'block special file 8:11' };
const EMPTY = { '/mnt/data': 'empty' } as const;

describe('configured-not-mounted', () => {
  it('without systemd: mounted by its line', async () => {
    const { told, plans, findings } = await judged({ fstab: [LINE], devices: BLOCK, places: EMPTY });
    expect(told).toEqual(['configured-not-mounted /mnt/data critical']);
    expect(findings[0]).toMatchObject({ evidence: [{ source: '/etc/fstab', excerpt: `line 1: ${LINE}` }, {}, {}] });
    expect(plans).toMatchObject([
      {
        steps: [
          {
            risk: 'safe',
            action: { argv: ['mount', '/mnt/data'] },
            guards: [
              { is: 'path-on' },
              { is: 'empty-directory' },
              { is: 'node-is', args: { node: '/dev/disk/by-uuid/1', device: '8:17' } },
            ],
            proof: [{ is: 'mount-answers' }],
            undo: { action: { argv: ['umount', '-c', '/mnt/data'] } },
          },
        ],
      },
    ]);
  });

  it.each([
    ['/auto/image', 'the way to /auto/image leads through /auto'],
    ['/srv/image', 'it is planned'],
    ['//nas/auto', 'it is planned'],
  ])('from %s, with an automount beside it', async (source, reason) => {
    const { told, plans } = await judged({
      mounts: ['30 27 0:40 / /auto rw - autofs systemd-1 rw,direct'],
      fstab: [`${source} /mnt/data ext4 loop 0 0`],
      places: EMPTY,
    });
    expect(told).toEqual(['configured-not-mounted /mnt/data critical']);
    expect(refused(plans[0])).toContain(reason);
  });

  it.each([
    ['nofail', 'nofail', BLOCK, 'warning'],
    ['nofail and the device away', 'nofail', {}, 'info'],
    ['the device away', 'defaults', {}, 'critical'],
  ])('severity with %s', async (_, options, devices, severity) => {
    const { told, plans } = await judged({ fstab: [LINE.replace('defaults', options)], devices, places: EMPTY });
    expect(told).toEqual([`configured-not-mounted /mnt/data ${severity}`]);
    expect(refused(plans[0])).toContain(Object.keys(devices).length === 0 ? 'UUID=1 is not there' : 'it is planned');
  });

  it.each([
    ['full', { '/mnt/data': 'full' } as const, 'is not empty'],
    ['not there', {}, 'mkdir -p -- /mnt/data && mount /mnt/data'],
  ])('is refused where the place is %s', async (_, places, reason) => {
    const { plans } = await judged({ fstab: [LINE], devices: BLOCK, places });
    expect(refused(plans[0])).toContain(reason);
  });

  it('was mounted since boot, by systemd: started again', async () => {
    const units = [unit('mnt-data.mount', '/mnt/data', { ActiveEnterTimestampMonotonic: '123' })];
    const { told, plans } = await judged({ fstab: [LINE], devices: BLOCK, units });
    expect(told).toEqual(['configured-not-mounted /mnt/data critical']);
    expect(plans).toMatchObject([
      {
        steps: [
          {
            action: { argv: ['systemctl', 'start', 'mnt-data.mount'] },
            guards: [{ is: 'path-on' }, { is: 'path-is' }, { is: 'node-is' }, { is: 'unit-is', args: { states: ['inactive'] } }],
            proof: [{ is: 'mount-answers' }, { is: 'unit-is', args: { states: ['active'] } }],
          },
        ],
      },
    ]);
  });

  it.each([
    ['a line it has not read', [], 'systemctl daemon-reload && systemctl start mnt-data.mount'],
    ['a unit it has not read again', [unit('mnt-data.mount', '/mnt/data', { NeedDaemonReload: 'yes' })], 'systemctl daemon-reload'],
    ['a unit it cannot use', [unit('mnt-data.mount', '/mnt/data', { LoadState: 'bad-setting' })], 'systemctl status mnt-data.mount'],
  ])('is refused by systemd with %s', async (_, units, reason) => {
    const { plans } = await judged({ fstab: [LINE], devices: BLOCK, places: EMPTY, units });
    expect(refused(plans[0])).toContain(reason);
  });

  it('of a unit alone, and silent where its condition did not hold', async () => {
    const own = { SourcePath: '', UnitFileState: 'enabled', ActiveEnterTimestampMonotonic: '1' };
    const { told } = await judged({
      units: [
        unit('mnt-own.mount', '/mnt/own', own),
        unit('mnt-not.mount', '/mnt/not', { ...own, ConditionResult: 'no', ConditionTimestampMonotonic: '7' }),
        unit('mnt-static.mount', '/mnt/static', { ...own, UnitFileState: 'static' }),
      ],
    });
    expect(told).toEqual(['configured-not-mounted /mnt/own critical']);
  });

  it('of swap', async () => {
    const fstab = ['/dev/vg/swap none swap sw', '/swapfile none swap sw', '/dev/gone none swap sw', 'UUID=1 none swap noauto'];
    const { told } = await judged({
      fstab,
      devices: { '/dev/vg/swap': 'block special file fd:1' },
      swaps: ['/swapfile                               file\t\t1048572\t\t0\t\t-2'],
    });
    expect(told).toEqual(['configured-not-mounted /dev/vg/swap info', 'configured-not-mounted /dev/gone warning']);
  });
});

describe('mount-missed-late-device', () => {
  it('never started, while the device is there now', async () => {
    const { told, plans } = await judged({ fstab: [LINE], devices: BLOCK, places: EMPTY, units: [unit('mnt-data.mount', '/mnt/data')] });
    expect(told).toEqual(['mount-missed-late-device /mnt/data critical']);
    expect(plans[0]).toHaveProperty('steps');
  });

  it('on a volume: that one was late', async () => {
    const { findings } = await judged({
      fstab: ['/dev/vg0/data /mnt/data ext4 nofail 0 2'],
      devices: { '/dev/vg0/data': 'block special file fd:1' },
      places: EMPTY,
      units: [unit('mnt-data.mount', '/mnt/data', { What: '/dev/vg0/data' })],
    });
    expect(findings).toMatchObject([{ code: 'mount-missed-late-device', cause: { kind: 'device', name: '/dev/vg0/data' } }]);
  });

  it('of swap: left to a person', async () => {
    const swap = { Where: '', What: '/dev/vg/swap' };
    const { told, plans } = await judged({
      fstab: ['/dev/vg/swap none swap nofail'],
      devices: { '/dev/vg/swap': 'block special file fd:1' },
      units: [unit('dev-vg-swap.swap', '', swap)],
    });
    expect(told).toEqual(['mount-missed-late-device /dev/vg/swap warning']);
    expect(refused(plans[0])).toContain('systemctl start dev-vg-swap.swap');
  });
});

describe('unit-failed', () => {
  const FAILED = { ActiveState: 'failed', SubState: 'failed', Result: 'timeout' };

  it('is forgotten before it is started again', async () => {
    const { told, plans } = await judged({
      fstab: [LINE],
      devices: BLOCK,
      places: EMPTY,
      units: [unit('mnt-data.mount', '/mnt/data', FAILED)],
    });
    expect(told).toEqual(['unit-failed /mnt/data critical']);
    expect(plans).toMatchObject([
      {
        steps: [
          { action: { argv: ['systemctl', 'reset-failed', 'mnt-data.mount'] } },
          { action: { argv: ['systemctl', 'start', 'mnt-data.mount'] } },
        ],
      },
    ]);
  });

  it('of what nothing wants, of a relic, and of what is mounted all the same', async () => {
    const { told, plans } = await judged({
      mounts: ['40 27 8:1 / /mnt/there rw - ext4 /dev/sda1 rw'],
      units: [
        unit('mnt-loose.mount', '/mnt/loose', { ...FAILED, SourcePath: '', UnitFileState: 'static' }),
        unit('mnt-relic.mount', '/mnt/relic', { ...FAILED, LoadState: 'not-found' }),
        unit('mnt-there.mount', '/mnt/there', FAILED),
      ],
    });
    expect(told).toEqual(['unit-failed /mnt/loose warning', 'unit-failed /mnt/relic info', 'unit-failed /mnt/there info']);
    expect(refused(plans[0])).toContain('systemctl reset-failed mnt-loose.mount');
  });
});

describe('automount-target-gone', () => {
  const AUTOFS = '40 27 0:50 / /mnt/data rw - autofs systemd-1 rw';
  const units = [
    unit('mnt-data.mount', '/mnt/data'),
    unit('mnt-data.automount', '/mnt/data', { ActiveState: 'active', SubState: 'waiting', What: '' }),
  ];

  it.each([
    ['away', 'x-systemd.automount', {}, ['automount-target-gone /mnt/data warning']],
    ['away with nofail', 'nofail,x-systemd.automount', {}, ['automount-target-gone /mnt/data info']],
    ['there', 'x-systemd.automount', BLOCK, []],
  ])('the device is %s', async (_, options, devices, expected) => {
    const asked: string[] = [];
    const host = { mounts: [AUTOFS], fstab: [LINE.replace('defaults', options)], devices, units, asked };
    expect((await judged(host)).told).toEqual(expected);
    expect(asked.filter((words) => words.split(' ').includes('/mnt/data'))).toEqual([]);
  });

  it('is not found where the automount itself is not active: that is configured-not-mounted', async () => {
    const { told, plans } = await judged({
      fstab: [LINE.replace('defaults', 'x-systemd.automount')],
      devices: BLOCK,
      places: EMPTY,
      units,
    });
    expect(told).toEqual(['configured-not-mounted /mnt/data warning']);
    expect(refused(plans[0])).toContain('systemctl start mnt-data.automount');
  });
});

describe('moved', () => {
  it.each([
    ['by device', 'UUID=1 /mnt/data ext4', '40 27 8:17 / /mnt/other rw - ext4 /dev/sdb1 rw'],
    ['btrfs, by its source', 'UUID=1 /mnt/data btrfs', '40 27 0:60 / /mnt/other rw - btrfs /dev/sdb1 rw'],
    ['NFS, by its source', 'nas:/x /mnt/data nfs', '40 27 0:61 / /mnt/other rw - nfs4 nas:/x rw'],
  ])('%s', async (_, line, mount) => {
    const devices = { ...BLOCK, '/dev/sdb1': 'block special file 8:11' };
    const { told, plans } = await judged({ fstab: [line], devices, places: EMPTY, mounts: [mount] });
    expect(told).toEqual(['moved /mnt/data warning']);
    expect(refused(plans[0])).toContain('umount -c /mnt/other && mount /mnt/data');
  });

  it.each([
    ['a place that is wanted too', ['UUID=1 /mnt/data btrfs subvol=a', 'UUID=1 /mnt/other btrfs'], '/'],
    ['a subvolume', ['UUID=1 /mnt/data btrfs'], '/home'],
  ])('is not said of %s', async (_, fstab, root) => {
    const devices = { ...BLOCK, '/dev/sdb1': 'block special file 8:11' };
    const { told } = await judged({ fstab, devices, places: EMPTY, mounts: [`40 27 0:60 ${root} /mnt/other rw - btrfs /dev/sdb1 rw`] });
    expect(told).toEqual(['configured-not-mounted /mnt/data critical']);
  });
});

describe('nothing is found', () => {
  it.each<[string, Host]>([
    ['where all is mounted', { fstab: [LINE], mounts: ['40 27 8:17 / /mnt/data rw - ext4 /dev/sdb1 rw'] }],
    ['of devices in a container, whose host is meant', { fstab: [LINE], units: [], container: true }],
    ['of a masked unit', { fstab: [LINE], units: [unit('mnt-data.mount', '/mnt/data', { LoadState: 'masked' })] }],
  ])('%s', async (_, host) => {
    const { told, unjudged } = await judged(host);
    expect([told, unjudged]).toEqual([[], []]);
  });

  it.each<[string, Host, string]>([
    ['in a container without systemd', { fstab: [LINE], inside: true, places: EMPTY }, 'in a container'],
    [
      'while systemd is at it',
      { fstab: [LINE], units: [unit('mnt-data.mount', '/mnt/data', { ActiveState: 'activating', SubState: 'mounting' })] },
      'mounting',
    ],
    ['while a job of it waits', { fstab: [LINE], units: [unit('mnt-data.mount', '/mnt/data', { Job: '812' })] }, 'just now'],
    [
      'where systemd sees another mount table',
      { fstab: [LINE], units: [unit('mnt-data.mount', '/mnt/data', { ActiveState: 'active' })] },
      'another mount namespace',
    ],
    ['below a mount that does not answer', { fstab: [LINE], mounts: ['40 27 0:50 / /mnt rw - autofs systemd-1 rw'] }, 'leads through /mnt'],
  ])('but could not tell %s', async (_, host, why) => {
    const { told, unjudged } = await judged(host);
    expect(told).toEqual([]);
    expect(unjudged).toMatchObject([{ why: expect.stringContaining(why) }]);
  });

  it('costs no question about what is mounted, and few about many that are not', async () => {
    const asked: string[] = [];
    const lines = Array.from({ length: 2000 }, (_, index) => `UUID=1 /mnt/${index} ext4`);
    const mounts = lines.map((_, index) => `${index + 100} 27 8:17 / /mnt/${index} rw - ext4 /dev/sdb1 rw`);
    await judged({ fstab: lines, mounts, asked });
    const children = asked.filter((words) => !words.startsWith('/proc/'));
    expect(children).toEqual([expect.stringContaining('find -L /etc/fstab'), expect.stringContaining('find /run/systemd/system')]);
    asked.length = 0;
    expect((await judged({ fstab: lines, devices: BLOCK, asked })).told).toHaveLength(2000);
    expect(asked.length).toBeLessThan(20);
  });
});
