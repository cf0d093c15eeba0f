/** Twelve faults that only the next boot brings out: named before it, come true in it, and gone from it once they are repaired. */
import { expect, it, onTestFinished } from 'vitest';
import { Doctor, found, type Report, unjudged } from './doctor.ts';
import { Guest } from './guest.ts';
import { expectWell, findingOf } from './looks.ts';

const NBD = `[Unit]
Wants=network-online.target
After=network-online.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStartPre=/sbin/modprobe nbd
ExecStartPre=/bin/sleep 5
ExecStart=/usr/bin/qemu-nbd -f raw -c /dev/nbd0 /var/lib/nbd0.img
ExecStart=/usr/bin/qemu-nbd -f raw -c /dev/nbd1 /var/lib/nbd1.img
[Install]
WantedBy=multi-user.target
`;
const reader = (file: string) => `[Service]
ExecStart=/bin/sh -c 'exec sleep infinity < ${file}'
[Install]
WantedBy=multi-user.target
`;

/** Required at boot, and not to be mounted then. */
const REQUIRED = ['/srv/gone', '/srv/type', '/srv/misspelt', '/srv/blank', '/srv/image', '/srv/net'];
/** In the order of the report: by code. */
const FORETOLD = [
  'line-device-differs /srv/differs',
  'line-file-gone /srv/image',
  'line-file-gone /var/swap.img',
  'line-misread /srv/blank',
  'line-misread /srv/misspelt',
  'line-missing /srv/hand',
  'line-source-gone /srv/gone',
  'line-twice /srv/twice',
  'line-type-differs /srv/type',
  'name-unstable /srv/names',
  'netdev-missing /srv/net',
  'service-before-storage late.service',
];

/** The image and the swap file are gone for good, and which of two is meant only a person can say. */
const REPAIRED = FORETOLD.map((each) => {
  const outcome = {
    'line-file-gone /srv/image': 'unproven',
    'line-file-gone /var/swap.img': 'refused',
    'line-twice /srv/twice': 'refused',
  }[each];
  return `${each} ${outcome ?? 'repaired'}`;
}).toSorted();

/** A host on which all is well now. Each file system holds a file with its own name. */
async function plant(): Promise<{ guest: Guest; doctor: Doctor }> {
  const guest = await Guest.open({ hostname: 'hv1' });
  onTestFinished(() => guest.close());
  const doctor = new Doctor(guest, 'root', 'boot-readiness');
  await guest.write('/etc/systemd/system/nbd.service', NBD);
  await guest.write('/etc/systemd/system/hand.service', reader('/srv/hand/file'));
  await guest.write('/etc/systemd/system/late.service', reader('/srv/late/file'));
  await guest.run(`set -e
sed -i 's/^#*DefaultTimeoutStartSec=.*/DefaultTimeoutStartSec=30s/' /etc/systemd/system.conf
systemctl enable -q systemd-networkd-wait-online.service nbd.service hand.service late.service
truncate -s 64M /var/lib/nbd0.img /var/lib/nbd1.img; systemctl start nbd.service
vgcreate -q vg ${guest.disk('disk2')}
line() { echo "$*" >> /etc/fstab; }
make() { mkdir -p /srv/$2; mkfs.ext4 -q $1; mount $1 /srv/$2; echo $2 > /srv/$2/file; }
volume() { lvcreate -q -y -W n -L 32M -n $1 vg; make /dev/vg/$1 $1; }
uuid() { blkid -s UUID -o value $1; }
for name in gone type misspelt differs other twice second hand; do volume $name; done
umount /srv/differs /srv/second /srv/other
make ${guest.disk('disk1')} names; make ${guest.disk('disk3')} blank; mkfs.ext4 -q ${guest.disk('disk4')}
make /dev/nbd0 net; make /dev/nbd1 late
truncate -s 32M /srv/a.img; mkdir /srv/image; mkfs.ext4 -q /srv/a.img; mount -o loop /srv/a.img /srv/image; echo image > /srv/image/file
dd if=/dev/zero of=/var/swap.img bs=1M count=32 status=none; chmod 600 /var/swap.img; mkswap /var/swap.img > /dev/null; swapon /var/swap.img
line "# planted"
line "UUID=$(uuid /dev/vg/gone) /srv/gone ext4 x-systemd.device-timeout=10s 0 0"
line "UUID=$(uuid /dev/vg/type)\t/srv/type\text4\tdefaults 0 2"
line "/dev/vg/misspelt /srv/misspelt ext4 nofail 0 0"
line "UUID=$(uuid ${guest.disk('disk3')}) /srv/blank ext4 defaults,nofail,x-systemd.device-timeout=5s 0 0"
line "/srv/a.img /srv/image ext4 loop 0 0"
line "/dev/nbd0 /srv/net ext4 _netdev,x-systemd.device-timeout=30s 0 0"
line "/dev/nbd1 /srv/late ext4 _netdev,x-systemd.device-timeout=60s 0 0"
line "UUID=$(uuid ${guest.disk('disk1')})   /srv/names   ext4   nofail,x-systemd.device-timeout=20s   0 0"
line "UUID=$(uuid /dev/vg/other) /srv/differs ext4 nofail 0 0"
line "/var/swap.img none swap sw 0 0"
line "/dev/vg/twice /srv/twice ext4 nofail 0 0"
line "/dev/vg/hand /srv/hand ext4 defaults 0 0"
mount /dev/vg/other /srv/differs
mkdir -p /etc/systemd/system/late.service.d /etc/systemd/system/hand.service.d
echo '[Unit]
RequiresMountsFor=/srv/late' > /etc/systemd/system/late.service.d/order.conf
systemctl daemon-reload; systemctl start hand.service late.service; udevadm settle; sync`);
  return { guest, doctor };
}

/** Everything goes on as it was, until the next boot. */
async function arm(guest: Guest): Promise<void> {
  await guest.run(`set -e
name=$(readlink -f ${guest.disk('disk1')})
sed -i -e "s|^UUID=[^ ]* /srv/gone|UUID=$(cat /proc/sys/kernel/random/uuid) /srv/gone|" \\
  -e 's|/srv/type\\text4|/srv/type\\txfs|' -e '/misspelt/s/nofail/nofial/' -e '/blank/s/defaults,nofail/defaults, nofail/' \\
  -e '/srv.net/s/_netdev,//' -e "s|^UUID=[^ ]*   /srv/names|$name   /srv/names|" -e '/srv.hand/d' \\
  -e "s|^UUID=[^ ]* /srv/differs|UUID=$(blkid -s UUID -o value /dev/vg/differs) /srv/differs|" /etc/fstab
echo '/dev/vg/second /srv/twice ext4 nofail 0 0' >> /etc/fstab
swapoff /var/swap.img; rm /srv/a.img /var/swap.img /etc/systemd/system/late.service.d/order.conf
systemctl daemon-reload; sync`);
}

/** What a disk is plugged into changes while the host is off, and one stays away. */
async function rebootOtherwise(guest: Guest): Promise<string> {
  await guest.powerOff();
  await guest.removeDisk('disk3');
  await guest.removeDisk('disk1');
  await guest.addDisk('disk1');
  return guest.powerOn();
}

const contents = async (guest: Guest, name: string) => (await guest.run(['cat', `/srv/${name}/file`], { ok: false })).stdout.trim();
const state = async (guest: Guest, unit: string) => (await guest.run(['systemctl', 'is-active', unit], { ok: false })).stdout.trim();

it('twelve faults of the next boot, left alone: each comes true, and the host ends in emergency mode', async () => {
  const { guest, doctor } = await plant();
  await expectWell(doctor);
  await arm(guest);
  const { code, report } = await doctor.check();
  expect([found(report), unjudged(report), code]).toEqual([FORETOLD, [], 2]);
  const critical = report.targets[0].findings.filter(({ severity }: Report) => severity === 'critical');
  expect(critical.map(({ subject }: Report) => subject.name).toSorted()).toEqual(
    REQUIRED.filter((name) => name !== '/srv/blank').toSorted(),
  );

  // Without it, each of them would end the boot before the next one is tried.
  await guest.run('systemctl mask -q emergency.target emergency.service');
  // The others fail first here, and what brings the network disk up would no longer be kept waiting for it.
  await guest.run("sed -i '/srv.net/s/=30s/=3s/' /etc/fstab");
  await rebootOtherwise(guest);
  for (const point of REQUIRED) {
    expect([point, (await guest.run(['mountpoint', '-q', point], { ok: false })).code]).not.toEqual([point, 0]);
  }
  expect(await state(guest, 'local-fs.target')).toBe('inactive');
  expect(await contents(guest, 'names')).not.toBe('names');
  expect(await contents(guest, 'differs')).toBe('differs');
  expect(await contents(guest, 'twice')).toBe('twice');
  expect((await guest.run('cat /proc/swaps')).stdout).not.toContain('swap.img');
  expect((await guest.run('mountpoint -q /srv/hand', { ok: false })).code).not.toBe(0);
  expect(await state(guest, 'hand.service')).toBe('failed');
  expect(await state(guest, 'late.service')).toBe('failed');

  await guest.run('systemctl unmask -q emergency.target emergency.service; sync');
  expect(await guest.reboot({ until: /You are in emergency mode|root account is locked/ })).toBeTruthy();
});

it('the same, repaired, two of them taken back in between: the boot is clean, and nothing else has changed', async () => {
  const { guest, doctor } = await plant();
  await arm(guest);
  const fstab = async () => (await guest.run('cat /etc/fstab')).stdout;
  const before = await fstab();
  const { report } = await doctor.check();
  const some = [findingOf(report, 'line-source-gone', '/srv/gone'), findingOf(report, 'service-before-storage', 'late.service')];
  const first = await doctor.run('fix', ...some.map(({ id }) => id), '--auto', 'safe');
  expect([first.code, first.stdout]).toEqual([0, expect.stringContaining('+[Unit]')]);
  expect(changedLines(before, await fstab())).toEqual(['/srv/gone → /srv/gone']);
  const undone = await doctor.bare('undo', '--yes');
  expect([undone.code, undone.stderr]).toEqual([0, expect.any(String)]);
  expect(await fstab()).toBe(before);
  expect((await guest.run('ls /etc/systemd/system/late.service.d', { ok: false })).stdout).toBe('');

  const fixed = await doctor.fix('--auto', 'safe');
  expect([outcomes(fixed.report), fixed.code]).toEqual([REPAIRED, 1]);
  const edited = [...REQUIRED, '/srv/differs', '/srv/names'].map((point) => `${point} → ${point}`);
  expect(changedLines(before, await fstab())).toEqual([...edited, 'none → /srv/hand'].toSorted());
  expect(await state(guest, 'late.service')).toBe('active');
  // What only a person can say.
  await guest.run("sed -i '/vg.second/d; /var.swap.img/d' /etc/fstab; systemctl daemon-reload");
  // The image is gone for good: without it the host comes up.
  expect(found((await doctor.check()).report)).toEqual(['line-file-gone /srv/image']);

  expect(await rebootOtherwise(guest)).toBe('degraded');
  expect((await guest.run('systemctl --failed --plain --no-legend')).stdout.trim().split(/ +/)[0]).toBe('srv-image.mount');
  for (const name of ['gone', 'type', 'misspelt', 'net', 'late', 'names', 'twice', 'hand']) {
    expect([name, await contents(guest, name)]).toEqual([name, name]);
  }
  expect(await contents(guest, 'differs')).toBe('other');
  expect([await state(guest, 'hand.service'), await state(guest, 'late.service')]).toEqual(['active', 'active']);
});

const outcomes = (report: Report) =>
  report.repairs.map(({ finding, outcome }: Report) => `${finding.code} ${finding.subject.name} ${outcome}`).toSorted();

/** Places of the lines that differ, as they were and as they are. */
function changedLines(before: string, after: string): string[] {
  const [old, now] = [before.trimEnd().split('\n'), after.trimEnd().split('\n')];
  const place = (line: string | undefined) => line?.split(/[ \t]+/)[1] ?? 'none';
  return now.flatMap((line, index) => (line === old[index] ? [] : [`${place(old[index])} → ${place(line)}`])).toSorted();
}
