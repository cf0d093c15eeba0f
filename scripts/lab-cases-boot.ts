/** What the next boot will do otherwise than it is now. */
import type { Guest } from '../test/lab/guest.ts';
import { type CaseGroup, critical, healthy, sick, warning } from './lab-cases.ts';

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

export const BOOT_GROUPS: Record<string, CaseGroup> = {
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
        findings: [critical(code, subject, 'safe')],
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
        findings: [warning('name-unstable', '/srv/hand', 'safe')],
        how: 'a line of fstab with a disk by the name that the kernel counts',
        make: withLine('$disk /srv/hand ext4 nofail 0 0'),
      },
      ...(
        [
          ['crypt-source-gone', 'refused', 'vault UUID=5f0c1d3a-1111-4c62-8d41-a6e2f3b09c75 none luks', 'a UUID that nothing has'],
          ['crypt-key-gone', 'refused', 'vault UUID=$data /etc/none.key luks', 'a key that is not there'],
          ['crypt-name-unstable', 'safe', 'vault $disk none luks', 'a disk by the name that the kernel counts'],
        ] as const
      ).map(([code, risk, line, how]) => ({
        name: code,
        ...sick,
        findings: [warning(code, 'vault', risk)],
        how: `a line of crypttab with ${how}`,
        make: withLine(line, '/etc/crypttab'),
      })),
      {
        name: 'netdev-missing',
        ...sick,
        findings: [critical('netdev-missing', '/srv/nbd', 'safe')],
        how: 'a line of fstab with a network block device, without _netdev',
        make: async (guest) => {
          await guest.run('modprobe nbd; qemu-nbd -f raw -c /dev/nbd0 /var/lib/nbd0.img; udevadm settle');
          await withLine('/dev/nbd0 /srv/nbd ext4 defaults 0 0')(guest);
        },
      },
      {
        name: 'crypt-netdev-missing',
        ...sick,
        findings: [warning('crypt-netdev-missing', 'vault', 'safe')],
        how: 'a line of crypttab with a network block device, without _netdev',
        make: withLine('vault /dev/nbd0 none luks', '/etc/crypttab'),
      },
      {
        name: 'line-device-differs',
        ...sick,
        findings: [warning('line-device-differs', '/srv/hand', 'safe')],
        how: 'another disk mounted than the line of fstab names',
        make: async (guest) => {
          await withLine('/dev/vg0/data /srv/hand ext4 nofail 0 0')(guest);
          await guest.run(`mount ${guest.disk('disk3')} /srv/hand`);
        },
      },
      {
        name: 'line-missing',
        ...sick,
        findings: [warning('line-missing', '/srv/hand', 'safe')],
        how: 'a disk mounted by hand that NFS is to serve',
        make: withLine('/srv/hand *(rw,no_subtree_check)', '/etc/exports'),
      },
      {
        name: 'service-before-storage',
        ...sick,
        findings: [warning('service-before-storage', 'app.service', 'safe')],
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
        findings: [warning('guest-before-storage', 'web', 'safe')],
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
        findings: [warning('tag-twice', 'LABEL=my data', 'safe')],
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
