/** Mounts of servers that are away, and NFS that its server no longer knows. The servers are in the guest. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { itInFull } from '../full.ts';
import { Doctor, found, type Report, unjudged } from './doctor.ts';
import { Guest } from './guest.ts';
import { expectWell, findingOf, leftBehind, mountLines, processes, refusalOf } from './looks.ts';
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

async function openShared(): Promise<{ guest: Guest; doctor: Doctor }> {
  const guest = await Guest.open();
  onTestFinished(() => guest.close());
  const directory = guest.path('share');
  mkdirSync(directory);
  writeFileSync(join(directory, 'file'), 'kept\n');
  await guest.powerOff();
  guest.share('shared', directory);
  await guest.powerOn();
  await guest.run('mkdir /srv/shared; mount -t virtiofs shared /srv/shared; cat /srv/shared/file');
  const doctor = new Doctor(guest);
  await expectWell(doctor);
  return { guest, doctor };
}

/** Servers that fall silent, and what the first look finds. */
async function silence() {
  const { guest, doctor } = await open(`cat > /etc/samba/smb.conf <<'END'
${SMB}END
mkdir /srv/share /srv/cifs /srv/nine /srv/three; echo kept > /srv/share/file
systemctl start smbd
setsid diod -f -n -l 127.0.0.1:5640 -e /srv/share > /dev/null 2>&1 < /dev/null &
nfs '' /srv/hard
nfs '' /srv/soft '-o soft,timeo=10,retrans=1,nosharecache'
nfs /sub /srv/sub
echo '127.0.0.1:/srv/export/deep/er /srv/three nfs vers=3,nolock,nosharecache,nofail 0 0' >> /etc/fstab
systemctl daemon-reload; mount /srv/three
mount -t cifs //127.0.0.1/share /srv/cifs -o guest,echo_interval=2
mount -t 9p 127.0.0.1 /srv/nine -o trans=tcp,port=5640,aname=/srv/share,version=9p2000.L
cat /srv/*/file > /dev/null
tail -f /srv/three/file < /dev/null > /dev/null 2>&1 &`);
  const before = await processes(guest);
  await guest.run('systemctl stop nfs-server; pkill -STOP smbd; pkill -STOP diod');

  const first = await doctor.check();
  const away = ['hard', 'soft', 'sub', 'three'].map((name) => `nfs-server-gone /srv/${name}`);
  expect([found(first.report), unjudged(first.report), first.code]).toEqual([['9p-gone /srv/nine', 'cifs-gone /srv/cifs', ...away], [], 2]);
  expect(first.ms).toBeLessThan(DEADLINE);
  // Only of CIFS and 9p: deaf to SIGKILL, one for each mount, and named. Those of CIFS end after a while, those of 9p do not.
  const expectFewLeft = async (report: Report) => {
    const left = await leftBehind(guest, before);
    expect([...left.values()].filter((line) => !/^D.*\/srv\/(cifs|nine)( |$)/.test(line))).toEqual([]);
    expect(left.size, JSON.stringify([...left])).toBeLessThanOrEqual(2);
    expect([...left.keys()].filter((pid) => !JSON.stringify(report).includes(`pid ${pid}`))).toEqual([]);
  };
  await expectFewLeft(first.report);
  return { guest, doctor, before, first, expectFewLeft };
}

/** They are back, and nothing was lost. */
async function comeBack(guest: Guest): Promise<void> {
  await guest.run('systemctl start nfs-server; pkill -CONT diod; pkill -CONT smbd');
  expect((await guest.run('cat /srv/hard/file /srv/soft/file /srv/sub/file /srv/nine/file')).stdout).toBe('kept\nkept\nkept\nkept\n');
}

it('servers of NFS, CIFS and 9p that are away, and come back', async () => {
  const { guest, doctor } = await silence();
  await comeBack(guest);
  expect((await guest.run('cat /srv/three/file /srv/cifs/file')).stdout).toBe('kept\nkept\n');
  await expectWell(doctor);
});

itInFull('two mounts of servers that are away are taken away by force; a second run adds no child', async () => {
  const { guest, doctor, before, first, expectFewLeft } = await silence();
  const second = await doctor.check();
  expect([found(second.report), unjudged(second.report)]).toEqual([found(first.report), []]);
  await expectFewLeft(second.report);

  // They may come back at any time, and then nothing is lost: only for a person, who types the name.
  const ids = [findingOf(first.report, 'nfs-server-gone', '/srv/three'), findingOf(first.report, 'cifs-gone', '/srv/cifs')];
  expect(ids.map(({ fix }) => [fix.state, fix.risk])).toEqual([
    ['available', 'data-loss'],
    ['available', 'data-loss'],
  ]);
  expect(refusalOf(first.report, '9p-gone', '/srv/nine')).toContain('umount -c -i -f -l /srv/nine');
  await guest.run('for name in three hard; do cat /srv/$name/none < /dev/null > /dev/null 2>&1 & done; sleep 1');
  const { code, screen, names } = await doctor.fixTyped(...ids.map(({ id }) => id));
  expect(names.toSorted(), screen).toEqual(['/srv/cifs', '/srv/three']);
  expect(screen).toMatch(/tail \(pid .*proven .*umount -c -i -f -l /s);
  expect(screen).toMatch(/unproven +\/srv\/three: .*\n +something else is found there now: \/srv\/three: should be mounted/);
  expect(screen).toMatch(/repaired +\/srv\/cifs: /);
  expect(code).toBe(1);
  // Some calls outlive -f. None outlives SIGKILL.
  await guest.run("pkill -KILL -f '[/]srv/three/none'; true");
  const stuck = [...(await leftBehind(guest, before)).values()].filter((line) => !/\/srv\/(cifs|nine)$/.test(line));
  expect(stuck).toEqual([expect.stringMatching(/^D.* cat \/srv\/hard\/none$/)]);

  await comeBack(guest);
  const again = await doctor.fix('--auto', 'safe');
  expect(again.report.repairs.map(({ finding, outcome }: Report) => [finding.code, finding.subject.name, outcome])).toEqual([
    ['configured-not-mounted', '/srv/three', 'repaired'],
  ]);
  expect((await guest.run('cat /srv/three/file')).stdout).toBe('kept\n');
  expect([...(await processes(guest))].filter(([pid, line]) => !before.has(pid) && line.includes(' /srv/'))).toEqual([]);
  await expectWell(doctor);
});

// A guest shares its memory with virtiofsd only if it was booted so.
itInFull('a virtiofs whose daemon on the hypervisor is silent, and comes back, and is killed', async () => {
  const { guest, doctor } = await openShared();
  const before = await processes(guest);
  const expectGone = async () => {
    const { code, report, ms } = await doctor.check();
    expect([found(report), unjudged(report), code]).toEqual([['virtiofs-gone /srv/shared'], [], 2]);
    expect(ms).toBeLessThan(DEADLINE);
    expect(refusalOf(report, 'virtiofs-gone', '/srv/shared')).toContain('bring virtiofsd back');
    const left = [...(await leftBehind(guest, before)).values()];
    expect(left.filter((line) => !line.includes('/srv/shared'))).toEqual([]);
    return left;
  };
  guest.signalShare('shared', 'SIGSTOP');
  const left = await expectGone();
  expect(left.length, left.join()).toBeLessThanOrEqual(1);

  guest.signalShare('shared', 'SIGCONT');
  expect((await guest.run('cat /srv/shared/file')).stdout).toBe('kept\n');
  await expectWell(doctor);
  expect([...(await leftBehind(guest, before)).values()]).toEqual([]);

  guest.signalShare('shared', 'SIGKILL');
  await expectGone();
});

// devices.test.ts mends a stale mount every day.
itInFull('a directory that the server has anew: what was mounted of it is stale, and nothing else of that server', async () => {
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
