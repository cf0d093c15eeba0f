/** Volumes that did not come up at boot, and LVM in trouble while its host runs. */
import { expect, it, onTestFinished } from 'vitest';
import { itInFull } from '../full.ts';
import { Doctor, found, type Report, unjudged } from './doctor.ts';
import { Guest } from './guest.ts';
import { expectWell, findingOf, refusalOf } from './looks.ts';

async function open(): Promise<{ guest: Guest; doctor: Doctor }> {
  const guest = await Guest.open({ hostname: 'hv1' });
  onTestFinished(() => guest.close());
  return { guest, doctor: new Doctor(guest, 'root', 'lvm-inactive') };
}

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

/** A guest of Cloudpods: its disk is an image on a volume, over the image on another one. */
const SERVER = '6f2c1f4e-9c1d-4f0b-8b1e-3c8f0e7d5a11';
const DISK = '0d9e2b7c-5a43-4c57-9a0e-7b1f6c2d8e90';
const IMAGE = 'imagecache_a41c7f33-2b8e-4d7f-8a55-90c3d1e6f702';

it('a host comes up without a disk, and with volumes that are not to come up by themselves: found with who needs them and why, brought up, and up after the next boot', async () => {
  const { guest, doctor } = await open();
  await guest.run(`set -e
vgcreate -q vg0 ${guest.disk('disk1')} ${guest.disk('disk2')}
lvcreate -q -y -W n -L 40M -n ${IMAGE} vg0; lvcreate -q -y -W n -L 40M -n ${DISK} vg0 ${guest.disk('disk2')}
qemu-img create -q -f qcow2 /dev/vg0/${IMAGE} 30M; qemu-io -f qcow2 -c 'write -P 0x5a 0 20M' /dev/vg0/${IMAGE} > /dev/null
qemu-img create -q -f qcow2 -b /dev/vg0/${IMAGE} -F qcow2 /dev/vg0/${DISK}
qemu-io -f qcow2 -c 'write -P 0xa5 1M 3M' /dev/vg0/${DISK} > /dev/null
lvcreate -q -y -W n -L 310M -n data vg0 ${guest.disk('disk1')}; mkfs.xfs -q /dev/vg0/data
lvcreate -q -y -W n -L 40M -n admin vg0; lvchange -q --setautoactivation n vg0/admin
lvcreate -q -y --type raid1 -m1 -L 16M -n mirror vg0
lvcreate -q -y -L 32M -T vg0/pool; lvcreate -q -y -V 16M -T vg0/pool -n thin; lvcreate -q -y -s vg0/thin -n later
vgcreate -q vg1 ${guest.disk('disk3')}
lvcreate -q -y -W n -L 40M -n home-1 vg1; mkfs.ext4 -q /dev/vg1/home-1
echo '/dev/vg0/data /srv/data xfs nofail,x-systemd.device-timeout=60s 0 0' >> /etc/fstab
echo '/dev/mapper/vg1-home--1 /srv/home ext4 nofail,x-systemd.device-timeout=60s 0 0' >> /etc/fstab
mkdir /srv/data /srv/home; systemctl daemon-reload; mount /srv/data; mount /srv/home
dd if=/dev/urandom of=/srv/data/file bs=1M count=8 status=none; echo kept > /srv/home/file; sync
vgcreate -q vg2 ${guest.disk('disk4')}; lvcreate -q -y -W n -L 40M -n theirs vg2; vgchange -q -an vg2
vgchange -q -y --systemid elsewhere vg2`);
  const disk = { disk_id: DISK, path: `/dev/vg0/${DISK}`, storage_type: 'lvm', format: 'qcow2', index: 0 };
  const server = { uuid: SERVER, name: 'vm1', is_slave: false, is_volatile_host: false, disks: [disk] };
  await guest.write(`/opt/cloud/workspace/servers/${SERVER}/desc`, JSON.stringify(server));
  const read = async () =>
    (
      await guest.run(
        `qemu-img convert -O raw /dev/vg0/${DISK} /run/disk.raw && cat /run/disk.raw /srv/data/file /srv/home/file | sha256sum`,
      )
    ).stdout;
  const before = await read();
  await expectWell(doctor);

  await guest.run(`lvchange -q --setautoactivation n vg0/data; lvchange -q --setautoactivation n vg0/${IMAGE}
vgchange -q --setautoactivation n vg1; sed -i s/device-timeout=60s/device-timeout=5s/ /etc/fstab`);
  expect(found((await doctor.check()).report)).toEqual(['group-not-at-boot vg1', 'volume-not-at-boot /dev/vg0/data']);
  await guest.removeDisk('disk2');
  await guest.reboot();
  await guest.run('sed -i s/device-timeout=5s/device-timeout=60s/ /etc/fstab; systemctl daemon-reload');
  await guest.addDisk('disk2');
  await guest.run(
    `timeout 30 sh -c 'until [ -e /dev/vg0/${DISK} ]; do sleep 0.2; done'; udevadm settle; while pgrep -x 'lvm|vgchange' > /dev/null; do sleep 0.2; done`,
  );

  // Somebody else's command holds the lock: what LVM is asked does not wait for it.
  await guest.run('flock -x /run/lock/lvm/V_vg0 sleep 40 > /dev/null 2>&1 < /dev/null &');
  const held = await doctor.check();
  expect(held.ms).toBeLessThan(40_000);
  expect(findingOf(held.report, 'volume-inactive', '/dev/vg0/data').data.causes).toEqual(['autoactivation-volume', 'lock-held']);
  expect(refusalOf(held.report, 'volume-inactive', '/dev/vg0/data')).toContain('flock (pid ');
  await guest.run('pkill -x sleep; true');

  const { code, report } = await doctor.check();
  expect([found(report), unjudged(report), code]).toEqual([
    ['group-not-at-boot vg1', 'volume-inactive /dev/vg0/data', `volume-inactive /dev/vg0/${IMAGE}`, 'volume-inactive /dev/vg1/home-1'],
    // It may have a base of its own.
    [`vm1: /dev/vg0/${IMAGE} is not there: what it stands on can be told only when it is`],
    2,
  ]);
  expect(findingOf(report, 'volume-inactive', '/dev/vg0/data')).toMatchObject({
    severity: 'critical',
    confidence: 'certain',
    data: { volume: 'vg0/data', causes: ['autoactivation-volume'], neededBy: [{ kind: 'mount', name: '/srv/data' }] },
  });
  expect(findingOf(report, 'volume-inactive', `/dev/vg0/${IMAGE}`)).toMatchObject({
    severity: 'warning',
    data: { causes: ['autoactivation-volume'], neededBy: [{ kind: 'guest', name: 'vm1' }] },
  });
  expect(findingOf(report, 'volume-inactive', '/dev/vg1/home-1').data.causes).toEqual(['autoactivation-group']);

  const fixed = await doctor.fix('--auto', 'disruptive');
  expect([fixed.report.repairs.map(({ outcome, reason }: Report) => [outcome, reason]), fixed.code]).toEqual([
    [
      ['repaired', null],
      ['repaired', null],
      ['repaired', null],
      ['repaired', 'start the guest vm1 once all that they need is there.'],
    ],
    0,
  ]);
  expect(await read()).toBe(before);
  await expectWell(doctor);
  await guest.reboot();
  // The activation of another host's group fails.
  expect((await guest.run('systemctl --failed --plain --no-legend')).stdout).not.toContain('.mount');
  expect(await read()).toBe(before);
  await expectWell(doctor);
});

// Late disks are mended every day, above.
itInFull('a disk that stays away, comes back, comes back old, and is there twice', async () => {
  const { guest, doctor } = await open();
  await guest.run(`set -e
vgcreate -q vg0 ${guest.disk('disk1')} ${guest.disk('disk2')}
lvcreate -q -y -W n -L 310M -n data vg0 ${guest.disk('disk1')}; mkfs.xfs -q /dev/vg0/data
lvcreate -q -y -W n -L 310M -n far vg0 ${guest.disk('disk2')}; mkfs.xfs -q /dev/vg0/far
lvcreate -q -y --type raid1 -m1 -L 16M -n mirror vg0
for name in data far; do
  echo "/dev/vg0/$name /srv/$name xfs nofail,x-systemd.device-timeout=5s 0 0" >> /etc/fstab; mkdir /srv/$name
done
systemctl daemon-reload; mount /srv/data; mount /srv/far; echo kept > /srv/data/file; echo kept > /srv/far/file; sync`);
  await guest.removeDisk('disk2');
  await guest.reboot();

  const { code, report } = await doctor.check();
  expect([found(report), code]).toEqual([['group-partial vg0', 'volume-inactive /dev/vg0/data', 'volume-inactive /dev/vg0/far'], 2]);
  expect(findingOf(report, 'volume-inactive', '/dev/vg0/data').data.causes).toEqual(['group-incomplete']);
  expect(findingOf(report, 'volume-inactive', '/dev/vg0/far').data.causes).toEqual(['disk-missing']);
  expect(refusalOf(report, 'volume-inactive', '/dev/vg0/far')).toMatch(/^bring its disk back/);
  expect(refusalOf(report, 'group-partial', 'vg0')).toContain('vgreduce --removemissing --test -- vg0');

  // What lies on the other disk alone is brought up without it.
  const fixed = await doctor.fix('--auto', 'disruptive');
  const outcomes = fixed.report.repairs.map(({ finding, outcome }: Report) => `${finding.subject.name} ${outcome}`);
  expect([outcomes.toSorted(), fixed.code]).toEqual([['/dev/vg0/data repaired', '/dev/vg0/far refused', 'vg0 refused'], 1]);
  expect((await guest.run('cat /srv/data/file')).stdout).toBe('kept\n');

  // Written to meanwhile, the group does not take it back.
  await guest.run('lvchange -q --addtag seen vg0/data');
  await guest.addDisk('disk2');
  await guest.run('udevadm settle');
  const back = (await doctor.check()).report;
  expect(found(back)).toEqual(expect.arrayContaining(['disk-returned vg0', 'volume-inactive /dev/vg0/far']));
  expect(refusalOf(back, 'disk-returned', 'vg0')).toContain('vgck --updatemetadata -- vg0; vgextend --restoremissing -- vg0 /dev/sd');
  await guest.run(
    'vgck --updatemetadata vg0; vgextend -q --restoremissing vg0 $(pvs --noheadings -o name,missing -S pv_missing=missing | awk "{print \\$1}")',
  );
  await doctor.fix('--auto', 'disruptive');
  expect((await guest.run('cat /srv/far/file')).stdout).toBe('kept\n');
  await expectWell(doctor);

  await guest.run(`umount /srv/far; mkdir /run/copy; mount -t tmpfs tmpfs /run/copy
cp --sparse=always ${guest.disk('disk2')} /run/copy/disk; losetup -f /run/copy/disk; udevadm settle`);
  const twice = (await doctor.check()).report;
  expect(found(twice)).toContain('disk-duplicate vg0');
  expect(findingOf(twice, 'disk-duplicate', 'vg0').severity).toBe('critical');
});

itInFull('metadata without room, a leg that was away, a suspended volume: repaired; the rest is left to a person', async () => {
  const { guest, doctor } = await open();
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
});
