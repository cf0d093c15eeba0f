/** NFS whose server is away, and NFS that the server no longer knows. The server is in the guest. */
import { expect, it, onTestFinished } from 'vitest';
import { doByHand, leftBehind, processes, refusalOf } from './by-hand.ts';
import { Doctor, found, unjudged } from './doctor.ts';
import { Guest } from './guest.ts';

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

async function expectWell(doctor: Doctor): Promise<void> {
  const { code, report } = await doctor.check();
  expect([found(report), unjudged(report), code]).toEqual([[], [], 0]);
}

it('a server that is away and comes back: hard and soft mounts, and no child that stays', async () => {
  const { guest, doctor } = await open(`nfs '' /srv/hard
nfs '' /srv/soft '-o soft,timeo=10,retrans=1,nosharecache'
nfs /sub /srv/sub`);
  const before = await processes(guest);
  await guest.service('stop', 'nfs-server');

  for (const _ of ['first', 'second']) {
    const { code, report, ms } = await doctor.check();
    expect([found(report), unjudged(report), code]).toEqual([
      ['nfs-server-gone /srv/hard', 'nfs-server-gone /srv/soft', 'nfs-server-gone /srv/sub'],
      [],
      2,
    ]);
    expect(ms).toBeLessThan(DEADLINE);
    expect(await leftBehind(guest, before)).toEqual(new Map());
    expect(refusalOf(report, 'nfs-server-gone', '/srv/hard')).toMatch(/server .*back.* umount -f \/srv\/hard.* umount -l \/srv\/hard/);
  }

  await guest.service('start', 'nfs-server');
  expect((await guest.run('cat /srv/hard/file /srv/soft/file /srv/sub/file')).stdout).toBe('kept\nkept\nkept\n');
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

  await doByHand(guest, refusalOf(report, 'nfs-stale', '/srv/own'), /`(umount .*)`/);
  await doByHand(guest, refusalOf(report, 'nfs-stale', '/srv/sub'), /`(umount .*)`/);
  expect((await guest.run('cat /srv/own/file /srv/sub/file')).stdout).toBe('new\nnew\n');
  await expectWell(doctor);
});
