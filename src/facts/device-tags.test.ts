import { describe, expect, it } from 'vitest';
import { fakeTarget, said, timedOut } from '../../test/fake-target.ts';
import type { Answer } from '../check/types.ts';
import { Round } from '../engine/round.ts';
import { countedName, deviceLinks, isWholeDevice } from './device-links.ts';
import { deviceTags, parseTags } from './device-tags.ts';

const LSBLK = `KNAME="sda" MAJ:MIN="8:0" TYPE="disk" TRAN="iscsi" WWN="0x5" FSTYPE="" UUID="" LABEL="" PARTUUID="" PARTLABEL=""
KNAME="sda1" MAJ:MIN="8:1" TYPE="part" TRAN="" WWN="" FSTYPE="ext4" UUID="0e5f" LABEL="my\\x20disk" PARTUUID="11-01" PARTLABEL=""
KNAME="cciss!c0d0" MAJ:MIN="104:0" TYPE="disk" TRAN="" WWN="" FSTYPE="" UUID="" LABEL="" PARTUUID="" PARTLABEL=""
`;

async function asked<T>(fact: () => Parameters<Round['gather']>[0], answer: Answer): Promise<T> {
  return (await new Round(
    fakeTarget(() => answer),
    Date.now() + 5000,
  ).gather(fact())) as T;
}

describe('tags of devices', () => {
  it('are what lsblk prints of them', () => {
    expect(parseTags(LSBLK)).toMatchObject([
      { node: '/dev/sda', device: '8:0', transport: 'iscsi', tags: {} },
      { node: '/dev/sda1', signature: 'ext4', tags: { UUID: '0e5f', LABEL: 'my disk', PARTUUID: '11-01' } },
      { node: '/dev/cciss/c0d0', tags: {} },
    ]);
  });

  it.each([
    ['empty', said('')],
    ['cut off', said(LSBLK.slice(0, -40))],
    ['of another format', said('sda 8:0\n')],
    ['refused', said('', 1, 'lsblk: unknown column: TRAN\n')],
    ['late', timedOut(LSBLK)],
  ])('are not known where the list is %s', async (_, answer) => {
    expect(await asked(deviceTags, answer)).toMatchObject({ devices: [], why: expect.stringContaining('lsblk: ') });
  });
});

describe('names of devices', () => {
  it('are the links that lead to each', async () => {
    const out =
      '/dev/disk/by-id/ata-X\0../../sda\0/dev/disk/by-uuid/0e5f\0../../sda1\0/dev/mapper/vg0-a\0../dm-3\0/dev/md/home\0/dev/md127\0/dev/null\0\0';
    const { byNode, why } = await asked<{ byNode: Map<string, string[]>; why?: string }>(deviceLinks, said(out, 1, 'find: /dev/zvol'));
    expect([[...byNode], why]).toEqual([
      [
        ['/dev/sda', ['/dev/disk/by-id/ata-X']],
        ['/dev/sda1', ['/dev/disk/by-uuid/0e5f']],
        ['/dev/dm-3', ['/dev/mapper/vg0-a']],
        ['/dev/md127', ['/dev/md/home']],
      ],
      undefined,
    ]);
    expect(await asked(deviceLinks, said(out.slice(0, -12)))).toMatchObject({ why: expect.any(String) });
    expect(await asked(deviceLinks, said(''))).toMatchObject({ why: expect.any(String) });
  });

  it.each(['/dev/sdb', '/dev/sdaa12', '/dev/nvme0n1p2', '/dev/dm-3', '/dev/md127', '/dev/loop0', '/dev/zd16p1', '/dev/vda1'])(
    '%s is counted',
    (name) => expect(countedName(name)).toBeDefined(),
  );

  it.each(['/dev/md0', '/dev/md/home', '/dev/sr0', '/dev/xvda1', '/dev/mapper/sdb', '/dev/vg0/sda', '/dev/disk/by-path/x', '/dev/drbd0'])(
    '%s says which device it is',
    (name) => expect(countedName(name)).toBeUndefined(),
  );

  it('tells a device from its partitions', () => {
    const names = ['/dev/sda', '/dev/sda1', '/dev/nvme0n1', '/dev/nvme0n1p1', '/dev/dm-0', '/dev/md127p1'];
    expect(names.filter(isWholeDevice)).toEqual(['/dev/sda', '/dev/nvme0n1', '/dev/dm-0']);
  });
});
