/**
 * npm run record-lab-cases [-- GROUP…]: makes faults in guests of the lab, one guest for each group, and records each over
 * ssh into the cases of their check. Needs root and the image (npm run lab).
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { ROOT } from '../test/cli.ts';
import { Doctor, type Report } from '../test/lab/doctor.ts';
import { Guest } from '../test/lab/guest.ts';
import { SMB } from '../test/lab/smb.ts';
import { type CaseGroup, critical, healthy, type Recorded, sick, warning } from './lab-cases.ts';
import { BOOT_GROUPS } from './lab-cases-boot.ts';
import { LVM_GROUPS } from './lab-cases-lvm.ts';

const MACHINE_ID = '5f0c1d3a9b7e4c628d41a6e2f3b09c75';

const GROUPS: Record<string, CaseGroup> = {
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
        findings: [critical('nfs-stale', '/mnt/sub', 'data-loss')],
        how: 'an NFS mount of a directory that was removed on the server and made anew',
        make: (guest) => guest.run('rmdir /srv/export/sub && mkdir /srv/export/sub; stat /mnt/sub; true'),
      },
      {
        name: 'nfs-server-gone',
        ...sick,
        findings: [critical('nfs-server-gone', '/mnt/hard', 'data-loss')],
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
        findings: [critical('9p-gone', '/mnt/nine', 'refused')],
        how: 'a 9p mount, its server (diod) stopped with SIGSTOP',
        make: (guest) => guest.run('pkill -STOP diod'),
      },
      {
        name: 'cifs-gone',
        ...sick,
        findings: [critical('cifs-gone', '/mnt/cifs', 'data-loss')],
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
        findings: [critical('virtiofs-gone', '/mnt/shared', 'refused')],
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
        findings: [critical('device-suspended', '/srv/stuck', 'disruptive')],
        how: 'an XFS on a logical volume, dmsetup suspend',
        make: (guest) => guest.suspend('vg-stuck'),
      },
      {
        name: 'device-gone',
        ...sick,
        findings: [critical('device-gone', '/srv/pulled', 'data-loss')],
        how: 'an ext4, its SCSI disk pulled out',
        make: async (guest) => {
          await guest.resume('vg-stuck');
          await guest.removeDisk('disk1');
        },
      },
      {
        name: 'device-vanished-under-fs',
        ...sick,
        findings: [critical('device-vanished-under-fs', '/srv/data', 'data-loss')],
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
  ...LVM_GROUPS,
  ...BOOT_GROUPS,
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
