import { describe, expect, it } from 'vitest';
import { absent, fakeTarget, said, wordsOf } from '../../../test/fake-target.ts';
import { examine } from '../../check/condition.ts';
import type { Answer, Asking } from '../../check/types.ts';
import { Round } from '../../engine/round.ts';
import { isListed, lvmConfig, parseConfig, systemId } from './config.ts';
import type { Group, Volume } from './index.ts';
import { idleMembers, type Labelled, layers, lockedLuks, sickArrays } from './layers.ts';
import { groupLocks, groupUnlocked } from './locks.ts';

function gather<T>(fact: Asking<T>, answer: (words: string) => Answer | undefined): Promise<T> {
  return new Round(
    fakeTarget((probe) => answer(wordsOf(probe))),
    Date.now() + 5000,
  ).gather(fact);
}

const LSBLK = `NAME="sda" KNAME="sda" PKNAME="" MAJ:MIN="8:0" TYPE="disk" FSTYPE="LVM2_member" UUID="eeJhf1-6Jfd-g3DD-3JaA-u9x8-Fc02-jfoslp"
NAME="vg0-r1_rimage_0" KNAME="dm-3" PKNAME="sda" MAJ:MIN="253:3" TYPE="lvm" FSTYPE="" UUID=""
NAME="vg0-r1" KNAME="dm-6" PKNAME="dm-3" MAJ:MIN="253:6" TYPE="lvm" FSTYPE="" UUID=""
NAME="sdb" KNAME="sdb" PKNAME="" MAJ:MIN="8:16" TYPE="disk" FSTYPE="crypto_LUKS" UUID="0b0d8f0e-5a0e-4f57-9d4b-0a3a1c2d3e4f"
NAME="vg0-r1" KNAME="dm-6" PKNAME="dm-4" MAJ:MIN="253:6" TYPE="lvm" FSTYPE="" UUID=""
`;

describe('layers', () => {
  it('takes the lines of one device together, with what is made from it', async () => {
    const { devices, why } = await gather(layers(), () => said(LSBLK));
    expect(why).toBeUndefined();
    expect(devices.map(({ node, device, signature, above }) => [node, device, signature, above])).toEqual([
      ['/dev/sda', '8:0', 'LVM2_member', ['dm-3']],
      ['/dev/dm-3', '253:3', '', ['dm-6']],
      ['/dev/dm-6', '253:6', '', []],
      ['/dev/sdb', '8:16', 'crypto_LUKS', []],
    ]);
    expect(lockedLuks({ devices }).map(({ node }) => node)).toEqual(['/dev/sdb']);
  });

  it.each([
    ['nothing', said('')],
    ['half of it', said(LSBLK.slice(0, 150))],
    ['another format', said('NAME FSTYPE\nsda\n')],
    ['that it does not know how', said('', 1, 'lsblk: unknown column: UUID\n')],
  ])('says why where lsblk says %s', async (_, answer) => {
    expect((await gather(layers(), () => answer)).why).toMatch(/^lsblk: /);
  });
});

describe('sickArrays', () => {
  const MDSTAT = `Personalities : [raid1] [raid6] [raid5] [raid4]
md1 : active raid1 sdc[0]
      523264 blocks super 1.2 [2/1] [U_]

md2 : active (auto-read-only) raid1 sde[1] sdd[0]
      523264 blocks super 1.2 [2/2] [UU]

md0 : inactive sdb[0](S)
      523264 blocks super 1.2

unused devices: <none>
`;

  it('tells arrays that did not start, and those that lack members', async () => {
    const { arrays = [] } = (await gather(sickArrays(), () => said(MDSTAT))) ?? {};
    expect(arrays.map(({ node, state }) => [node, state])).toEqual([
      ['/dev/md1', 'degraded'],
      ['/dev/md0', 'inactive'],
    ]);
    expect(arrays[1]?.evidence.excerpt).toBe('md0 : inactive sdb[0](S) 523264 blocks super 1.2');
    expect(arrays.map(({ members }) => members)).toEqual([['sdc'], ['sdb']]);
  });

  it('leaves parts of arrays that were never assembled, not those that an array lost', async () => {
    const { arrays = [] } = (await gather(sickArrays(), () => said(MDSTAT))) ?? {};
    const leg = (name: string, uuid: string, above: string[] = []) =>
      ({ node: `/dev/${name}`, uuid, above, signature: 'linux_raid_member' }) as Labelled;
    const devices = [leg('sdb', 'a0'), leg('sdx', 'a0'), leg('sdc', 'a1', ['md1']), leg('sdf', 'a1'), leg('sdg', 'a3')];
    expect(idleMembers({ devices }, arrays).map(({ node }) => node)).toEqual(['/dev/sdg']);
  });

  it('none without the driver; could not tell where it is not whole', async () => {
    expect(await gather(sickArrays(), () => absent())).toBeUndefined();
    expect((await gather(sickArrays(), () => said(MDSTAT.slice(0, 90))))?.why).toBe('/proc/mdstat: unknown format');
  });
});

describe('groupLocks', () => {
  // As a kernel and find print them while `flock -x` holds the file.
  const host =
    (locks: string, files = 'lvm 24 1\nV_vg0 24 40\nP_global 24 41\n') =>
    (words: string) =>
      words === '/proc/locks'
        ? said(locks)
        : words.startsWith('find')
          ? said(files)
          : words.endsWith('/comm')
            ? said('pvmove\n')
            : undefined;
  const LOCKS = '1: FLOCK  ADVISORY  WRITE 585 00:18:40 0 EOF\n2: POSIX  ADVISORY  WRITE 396 00:17:695 0 EOF\n';

  it('tells who holds the lock of which group', async () => {
    const { held } = await gather(groupLocks(), host(LOCKS));
    expect([...held].map(([group, { pid, command }]) => [group, pid, command])).toEqual([['vg0', 585, 'pvmove']]);
    expect(await gather(examine(groupUnlocked({ group: 'vg0' })), host(LOCKS))).toMatchObject({ found: 'pvmove (pid 585) holds it' });
    expect(await gather(examine(groupUnlocked({ group: 'vg1' })), host(LOCKS))).toEqual({ holds: true });
  });

  it('not of a file of another file system', async () => {
    expect((await gather(groupLocks(), host(LOCKS.replace('00:18:40', '00:19:40')))).held.size).toBe(0);
  });

  it('is no proof that nobody does where it cannot be read', async () => {
    expect((await gather(groupLocks(), host('garbled\n'))).why).toContain('/proc/locks');
    expect((await gather(groupLocks(), host(LOCKS, ''))).why).toContain('unknown format');
  });
});

describe('lvm.conf', () => {
  const TEXT = `event_activation=1
use_devicesfile=0
scan_lvs=0
system_id_source="none"
use_lvmlockd=0
thin_pool_autoextend_threshold=100
`;

  it('leaves out what is not set', () => {
    expect(parseConfig(TEXT)).toEqual({
      autoActivationList: undefined,
      volumeList: undefined,
      eventActivation: true,
      usesDevicesFile: false,
    });
    expect(parseConfig(`auto_activation_volume_list=["vg0","@tag"]\nvolume_list=[]\n${TEXT}`)).toMatchObject({
      autoActivationList: ['vg0', '@tag'],
      volumeList: [],
    });
  });

  it('could not be told where it is not whole', async () => {
    expect(parseConfig(TEXT.slice(0, 40))).toBeUndefined();
    expect(parseConfig('')).toBeUndefined();
    expect(await gather(lvmConfig(), () => said('# %!\n'))).toMatchObject({ why: expect.stringContaining('unknown format') });
  });

  it.each([
    [['vg0'], true],
    [['vg0/vm1'], true],
    [['@gold'], true],
    [['gold', 'vg1'], false],
    [['@*'], undefined],
    [[], false],
  ])('%j names vg0/vm1 with the tag gold: %s', (entries, listed) => {
    const volume = { fullName: 'vg0/vm1', tags: ['gold'] as readonly string[] } as Volume;
    expect(isListed(entries, volume, { name: 'vg0', tags: [] as readonly string[] } as Group)).toBe(listed);
  });

  it('knows a host without a name of its own from one that does not tell', async () => {
    expect(await gather(systemId(), () => said('  system ID: \n'))).toBe('');
    expect(await gather(systemId(), () => said('  system ID: hv1\n'))).toBe('hv1');
    expect(await gather(systemId(), () => said(''))).toBeUndefined();
  });
});
