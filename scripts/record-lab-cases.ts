/**
 * npm run record-lab-cases [-- GROUP…]: makes faults in guests of the lab, one guest for each group, and records each over
 * ssh into the cases of their check. Needs root and the image (npm run lab).
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { Expected } from '../src/check/tester.ts';
import { ROOT } from '../test/cli.ts';
import { Doctor, type Report } from '../test/lab/doctor.ts';
import { Guest } from '../test/lab/guest.ts';
import { SMB } from '../test/lab/smb.ts';

const MACHINE_ID = '5f0c1d3a9b7e4c628d41a6e2f3b09c75';

interface Recorded extends Omit<Expected, 'source'> {
  name: string;
  how: string;
  make?(guest: Guest): Promise<unknown>;
}

const critical = (code: string, subject: string, risk: 'disruptive' | 'data-loss' | 'refused') => [
  { code, subject, severity: 'critical' as const, risk },
];
const warning = (code: string, subject: string, risk: 'safe' | 'refused') => ({ code, subject, severity: 'warning' as const, risk });
const healthy = (...twinOf: string[]) => ({ outcome: 'healthy' as const, findings: [], twinOf });
const sick = { outcome: 'findings' as const };

/** What a careless check would find in the healthy host of LVM. */
const HEALTHY_LVM = [
  ...['volume-inactive', 'volume-not-at-boot', 'group-not-at-boot', 'volume-possibly-needed', 'volume-suspended', 'group-partial'],
  ...['group-unknown', 'disk-hidden', 'snapshot-invalid', 'thin-pool-data-full', 'raid-degraded', 'raid-refresh-needed'],
];

/** What a careless check would find in a host that boots well. */
const HEALTHY_BOOT = [
  ...[
    'line-source-gone',
    'crypt-source-gone',
    'crypt-key-gone',
    'line-file-gone',
    'line-device-differs',
    'line-type-differs',
    'line-misread',
  ],
  ...['name-unstable', 'crypt-name-unstable', 'guest-name-unstable', 'tag-twice', 'line-twice', 'netdev-missing', 'crypt-netdev-missing'],
  ...['service-before-storage', 'guest-before-storage', 'line-missing', 'initramfs-missing'],
];

const domain = (type: string, source: string) =>
  `<domain type='kvm'><name>web</name><devices><disk ${type}><driver type='raw'/><source ${source}/><target dev='vda'/></disk></devices></domain>\n`;

/** One line of /etc/fstab, crypttab or exports at a time, the one before taken back. */
const withLine =
  (line: string, file = '/etc/fstab') =>
  (guest: Guest) =>
    guest.run(
      `cd /etc; cp -n fstab fstab.before; cp fstab.before fstab; rm -f crypttab; ${shell(line)} >> ${file}; systemctl daemon-reload`,
    );

/** In which $disk is the name of disk1 as the kernel counts, $data the UUID on it, and $other that on disk3. */
function shell(line: string): string {
  const id = '/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_disk';
  const uuid = 'blkid -s UUID -o value';
  return `disk=$(readlink -f ${id}1); data=$(${uuid} $disk); other=$(${uuid} ${id}3); echo "${line}"`;
}
/** In each group one fault follows the other in the same guest; what a fault took away stays away. */
const GROUPS: Record<string, { check?: string; prepare(guest: Guest): Promise<unknown>; cases: Recorded[] }> = {
  nfs: {
    prepare: (guest) =>
      guest.run(`set -e
mkdir -p /srv/export/sub /mnt/hard /mnt/sub
echo '/srv/export 127.0.0.1(rw,no_root_squash,fsid=7)' > /etc/exports
systemctl start nfs-server
mount -t nfs -o vers=4.2,hard 127.0.0.1:/srv/export /mnt/hard
mount -t nfs -o vers=4.2,soft,timeo=10,retrans=1,nosharecache 127.0.0.1:/srv/export/sub /mnt/sub`),
    cases: [
      { name: 'healthy-nfs', ...healthy('nfs-server-gone', 'nfs-stale'), how: 'two NFS mounts, one hard and one soft, of the same host' },
      {
        name: 'nfs-stale',
        ...sick,
        findings: critical('nfs-stale', '/mnt/sub', 'data-loss'),
        how: 'an NFS mount of a directory that was removed on the server and made anew',
        make: (guest) => guest.run('rmdir /srv/export/sub && mkdir /srv/export/sub; stat /mnt/sub; true'),
      },
      {
        name: 'nfs-server-gone',
        ...sick,
        findings: critical('nfs-server-gone', '/mnt/hard', 'data-loss'),
        how: 'a hard NFS mount, its server stopped',
        make: (guest) => guest.run('umount -l /mnt/sub; systemctl stop nfs-server'),
      },
    ],
  },
  network: {
    prepare: async (guest) => {
      await guest.write('/etc/samba/smb.conf', SMB);
      await guest.run(`set -e
mkdir /srv/share /mnt/cifs /mnt/nine; systemctl start smbd
setsid diod -f -n -l 127.0.0.1:5640 -e /srv/share > /dev/null 2>&1 < /dev/null &
mount -t cifs //127.0.0.1/share /mnt/cifs -o guest,echo_interval=2
mount -t 9p 127.0.0.1 /mnt/nine -o trans=tcp,port=5640,aname=/srv/share,version=9p2000.L`);
    },
    cases: [
      { name: 'healthy-network', ...healthy('cifs-gone', '9p-gone'), how: 'a CIFS and a 9p mount of the same host' },
      {
        name: '9p-gone',
        ...sick,
        findings: critical('9p-gone', '/mnt/nine', 'refused'),
        how: 'a 9p mount, its server (diod) stopped with SIGSTOP',
        make: (guest) => guest.run('pkill -STOP diod'),
      },
      {
        name: 'cifs-gone',
        ...sick,
        findings: critical('cifs-gone', '/mnt/cifs', 'data-loss'),
        how: 'a CIFS mount, its server (smbd) stopped with SIGSTOP',
        make: (guest) => guest.run('pkill -CONT diod; sleep 1; pkill -STOP smbd'),
      },
    ],
  },
  virtiofs: {
    prepare: async (guest) => {
      await guest.powerOff();
      const directory = guest.path('share');
      mkdirSync(directory);
      guest.share('shared', directory);
      await guest.powerOn();
      await guest.run('mkdir /mnt/shared; mount -t virtiofs shared /mnt/shared');
    },
    cases: [
      { name: 'healthy-virtiofs', ...healthy('virtiofs-gone'), how: 'a virtiofs mount' },
      {
        name: 'virtiofs-gone',
        ...sick,
        findings: critical('virtiofs-gone', '/mnt/shared', 'refused'),
        how: 'the same, virtiofsd on the hypervisor stopped with SIGSTOP',
        make: async (guest) => guest.signalShare('shared', 'SIGSTOP'),
      },
    ],
  },
  devices: {
    prepare: (guest) =>
      guest.run(`set -e
vgcreate -q vg ${guest.disk('disk2')}
for name in data stuck; do
  lvcreate -q -y -W n -L 310M -n $name vg; mkfs.xfs -q /dev/vg/$name; mkdir -p /srv/$name; mount /dev/vg/$name /srv/$name
done
mkfs.ext4 -q ${guest.disk('disk1')}; mkdir /srv/pulled; mount ${guest.disk('disk1')} /srv/pulled; sync`),
    cases: [
      {
        name: 'healthy-lvm',
        ...healthy('device-gone', 'device-vanished-under-fs', 'device-suspended'),
        how: 'an ext4 on a SCSI disk and two XFS on logical volumes',
      },
      {
        name: 'device-suspended',
        ...sick,
        findings: critical('device-suspended', '/srv/stuck', 'disruptive'),
        how: 'an XFS on a logical volume, dmsetup suspend',
        make: (guest) => guest.suspend('vg-stuck'),
      },
      {
        name: 'device-gone',
        ...sick,
        findings: critical('device-gone', '/srv/pulled', 'data-loss'),
        how: 'an ext4, its SCSI disk pulled out',
        make: async (guest) => {
          await guest.resume('vg-stuck');
          await guest.removeDisk('disk1');
        },
      },
      {
        name: 'device-vanished-under-fs',
        ...sick,
        findings: critical('device-vanished-under-fs', '/srv/data', 'data-loss'),
        how: 'an XFS on a logical volume, dmsetup wipe_table',
        make: (guest) => guest.run('umount -l /srv/pulled; dmsetup wipe_table vg-data'),
      },
    ],
  },
  boot: {
    prepare: async (guest) => {
      await guest.run(`set -e
vgcreate -q vg ${guest.disk('disk2')}
volume() { lvcreate -q -y -W n -L 64M -n "$1" vg; mkfs.ext4 -q /dev/vg/$1; }
line() { echo "UUID=$(blkid -s UUID -o value $1) $2 ext4 $3 0 0" >> /etc/fstab; mkdir $2; }
auto=noatime,x-systemd.automount,x-systemd.device-timeout=5s
mkfs.ext4 -q ${guest.disk('disk1')}; line ${guest.disk('disk1')} /srv/late nofail,x-systemd.device-timeout=5s
mkfs.ext4 -q ${guest.disk('disk4')}; line ${guest.disk('disk4')} /srv/away $auto
volume idle; line /dev/vg/idle /srv/idle $auto
volume wrong; line /dev/vg/wrong /srv/wrong nofail,data=nonsense
sync`);
      await guest.removeDisk('disk1');
      await guest.removeDisk('disk4');
      await guest.reboot();
      await guest.run('ls /srv/away', { ok: false });
    },
    cases: [
      {
        name: 'automount-target-gone',
        ...sick,
        findings: [
          warning('unit-failed', '/srv/wrong', 'safe'),
          warning('automount-target-gone', '/srv/away', 'refused'),
          { code: 'configured-not-mounted', subject: '/srv/late', severity: 'info', risk: 'refused' },
        ],
        how: 'after a boot without two disks of fstab: an automount that was accessed, a nofail line, and a line with a wrong option',
      },
      {
        name: 'mount-missed-late-device',
        ...sick,
        findings: [warning('mount-missed-late-device', '/srv/late', 'safe'), warning('unit-failed', '/srv/wrong', 'safe')],
        how: 'the same host, both disks connected since, the automount accessed again',
        make: async (guest) => {
          await guest.addDisk('disk1');
          await guest.addDisk('disk4');
          await guest.run('ls /srv/away');
        },
      },
      {
        name: 'healthy-units',
        ...healthy('mount-missed-late-device', 'unit-failed', 'automount-target-gone'),
        how: 'the same host, its units started; an automount that was never accessed',
        make: (guest) =>
          guest.run('sed -i s/,data=nonsense// /etc/fstab; systemctl daemon-reload; systemctl start srv-late.mount srv-wrong.mount'),
      },
    ],
  },
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
        findings: critical('volume-inactive', '/dev/vg0/data', 'disruptive'),
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
        findings: critical('volume-suspended', '/dev/mapper/vg0-data', 'disruptive'),
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
        findings: critical('thin-pool-data-full', '/dev/mapper/vg0-pool', 'refused'),
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
  'next-boot': {
    check: 'boot-readiness',
    prepare: (guest) =>
      guest.run(`set -e
mkfs.ext4 -q -L 'my data' ${guest.disk('disk1')}; mkfs.ext4 -q ${guest.disk('disk3')}
vgcreate -q vg0 ${guest.disk('disk2')}; lvcreate -q -y -W n -L 40M -n data vg0; mkfs.ext4 -q /dev/vg0/data
truncate -s 64M /var/lib/image.img /var/lib/nbd0.img; mkfs.ext4 -q /var/lib/image.img
mkdir -p '/srv/a b' /srv/data /srv/image /srv/hand /srv/nbd /var/www /etc/libvirt/qemu
cat >> /etc/fstab <<END
# ${guest.disk('disk4')} /srv/comment ext4 defaults 0 2
LABEL=my\\\\040data	/srv/a\\\\040b	ext4	defaults	0	2
/dev/vg0/data /srv/data ext4 defaults 0 2
/var/lib/image.img /srv/image ext4 loop 0 0
UUID=5f0c1d3a-0000-4c62-8d41-a6e2f3b09c75 /srv/away ext4 nofail,x-systemd.device-timeout=5s 0 0
/dev/sdz9 /srv/by-hand ext4 noauto 0 0
nas:/a /srv/nas nfs x-systemd.automount,_netdev 0 0
/srv/data /var/www none bind 0 0
tmpfs /srv/tmp tmpfs nofail,size=1M 0 0
END
systemctl daemon-reload; mount '/srv/a b'; mount /srv/data; mount /srv/image; mount /var/www; udevadm settle`),
    cases: [
      {
        name: 'healthy-boot',
        ...healthy(...HEALTHY_BOOT),
        how: 'lines by label, volume, image and bind mount, others optional or on access',
      },
      ...(
        [
          [
            'line-source-gone',
            'UUID=5f0c1d3a-1111-4c62-8d41-a6e2f3b09c75 /srv/hand ext4 defaults 0 0',
            '/srv/hand',
            'a UUID that nothing has',
          ],
          ['line-type-differs', 'UUID=$other /srv/hand xfs defaults 0 0', '/srv/hand', 'an ext4 called xfs'],
          ['line-misread', '/dev/vg0/data /srv/hand ext4 nofial 0 0', '/srv/hand', 'nofail with two letters swapped'],
          ['line-file-gone', '/var/lib/none.img /srv/hand ext4 loop 0 0', '/srv/hand', 'an image that is not there'],
        ] as const
      ).map(([code, line, subject, how]) => ({
        name: code,
        ...sick,
        findings: [{ code, subject, severity: 'critical' as const, risk: 'refused' as const }],
        how: `a required line of fstab with ${how}`,
        make: withLine(line),
      })),
      {
        name: 'line-twice',
        ...sick,
        findings: [warning('line-twice', '/srv/data', 'refused')],
        how: 'two lines of fstab for one place',
        make: withLine('LABEL=other /srv/data ext4 nofail 0 0'),
      },
      {
        name: 'name-unstable',
        ...sick,
        findings: [warning('name-unstable', '/srv/hand', 'refused')],
        how: 'a line of fstab with a disk by the name that the kernel counts',
        make: withLine('$disk /srv/hand ext4 nofail 0 0'),
      },
      ...(
        [
          ['crypt-source-gone', 'vault UUID=5f0c1d3a-1111-4c62-8d41-a6e2f3b09c75 none luks', 'a UUID that nothing has'],
          ['crypt-key-gone', 'vault UUID=$data /etc/none.key luks', 'a key that is not there'],
          ['crypt-name-unstable', 'vault $disk none luks', 'a disk by the name that the kernel counts'],
        ] as const
      ).map(([code, line, how]) => ({
        name: code,
        ...sick,
        findings: [warning(code, 'vault', 'refused')],
        how: `a line of crypttab with ${how}`,
        make: withLine(line, '/etc/crypttab'),
      })),
      {
        name: 'netdev-missing',
        ...sick,
        findings: [{ code: 'netdev-missing', subject: '/srv/nbd', severity: 'critical' as const, risk: 'refused' as const }],
        how: 'a line of fstab with a network block device, without _netdev',
        make: async (guest) => {
          await guest.run('modprobe nbd; qemu-nbd -f raw -c /dev/nbd0 /var/lib/nbd0.img; udevadm settle');
          await withLine('/dev/nbd0 /srv/nbd ext4 defaults 0 0')(guest);
        },
      },
      {
        name: 'crypt-netdev-missing',
        ...sick,
        findings: [warning('crypt-netdev-missing', 'vault', 'refused')],
        how: 'a line of crypttab with a network block device, without _netdev',
        make: withLine('vault /dev/nbd0 none luks', '/etc/crypttab'),
      },
      {
        name: 'line-device-differs',
        ...sick,
        findings: [warning('line-device-differs', '/srv/hand', 'refused')],
        how: 'another disk mounted than the line of fstab names',
        make: async (guest) => {
          await withLine('/dev/vg0/data /srv/hand ext4 nofail 0 0')(guest);
          await guest.run(`mount ${guest.disk('disk3')} /srv/hand`);
        },
      },
      {
        name: 'line-missing',
        ...sick,
        findings: [warning('line-missing', '/srv/hand', 'refused')],
        how: 'a disk mounted by hand that NFS is to serve',
        make: withLine('/srv/hand *(rw,no_subtree_check)', '/etc/exports'),
      },
      {
        name: 'service-before-storage',
        ...sick,
        findings: [warning('service-before-storage', 'app.service', 'refused')],
        how: 'an enabled service that reads a file on a mount with _netdev, and does not wait for it',
        make: async (guest) => {
          await guest.run('rm /etc/exports; umount /srv/hand; mkfs.ext4 -q /dev/nbd0; mount /dev/nbd0 /srv/nbd; touch /srv/nbd/file');
          await withLine('/dev/nbd0 /srv/nbd ext4 _netdev 0 0')(guest);
          await guest.write(
            '/etc/systemd/system/app.service',
            "[Service]\nExecStart=/bin/sh -c 'exec sleep infinity < /srv/nbd/file'\n[Install]\nWantedBy=multi-user.target\n",
          );
          await guest.run('systemctl daemon-reload; systemctl enable -q --now app.service');
        },
      },
      {
        name: 'guest-before-storage',
        ...sick,
        findings: [warning('guest-before-storage', 'web', 'refused')],
        how: 'a definition of libvirt with autostart and its image on such a mount; libvirtd.service is a service of its name',
        make: async (guest) => {
          await guest.run('systemctl disable -q --now app.service; touch /srv/nbd/web.img; mkdir -p /etc/libvirt/qemu/autostart');
          await guest.write('/etc/libvirt/qemu/web.xml', domain("type='file'", "file='/srv/nbd/web.img'"));
          await guest.write(
            '/etc/systemd/system/libvirtd.service',
            '[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n',
          );
          await guest.run(
            'ln -s ../web.xml /etc/libvirt/qemu/autostart/; systemctl daemon-reload; systemctl enable -q --now libvirtd.service',
          );
        },
      },
      {
        name: 'guest-name-unstable',
        ...sick,
        findings: [warning('guest-name-unstable', 'web', 'refused')],
        how: 'a definition of libvirt with a disk by the name that the kernel counts',
        make: async (guest) => {
          const { stdout } = await guest.run(`readlink -f ${guest.disk('disk4')}`);
          await guest.write('/etc/libvirt/qemu/web.xml', domain("type='block'", `dev='${stdout.trim()}'`));
        },
      },
      {
        name: 'tag-twice',
        ...sick,
        findings: [warning('tag-twice', 'LABEL=my data', 'refused')],
        how: 'a byte copy of a disk that fstab names by its label',
        make: async (guest) => {
          await guest.run(`rm /etc/libvirt/qemu/web.xml; sync; dd if=/dev/zero of=${guest.disk('disk4')} bs=1M count=1 status=none
mkfs.ext4 -q -F -L 'my data' ${guest.disk('disk4')}; udevadm settle`);
        },
      },
      {
        name: 'initramfs-missing',
        ...sick,
        findings: [warning('initramfs-missing', '99.0-lab', 'refused')],
        how: 'a newer kernel in /boot without an initramfs',
        make: (guest) => guest.run(`wipefs -qa ${guest.disk('disk4')}; udevadm settle; cp /boot/vmlinuz-* /boot/vmlinuz-99.0-lab`),
      },
    ],
  },
};

const wanted = process.argv.slice(2);
for (const [group, { check = 'zombie-mounts', prepare, cases }] of Object.entries(GROUPS)) {
  if (wanted.length > 0 && !wanted.includes(group)) {
    continue;
  }
  const guest = await Guest.open({ hostname: 'hv1' });
  try {
    await guest.run(`echo ${MACHINE_ID} > /etc/machine-id`);
    await prepare(guest);
    for (const recorded of cases) {
      await recorded.make?.(guest);
      await record(guest, group, check, recorded);
    }
  } finally {
    await guest.close();
  }
}

async function record(guest: Guest, group: string, check: string, { name, outcome, findings, twinOf, how }: Recorded): Promise<void> {
  const directory = join(ROOT, 'checks', check, 'cases', name);
  rmSync(directory, { recursive: true, force: true });
  const { stdout, stderr } = await new Doctor(guest).run('record', check, '--json', '--output', directory);
  const [target] = JSON.parse(stdout).targets;
  const seen = target.findings.map(({ code, subject, severity, fix }: Report) => ({
    code,
    subject: subject.name,
    severity,
    risk: fix.state === 'refused' ? 'refused' : fix.risk,
  }));
  if (target.checks[0].outcome !== outcome || !isDeepStrictEqual(seen, findings)) {
    throw new Error(`${name}: expected ${outcome} ${JSON.stringify(findings)}, found ${JSON.stringify([target.checks, seen])} ${stderr}`);
  }
  const kernel = (await guest.run('uname -r')).stdout.trim();
  const source = `${how}. Debian 12, Linux ${kernel}, a guest of the lab, asked over ssh; npm run record-lab-cases -- ${group}`;
  writeFileSync(join(directory, 'expected.json'), `${JSON.stringify({ outcome, findings, ...(twinOf && { twinOf }), source }, null, 2)}\n`);
  process.stdout.write(`${name}\n`);
}
