/** Faults of LVM. */
import type { Guest } from '../test/lab/guest.ts';
import { type CaseGroup, critical, healthy, sick, warning } from './lab-cases.ts';

/** What a careless check would find in the healthy host of LVM. */
const HEALTHY_LVM = [
  ...['volume-inactive', 'volume-not-at-boot', 'group-not-at-boot', 'volume-possibly-needed', 'volume-suspended', 'group-partial'],
  ...['group-unknown', 'disk-hidden', 'snapshot-invalid', 'thin-pool-data-full', 'raid-degraded', 'raid-refresh-needed'],
];

/** A mapping `weak` of disk3, some sectors of which can be made to fail. LVM takes it for a disk of its own, since no label shows on disk3. */
const weak = (
  guest: Guest,
  from: number | string = 0,
  count = 0,
) => `set -- $(($(blockdev --getsz ${guest.disk('disk3')}) - 2048)) $((${from})) $((${count}))
{
  [ $2 = 0 ] || echo "0 $2 linear ${guest.disk('disk3')} 2048"
  [ $3 = 0 ] || echo "$2 $3 error"
  echo "$(($2 + $3)) $(($1 - $2 - $3)) linear ${guest.disk('disk3')} $(($2 + $3 + 2048))"
} > /run/weak
[ -e /dev/mapper/weak ] || dmsetup create weak --notable
dmsetup load weak < /run/weak; dmsetup resume weak`;

/** Where a volume begins on the mapping that it lies on: `0 4096 linear 253:5 137216` */
const start = (volume: string) => `$(dmsetup table ${volume} | cut -d ' ' -f 5)`;

/** Metadata blocks are taken until none can be had: each thin volume takes one. */
const exhaust = (pool: string) => `for id in $(seq 1000 2000); do dmsetup message ${pool} 0 "create_thin $id" 2> /dev/null || break; done`;

const LIBVIRTD = `[Unit]
Description=Virtualization daemon
[Service]
ExecStart=/bin/sleep infinity
[Install]
WantedBy=multi-user.target
`;
const GUEST_ON_VOLUME = `<domain type='kvm'>
  <name>vm1</name>
  <uuid>0f4c1d52-7a0e-4c53-9a44-0d5c2b2f6a11</uuid>
  <devices>
    <disk type='block' device='disk'>
      <driver name='qemu' type='raw'/>
      <source dev='/dev/vg0/vm1'/>
      <target dev='vda' bus='virtio'/>
    </disk>
  </devices>
</domain>
`;

export const LVM_GROUPS: Record<string, CaseGroup> = {
  lvm: {
    check: 'lvm-inactive',
    prepare: (guest) =>
      guest.run(`set -e
vgcreate -q vg0 ${guest.disk('disk1')} ${guest.disk('disk2')}
volume() { lvcreate -q -y -W n -L "$2" -n "$1" vg0; }
volume data 310M; mkfs.xfs -q /dev/vg0/data
volume home 40M; mkfs.ext4 -q /dev/vg0/home
volume admin 40M; volume origin 40M; lvcreate -q -y -s -L 8M -n before vg0/origin
lvcreate -q -y --type raid1 -m1 -L 32M -n mirror vg0 ${guest.disk('disk1')} ${guest.disk('disk2')}
lvcreate -q -y -L 64M -T vg0/pool; lvcreate -q -y -V 60M -T vg0/pool -n thin; lvcreate -q -y -s vg0/thin -n later
lvchange -q --errorwhenfull y vg0/pool
echo '/dev/vg0/data /srv/data xfs nofail 0 0' >> /etc/fstab; mkdir /srv/data; systemctl daemon-reload; mount /srv/data
lvchange -q -an vg0/mirror vg0/admin; lvchange -q --setautoactivation n vg0/admin
vgcreate -q vg1 ${guest.disk('disk3')}; lvcreate -q -y -W n -L 40M -n theirs vg1; vgchange -q -an vg1
vgchange -q -y --systemid elsewhere vg1
vgcreate -q vg2 ${guest.disk('disk4')}; lvcreate -q -y -W n -L 40M -n away vg2; vgchange -q -an vg2; vgexport -q vg2; sync`),
    cases: [
      {
        name: 'healthy-lvm',
        ...healthy(...HEALTHY_LVM),
        how: "a mount on a volume; an administrator's own volume and a raid1, both inactive; a thin pool with a skipped snapshot; another host's group and an exported one",
      },
      {
        name: 'volume-not-at-boot',
        ...sick,
        findings: [warning('volume-not-at-boot', '/dev/vg0/data', 'safe')],
        how: 'a mounted volume, lvchange --setautoactivation n',
        make: (guest) => guest.run('lvchange -q --setautoactivation n vg0/data'),
      },
      {
        name: 'volume-inactive',
        ...sick,
        findings: [critical('volume-inactive', '/dev/vg0/data', 'disruptive')],
        how: 'the same volume, unmounted and deactivated, as after a boot',
        make: (guest) => guest.run('umount /srv/data; lvchange -q -an vg0/data'),
      },
      {
        name: 'group-not-at-boot',
        ...sick,
        findings: [warning('group-not-at-boot', 'vg0', 'safe')],
        how: 'the same volume, activated and mounted again, vgchange --setautoactivation n',
        make: (guest) =>
          guest.run('lvchange -q -ay --setautoactivation y vg0/data; mount /srv/data; vgchange -q --setautoactivation n vg0'),
      },
      {
        name: 'volume-suspended',
        ...sick,
        findings: [critical('volume-suspended', '/dev/mapper/vg0-data', 'disruptive')],
        how: 'a mounted volume, dmsetup suspend',
        make: async (guest) => {
          await guest.run('vgchange -q --setautoactivation y vg0');
          await guest.suspend('vg0-data');
        },
      },
      {
        name: 'snapshot-invalid',
        ...sick,
        findings: [warning('snapshot-invalid', '/dev/vg0/before', 'refused')],
        how: 'a snapshot of 8 MiB, 20 MiB of its origin written anew',
        make: async (guest) => {
          await guest.resume('vg0-data');
          await guest.run('dd if=/dev/urandom of=/dev/vg0/origin bs=1M count=20 conv=fsync status=none; sync');
        },
      },
      {
        name: 'thin-pool-data-full',
        ...sick,
        findings: [critical('thin-pool-data-full', '/dev/mapper/vg0-pool', 'refused')],
        how: 'a thin pool of 64 MiB that fails when it is full, two volumes of it written to',
        make: async (guest) => {
          await guest.run('lvremove -q -y vg0/before; lvchange -q -ay -K vg0/later');
          await guest.run('for name in thin later; do dd if=/dev/urandom of=/dev/vg0/$name bs=1M oflag=direct status=none; done', {
            ok: false,
          });
        },
      },
      {
        name: 'volume-possibly-needed',
        ...sick,
        findings: [warning('volume-possibly-needed', '/srv/home', 'refused')],
        how: 'a line of fstab with the UUID of a volume that was deactivated',
        make: (guest) =>
          guest.run(`lvremove -q -y vg0/later vg0/thin vg0/pool
echo "UUID=$(blkid -s UUID -o value /dev/vg0/home) /srv/home ext4 nofail 0 0" >> /etc/fstab; mkdir /srv/home; systemctl daemon-reload
lvchange -q -an vg0/home; udevadm settle`),
      },
      {
        name: 'group-unknown',
        ...sick,
        findings: [warning('group-unknown', 'vg9', 'refused')],
        how: 'a line of fstab with a volume of a group that is nowhere',
        make: (guest) =>
          guest.run(`lvchange -q -ay vg0/home; sed -i '/home/d' /etc/fstab
echo '/dev/vg9/db /srv/db ext4 nofail 0 0' >> /etc/fstab; systemctl daemon-reload`),
      },
      {
        name: 'raid-degraded',
        ...sick,
        findings: [warning('group-partial', 'vg0', 'refused'), warning('raid-degraded', '/dev/vg0/mirror', 'refused')],
        how: 'an active raid1 and other volumes, the disk that only its second leg lies on pulled out',
        make: async (guest) => {
          await guest.run("sed -i '/vg9/d' /etc/fstab; systemctl daemon-reload; lvchange -q -ay vg0/mirror; sync");
          await guest.removeDisk('disk2');
          await guest.run('dd if=/dev/urandom of=/dev/vg0/mirror bs=1M count=4 conv=fsync status=none', { ok: false });
        },
      },
      {
        name: 'raid-refresh-needed',
        ...sick,
        findings: [warning('raid-refresh-needed', '/dev/vg0/mirror', 'safe')],
        how: 'the same host, the disk connected again',
        make: async (guest) => {
          await guest.addDisk('disk2');
          await guest.run('udevadm settle');
        },
      },
    ],
  },
  'lvm-disks': {
    check: 'lvm-inactive',
    prepare: (guest) =>
      guest.run(`set -e
vgcreate -q vg0 ${guest.disk('disk1')} ${guest.disk('disk3')}
lvcreate -q -y -W n -L 40M -n data vg0 ${guest.disk('disk1')}; mkfs.ext4 -q /dev/vg0/data
lvcreate -q -y -W n -L 40M -n far vg0 ${guest.disk('disk3')}; lvchange -q -an vg0/far
echo '/dev/vg0/data /srv/data ext4 nofail 0 0' >> /etc/fstab; mkdir /srv/data; systemctl daemon-reload; mount /srv/data
echo 'devices { use_devicesfile = 1 }' >> /etc/lvm/lvmlocal.conf
lvm lvmdevices --adddev ${guest.disk('disk1')}; lvm lvmdevices --adddev ${guest.disk('disk3')}; udevadm settle`),
    cases: [
      {
        name: 'healthy-devices-file',
        ...healthy('disk-hidden', 'disk-returned', 'disk-duplicate', 'group-partial'),
        how: 'a group on two disks, both in the devices file',
      },
      {
        name: 'disk-hidden',
        ...sick,
        findings: [warning('disk-hidden', '/dev/sdc', 'refused'), warning('group-partial', 'vg0', 'refused')],
        how: 'the same group, one of its disks taken out of the devices file',
        make: (guest) => guest.run(`lvm lvmdevices --deldev ${guest.disk('disk3')}`),
      },
      {
        name: 'disk-returned',
        ...sick,
        findings: [warning('disk-returned', 'vg0', 'refused')],
        how: 'one disk of a group pulled out, the group written to, the disk connected again',
        make: async (guest) => {
          await guest.run(`lvm lvmdevices --adddev ${guest.disk('disk3')}; sed -i '/use_devicesfile = 1/d' /etc/lvm/lvmlocal.conf`);
          await guest.removeDisk('disk3');
          await guest.run('lvchange -q --addtag seen vg0/data');
          await guest.addDisk('disk3');
          await guest.run('udevadm settle');
        },
      },
      {
        name: 'disk-duplicate',
        ...sick,
        findings: [critical('disk-duplicate', 'vg0', 'refused')],
        how: 'the group whole again, one of its disks copied to another one',
        make: (guest) =>
          guest.run(`set -e
vgck --updatemetadata vg0; vgextend -q --restoremissing vg0 $(readlink -f ${guest.disk('disk3')}); sync
dd if=${guest.disk('disk3')} of=${guest.disk('disk4')} bs=4M conv=sparse,fsync status=none; udevadm settle`),
      },
      {
        name: 'volume-on-lost-disk',
        ...sick,
        findings: [critical('volume-table-error', '/dev/mapper/vg0-far', 'refused')],
        how: 'the copy gone; a mounted volume, its disk pulled out and connected again, under another name',
        make: async (guest) => {
          await guest.run(`set -e
wipefs -q -a ${guest.disk('disk4')}; udevadm settle; lvchange -q -ay vg0/far
mkfs.ext4 -q /dev/vg0/far; mkdir /srv/far; mount /dev/vg0/far /srv/far; sync`);
          await guest.removeDisk('disk3');
          await guest.addDisk('disk3');
          await guest.run('udevadm settle');
        },
      },
    ],
  },
  'lvm-layers': {
    check: 'lvm-inactive',
    prepare: (guest) =>
      guest.run(`set -e
mdadm --create /dev/md0 -q --run --assume-clean --level=1 --raid-devices=2 --metadata=1.2 ${guest.disk('disk3')} ${guest.disk('disk4')}
vgcreate -q vg0 /dev/md0; lvcreate -q -y -W n -L 40M -n data vg0; mkfs.ext4 -q /dev/vg0/data
luks() { echo -n secret | cryptsetup "$@"; }
luks luksFormat -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 ${guest.disk('disk1')} -
luks open ${guest.disk('disk1')} secret
vgcreate -q vg1 /dev/mapper/secret; lvcreate -q -y -W n -L 40M -n home vg1; mkfs.ext4 -q /dev/vg1/home
echo '/dev/vg0/data /srv/data ext4 nofail 0 0' >> /etc/fstab; echo '/dev/vg1/home /srv/home ext4 nofail 0 0' >> /etc/fstab
mkdir /srv/data /srv/home; systemctl daemon-reload; mount /srv/data; mount /srv/home; udevadm settle`),
    cases: [
      {
        name: 'healthy-layers',
        ...healthy('md-below-degraded', 'group-unknown'),
        how: 'a group on an md raid1, and one on LUKS that is open, each with a mount',
      },
      {
        name: 'md-below-degraded',
        ...sick,
        findings: [warning('md-below-degraded', '/dev/md0', 'refused')],
        how: 'the same host, mdadm --fail of one leg',
        make: (guest) => guest.run(`mdadm -q --fail /dev/md0 ${guest.disk('disk4')}`),
      },
      {
        name: 'group-unknown-stopped-array',
        ...sick,
        findings: [critical('group-unknown', 'vg0', 'refused')],
        how: 'the array stopped, as where it was not assembled at boot',
        make: (guest) => guest.run('set -e; umount /srv/data; vgchange -q -an vg0; mdadm -q --stop /dev/md0; udevadm settle'),
      },
      {
        name: 'group-unknown-inactive-array',
        ...sick,
        findings: [critical('group-unknown', 'vg0', 'refused')],
        how: 'one leg of the array found, the one that had failed: not enough for mdadm --incremental to run it',
        make: (guest) => guest.run(`mdadm -q --incremental ${guest.disk('disk4')}; udevadm settle`),
      },
      {
        name: 'group-unknown-locked',
        ...sick,
        findings: [critical('group-unknown', 'vg1', 'refused')],
        how: 'the array whole again, LUKS closed',
        make: (guest) =>
          guest.run(`set -e
mdadm -q --stop /dev/md0; mdadm -q --assemble --run /dev/md0 ${guest.disk('disk3')}; mdadm -q /dev/md0 --add ${guest.disk('disk4')}
mdadm -q --wait /dev/md0; udevadm settle; mount /srv/data
umount /srv/home; vgchange -q -an vg1; cryptsetup close secret; udevadm settle`),
      },
    ],
  },
  'lvm-thin': {
    check: 'lvm-inactive',
    prepare: (guest) =>
      guest.run(`set -e
${weak(guest)}
vgcreate -q -s 1M vg0 /dev/mapper/weak
lvcreate -q -y -L 64M --poolmetadatasize 2M -T vg0/pool; lvcreate -q -y -V 60M -T vg0/pool -n thin; lvcreate -q -y -V 8M -T vg0/pool -n idle
lvchange -q -an vg0/idle vg0/thin; lvchange -q -an vg0/pool; lvconvert -q -y --repair vg0/pool; lvchange -q -ay vg0/pool vg0/thin
mkfs.ext4 -q /dev/vg0/thin; mkdir /srv/thin; mount /dev/vg0/thin /srv/thin; sync`),
    cases: [
      {
        name: 'healthy-thin',
        ...healthy('thin-pool-data-full', 'thin-pool-metadata-full', 'thin-pool-needs-check', 'thin-pool-failed'),
        how: 'a thin pool after lvconvert --repair, with the old metadata beside it and a volume that nobody uses',
      },
      {
        name: 'thin-pool-metadata-full',
        ...sick,
        findings: [critical('thin-pool-metadata-full', '/dev/mapper/vg0-pool', 'safe')],
        how: 'the same pool, thin volumes made with dmsetup until its metadata of 2 MiB had no block left',
        make: (guest) => guest.run(`sync; ${exhaust('vg0-pool-tpool')}`, { timeoutMs: 120_000 }),
      },
      {
        name: 'thin-pool-needs-check',
        ...sick,
        findings: [critical('thin-pool-needs-check', '/dev/mapper/vg0-pool', 'refused')],
        how: 'another pool, blocks of its metadata that were not in use yet made to fail, and then used',
        make: (guest) =>
          guest.run(`umount /srv/thin; vgremove -q -ff -y vg0; set -e; vgcreate -q -s 1M vg0 /dev/mapper/weak
lvcreate -q -y -L 64M --poolmetadatasize 2M -T vg0/pool; lvcreate -q -y -V 60M -T vg0/pool -n thin
${weak(guest, `${start('vg0-pool_tmeta')} + 800`, 3296)}
${exhaust('vg0-pool-tpool')}`),
      },
      {
        name: 'thin-pool-failed',
        ...sick,
        findings: [critical('thin-pool-failed', '/dev/mapper/vg0-pool', 'refused')],
        how: 'the same pool mended with thin_check --clear-needs-check-flag, blocks of its metadata that are in use made to fail, and data written',
        make: (guest) =>
          guest.run(`set -e
${weak(guest)}
vgchange -q -an vg0; lvchange -q -ay --config 'global/thin_check_options=["-q","--clear-needs-check-flag"]' vg0/pool; lvchange -q -ay vg0/thin
[ "$(lvs --noheadings -o lv_attr vg0/pool | xargs)" = twi-aotz-- ]
${weak(guest, `${start('vg0-pool_tmeta')} + 8`, 4088)}
dd if=/dev/urandom of=/dev/vg0/thin bs=64k seek=500 count=4 oflag=direct status=none 2> /dev/null || dmsetup status vg0-pool-tpool | grep -q Fail`),
      },
    ],
  },
  'lvm-kinds': {
    check: 'lvm-inactive',
    prepare: async (guest) => {
      await guest.addDisk('disk5', { sizeMb: 128 });
      const [one, two, four, five] = ['disk1', 'disk2', 'disk4', 'disk5'].map((name) => guest.disk(name));
      await guest.run(`set -e
${weak(guest)}
volume() { lvcreate -q -y -W n -L "$3" -n "$2" "$1" "$4"; }
vgcreate -q vg0 ${one} ${two} ${five}
lvcreate -q -y --type raid1 -m1 -L 16M -n mirror vg0 ${one} ${two}
lvcreate -q -y --type raid1 -m1 --raidintegrity y -L 16M -n checked vg0 ${one} ${two}
lvcreate -q -y --type raid1 -m1 -L 16M -n idle vg0 ${one} ${two}; lvchange -q -an vg0/idle
volume vg0 swap 16M ${one}; mkswap -q /dev/vg0/swap; swapon /dev/vg0/swap
volume vg0 cached 64M ${one}; volume vg0 fast 32M ${five}; lvconvert -q -y --type cache --cachevol fast vg0/cached
mkfs.ext4 -q /dev/vg0/cached; mkdir /srv/cached; mount /dev/vg0/cached /srv/cached
vgcreate -q vg1 ${four} /dev/mapper/weak
volume vg1 written 64M ${four}; volume vg1 first 32M /dev/mapper/weak; lvchange -q -an vg1/first
lvconvert -q -y --type writecache --cachevol first vg1/written
volume vg1 origin 64M ${four}; mkfs.ext4 -q /dev/vg1/origin; mkdir /srv/origin; mount /dev/vg1/origin /srv/origin
lvcreate -q -y -s -L 48M -n before vg1/origin /dev/mapper/weak
dd if=/dev/urandom of=/srv/origin/file bs=1M count=24 conv=fsync status=none; lvconvert -q -y --merge vg1/before; sync`);
    },
    cases: [
      {
        name: 'healthy-kinds',
        ...healthy(
          ...['raid-mismatches', 'raid-degraded', 'raid-refresh-needed', 'snapshot-invalid', 'snapshot-merge-failed'],
          ...['cache-disk-missing', 'cache-failed', 'writecache-error', 'volume-table-error', 'volume-inactive'],
        ),
        how: 'a raid1, one with integrity and one that is inactive, swap in use, a volume with a cache and one with a write cache, a merge that waits',
      },
      {
        name: 'raid-mismatches',
        ...sick,
        findings: [warning('raid-mismatches', '/dev/vg0/mirror', 'refused')],
        how: 'the same host, 1 MiB written to one leg of the raid1 behind its back, lvchange --syncaction check',
        make: (guest) =>
          guest.run(`set -- $(dmsetup table vg0-mirror_rimage_1)
dd if=/dev/urandom of=${guest.disk('disk2')} bs=512 seek=$5 count=2048 oflag=direct status=none
lvchange -q --syncaction check vg0/mirror
until [ "$(lvs --noheadings -o raid_sync_action vg0/mirror | xargs)" = idle ]; do sleep 0.1; done`),
      },
      {
        name: 'snapshot-merge-failed',
        ...sick,
        findings: [warning('snapshot-merge-failed', '/dev/mapper/vg1-before', 'refused')],
        how: 'sectors with data of the snapshot made to fail, its origin closed and activated anew, which begins the merge',
        make: (guest) =>
          guest.run(`lvchange -q --syncaction repair vg0/mirror
${weak(guest, `${start('vg1-before-cow')} + 2400`, 800)}
umount /srv/origin; lvchange -q -an vg1/origin; lvchange -q -ay vg1/origin
until lvs --noheadings -a -o lv_merge_failed vg1 | grep -q failed; do sleep 0.1; done`),
      },
      {
        name: 'writecache-error',
        ...sick,
        findings: [critical('writecache-error', '/dev/vg1/written', 'refused')],
        how: 'the snapshot merged after all; sectors with metadata of a write cache made to fail, and data written',
        make: async (guest) => {
          await guest.run(`set -e
${weak(guest)}
lvchange -q -an vg1/origin; lvchange -q -ay vg1/origin; while lvs vg1/before > /dev/null 2>&1; do sleep 0.1; done
${weak(guest, `${start('vg1-first_cvol')} + 8`, 240)}`);
          await guest.run('dd if=/dev/urandom of=/dev/vg1/written bs=64k count=16 oflag=direct,sync status=none', { ok: false });
        },
      },
      {
        name: 'volume-table-error',
        ...sick,
        findings: [critical('volume-table-error', '/dev/mapper/vg1-origin', 'refused')],
        how: 'another volume, mounted, its table replaced with dmsetup wipe_table',
        make: (guest) =>
          guest.run(`dmsetup wipe_table vg1-written; lvremove -q -ff -y vg1/written
mount /dev/vg1/origin /srv/origin; dmsetup wipe_table vg1-origin`),
      },
      {
        name: 'cache-disk-missing',
        ...sick,
        findings: [critical('cache-disk-missing', '/dev/vg0/cached', 'refused'), warning('group-partial', 'vg0', 'refused')],
        how: 'the disk pulled out that the cache of a mounted volume lies on',
        make: async (guest) => {
          await guest.run('umount /srv/origin; lvchange -q --refresh vg1/origin');
          await guest.removeDisk('disk5');
        },
      },
      {
        name: 'cache-failed',
        ...sick,
        findings: [critical('cache-failed', '/dev/vg0/cached', 'refused')],
        how: 'the disk connected again, under another name, and the volume that went on using the old one refreshed and read',
        make: async (guest) => {
          await guest.addDisk('disk5');
          await guest.run('udevadm settle; umount /srv/cached; dd if=/dev/vg0/cached of=/dev/null bs=1M count=8 iflag=direct status=none', {
            ok: false,
          });
          await guest.run('lvchange -q --refresh vg0/cached');
        },
      },
    ],
  },
  'lvm-late': {
    check: 'lvm-inactive',
    prepare: async (guest) => {
      await guest.write('/etc/systemd/system/libvirtd.service', LIBVIRTD);
      await guest.write('/etc/libvirt/qemu/vm1.xml', GUEST_ON_VOLUME);
      await guest.run(`set -e
vgcreate -q vg0 ${guest.disk('disk1')} ${guest.disk('disk2')}
lvcreate -q -y -W n -L 310M -n data vg0; mkfs.xfs -q /dev/vg0/data; lvcreate -q -y -W n -L 40M -n vm1 vg0
echo '/dev/vg0/data /srv/data xfs nofail,x-systemd.device-timeout=5s 0 0' >> /etc/fstab; mkdir /srv/data
mkdir /etc/libvirt/qemu/autostart; ln -s /etc/libvirt/qemu/vm1.xml /etc/libvirt/qemu/autostart; systemctl enable -q libvirtd.service; sync`);
      await guest.removeDisk('disk2');
      await guest.reboot();
      await guest.addDisk('disk2');
      await guest.run("timeout 60 sh -c 'until [ -b /dev/vg0/data -a -b /dev/vg0/vm1 ]; do sleep 0.5; done'; udevadm settle");
    },
    cases: [
      {
        name: 'volume-activated-late',
        ...sick,
        findings: [
          warning('volume-activated-late', '/dev/vg0/data', 'disruptive'),
          warning('volume-activated-late', '/dev/vg0/vm1', 'refused'),
        ],
        how: 'a boot without one of the two disks of a group, which was connected afterwards: a nofail line of fstab with a volume of it, and a guest with autostart by the files of libvirt, whose daemon is a service of its name that sleeps',
      },
      {
        name: 'healthy-stopped-by-hand',
        ...healthy('volume-activated-late'),
        how: 'the same host, the mount started and unmounted by hand, autostart of the guest turned off',
        make: (guest) => guest.run('systemctl start srv-data.mount; umount /srv/data; rm /etc/libvirt/qemu/autostart/vm1.xml'),
      },
    ],
  },
};
