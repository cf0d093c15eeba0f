/** The lab itself: what the tests of faults rely on. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { itInFull } from '../full.ts';
import { scratch } from '../scratch.ts';
import { Guest } from './guest.ts';

const MODULES = [
  ...['dm_mod', 'dm_thin_pool', 'dm_snapshot', 'dm_multipath', 'dm_flakey', 'dm_delay', 'raid1', 'loop', 'nbd', 'scsi_debug'],
  ...['iscsi_tcp', 'target_core_mod', 'target_core_file', 'iscsi_target_mod', 'nvmet', 'nfsd', 'nfs', 'cifs', 'fuse', 'xfs', 'overlay'],
];

async function open(options?: { hostname?: string }): Promise<Guest> {
  const started = Date.now();
  const guest = await Guest.open(options);
  onTestFinished(() => guest.close());
  console.log(`a guest within ${Date.now() - started} ms`);
  return guest;
}

it('has disks, tools, users and kernel modules, and leaves nothing behind', async () => {
  const guest = await open({ hostname: 'hv1' });
  const facts = await guest.run('hostname; systemctl is-system-running; node -p process.version; cat /proc/1/comm; date +%s');
  const [hostname, state, node, init, now] = facts.stdout.split('\n');
  expect([hostname, state, node, init]).toEqual(['hv1', 'running', process.version, 'systemd']);
  expect(Math.abs(Number(now) - Date.now() / 1000)).toBeLessThan(10);
  expect((await guest.run('sudo -n id -un', { user: 'op' })).stdout).toBe('root\n');
  expect((await guest.run('sudo -n id -un', { user: 'plain', ok: false })).code).not.toBe(0);

  await guest.run(['modprobe', '-a', ...MODULES]);
  await guest.run('dmsetup targets | grep -w error');

  await guest.run(
    `mkfs.xfs -q -f ${guest.disk('disk1')} && mount ${guest.disk('disk1')} /mnt && dd if=/dev/zero of=/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_disk2 bs=1M count=8 status=none`,
  );
  const local = scratch();
  mkdirSync(join(local, 'tree/deep'), { recursive: true });
  writeFileSync(join(local, 'tree/deep/a b'), 'text\n');
  await guest.copyIn(join(local, 'tree'), '/mnt/tree');
  await guest.copyIn(join(local, 'tree/deep/a b'), '/mnt/one file');
  await guest.write("/mnt/new/it's", 'written\n');
  expect((await guest.run(['cat', '/mnt/tree/deep/a b', '/mnt/one file', "/mnt/new/it's"])).stdout).toBe('text\ntext\nwritten\n');

  const argv = ['-F', guest.sshConfig, `op@${guest.name}`, 'cat /proc/sys/kernel/hostname'];
  expect(execFileSync('ssh', argv, { encoding: 'utf8' })).toBe('hv1\n');

  expect(processesIn(guest.dir)).toContain(guest.pid);
  await guest.close();
  expect(existsSync(guest.dir)).toBe(false);
  expect(processesIn(guest.dir)).toEqual([]);
});

it('gets disks while it runs, and loses them', async () => {
  const guest = await open();
  const late = await guest.addDisk('late', { sizeMb: 300 });
  await guest.run(`mkfs.ext4 -q ${late} && mount ${late} /mnt && echo kept > /mnt/file && umount /mnt`);
  await guest.removeDisk('late');
  expect((await guest.run(['test', '-e', late], { ok: false })).code).toBe(1);
  await guest.addDisk('late');
  expect((await guest.run(`mount ${late} /mnt && cat /mnt/file`)).stdout).toBe('kept\n');

  await guest.forgetDisk('disk4');
  expect((await guest.run(['test', '-e', guest.disk('disk4')], { ok: false })).code).toBe(1);
  await guest.rescan();
  await guest.run(['test', '-b', guest.disk('disk4')]);
});

it('has readers that not even SIGKILL ends, until their device is resumed', async () => {
  const guest = await open();
  await guest.run(`dmsetup create stuck --table "0 65536 linear ${guest.disk('disk3')} 0"`);
  await guest.suspend('stuck');
  const script =
    'dd if=/dev/mapper/stuck of=/dev/null bs=4096 count=1 iflag=direct > /dev/null 2>&1 & pid=$!; sleep 1; kill -9 $pid; sleep 1; ps -o stat= -p $pid; echo $pid';
  const [state, pid] = (await guest.run(script)).stdout.split('\n') as [string, string];
  expect(state).toMatch(/^D/);
  await guest.resume('stuck');
  await guest.run(`for i in $(seq 50); do [ -e /proc/${pid} ] || exit 0; sleep 0.1; done; exit 1`);
});

// The tests of what systemd does at boot rest on a reboot and a power cut too.
itInFull('starts anew with what is on its disks', async () => {
  const guest = await open();
  const before = await guest.bootId();
  await guest.run(
    `mkfs.xfs -q -f ${guest.disk('disk1')}; mkdir /srv/data; echo "${guest.disk('disk1')} /srv/data xfs defaults 0 0" >> /etc/fstab; mount /srv/data`,
  );
  await guest.run('echo kept > /srv/data/file');
  expect(await guest.reboot()).toBe('running');
  expect(await guest.bootId()).not.toBe(before);
  expect((await guest.run('findmnt -n -o FSTYPE /srv/data; cat /srv/data/file')).stdout).toBe('xfs\nkept\n');
  expect(guest.console()).toMatch(/reboot: Restarting system.*Welcome to/s);
});

itInFull('loses what was not flushed when its power is cut', async () => {
  const guest = await open();
  const before = await guest.bootId();
  await guest.run('echo kept > /root/flushed; sync; echo lost > /root/not-flushed');
  expect(await guest.cutPower()).toBe('running');
  expect(await guest.bootId()).not.toBe(before);
  expect((await guest.run('cat /root/flushed; cat /root/not-flushed', { ok: false })).stdout).toBe('kept\n');
});

/** Those whose working directory it is, or was before it was removed, and those with it in their command line. */
function processesIn(dir: string): number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.map(Number).filter((pid) => {
    try {
      return readlinkSync(`/proc/${pid}/cwd`).startsWith(dir) || readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(dir);
    } catch {
      return false;
    }
  });
}
