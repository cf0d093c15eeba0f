/** Disks that leave, volumes that lead nowhere or stand still, file systems that stop themselves, and room that is none. */
import { expect, it, onTestFinished } from 'vitest';
import { itInFull } from '../full.ts';
import { Doctor, found, type Report, unjudged } from './doctor.ts';
import { Guest } from './guest.ts';
import { expectWell, leftBehind, mountLines, processes } from './looks.ts';

/** Within which each run must be over, whatever hangs. */
const DEADLINE = 60_000;

/** A guest with a volume group, in which nothing is amiss. */
async function open(setUp: (guest: Guest) => string): Promise<{ guest: Guest; doctor: Doctor }> {
  const guest = await Guest.open();
  onTestFinished(() => guest.close());
  await guest.run(`set -e
vgcreate -q vg ${guest.disk('disk2')} ${guest.disk('disk3')}
volume() { lvcreate -q -y -W n -L "$2" -n "$1" vg; }
${setUp(guest)}
sync`);
  const doctor = new Doctor(guest);
  await expectWell(doctor);
  return { guest, doctor };
}

it('disks, volumes and exports that leave, file systems that stop, no inode or quota left: repaired, and after a reboot', async () => {
  const { guest, doctor } = await open(
    (host) => `line() { echo "UUID=$(blkid -s UUID -o value $1) $2 $3 $4 0 0" >> /etc/fstab; }
volume data 310M; mkfs.xfs -q /dev/vg/data; line /dev/vg/data /srv/data xfs noatime
volume home 64M; mkfs.ext4 -q /dev/vg/home; line /dev/vg/home /srv/home ext4 defaults
volume stops 64M; mkfs.ext4 -q /dev/vg/stops; line /dev/vg/stops /srv/stops ext4 errors=remount-ro
volume base 310M; mkfs.xfs -q /dev/vg/base; line /dev/vg/base /srv/base xfs defaults
volume held 310M; mkfs.xfs -q /dev/vg/held; line /dev/vg/held /srv/held xfs defaults
volume swap 64M; mkswap /dev/vg/swap > /dev/null; swapon /dev/vg/swap
# systemd itself unmounts what it knows from fstab.
mkfs.ext4 -q ${host.disk('disk1')}; mkdir /srv/pulled; mount ${host.disk('disk1')} /srv/pulled; echo kept > /srv/pulled/file
volume few 64M; mkfs.ext4 -q -N 64 /dev/vg/few; mkdir /srv/few; mount /dev/vg/few /srv/few
volume projects 310M; mkfs.xfs -q /dev/vg/projects; mkdir /srv/projects; mount -o prjquota /dev/vg/projects /srv/projects
for project in 1 2; do
  mkdir /srv/projects/$project /srv/project-$project
  xfs_quota -x -c "project -s -p /srv/projects/$project $project" -c "limit -p bhard=4m $project" /srv/projects > /dev/null
  mount --bind /srv/projects/$project /srv/project-$project
done
mkdir -p /srv/export/sub
echo '/srv/export 127.0.0.1(rw,no_root_squash,fsid=1,no_subtree_check)' > /etc/exports
echo '127.0.0.1:/srv/export/sub /srv/nfs nfs4 nofail 0 0' >> /etc/fstab
systemctl -q enable --now nfs-server; systemctl daemon-reload
for name in data home stops base held nfs; do mkdir /srv/$name; mount /srv/$name; echo kept > /srv/$name/file; done`,
  );
  const mounted = await mountLines(guest);

  await guest.removeDisk('disk1');
  await guest.run(`for name in stops base; do
  dmsetup table vg-$name | sed 's/ linear \\(.*\\)$/ flakey \\1 0 60 1 error_writes/' | dmsetup load vg-$name
  dmsetup suspend --nolockfs --noflush vg-$name; dmsetup resume vg-$name
  ! { touch /srv/$name/new && sync -f /srv/$name; } || exit 1
done 2> /dev/null
lvchange --refresh vg/stops vg/base
dmsetup wipe_table vg-data; dmsetup wipe_table vg-swap
dmsetup table vg-home | sed 's/linear .*/error/' | dmsetup load vg-home
dmsetup suspend --nolockfs --noflush vg-home; dmsetup resume vg-home
dmsetup suspend vg-held
i=0; while : 2> /dev/null > /srv/few/$i; do i=$((i + 1)); done
cd /srv/export; rm -r sub; mkdir sub; echo new > sub/file
sleep 4; ls /srv/nfs; true`);
  expect((await guest.run('touch /srv/stops/more; touch /srv/base/more', { ok: false })).stderr).toMatch(
    /Read-only.*\n.*Input\/output error/,
  );
  expect((await guest.run('cat < /dev/zero > /srv/project-1/file', { ok: false })).stderr).toContain('No space left');

  const { code, report } = await doctor.fix('--auto', 'disruptive');
  const swap = (await guest.run('readlink -f /dev/vg/swap')).stdout.trim();
  const all = report.repairs.map(({ finding, outcome }: Report) => `${finding.code} ${finding.subject.name} ${outcome}`);
  expect([all.toSorted(), report.unknown, code]).toEqual([
    [
      'device-gone /srv/pulled skipped',
      'device-suspended /srv/held repaired',
      'device-vanished-under-fs /srv/data skipped',
      'device-vanished-under-fs /srv/home skipped',
      'fs-shutdown-ext4 /srv/stops skipped',
      'fs-shutdown-xfs /srv/base repaired',
      'inodes-or-quota-full /srv/few refused',
      'inodes-or-quota-full /srv/project-1 refused',
      'nfs-stale /srv/nfs skipped',
      `swap-backing ${swap} refused`,
    ],
    [],
    1,
  ]);

  // What could lose bytes is left to a person.
  const typed = await doctor.fixTyped();
  expect(typed.names.toSorted(), typed.screen).toEqual(['/srv/data', '/srv/home', '/srv/nfs', '/srv/pulled', '/srv/stops']);
  expect(typed.screen).toContain('5 repaired');
  expect(await mountLines(guest)).toEqual(mounted.filter((line) => !line.includes(' /srv/pulled ')));
  const files =
    'cd /srv; cat data/file home/file stops/file base/file held/file nfs/file; touch data/new home/new stops/new base/new held/new';
  expect((await guest.run(files)).stdout).toBe('kept\nkept\nkept\nkept\nkept\nnew\n');
  await guest.addDisk('disk1');
  await guest.run(`lvchange --refresh vg/swap; rm /srv/few/1* /srv/project-1/file; mount ${guest.disk('disk1')} /srv/pulled`);
  expect((await guest.run('cat /srv/pulled/file')).stdout).toBe('kept\n');
  await expectWell(doctor);

  expect(await guest.reboot()).toBe('running');
  expect((await guest.run(files)).stdout).toBe('kept\nkept\nkept\nkept\nkept\nnew\n');
  await expectWell(doctor);
});

itInFull('a suspended volume, whose readers nothing ends: at most one child stays there, until it is resumed', async () => {
  const { guest, doctor } = await open(
    () => `volume stuck 310M; mkfs.xfs -q /dev/vg/stuck; mkdir /srv/stuck; mount /dev/vg/stuck /srv/stuck
cd /srv/stuck; seq 3000 | xargs touch; cd /`,
  );
  const before = await processes(guest);
  await guest.suspend('vg-stuck');
  // Its list of files is read anew, and that never ends.
  await guest.run('echo 3 > /proc/sys/vm/drop_caches');

  const first = await doctor.check();
  expect(first.ms).toBeLessThan(DEADLINE);
  expect([found(first.report), unjudged(first.report), first.code]).toEqual([['device-suspended /srv/stuck'], [], 2]);
  const left = await leftBehind(guest, before);
  expect([...left.values()].filter((line) => !line.startsWith('D'))).toEqual([]);
  expect(left.size).toBeLessThanOrEqual(1);
  for (const pid of left.keys()) {
    expect(JSON.stringify(first.report)).toContain(`pid ${pid}`);
  }

  const second = await doctor.check();
  expect([found(second.report), unjudged(second.report)]).toEqual([['device-suspended /srv/stuck'], []]);
  expect([...(await leftBehind(guest, before)).keys()]).toEqual([...left.keys()]);

  // Somebody is at work on it.
  await guest.run('cp /bin/sleep /run/lvconvert; /run/lvconvert 60 > /dev/null 2>&1 < /dev/null &');
  const refused = await doctor.fix('--auto', 'disruptive');
  expect(refused.report.repairs).toEqual([
    expect.objectContaining({ outcome: 'stale', reason: expect.stringContaining('lvconvert (pid ') }),
  ]);
  await guest.run('pkill lvconvert');
  const fixed = await doctor.fix('--auto', 'disruptive');
  expect(fixed.report.repairs).toEqual([expect.objectContaining({ outcome: 'repaired' })]);
  expect(await leftBehind(guest, before)).toEqual(new Map());
  await expectWell(doctor);
});
