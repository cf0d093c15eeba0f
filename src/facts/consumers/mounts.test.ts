import { describe, expect, it } from 'vitest';
import { absent, fakeTarget, said, wordsOf } from '../../../test/fake-target.ts';
import type { Answer, Probe } from '../../check/types.ts';
import { Round } from '../../engine/round.ts';
import { mountConsumers } from './mounts.ts';

const NONE = "find: '/run/systemd/container': No such file or directory\n";
const ROOT = 'Where=/\nWhat=/dev/vda1\nId=-.mount\nLoadState=loaded\nActiveState=active\n';
const unit = (lines: Record<string, string>) =>
  Object.entries({ LoadState: 'loaded', ActiveState: 'inactive', ...lines })
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');
const MOUNTINFO =
  '21 1 254:0 / / rw - ext4 /dev/root rw\n22 21 0:20 / /sys rw - sysfs sysfs rw\n30 21 253:1 / /data rw - xfs /dev/mapper/vg0-data rw\n31 21 0:40 / /auto rw - autofs systemd-1 rw\n';

interface Host {
  fstab?: Answer;
  units?: string;
  mountinfo?: string;
  swaps?: Answer;
  devices?: string;
  container?: boolean;
}

function host({ fstab = said('\0'), units = ROOT, mountinfo = MOUNTINFO, swaps = said(''), devices = '', container = false }: Host) {
  return fakeTarget((probe: Probe) => {
    const words = wordsOf(probe);
    if (words.includes('/etc/fstab')) {
      return fstab;
    }
    if (words.includes('/run/systemd/system')) {
      return container ? said('/run/systemd/system\0/run/systemd/container\0') : said('/run/systemd/system\0', 1, NONE);
    }
    if (words.startsWith('systemctl')) {
      return said(units);
    }
    if (words === '/proc/self/mountinfo') {
      return said(mountinfo);
    }
    if (words === '/proc/swaps') {
      return swaps;
    }
    if (words.startsWith('find /sys/dev/block')) {
      return said('253:2 ../../devices/virtual/block/dm-2\n');
    }
    if (words.startsWith('stat -L')) {
      const asked = probe.kind === 'run' ? probe.argv.slice(5).map(String) : [];
      const there = devices.split(' ').filter((path) => asked.includes(path));
      const missing = asked.filter((path) => !there.includes(path) && path !== '/dev/disk');
      const out = `/dev/disk\0directory 0:0\0${there.map((path) => `${path}\0block special file fd:2\0`).join('')}`;
      return said(out, 1, missing.map((path) => `stat: cannot statx '${path}': No such file or directory\n`).join(''));
    }
    return words.startsWith('find /') ? said(`${words.split(' ')[1]}\0d\0\0`) : absent();
  });
}

const gather = (options: Host) => new Round(host(options), Number.MAX_SAFE_INTEGER).gather(mountConsumers());
const fstab = (...lines: string[]) => said(`${lines.join('\n')}\n\0`);

describe('mounts that are wanted', () => {
  it('are those of fstab, with their units', async () => {
    const { consumers, unjudged } = await gather({
      fstab: fstab(
        '/dev/vg0/data /data xfs defaults 0 0',
        '/dev/vg0/late /mnt/late xfs nofail,x-systemd.device-timeout=8s 0 0',
        '/dev/vg0/by-hand /mnt/x xfs noauto 0 0',
        '/dev/vg0/lazy /auto xfs x-systemd.automount 0 0',
        'tmpfs /tmp tmpfs defaults 0 0',
      ),
      units: [ROOT, unit({ Id: 'mnt-late.mount', Where: '/mnt/late', What: '/dev/vg0/late', UnitFileState: 'generated' })].join('\n'),
    });
    expect(unjudged).toEqual([]);
    expect(consumers).toMatchObject([
      { kind: 'mount', name: '/data', isUp: true, needs: ['/dev/vg0/data'], certainty: 'proven', unit: null, nofail: false },
      { name: '/mnt/late', atBoot: true, isUp: false, unit: 'mnt-late.mount', nofail: true },
      { name: '/auto', isUp: false },
      { name: '/tmp', needs: ['tmpfs'] },
    ]);
    expect(consumers[1]?.evidence).toMatchObject({
      source: '/etc/fstab',
      excerpt: 'line 2: /dev/vg0/late /mnt/late xfs nofail,x-systemd.device-timeout=8s 0 0',
    });
  });

  it('are only possible where a UUID leads nowhere', async () => {
    const { consumers } = await gather({
      fstab: fstab('UUID=1-2 /a xfs', 'LABEL=b /b xfs', '/dev/disk/by-uuid/3 /c xfs'),
      devices: '/dev/disk/by-uuid/1-2',
    });
    expect(consumers.map(({ needs, certainty }) => [needs[0], certainty])).toEqual([
      ['UUID=1-2', 'proven'],
      ['LABEL=b', 'possible'],
      ['/dev/disk/by-uuid/3', 'possible'],
    ]);
  });

  it('are those of enabled units, once each, and none that is masked', async () => {
    const { consumers } = await gather({
      fstab: fstab('/dev/vg0/a /srv/a xfs', '/dev/vg0/m /srv/m xfs'),
      units: [
        ROOT,
        unit({ Id: 'srv-a.mount', Where: '/srv/a', What: '/dev/vg0/a', UnitFileState: 'enabled' }),
        unit({ Id: 'srv-b.mount', Where: '/srv/b', What: '/dev/vg0/b', UnitFileState: 'enabled' }),
        unit({ Id: 'srv-c.mount', Where: '/srv/c', What: '/dev/vg0/c', UnitFileState: 'disabled' }),
        unit({ Id: 'srv-m.mount', Where: '/srv/m', What: '/dev/vg0/m', LoadState: 'masked' }),
        unit({ Id: 'dev-vg0-swap.swap', What: '/dev/vg0/swap', UnitFileState: 'enabled' }),
      ].join('\n'),
    });
    expect(consumers.map(({ kind, name, unit }) => [kind, name, unit])).toEqual([
      ['mount', '/srv/a', 'srv-a.mount'],
      ['mount', '/srv/b', 'srv-b.mount'],
      ['swap', '/dev/vg0/swap', 'dev-vg0-swap.swap'],
    ]);
  });

  it('tell swap that is used by its device', async () => {
    const swaps = said(
      'Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n/dev/dm-2                               partition\t16380\t\t0\t\t-2\n',
    );
    const { consumers } = await gather({
      fstab: fstab('/dev/vg0/swap none swap sw', '/dev/vg0/other none swap sw,nofail', '/dev/vg0/no none swap noauto'),
      devices: '/dev/vg0/swap',
      swaps,
    });
    expect(consumers.map(({ name, isUp }) => [name, isUp])).toEqual([
      ['/dev/vg0/swap', true],
      ['/dev/vg0/other', false],
    ]);
  });

  it('know the unit of swap by its device', async () => {
    const { consumers } = await gather({
      fstab: fstab('UUID=a-b none swap sw'),
      units: [ROOT, unit({ Id: 'dev-x.swap', What: '/dev/disk/by-uuid/a-b', UnitFileState: 'generated' })].join('\n'),
    });
    expect(consumers).toMatchObject([{ kind: 'swap', name: 'UUID=a-b', unit: 'dev-x.swap', certainty: 'possible' }]);
  });

  it('are none in a container', async () => {
    const { consumers } = await gather({ fstab: fstab('/dev/vg0/a /a xfs'), container: true });
    expect(consumers).toEqual([]);
  });

  it('are not known where a source cannot be read', async () => {
    const { consumers, unjudged } = await gather({ fstab: said('', 1, "find: '/etc/fstab': Permission denied\n"), units: '' });
    expect(consumers).toEqual([]);
    expect(unjudged.map(({ subject }) => subject.name)).toEqual(['/etc/fstab', 'units']);
  });

  it('name a line of no known format', async () => {
    const { consumers, unjudged } = await gather({ fstab: fstab('/dev/vg0/a', '/dev/vg0/b /srv/caf\xc3\xa9\\040x xfs') });
    expect(unjudged).toEqual([{ subject: { kind: 'file', name: '/etc/fstab' }, why: 'line 1 is of no known format: /dev/vg0/a' }]);
    expect(consumers[0]).toMatchObject({ name: '/srv/café x', evidence: { excerpt: 'line 2: /dev/vg0/b /srv/café\\040x xfs' } });
  });
});
