/** NFS whose server is away, and NFS that the server no longer knows. The server is in the guest. */
import { expect, it, onTestFinished } from 'vitest';
import { Doctor, found, type Report, unjudged } from './doctor.ts';
import { Guest } from './guest.ts';
import { findingOf, leftBehind, processes, refusalOf } from './looks.ts';
import { SMB } from './smb.ts';

/** Within which each run must be over, whatever hangs. */
const DEADLINE = 60_000;

async function open(setUp: string): Promise<{ guest: Guest; doctor: Doctor }> {
  const guest = await Guest.open();
  onTestFinished(() => guest.close());
  // Clients that come back are waited for as long as a lease lasts: 90 s unless told otherwise.
  await guest.write('/etc/nfs.conf.d/lab.conf', '[nfsd]\ngrace-time=10\nlease-time=10\n');
  await guest.write('/etc/exports', '/srv/export 127.0.0.1(rw,no_root_squash,fsid=1,no_subtree_check)\n');
  await guest.run(`set -e
mkdir -p /srv/export/sub /srv/export/deep/er; echo kept | tee /srv/export/file /srv/export/sub/file > /srv/export/deep/er/file
systemctl start nfs-server
nfs() { mkdir -p $2; mount -t nfs4 $3 127.0.0.1:/srv/export$1 $2; }
${setUp}`);
  const doctor = new Doctor(guest);
  await expectWell(doctor);
  return { guest, doctor };
}

/** Source, type and options of what is mounted below /srv. */
async function mountLines(guest: Guest): Promise<string[]> {
  return (await guest.run("grep ' /srv/' /proc/self/mounts")).stdout.trim().split('\n').toSorted();
}

async function expectWell(doctor: Doctor): Promise<void> {
  const { code, report } = await doctor.check();
  expect([found(report), unjudged(report), code]).toEqual([[], [], 0]);
}

it('a server that is away and comes back: hard and soft mounts, no child that stays, and one that is taken away by force', async () => {
  const { guest, doctor } = await open(`nfs '' /srv/hard
nfs '' /srv/soft '-o soft,timeo=10,retrans=1,nosharecache'
nfs /sub /srv/sub
echo '127.0.0.1:/srv/export/deep/er /srv/three nfs vers=3,nolock,nosharecache,nofail 0 0' >> /etc/fstab
systemctl daemon-reload; mkdir /srv/three; mount /srv/three`);
  await guest.run('tail -f /srv/three/file < /dev/null > /dev/null 2>&1 &');
  const before = await processes(guest);
  await guest.service('stop', 'nfs-server');

  let away: Report;
  for (const _ of ['first', 'second']) {
    const { code, report, ms } = await doctor.check();
    expect([found(report), unjudged(report), code]).toEqual([
      ['nfs-server-gone /srv/hard', 'nfs-server-gone /srv/soft', 'nfs-server-gone /srv/sub', 'nfs-server-gone /srv/three'],
      [],
      2,
    ]);
    expect(ms).toBeLessThan(DEADLINE);
    expect(await leftBehind(guest, before)).toEqual(new Map());
    away = report;
  }

  // It may come back at any time, and then nothing is lost: only for a person, who types the name.
  const { id, fix } = findingOf(away, 'nfs-server-gone', '/srv/three');
  expect(fix).toMatchObject({ state: 'available', risk: 'data-loss' });
  await guest.run('df /srv/three < /dev/null > /dev/null 2>&1 & df /srv/hard < /dev/null > /dev/null 2>&1 & sleep 1');
  const { code, screen, names } = await doctor.fixTyped(id);
  expect(names, screen).toEqual(['/srv/three']);
  expect(screen).toMatch(
    /tail \(pid .*unproven +\/srv\/three: .*\n.*\/srv\/three: should be mounted.*proven .*umount -c -i -f -l \/srv\/three\n/s,
  );
  expect(code).toBe(1);
  expect([...(await leftBehind(guest, before)).values()]).toEqual([expect.stringMatching(/^D.* df \/srv\/hard$/)]);

  await guest.service('start', 'nfs-server');
  expect((await guest.run('cat /srv/hard/file /srv/soft/file /srv/sub/file')).stdout).toBe('kept\nkept\nkept\n');
  const again = await doctor.fix('--auto', 'safe');
  expect(again.report.repairs.map(({ finding, outcome }: Report) => [finding.code, finding.subject.name, outcome])).toEqual([
    ['configured-not-mounted', '/srv/three', 'repaired'],
  ]);
  expect((await guest.run('cat /srv/three/file')).stdout).toBe('kept\n');
  await expectWell(doctor);
});

it('a directory that the server has anew: what was mounted of it is stale, and nothing else of that server', async () => {
  const { guest, doctor } = await open(`nfs '' /srv/whole
nfs /sub /srv/sub
nfs /deep/er /srv/own '-o nosharecache'`);
  await guest.run('cd /srv/export; rm -r sub deep; mkdir -p sub deep/er; echo new | tee sub/file > deep/er/file');
  // For as long as attributes are taken from memory.
  await guest.run('sleep 4; ls /srv/whole /srv/sub /srv/own', { ok: false });
  expect((await guest.run('cat /srv/whole/file')).stdout).toBe('kept\n');

  const { code, report } = await doctor.check();
  expect([found(report), unjudged(report), code]).toEqual([['nfs-stale /srv/own', 'nfs-stale /srv/sub'], [], 2]);

  const before = await mountLines(guest);
  const { code: fixed, screen, names } = await doctor.fixTyped();
  expect([names.toSorted(), fixed], screen).toEqual([['/srv/own', '/srv/sub'], 0]);
  expect(await mountLines(guest)).toEqual(before);
  expect((await guest.run('cat /srv/own/file /srv/sub/file')).stdout).toBe('new\nnew\n');
  await expectWell(doctor);
});

it('servers of CIFS and 9p that fall silent and speak again; only CIFS is taken away by force', async () => {
  const guest = await Guest.open();
  onTestFinished(() => guest.close());
  const doctor = new Doctor(guest);
  await guest.write('/etc/samba/smb.conf', SMB);
  await guest.run(`set -e
mkdir /srv/share /srv/cifs /srv/nine; echo kept > /srv/share/file
systemctl start smbd
setsid diod -f -n -l 127.0.0.1:5640 -e /srv/share > /dev/null 2>&1 < /dev/null &
mount -t cifs //127.0.0.1/share /srv/cifs -o guest,echo_interval=2
mount -t 9p 127.0.0.1 /srv/nine -o trans=tcp,port=5640,aname=/srv/share,version=9p2000.L
cat /srv/cifs/file /srv/nine/file`);
  await expectWell(doctor);
  const before = await processes(guest);
  await guest.run('pkill -STOP smbd; pkill -STOP diod');

  const { code, report, ms } = await doctor.check();
  expect([found(report), unjudged(report), code]).toEqual([['9p-gone /srv/nine', 'cifs-gone /srv/cifs'], [], 2]);
  expect(ms).toBeLessThan(DEADLINE);
  // Deaf to SIGKILL, one for each mount, and named; the next run adds none.
  const left = await leftBehind(guest, before);
  expect([...left.values()].filter((line) => !line.startsWith('D'))).toEqual([]);
  expect(left.size).toBeLessThanOrEqual(2);
  expect([...left.keys()].filter((pid) => !JSON.stringify(report).includes(`pid ${pid}`))).toEqual([]);
  expect(refusalOf(report, '9p-gone', '/srv/nine')).toContain('umount -c -i -f -l /srv/nine');
  const { screen, names, code: fixed } = await doctor.fixTyped();
  expect([names, fixed], screen).toEqual([['/srv/cifs'], 1]);
  expect((await guest.run("grep ' /srv/' /proc/self/mounts")).stdout).toMatch(/^127\.0\.0\.1 \/srv\/nine 9p .*\n$/);
  expect([...(await leftBehind(guest, before)).keys()].filter((pid) => !left.has(pid))).toEqual([]);

  await guest.run('pkill -CONT diod; pkill -CONT smbd; sleep 1');
  expect((await guest.run('cat /srv/nine/file')).stdout).toBe('kept\n');
  expect(await leftBehind(guest, before)).toEqual(new Map());
  await expectWell(doctor);
});
