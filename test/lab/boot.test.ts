/** What systemd makes of /etc/fstab at boot, and a repair that a power cut ends. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it, onTestFinished } from 'vitest';
import { ROOT } from '../cli.ts';
import { Doctor, found, type Report, unjudged } from './doctor.ts';
import { Guest } from './guest.ts';
import { findingOf } from './looks.ts';

const AT_BOOT = `[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStartPre=/bin/sh -c 'while systemctl list-jobs --no-legend | grep -v doctor.service; do sleep 1; done'
ExecStart=-/usr/local/bin/node /opt/stdoctor/bin/run.js check --output json:/var/lib/report.json
[Install]
WantedBy=multi-user.target
`;

it('disks that are late, lines that fail, automounts without a device, and a repair in which the power is cut', async () => {
  const guest = await Guest.open();
  onTestFinished(() => guest.close());
  const doctor = new Doctor(guest);
  await guest.run(`set -e
vgcreate -q vg ${guest.disk('disk2')}
volume() { lvcreate -q -y -W n -L "$2" -n "$1" vg; }
line() { echo "UUID=$(blkid -s UUID -o value $1) $2 $3 $4 0 0" >> /etc/fstab; }
late=nofail,x-systemd.device-timeout=5s
auto=noatime,x-systemd.automount,x-systemd.device-timeout=5s
mkfs.ext4 -q ${guest.disk('disk1')}; line ${guest.disk('disk1')} /srv/late ext4 $late
mkswap ${guest.disk('disk3')} > /dev/null; line ${guest.disk('disk3')} none swap $late
mkfs.ext4 -q ${guest.disk('disk4')}; line ${guest.disk('disk4')} /srv/away ext4 $auto
volume idle 64M; mkfs.ext4 -q /dev/vg/idle; line /dev/vg/idle /srv/idle ext4 $auto
volume wrong 64M; mkfs.ext4 -q /dev/vg/wrong; line /dev/vg/wrong /srv/wrong ext4 nofail,data=nonsense
volume taken 64M; mkfs.ext4 -q /dev/vg/taken; line /dev/vg/taken /srv/taken ext4 defaults
volume stopped 310M; mkfs.xfs -q /dev/vg/stopped; line /dev/vg/stopped /srv/stopped xfs defaults
volume new 64M; mkfs.ext4 -q /dev/vg/new
mkdir /srv/late /srv/away /srv/idle /srv/wrong /srv/taken /srv/stopped /srv/new
mount /srv/late; echo kept > /srv/late/file; umount /srv/late`);
  await guest.write('/etc/systemd/system/doctor.service', AT_BOOT);
  await guest.copyIn(ROOT, '/opt/stdoctor', { only: ['package.json', 'bin', 'dist', ...dependencies()] });
  await guest.run('systemctl enable -q doctor.service; sync');
  for (const disk of ['disk1', 'disk3', 'disk4']) {
    await guest.removeDisk(disk);
  }

  expect(await guest.reboot()).toBe('degraded');
  // The one access that an automount waits for.
  expect((await guest.run('ls /srv/away', { ok: false })).stderr).toContain('No such device');
  const away = await doctor.check();
  expect([found(away.report), unjudged(away.report)]).toEqual([
    [
      'automount-target-gone /srv/away',
      'configured-not-mounted /srv/late',
      expect.stringMatching(/^configured-not-mounted UUID=/),
      'unit-failed /srv/wrong',
    ],
    [],
  ]);
  expect(findingOf(away.report, 'configured-not-mounted', '/srv/late').severity).toBe('info');
  expect((await guest.run('systemctl is-active srv-idle.automount srv-idle.mount', { ok: false })).stdout).toBe('active\ninactive\n');
  // The doctor in the guest came to the same.
  const inside = JSON.parse((await guest.run('cat /var/lib/report.json')).stdout);
  expect(idsOf(inside)).toEqual(idsOf(away.report));
  expect(unjudged(inside)).toEqual([]);

  for (const disk of ['disk1', 'disk3', 'disk4']) {
    await guest.addDisk(disk);
  }
  await guest.run(`set -e
sed -i 's/,data=nonsense//; s/timeout=5s/timeout=60s/' /etc/fstab
echo '/dev/vg/new /srv/new ext4 defaults 0 0' >> /etc/fstab
systemctl daemon-reload
sync
umount /srv/taken
ls -d /srv/away/lost+found`);
  const late = await doctor.check();
  expect([found(late.report), unjudged(late.report)]).toEqual([
    [
      'configured-not-mounted /srv/taken',
      'mount-missed-late-device /srv/late',
      // A line that is newer than the boot cannot be told from one whose device was late.
      'mount-missed-late-device /srv/new',
      expect.stringMatching(/^mount-missed-late-device UUID=/),
      'unit-failed /srv/wrong',
    ],
    [],
  ]);
  const fixed = await doctor.fix('--auto', 'safe');
  const outcomes = fixed.report.repairs.map(({ finding, outcome }: Report) => `${outcome} ${finding.subject.name}`);
  expect(outcomes.toSorted()).toEqual([
    expect.stringMatching(/^refused UUID=/),
    'repaired /srv/late',
    'repaired /srv/new',
    'repaired /srv/taken',
    'repaired /srv/wrong',
  ]);
  expect(
    (await guest.run('cat /srv/late/file; mountpoint -q /srv/new && mountpoint -q /srv/taken && mountpoint -q /srv/wrong')).stdout,
  ).toBe('kept\n');
  // All but the mark of failure that systemd was made to forget.
  const undone = await doctor.bare('undo', '--yes');
  expect(undone.code).toBe(1);
  expect((await guest.run('grep /srv/ /proc/self/mounts | grep -v -e autofs -e stopped -e away', { ok: false })).stdout).toBe('');

  // The power is cut when the first of two steps has begun.
  await guest.run('xfs_io -x -c shutdown /srv/stopped');
  const journal = join(guest.path('state'), 'journal.jsonl');
  const known = readFileSync(journal, 'utf8').length;
  const cut = doctor.fix('--auto', 'disruptive');
  await begun(journal, known);
  await guest.kill();
  const lost = (await cut).report.repairs.find(({ finding }: Report) => finding.code === 'fs-shutdown-xfs');
  expect([lost.outcome, lost.reason]).toEqual(['failed', expect.stringMatching(/^step 1 .*connection to .* was lost.*stdoctor resume/)]);

  expect(await guest.powerOn()).toBe('running');
  expect((await guest.run('cat /srv/late/file; ls -d /srv/stopped; swapon --show=TYPE --noheadings')).stdout).toBe(
    'kept\n/srv/stopped\npartition\n',
  );
  const after = await doctor.check();
  expect([found(after.report), unjudged(after.report), after.code]).toEqual([['repair-interrupted /srv/stopped'], [], 2]);
  // Of two steps the first is as good as done, and the second is no longer to be done: the boot has mounted it.
  const resumed = await doctor.bare('resume', '--forward', '--yes');
  expect(resumed.stdout).toMatch(/the host was restarted since\n.* done\n.*found mount .* at \/srv\/stopped; nothing was done/s);
  expect(resumed.code).toBe(4);
  const well = await doctor.check();
  expect([found(well.report), unjudged(well.report), well.code]).toEqual([[], [], 0]);
});

/** What the program needs, of all that lies in node_modules. */
function dependencies(): string[] {
  const list = execFileSync('npm', ['ls', '--omit=dev', '--all', '--parseable'], {
    cwd: ROOT,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  return list
    .trim()
    .split('\n')
    .map((path) => relative(ROOT, path))
    .filter((path) => path.startsWith('node_modules/'));
}

function idsOf(report: Report): string[] {
  return report.targets[0].findings.map(({ id }: Report) => id).toSorted();
}

/** Until the journal says, beyond what is known of it, that something is being done. */
async function begun(journal: string, known: number): Promise<void> {
  for (const end = Date.now() + 120_000; Date.now() < end; await sleep(5)) {
    if (readFileSync(journal, 'utf8').slice(known).includes('"event":"act"')) {
      return;
    }
  }
  throw new Error('nothing was begun');
}
