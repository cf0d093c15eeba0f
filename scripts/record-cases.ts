/**
 * npm run record-cases [-- CASE…]: makes each real fault in a mount namespace of its own and records it, with every stage of
 * its repair, into checks/CHECK/cases and fixtures/hosts. Needs root, sshfs, xfsprogs and e2fsprogs,
 * for interrupted-repairs the built program too; changes nothing outside.
 */
import { spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { execa } from 'execa';
import type { Expected } from '../src/check/tester.ts';
import type { Claim, Json } from '../src/check/types.ts';
import type { CheckResult, FindingResult } from '../src/engine/result.ts';
import { resolveAction } from '../src/journal/references.ts';
import { editCommand } from '../src/target/edit.ts';
import { wantedSshfs, withOpenProc } from '../test/real/wanted.ts';
import { type Ran, ROOT, type Sshfs, until, World } from '../test/real/world.ts';

const STORE = '/srv/store';
const TAPES = '/srv/tapes';
const RESCUE = `${STORE}/rescue`;
const HOSTNAME = 'hv1';
const MACHINE_ID = '5f0c1d3a9b7e4c628d41a6e2f3b09c75';
const ROOM = 'STDOCTOR_RECORDING_ROOM';
const STAGE = join(ROOT, 'scripts/record-stage.ts');
/** A user without rights, whom every system knows: fusermount asks for the name. */
const NOBODY = { uid: 65534, gid: 65534 };
const SOMEBODY_ELSE = { uid: 1, gid: 1 };

interface Recorded extends Omit<Expected, 'source'> {
  /** What was done, for people. */
  how: string;
  make(world: World): Promise<unknown>;
  /** Takes back what does not go with the world: swap is of the whole machine. */
  unmake?(world: World): Promise<unknown>;
  /** Record each stage of its repair. */
  repair?: boolean;
  /** Of the process that asks. */
  as?: { uid: number; gid: number };
}

const critical = (
  code: string,
  subject: Expected['findings'][number]['subject'],
  risk: 'safe' | 'disruptive' | 'data-loss' | 'refused',
) => [{ code, subject, severity: 'critical' as const, risk }];
const warning = (code: string, subject: string, risk: 'disruptive' | 'refused') => [{ code, subject, severity: 'warning' as const, risk }];
const info = (code: string, subject: string) => [{ code, subject, severity: 'info' as const, risk: 'refused' as const }];
/** Nothing wrong, though it looks like what these codes are about. */
const healthy = (...twinOf: string[]) => ({ outcome: 'healthy' as const, findings: [], twinOf });
const sick = { outcome: 'findings' as const };

const REMOTE = '/mnt/remote';
const DATA = '/mnt/data';
/** A number that nothing else takes, so that the case names the same swap each time. */
const SWAP = '/dev/loop99';
const ZRAM = '/dev/zram0';
/** Files stay in it: /mnt is the same for all cases. */
const FULL = '/mnt/full';
const MERGED = '/mnt/merged';
const LOWER = '/mnt/layers/lower';
const ODD = '/mnt/it\'s "here"\n\tnow $(reboot) é';
const remote = (world: World, options: Parameters<World['sshfs']>[1] = {}, point = REMOTE) =>
  world.sshfs('remote', { point, ...options, options: ['fsname=nas:/export/remote', ...(options.options ?? [])] });

const ZOMBIES: Record<string, Recorded> = {
  'fuse-dead': {
    ...sick,
    findings: critical('fuse-dead', REMOTE, 'safe'),
    how: 'sshfs, its daemon killed with SIGKILL',
    repair: true,
    make: async (world) => (await remote(world)).kill(),
  },
  'fuse-dead-wanted': {
    ...sick,
    findings: critical('fuse-dead', REMOTE, 'safe'),
    how: 'sshfs mounted as a line of /etc/fstab says, its daemon killed with SIGKILL',
    repair: true,
    make: async (world) => (await wantedSshfs(world, 'remote', { point: REMOTE, more: ',fsname=nas:/export/remote' })).kill(),
  },
  'fuse-dead-held': {
    ...sick,
    findings: critical('fuse-dead', REMOTE, 'disruptive'),
    how: 'sshfs, a process with its working directory there, the daemon killed with SIGKILL',
    repair: true,
    make: async (world) => {
      const mount = await remote(world);
      await holdDirectory(world, REMOTE);
      await mount.kill();
    },
  },
  'fuse-dead-of-a-user': {
    ...sick,
    findings: critical('fuse-dead', REMOTE, 'safe'),
    how: 'sshfs of an ordinary user without allow_other, its daemon killed with SIGKILL; asked by root',
    make: async (world) => (await remote(world, { as: NOBODY })).kill(),
  },
  'fuse-dead-odd-name': {
    ...sick,
    findings: critical('fuse-dead', ODD, 'safe'),
    how: 'sshfs at a mount point with quotes, a newline, a tab, a dollar sign and an accent, its daemon killed with SIGKILL',
    repair: true,
    make: async (world) => (await remote(world, {}, ODD)).kill(),
  },
  'fuse-aborted': {
    ...sick,
    findings: critical('fuse-aborted', REMOTE, 'safe'),
    how: 'sshfs, its daemon stopped, then 1 written to the abort file of its connection',
    repair: true,
    make: async (world) => {
      const mount = await remote(world);
      mount.stop();
      await mount.abort();
    },
  },
  'fuse-hung': {
    ...sick,
    findings: critical('fuse-hung', REMOTE, 'data-loss'),
    how: 'sshfs, its SFTP server stopped with SIGSTOP',
    repair: true,
    make: async (world) => {
      const mount = await remote(world);
      await until(() => existsSync(world.path('remote.pid')));
      mount.silence();
    },
  },
  'fuse-hung-nobody-waits': {
    ...sick,
    findings: critical('fuse-hung', REMOTE, 'disruptive'),
    how: 'sshfs, its daemon in a frozen cgroup: no request is ever read, so that no caller is left waiting',
    repair: true,
    make: async (world) => {
      const mount = await remote(world, { options: ['max_conns=1'] });
      await world.freeze(mount.daemon);
    },
  },
  'fuse-stopped': {
    ...sick,
    findings: critical('fuse-stopped', REMOTE, 'safe'),
    how: 'sshfs, its daemon stopped with SIGSTOP',
    repair: true,
    make: async (world) => (await remote(world)).stop(),
  },
  'bind-source-deleted-directory': {
    ...sick,
    findings: critical('bind-source-deleted', '/mnt/app', 'disruptive'),
    how: 'a directory of an ext4 bound elsewhere, then removed',
    repair: true,
    make: async (world) => {
      const bound = await bindDirectory(world, '/mnt/disk/app', '/mnt/app');
      await world.run(['rm', '-r', bound]);
    },
  },
  'bind-source-deleted-file': {
    ...sick,
    findings: warning('bind-source-deleted', '/mnt/app.conf', 'disruptive'),
    how: 'a file of an ext4 bound elsewhere, then replaced by a rename, as editors save',
    repair: true,
    make: (world) => replaceBoundFile(world),
  },
  'bind-source-deleted-not-utf8': {
    ...sick,
    findings: critical('bind-source-deleted', { base64: Buffer.from('/mnt/caf\xe9', 'latin1').toString('base64') }, 'disruptive'),
    how: 'a directory of an ext4 bound to a mount point whose name is Latin-1, then removed',
    repair: true,
    make: async (world) => {
      await world.image('disk', 'ext4', { point: '/mnt/disk' });
      const script = 'p=$(printf "/mnt/caf\\351"); mkdir /mnt/disk/app "$p" && mount --bind /mnt/disk/app "$p" && rmdir /mnt/disk/app';
      await world.run(['sh', '-c', script]);
    },
  },
  'loop-backing-deleted': {
    ...sick,
    findings: critical('loop-backing-deleted', DATA, 'safe'),
    how: 'ext4 in an image file on a loop device, the file removed',
    repair: true,
    remains: true,
    make: async (world) => {
      const image = await world.image('data', 'ext4', { point: DATA });
      rmSync(image.file);
    },
  },
  'loop-backing-deleted-held': {
    ...sick,
    findings: critical('loop-backing-deleted', DATA, 'disruptive'),
    how: 'ext4 in an image file on a loop device, another file renamed over it, a process with its working directory there',
    make: async (world) => {
      const image = await world.image('data', 'ext4', { point: DATA });
      await holdDirectory(world, DATA);
      writeFileSync(`${image.file}.new`, '');
      renameSync(`${image.file}.new`, image.file);
    },
  },
  'loop-backing-short': {
    ...sick,
    findings: critical('loop-backing-short', DATA, 'refused'),
    how: 'ext4 of 32 MiB in an image file on a loop device, the file cut to 20 MiB',
    make: async (world) => {
      const image = await world.image('data', 'ext4', { point: DATA });
      truncateSync(image.file, 20 * 1024 * 1024);
    },
  },
  'fs-shutdown-xfs': {
    ...sick,
    findings: critical('fs-shutdown-xfs', DATA, 'disruptive'),
    how: 'XFS on a loop device, shut down by xfs_io -x -c "shutdown -f"',
    repair: true,
    make: async (world) => {
      const image = await world.image('data', 'xfs', { point: DATA });
      await shutDown(world, image.point);
    },
  },
  'fs-shutdown-xfs-autoclear': {
    ...sick,
    findings: critical('fs-shutdown-xfs', DATA, 'disruptive'),
    how: 'XFS mounted with -o loop, so that its loop device goes with the last unmount; shut down by xfs_io',
    repair: true,
    make: async (world) => {
      const image = await world.image('data', 'xfs', { point: DATA, by: 'mount' });
      await shutDown(world, image.point);
    },
  },
  'fs-shutdown-xfs-by-short-image': {
    ...sick,
    findings: [...critical('fs-shutdown-xfs', DATA, 'refused'), ...critical('loop-backing-short', DATA, 'refused')],
    how: 'XFS on a loop device, its image file cut to nothing, then shut down',
    make: async (world) => {
      const image = await world.image('data', 'xfs', { point: DATA });
      truncateSync(image.file, 0);
      await shutDown(world, image.point);
    },
  },
  'fs-shutdown-ext4': {
    ...sick,
    findings: critical('fs-shutdown-ext4', DATA, 'data-loss'),
    how: 'ext4 with errors=remount-ro on a loop device, an error made by trigger_fs_error',
    repair: true,
    make: (world) => stopByError(world),
  },
  'fs-shutdown-ext4-held': {
    ...sick,
    findings: critical('fs-shutdown-ext4', DATA, 'refused'),
    how: 'ext4 on a loop device, a process with its working directory there, shut down by xfs_io -x -c shutdown',
    make: async (world) => {
      await world.image('data', 'ext4', { point: DATA });
      await holdDirectory(world, DATA);
      await world.run(['xfs_io', '-x', '-c', 'shutdown', DATA]);
    },
  },
  'inodes-full': {
    ...sick,
    findings: critical('inodes-or-quota-full', DATA, 'refused'),
    how: 'ext4 made with 64 inodes, files made until there was none left',
    make: (world) => fillInodes(world),
  },
  'swap-backing': {
    ...sick,
    findings: warning('swap-backing', SWAP, 'refused'),
    how: 'swap on a loop device, its image file removed',
    make: async (world) => {
      await world.run(['dd', 'if=/dev/zero', `of=${STORE}/swap.img`, 'bs=1M', 'count=16', 'status=none']);
      await world.run(['mkswap', '-q', `${STORE}/swap.img`]);
      await world.run(['losetup', SWAP, `${STORE}/swap.img`]);
      await world.run(['swapon', SWAP]);
      rmSync(`${STORE}/swap.img`);
    },
    unmake: async (world) => {
      await world.run(['swapoff', SWAP], { ok: false });
      await world.run(['losetup', '-d', SWAP], { ok: false });
    },
  },
  'sshfs-lost-ssh': {
    ...sick,
    findings: critical('sshfs-lost-ssh', REMOTE, 'refused'),
    how: 'sshfs -o reconnect, its SFTP server killed and a new one refused',
    make: async (world) => {
      const mount = await remote(world, { options: ['reconnect'] });
      writeFileSync(world.path('remote.server'), '#!/bin/sh\nexit 255\n');
      process.kill(mount.server, 'SIGKILL');
    },
  },
  'orphan-fuse-conn': {
    ...sick,
    findings: [],
    how: 'sshfs, a process with its working directory there, then umount -l',
    make: async (world) => {
      const { connection } = await heldRemote(world);
      // Its number is what the kernel had free.
      (ZOMBIES['orphan-fuse-conn'] as Recorded).findings = info('orphan-fuse-conn', String(connection));
      await world.run(['umount', '-l', REMOTE]);
    },
  },
  'overlay-layer-missing-lower': {
    ...sick,
    findings: critical('overlay-layer-missing', MERGED, 'refused'),
    how: 'an overlay whose lower directory was removed',
    make: async (world) => {
      await overlay(world);
      rmSync(world.inside(LOWER), { recursive: true });
    },
  },
  'overlay-layer-missing-workdir': {
    ...sick,
    findings: warning('overlay-layer-missing', MERGED, 'disruptive'),
    how: 'an overlay whose working directory was removed',
    repair: true,
    make: async (world) => {
      await overlay(world);
      rmSync(world.inside('/mnt/layers/work'), { recursive: true });
    },
  },
  'overlay-layer-missing-by-dead-sshfs': {
    ...sick,
    findings: [...critical('overlay-layer-missing', MERGED, 'refused'), ...critical('fuse-dead', REMOTE, 'safe')],
    how: 'an overlay with an sshfs as its lower directory, the daemon killed with SIGKILL',
    make: async (world) => {
      const mount = await remote(world);
      await overlay(world, REMOTE);
      await mount.kill();
    },
  },
  'foreign-ns-holder': {
    ...sick,
    findings: info('foreign-ns-holder', DATA),
    how: 'ext4 on a loop device, unmounted while a process in a mount namespace of its own (unshare -m) has it too',
    make: async (world) => {
      await copiedImage(world);
      await world.run(['umount', DATA]);
    },
  },
  'foreign-ns-holder-replaced': {
    ...sick,
    findings: warning('foreign-ns-holder', REMOTE, 'disruptive'),
    how: 'sshfs, unmounted and mounted anew while a process in a mount namespace of its own (unshare -m) has the old one',
    repair: true,
    make: async (world) => {
      await remote(world);
      const holder = world.hold(['unshare', '-m', '--propagation', 'private', 'sleep', 'infinity']);
      await until(() => nameOf(holder.pid as number) === 'sleep');
      await world.run(['umount', REMOTE]);
      await remote(world);
    },
  },
  'configured-not-mounted': {
    ...sick,
    findings: critical('configured-not-mounted', DATA, 'safe'),
    how: 'ext4 on a loop device, named in /etc/fstab and unmounted',
    repair: true,
    make: (world) => configuredImage(world, DATA, 'defaults'),
  },
  'configured-not-mounted-full': {
    ...sick,
    findings: warning('configured-not-mounted', FULL, 'refused'),
    how: 'ext4 on a loop device, named in /etc/fstab with nofail and unmounted, a file in the directory',
    make: async (world) => {
      await configuredImage(world, FULL, 'nofail');
      await world.run(['touch', `${FULL}/file`]);
    },
  },
  moved: {
    ...sick,
    findings: warning('moved', DATA, 'refused'),
    how: 'ext4 on a loop device, named in /etc/fstab, and moved by mount --move',
    make: async (world) => {
      const { node } = await world.image('data', 'ext4', { point: DATA });
      await fstab(world, `${node} ${DATA} ext4 defaults 0 2`);
      await world.run(['mkdir', '/mnt/other']);
      await world.run(['mount', '--move', DATA, '/mnt/other']);
    },
  },
  'mounted-over-data': {
    ...sick,
    findings: info('mounted-over-data', FULL),
    how: 'ext4 on a loop device, named in /etc/fstab, mounted over a directory that holds a file',
    make: async (world) => {
      const { node } = await configuredImage(world, FULL, 'defaults');
      await world.run(['touch', `${FULL}/file`]);
      await world.run(['mount', node, FULL]);
    },
  },
  stacked: {
    ...sick,
    findings: warning('stacked', REMOTE, 'refused'),
    how: 'two sshfs of the same source at one mount point',
    make: async (world) => {
      await remote(world);
      await world.sshfs('again', { point: REMOTE, options: ['fsname=nas:/export/remote'] });
      await until(() => world.mountsAt(REMOTE).length === 2);
    },
  },
  'stacked-over-dead': {
    ...sick,
    findings: warning('stacked', REMOTE, 'disruptive'),
    how: 'ext4 on a loop device, mounted over an sshfs whose daemon was killed with SIGKILL, where no process hides what it holds from root',
    repair: true,
    make: async (world) => {
      await withOpenProc(world);
      const dead = await remote(world);
      const { node } = await world.image('data', 'ext4', { point: DATA });
      await world.run(['umount', DATA]);
      await dead.kill();
      await world.run(['mount', '-o', 'noatime', node, REMOTE]);
    },
  },
  'healthy-sshfs': {
    ...healthy('fuse-dead', 'fuse-aborted', 'fuse-stopped'),
    how: 'sshfs with nothing wrong',
    make: (world) => remote(world),
  },
  'healthy-sshfs-of-a-user': {
    ...healthy('fuse-dead'),
    how: 'sshfs of an ordinary user without allow_other; asked by root',
    make: (world) => remote(world, { as: NOBODY }),
  },
  'healthy-sshfs-slow': {
    ...healthy('fuse-hung', 'fuse-stopped'),
    how: 'sshfs whose SFTP server holds back each reply by 3 s',
    make: async (world) => {
      const mount = await remote(world, { slow: true });
      await world.run(['ls', '-la', mount.point]);
      mount.delay(3000);
    },
  },
  'healthy-sshfs-connected-again': {
    ...healthy('sshfs-lost-ssh'),
    how: 'sshfs -o reconnect, its SFTP server killed: the next access starts a new one',
    make: async (world) => process.kill((await remote(world, { options: ['reconnect'] })).server, 'SIGKILL'),
  },
  'healthy-sshfs-held': {
    ...healthy('orphan-fuse-conn'),
    how: 'sshfs, a process with its working directory there',
    make: (world) => heldRemote(world),
  },
  'healthy-overlay': {
    ...healthy('overlay-layer-missing'),
    how: 'an overlay with nothing wrong',
    make: (world) => overlay(world),
  },
  'healthy-overlay-on-sshfs': {
    ...healthy('overlay-layer-missing'),
    how: 'an overlay with an sshfs as its lower directory',
    make: async (world) => {
      await remote(world);
      await overlay(world, REMOTE);
    },
  },
  'healthy-image-in-two-namespaces': {
    ...healthy('foreign-ns-holder'),
    how: 'ext4 on a loop device, mounted here and in a mount namespace of another process (unshare -m)',
    make: (world) => copiedImage(world),
  },
  'healthy-xfs-on-loop': {
    ...healthy('fs-shutdown-xfs', 'loop-backing-deleted', 'loop-backing-short'),
    how: 'XFS on a loop device with nothing wrong',
    make: (world) => world.image('data', 'xfs', { point: DATA }),
  },
  'healthy-xfs-read-only': {
    ...healthy('fs-shutdown-xfs'),
    how: 'XFS on a loop device, remounted read-only by root',
    make: async (world) => {
      await world.image('data', 'xfs', { point: DATA });
      await world.run(['mount', '-o', 'remount,ro', DATA]);
    },
  },
  'healthy-ext4-read-only': {
    ...healthy('fs-shutdown-ext4', 'inodes-or-quota-full'),
    how: 'ext4 made with 64 inodes, all of them used, remounted read-only by root',
    make: async (world) => {
      await fillInodes(world);
      await world.run(['mount', '-o', 'remount,ro', DATA]);
    },
  },
  'healthy-ext4-with-errors': {
    ...healthy('fs-shutdown-ext4'),
    how: 'ext4 with errors=remount-ro that met an error, unmounted and mounted again without a check',
    make: async (world) => {
      const node = await stopByError(world);
      await world.run(['umount', DATA]);
      await world.run(['mount', node, DATA]);
    },
  },
  'healthy-swap-on-zram': {
    ...healthy('swap-backing'),
    how: 'swap on zram',
    make: async (world) => {
      await world.run(['tee', '/sys/block/zram0/disksize'], { input: '64M' });
      await world.run(['mkswap', '-q', ZRAM]);
      await world.run(['swapon', ZRAM]);
    },
    unmake: async (world) => {
      await world.run(['swapoff', ZRAM], { ok: false });
      await world.run(['tee', '/sys/block/zram0/reset'], { input: '1', ok: false });
    },
  },
  'healthy-fstab': {
    ...healthy('configured-not-mounted', 'moved', 'mounted-over-data'),
    how: 'ext4 on a loop device, mounted as /etc/fstab says, beside lines with noauto, for swap that is left out, and of a bind onto itself',
    make: async (world) => {
      const { node } = await configuredImage(
        world,
        DATA,
        'defaults',
        '/dev/none1 /mnt/none ext4 noauto',
        '/dev/none2 none swap noauto',
        '/mnt /mnt none bind',
      );
      await world.run(['mount', node, DATA]);
    },
  },
  'healthy-stack': {
    ...healthy('stacked'),
    how: 'ext4 on a loop device, bound onto itself, and a tmpfs on a tmpfs',
    make: async (world) => {
      await world.image('data', 'ext4', { point: DATA });
      await world.run(['mount', '--bind', DATA, DATA]);
      await world.run(['mkdir', '/mnt/scratch']);
      await world.run(['mount', '-t', 'tmpfs', 'tmpfs', '/mnt/scratch']);
      await world.run(['mount', '-t', 'tmpfs', 'tmpfs', '/mnt/scratch']);
    },
  },
  'healthy-bind': {
    ...healthy('bind-source-deleted'),
    how: 'a directory of an ext4 bound elsewhere',
    make: (world) => bindDirectory(world, '/mnt/disk/app', '/mnt/app'),
  },
  'healthy-bind-named-deleted': {
    ...healthy('bind-source-deleted'),
    how: 'a directory whose name is deleted, bound elsewhere',
    make: (world) => bindDirectory(world, '/mnt/disk/app/deleted', '/mnt/app'),
  },
  'healthy-image-named-deleted': {
    ...healthy('loop-backing-deleted'),
    how: 'ext4 on a loop device, its image file renamed to a name that ends in " (deleted)"',
    make: async (world) => {
      const image = await world.image('data', 'ext4', { point: DATA });
      renameSync(image.file, `${image.file} (deleted)`);
    },
  },
  'healthy-image-larger-than-device': {
    ...healthy('loop-backing-short'),
    how: 'ext4 in the middle of a larger image file, mounted with an offset and a size limit',
    make: async (world) => {
      const image = await world.image('data', 'ext4', { point: DATA });
      await world.run(['umount', DATA]);
      const script =
        '{ head -c 1M /dev/zero; cat "$1"; head -c 1M /dev/zero; } > "$1.big" && mount -o loop,offset=1M,sizelimit=32M "$1.big" "$2"';
      await world.run(['sh', '-c', script, 'sh', image.file, DATA]);
    },
  },
  'not-root': {
    outcome: 'unknown',
    findings: [],
    how: 'sshfs of an ordinary user without allow_other, its daemon killed with SIGKILL; asked by another ordinary user',
    as: SOMEBODY_ELSE,
    make: async (world) => (await remote(world, { as: NOBODY })).kill(),
  },
};

/** The built program, ended as `crash` says by test/real/crash.mjs, or left to come to its end. */
async function repair(world: World, argv: readonly string[], crash?: string): Promise<void> {
  const env = crash === undefined ? {} : { NODE_OPTIONS: `--import ${join(ROOT, 'test/real/crash.mjs')}`, STDOCTOR_CRASH: crash };
  const { code, stderr } = await world.stdoctor(argv, { env });
  if ((code === 0) !== (crash === undefined)) {
    throw new Error(`stdoctor ${argv.join(' ')} ended with ${code}: ${stderr}`);
  }
}

const FIX = ['fix', 'zombie-mounts', '--auto', 'safe'];

const INTERRUPTED: Record<string, Recorded> = {
  'killed-after-the-act': {
    ...sick,
    findings: critical('repair-interrupted', REMOTE, 'refused'),
    how: 'stdoctor fix of a dead sshfs, killed with SIGKILL after it had begun to unmount it',
    make: async (world) => {
      await (await remote(world)).kill();
      await repair(world, FIX, 'kill before 3');
    },
  },
  'killed-while-taking-back': {
    ...sick,
    findings: critical('repair-interrupted', REMOTE, 'refused'),
    how: 'stdoctor fix of an sshfs whose daemon was stopped, then stdoctor undo of that, killed with SIGKILL after its command',
    make: async (world) => {
      (await remote(world)).stop();
      await repair(world, FIX);
      await repair(world, ['undo', '--yes'], 'kill before 3');
    },
  },
  'carried-to-its-end': {
    ...healthy('repair-interrupted'),
    how: 'stdoctor fix of a dead sshfs, which came to its end',
    make: async (world) => {
      await (await remote(world)).kill();
      await repair(world, FIX);
    },
  },
};

const TEMPLATE: Record<string, Recorded> = {
  'no-name': {
    ...sick,
    findings: [{ code: 'template-unnamed', subject: 'localhost', severity: 'warning' }],
    how: 'a host that was never given a name',
    make: () => execa('hostname', ['localhost']),
  },
  'name-of-its-own': { ...healthy('template-unnamed'), how: 'a host with a name', make: async () => {} },
};

/** A whole host, for the README and the tests of the program. */
async function afterReboot(world: World): Promise<void> {
  const sshfs = (name: string) => world.sshfs(name, { point: `/mnt/${name}`, options: [`fsname=nas:/export/${name}`] });
  const dead = await sshfs('backup');
  await sshfs('media');
  await world.run(['mkfifo', `${STORE}/nobody-writes`]);
  const holder = world.hold(['bash', '-c', `read < ${STORE}/nobody-writes`], dead.point);
  await until(() => world.cwdOf(holder.pid as number) === dead.point && nameOf(holder.pid as number) === 'bash');
  await dead.kill();
  const image = await world.image('vm-images', 'ext4', { point: '/mnt/vm-images' });
  await shutDown(world, (await world.image('database', 'xfs', { point: '/mnt/database' })).point);
  await world.run(['mkdir', '-p', '/srv/www', '/mnt/www']);
  await world.run(['mount', '--bind', '/srv/www', '/mnt/www']);
  await world.run(['rmdir', '/srv/www']);
  rmSync(image.file);
}

/** An sshfs in which a process stands. */
async function heldRemote(world: World): Promise<Sshfs> {
  const mount = await remote(world);
  await holdDirectory(world, REMOTE);
  return mount;
}

async function overlay(world: World, lower = LOWER): Promise<void> {
  const [upper, work] = ['/mnt/layers/upper', '/mnt/layers/work'];
  await world.run(['mkdir', '-p', LOWER, upper, work, MERGED]);
  await world.run(['mount', '-t', 'overlay', 'overlay', '-o', `lowerdir=${lower},upperdir=${upper},workdir=${work}`, MERGED]);
}

/** An image that is mounted in this namespace and in the copy of it that a process has. */
async function copiedImage(world: World): Promise<void> {
  await world.image('data', 'ext4', { point: DATA });
  const holder = world.hold(['unshare', '-m', '--propagation', 'private', 'sleep', 'infinity']);
  await until(() => nameOf(holder.pid as number) === 'sleep');
}

async function holdDirectory(world: World, point: string): Promise<void> {
  const holder = world.hold(['sleep', 'infinity'], point);
  await until(() => world.cwdOf(holder.pid as number) === point && nameOf(holder.pid as number) === 'sleep');
}

function nameOf(pid: number): string {
  return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
}

/** The lines are this world's /etc/fstab. */
async function fstab(world: World, ...lines: string[]): Promise<void> {
  const file = world.path('fstab');
  writeFileSync(file, lines.map((line) => `${line}\n`).join(''));
  await world.run(['mount', '--bind', file, '/etc/fstab']);
}

/** An ext4 that /etc/fstab names, unmounted. */
async function configuredImage(world: World, point: string, options: string, ...lines: string[]): Promise<{ node: string }> {
  const { node } = await world.image('data', 'ext4', { point });
  await world.run(['umount', point]);
  await fstab(world, `${node} ${point} ext4 ${options} 0 2`, ...lines);
  return { node };
}

async function shutDown(world: World, point: string): Promise<void> {
  await world.run(['xfs_io', '-x', '-c', 'shutdown -f', point]);
}

/** Returns the loop device. */
async function stopByError(world: World): Promise<string> {
  const { node, point } = await world.image('data', 'ext4', { point: DATA });
  await world.run(['umount', point]);
  await world.run(['tune2fs', '-e', 'remount-ro', node]);
  await world.run(['mount', '-o', 'noatime', node, point]);
  await world.run(['tee', `/sys/fs/ext4/${node.slice('/dev/'.length)}/trigger_fs_error`], { input: 't' });
  return node;
}

async function fillInodes(world: World): Promise<void> {
  const script =
    'truncate -s 32M "$1" && mkfs.ext4 -q -N 64 "$1" && mkdir -p "$2" && mount -o loop "$1" "$2"; seq -f "$2/%g" 1 64 | xargs touch 2> "$1.said"';
  await world.run(['sh', '-c', script, 'sh', `${STORE}/data.img`, DATA], { ok: false });
}

async function bindDirectory(world: World, source: string, point: string): Promise<string> {
  await world.image('disk', 'ext4', { point: '/mnt/disk' });
  await world.run(['mkdir', '-p', source, point]);
  await world.run(['mount', '--bind', source, point]);
  return source;
}

async function replaceBoundFile(world: World): Promise<void> {
  await world.image('disk', 'ext4', { point: '/mnt/disk' });
  const script = 'echo old > "$1" && touch "$2" && mount --bind "$1" "$2" && echo new > "$1.new" && mv "$1.new" "$1"';
  await world.run(['sh', '-c', script, 'sh', '/mnt/disk/app.conf', '/mnt/app.conf']);
}

/** What a stage of scripts/record-stage.ts printed. */
interface Stage {
  checks: CheckResult[];
  findings: FindingResult[];
}

async function recordStage(
  world: World,
  directory: string,
  wanted: string,
  since: number,
  recorded: Pick<Recorded, 'as'>,
  claims: Claim[] = [],
): Promise<Stage> {
  const as =
    recorded.as === undefined ? [] : ['setpriv', '--reuid', String(recorded.as.uid), '--regid', String(recorded.as.gid), '--clear-groups'];
  const tape = join(TAPES, 'tape');
  const ran: Ran = await world.run([...as, process.execPath, STAGE, tape, wanted, JSON.stringify(claims)], {
    env: { ...world.env, RECORD_SINCE: String(since), ...(recorded.as === undefined && { RECORD_STATE: world.state }) },
  });
  rmSync(directory, { recursive: true, force: true });
  cpSync(tape, directory, { recursive: true });
  rmSync(tape, { recursive: true });
  return JSON.parse(ran.stdout) as Stage;
}

async function recordCase(folder: string, name: string, recorded: Recorded): Promise<void> {
  const directory = join(ROOT, 'checks', folder, 'cases', name);
  const since = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]);
  await execa('hostname', [HOSTNAME]);
  const world = await World.open({ dir: STORE });
  try {
    await recorded.make(world);
    rmSync(directory, { recursive: true, force: true });
    const first = recorded.repair ? join(directory, 'stages/0-sick') : directory;
    const stage = await recordStage(world, first, folder, since, recorded);
    compare(name, stage, recorded);
    if (recorded.repair) {
      await recordRepair(world, directory, folder, since, stage, recorded);
    }
  } finally {
    await recorded.unmake?.(world);
    await leave(world);
  }
  const { outcome, findings, twinOf, remains, how } = recorded;
  const kernel = readFileSync('/proc/sys/kernel/osrelease', 'utf8').replace(/-.*\n/, '');
  const source = `${how}. Debian 12, Linux ${kernel}; made and recorded by npm run record-cases -- ${name}`;
  writeFileSync(
    join(directory, 'expected.json'),
    `${JSON.stringify({ outcome, findings, ...(twinOf && { twinOf }), ...(remains && { remains }), source }, null, 2)}\n`,
  );
}

async function recordRepair(
  world: World,
  directory: string,
  folder: string,
  since: number,
  sickStage: Stage,
  recorded: Recorded,
): Promise<void> {
  const plan = sickStage.findings[0]?.plan;
  if (plan == null || 'refused' in plan) {
    throw new Error('there is no plan to carry out');
  }
  const claims = plan.steps.flatMap(({ guards, proof }) => [...guards, ...proof]).filter(({ args }) => !refers(args));
  mkdirSync(RESCUE, { recursive: true });
  for (const [index, step] of plan.steps.entries()) {
    const action = resolveAction(step.action, { rescue: RESCUE, run: 'recorded' });
    if (action.kind === 'write') {
      await world.run(['tee', String(action.path)], { input: action.content });
    } else if (action.kind === 'edit') {
      await world.run(editCommand(action) as string[]);
    } else if (action.argv.every((word) => typeof word === 'string')) {
      // e2fsck ends with 1 where it has mended something. What a mounted FUSE starts keeps what it was given to print to.
      const quiet = action.argv[0] === 'mount' ? ['sh', '-c', 'exec "$@" > /dev/null 2>&1', 'sh'] : [];
      const ran = await world.run([...quiet, ...(action.argv as string[])], { ok: action.argv[0] !== 'e2fsck' });
      if (ran.code > 1) {
        throw new Error(`e2fsck ended with ${ran.code}: ${ran.stderr}`);
      }
    } else {
      const words = action.argv.slice(1).map((word) => (typeof word === 'string' ? Buffer.from(word) : Buffer.from(word.base64, 'base64')));
      const input = Buffer.concat(words.flatMap((word) => [word, Buffer.of(0)]));
      await execa('nsenter', ['-t', String(world.pid), '-m', '--', 'xargs', '-0', '-n', '99', String(action.argv[0])], { input });
    }
    await sleep(500);
    const last = index === plan.steps.length - 1;
    const program = action.kind === 'run' ? String(action.argv[0]) : action.kind;
    const called = last ? (recorded.remains ? `after-${program}` : 'healthy') : `after-${program}`;
    const stage = await recordStage(world, join(directory, 'stages', `${index + 1}-${called}`), folder, since, recorded, claims);
    process.stdout.write(`  ${step.title} → ${stage.checks[0]?.outcome}\n`);
  }
}

function refers(args: Json): boolean {
  return JSON.stringify(args).includes('"ref":');
}

/** What was recorded is what was meant to be. */
function compare(name: string, { checks, findings }: Stage, recorded: Recorded): void {
  const found = findings.map(({ finding, plan, risk }) => ({
    code: finding.code,
    subject: finding.subject.name,
    severity: finding.severity,
    ...(plan !== null && { risk: 'refused' in plan ? 'refused' : risk }),
  }));
  const key = (list: object[]) => list.map((each) => JSON.stringify(Object.entries(each).sort())).sort();
  if (checks[0]?.outcome !== recorded.outcome || !isDeepStrictEqual(key(found), key(recorded.findings))) {
    throw new Error(`${name}: expected ${JSON.stringify(recorded.findings)}, found ${JSON.stringify({ checks, found })}`);
  }
}

/** Its mounts go with its namespace; waits until they have. */
async function leave(world: World): Promise<void> {
  for (const { point, fstype } of world.mounts().toReversed()) {
    if (typeof point === 'string' && point.startsWith('/mnt/') && !fstype.startsWith('fuse')) {
      await world.run(['umount', '-c', point], { ok: false, timeoutMs: 10_000 });
    }
  }
  await world.close();
  for (let tries = 0; tries < 50 && (await execa('losetup', ['-a'])).stdout.includes(STORE); tries++) {
    await sleep(100);
  }
}

/** Inside: a neutral host. Foreign mounts are gone, /mnt and /srv are empty, it has a name and an id of its own. */
async function furnish(): Promise<void> {
  const lines = readFileSync('/proc/self/mountinfo', 'utf8').trim().split('\n');
  const points = lines.map((line) => line.split(' ')[4] as string);
  const foreign = points.filter((point, index) => /^\/(mnt|srv|tmp)(\/|$)/.test(point) || points.indexOf(point) !== index);
  for (const point of foreign.toReversed()) {
    await execa('umount', ['-l', point]);
  }
  await execa('mount', ['-t', 'tmpfs', 'tmpfs', '/mnt']);
  await execa('mount', ['-t', 'tmpfs', 'tmpfs', '/srv']);
  writeFileSync('/srv/machine-id', `${MACHINE_ID}\n`);
  await execa('mount', ['--bind', '/srv/machine-id', '/etc/machine-id']);
  await execa('hostname', [HOSTNAME]);
  mkdirSync(TAPES);
  await execa('chmod', ['777', TAPES]);
}

async function main(): Promise<void> {
  const wanted = process.argv.slice(2);
  const isWanted = (name: string) => wanted.length === 0 || wanted.includes(name);
  for (const [folder, cases] of [
    ['zombie-mounts', ZOMBIES],
    ['interrupted-repairs', INTERRUPTED],
    ['_template', TEMPLATE],
  ] as const) {
    for (const [name, recorded] of Object.entries(cases).filter(([each]) => isWanted(each))) {
      process.stdout.write(`${folder}: ${name}\n`);
      try {
        await recordCase(folder, name, recorded);
      } catch (error) {
        process.exitCode = 1;
        process.stderr.write(`${name} was not recorded: ${error instanceof Error ? error.message : error}\n`);
      }
    }
  }
  if (isWanted('hv1-after-reboot')) {
    process.stdout.write('fixtures/hosts: hv1-after-reboot\n');
    const since = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]);
    await execa('hostname', [HOSTNAME]);
    const world = await World.open({ dir: STORE });
    try {
      await afterReboot(world);
      const { findings } = await recordStage(world, join(ROOT, 'fixtures/hosts/hv1-after-reboot'), 'all', since, {});
      process.stdout.write(`  ${findings.map(({ finding }) => `${finding.code} ${finding.subject.name}`).join(', ')}\n`);
    } finally {
      await leave(world);
    }
  }
}

process.chdir('/');
if (process.env[ROOM] === undefined) {
  // Everything from here on happens in a mount and a host name namespace of its own, which goes with its last process.
  const argv = ['--mount', '--uts', '--propagation', 'private', process.execPath, ...process.argv.slice(1)];
  const room = spawn('unshare', argv, { stdio: 'inherit', env: { ...process.env, [ROOM]: '1' } });
  room.on('exit', (code) => process.exit(code ?? 1));
} else {
  await furnish();
  await main();
}
