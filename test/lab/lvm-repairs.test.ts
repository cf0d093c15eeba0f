/** LVM in trouble while its host runs, and what is repaired of that. */
import { expect, onTestFinished } from 'vitest';
import { itInFull } from '../full.ts';
import { Doctor, found, type Report, unjudged } from './doctor.ts';
import { Guest } from './guest.ts';
import { expectWell, findingOf, refusalOf } from './looks.ts';

/**
 * All but a few of the 512 blocks of a pool's metadata are taken, each by a thin volume, all of which share a block of data:
 * to make so many one by one takes half a minute.
 */
const fill = (disk: string) => `set -- $(dmsetup table vg0-pool_tmeta); lvchange -q -an vg0/thin; lvchange -q -an vg0/pool
dd if=${disk} of=/root/metadata bs=512 skip=$5 count=$2 status=none
thin_dump /root/metadata | awk '/<.superblock>/ { for (id = 1000; id < 1415; id++) {
  print "<device dev_id=\\"" id "\\" mapped_blocks=\\"1\\" transaction=\\"0\\" creation_time=\\"0\\" snap_time=\\"0\\">"
  print "<single_mapping origin_block=\\"0\\" data_block=\\"0\\" time=\\"0\\"/></device>"
} } 1' > /root/pool.xml
thin_restore -i /root/pool.xml -o /root/metadata; dd if=/root/metadata of=${disk} bs=512 seek=$5 conv=notrunc,fsync status=none
lvchange -q -ay vg0/pool vg0/thin`;

// What they cost a day goes to a host that comes up without its volumes.
itInFull(
  'metadata without room grows, a leg that was away is taken back, what somebody suspended goes on; the rest is left to a person',
  async () => {
    const guest = await Guest.open({ hostname: 'hv1' });
    onTestFinished(() => guest.close());
    const doctor = new Doctor(guest, 'root', 'lvm-inactive');
    await guest.run(`set -e
vgcreate -q -s 1M vg0 ${guest.disk('disk1')}
lvcreate -q -y -L 64M --poolmetadatasize 2M -T vg0/pool; lvcreate -q -y -V 60M -T vg0/pool -n thin
${fill(guest.disk('disk1'))}
lvcreate -q -y -L 32M -T vg0/small; lvchange -q --errorwhenfull y vg0/small; lvcreate -q -y -V 60M -T vg0/small -n big
lvcreate -q -y -W n -L 40M -n origin vg0; lvcreate -q -y -s -L 8M -n before vg0/origin
vgcreate -q vg1 ${guest.disk('disk3')} ${guest.disk('disk4')}
lvcreate -q -y --type raid1 -m1 -L 32M -n mirror vg1 ${guest.disk('disk3')} ${guest.disk('disk4')}
vgcreate -q vg2 ${guest.disk('disk2')}; lvcreate -q -y -W n -L 40M -n held vg2
for name in vg0/thin vg1/mirror vg2/held; do
  mkfs.ext4 -q /dev/$name; mkdir -p /srv/$name; mount /dev/$name /srv/$name; echo kept > /srv/$name/file
done
sync`);
    await expectWell(doctor);

    await guest.run(`dd if=/dev/urandom of=/dev/vg0/origin bs=1M count=20 conv=fsync status=none
dd if=/dev/urandom of=/dev/vg0/big bs=1M oflag=direct status=none
for id in $(seq 2000 2100); do dmsetup message vg0-pool-tpool 0 "create_thin $id" || break; done
dd if=/dev/urandom of=/srv/vg0/thin/more bs=64k count=20 conv=fsync status=none; true`);
    await guest.removeDisk('disk4');
    await guest.run('dd if=/dev/urandom of=/srv/vg1/mirror/more bs=1M count=4 conv=fsync status=none');
    await guest.addDisk('disk4');
    await guest.run('udevadm settle');
    await guest.suspend('vg2-held');

    const { code, report } = await doctor.check();
    expect([found(report), unjudged(report), code]).toEqual([
      [
        'raid-refresh-needed /dev/vg1/mirror',
        'snapshot-invalid /dev/vg0/before',
        'thin-pool-data-full /dev/mapper/vg0-small',
        'thin-pool-metadata-full /dev/mapper/vg0-pool',
        'volume-suspended /dev/mapper/vg2-held',
      ],
      [],
      2,
    ]);
    expect(refusalOf(report, 'snapshot-invalid', '/dev/vg0/before')).toContain('lvremove -- vg0/before');
    expect(refusalOf(report, 'thin-pool-data-full', '/dev/mapper/vg0-small')).toContain('lvextend -L +SIZE -- vg0/small');
    expect(findingOf(report, 'thin-pool-metadata-full', '/dev/mapper/vg0-pool').fix.risk).toBe('safe');

    const fixed = await doctor.fix('--auto', 'disruptive');
    const outcomes = fixed.report.repairs.map(({ finding, outcome }: Report) => `${finding.code} ${outcome}`);
    expect([outcomes.toSorted(), fixed.code]).toEqual([
      [
        'raid-refresh-needed repaired',
        'snapshot-invalid refused',
        'thin-pool-data-full refused',
        'thin-pool-metadata-full repaired',
        'volume-suspended repaired',
      ],
      1,
    ]);
    await guest.run('lvremove -q -y vg0/before; lvextend -q -L +64M vg0/small; lvchange --syncaction check vg1/mirror');
    await expectWell(doctor);
    const after = await guest.run(`for name in vg0/thin vg1/mirror vg2/held; do
  cat /srv/$name/file; dd if=/dev/urandom of=/srv/$name/anew bs=64k count=16 conv=fsync status=none && rm /srv/$name/anew; echo $?
done
lvs --noheadings -o raid_sync_action,raid_mismatch_count vg1/mirror | xargs`);
    expect(after.stdout).toBe('kept\n0\nkept\n0\nkept\n0\nidle 0\n');
  },
);
