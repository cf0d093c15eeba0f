/** LVM in trouble while its host runs, and what is repaired of that. */
import { expect, it, onTestFinished } from 'vitest';
import { Doctor, found, type Report, unjudged } from './doctor.ts';
import { Guest } from './guest.ts';
import { findingOf, refusalOf } from './looks.ts';

it('metadata without room grows, a leg that was away is taken back, what somebody suspended goes on; the rest is left to a person', async () => {
  const guest = await Guest.open({ hostname: 'hv1' });
  onTestFinished(() => guest.close());
  const doctor = new Doctor(guest, 'root', 'lvm-inactive');
  const expectWell = async () => {
    const { code, report } = await doctor.check();
    expect([found(report), unjudged(report), code]).toEqual([[], [], 0]);
  };
  await guest.run(`set -e
vgcreate -q -s 1M vg0 ${guest.disk('disk1')}
lvcreate -q -y -L 64M --poolmetadatasize 2M -T vg0/pool; lvcreate -q -y -V 60M -T vg0/pool -n thin
lvcreate -q -y -L 32M -T vg0/small; lvchange -q --errorwhenfull y vg0/small; lvcreate -q -y -V 60M -T vg0/small -n big
lvcreate -q -y -W n -L 40M -n origin vg0; lvcreate -q -y -s -L 8M -n before vg0/origin
vgcreate -q vg1 ${guest.disk('disk3')} ${guest.disk('disk4')}
lvcreate -q -y --type raid1 -m1 -L 32M -n mirror vg1 ${guest.disk('disk3')} ${guest.disk('disk4')}
vgcreate -q vg2 ${guest.disk('disk2')}; lvcreate -q -y -W n -L 40M -n held vg2
for name in vg0/thin vg1/mirror vg2/held; do
  mkfs.ext4 -q /dev/$name; mkdir -p /srv/$name; mount /dev/$name /srv/$name; echo kept > /srv/$name/file
done
sync`);
  await expectWell();

  await guest.run(`dd if=/dev/urandom of=/dev/vg0/origin bs=1M count=20 conv=fsync status=none
dd if=/dev/urandom of=/dev/vg0/big bs=1M oflag=direct status=none
seq 1000 1500 | xargs -P 2 -I{} dmsetup message vg0-pool-tpool 0 'create_thin {}' 2> /dev/null
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
  await expectWell();
  const after = await guest.run(`for name in vg0/thin vg1/mirror vg2/held; do
  cat /srv/$name/file; dd if=/dev/urandom of=/srv/$name/anew bs=64k count=16 conv=fsync status=none && rm /srv/$name/anew; echo $?
done
lvs --noheadings -o raid_sync_action,raid_mismatch_count vg1/mirror | xargs`);
  expect(after.stdout).toBe('kept\n0\nkept\n0\nkept\n0\nidle 0\n');
});
