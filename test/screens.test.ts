/** Whole screens of a recorded host. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { checks } from '../checks/index.ts';
import { inspect, toRun } from '../src/engine/inspect.ts';
import { reportToText, type View } from '../src/report/report.ts';
import { plainAt } from '../src/report/style.ts';
import { loadRecording } from '../src/target/recording.ts';
import { ReplayTarget } from '../src/target/replay.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const recorded = new ReplayTarget(await loadRecording(join(ROOT, 'fixtures/hosts/hv1-after-reboot')));
const { target } = await inspect(recorded, checks, { until: Date.now() + 60_000, hardware: true });

/** At this width, without times. */
function screen(columns: number, view: View = {}): string {
  const text = reportToText(toRun('0', 'run', Date.now(), [target]), plainAt(columns), view);
  return text.replaceAll(/\d+ ms$/gm, 'TIME').replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME');
}

it('at 60 columns', () => {
  expect(screen(60)).toMatchInlineSnapshot(`
    "hv1 Debian GNU/Linux 12 (bookworm), kernel 6.18.44 (from a
      recording)

    CRITICAL /mnt/backup: its FUSE daemon is gone; every access
      fails
        How we know: stat: cannot read file system information
          for '/mnt/backup': Transport endpoint is not connected
        Also seen: held by bash (pid 19503 of root): cwd
          /mnt/backup
        Repair (disruptive: somebody is interrupted, or it can
          be undone only by effort):
            umount -l /mnt/backup
        Next: stdoctor explain fuse-dead

    CRITICAL /mnt/database: this XFS has shut itself down; every
      access fails
        How we know: find: '/mnt/database': Input/output error
          (while statfs answers)
        Repair (disruptive: somebody is interrupted, or it can
          be undone only by effort):
            umount -c /mnt/database
            mount -t xfs -o rw,relatime,inode64,logbufs=8,logbsize=32k,noquota /dev/loop4 /mnt/database
        Next: stdoctor explain fs-shutdown-xfs

    CRITICAL /mnt/www: a bind mount of something that has been
      deleted
        How we know: 0 links left to it: the directory is empty
          for ever, and nothing can be created in it
        Repair (disruptive: somebody is interrupted, or it can
          be undone only by effort):
            cp -a -T -- /mnt/www /srv/.stdoctor-{run}
            mv -n -T -- /srv/.stdoctor-{run} /srv/www
            umount -c /mnt/www
            mount --bind -o rw,relatime /srv/www /mnt/www
          {run}: known when it is repaired
        Next: stdoctor explain bind-source-deleted

    CRITICAL /mnt/vm-images: the image file behind /dev/loop2
      has been deleted; its data is gone with the last unmount
        How we know: /srv/store/vm-images.img (deleted)
        Repair (safe: nothing can be lost and nobody is
          interrupted):
            sync -f /mnt/vm-images
            dd if=/dev/loop2 of={rescue}/srv_store_vm-images.img bs=4M iflag=direct conv=sparse,fsync,excl status=none
          {rescue}: known when it is repaired
        What remains to be done by hand:
          The copy is {rescue}/srv_store_vm-images.img.
          /mnt/vm-images still stands on the deleted file: leave
          it mounted until the copy has been put in its place.
        Next: stdoctor explain loop-backing-deleted

    Summary: 4 critical
    Healthy: interrupted-repairs
    Not applicable: boot-readiness, lvm-inactive
    More: --evidence shows all that was seen
    "
  `);
});

it('at 80 columns, all that was seen', () => {
  expect(screen(80, { evidence: true, verbose: true })).toMatchInlineSnapshot(`
    "hv1 Debian GNU/Linux 12 (bookworm), kernel 6.18.44 (from a recording)

    CRITICAL /mnt/backup: its FUSE daemon is gone; every access fails
        How we know (confidence: certain):
          TIME  /proc/self/mountinfo
            87 83 0:42 / /mnt/backup rw,nosuid,nodev,relatime - fuse.sshfs
              nas:/export/backup rw,user_id=0,group_id=0
          TIME  stat -f -c '%t %b %f' -- /mnt/backup
            stat: cannot read file system information for '/mnt/backup': Transport
              endpoint is not connected
          TIME  /proc/*/fd, cwd, root, exe
            held by bash (pid 19503 of root): cwd /mnt/backup
        Repair (disruptive: somebody is interrupted, or it can be undone only by
          effort):
            umount -l /mnt/backup
        Next: stdoctor explain fuse-dead

    CRITICAL /mnt/database: this XFS has shut itself down; every access fails
        How we know (confidence: certain):
          TIME  /proc/self/mountinfo
            91 83 7:4 / /mnt/database rw,relatime - xfs /dev/loop4
              rw,inode64,logbufs=8,logbsize=32k,noquota
          TIME  stdbuf -o0 find / /mnt/vm-images /mnt/database -maxdepth 0 -printf '%p\\0%y %s %i %D %n\\0' '(' -empty -printf 'empty\\0' -o -printf 'not\\0' ')'
            find: '/mnt/database': Input/output error (while statfs answers)
          TIME  dmesg --kernel --color=never
            [29363.995280] XFS (loop4): Metadata I/O Error (0x4) detected at
              xfs_fs_goingdown+0x7b/0xb0 (fs/xfs/xfs_fsops.c:472).  Shutting down
              filesystem.
        Repair (disruptive: somebody is interrupted, or it can be undone only by
          effort):
            umount -c /mnt/database
            mount -t xfs -o rw,relatime,inode64,logbufs=8,logbsize=32k,noquota /dev/loop4 /mnt/database
        Next: stdoctor explain fs-shutdown-xfs

    CRITICAL /mnt/www: a bind mount of something that has been deleted
        How we know (confidence: certain):
          TIME  /proc/self/mountinfo
            92 83 0:40 /www//deleted /mnt/www rw,relatime - tmpfs tmpfs rw
          TIME  stdbuf -o0 find /mnt/www /srv/www -maxdepth 0 -printf '%p\\0%y %s %i %D %n\\0' '(' -empty -printf 'empty\\0' -o -printf 'not\\0' ')'
            0 links left to it: the directory is empty for ever, and nothing can be
              created in it
        Repair (disruptive: somebody is interrupted, or it can be undone only by
          effort):
            cp -a -T -- /mnt/www /srv/.stdoctor-{run}
            mv -n -T -- /srv/.stdoctor-{run} /srv/www
            umount -c /mnt/www
            mount --bind -o rw,relatime /srv/www /mnt/www
          {run}: known when it is repaired
        Next: stdoctor explain bind-source-deleted

    CRITICAL /mnt/vm-images: the image file behind /dev/loop2 has been deleted; its
      data is gone with the last unmount
        How we know (confidence: certain):
          TIME  /proc/self/mountinfo
            90 83 7:2 / /mnt/vm-images rw,relatime - ext4 /dev/loop2 rw
          TIME  /sys/dev/block/7:2/loop/backing_file
            /srv/store/vm-images.img (deleted)
        Repair (safe: nothing can be lost and nobody is interrupted):
            sync -f /mnt/vm-images
            dd if=/dev/loop2 of={rescue}/srv_store_vm-images.img bs=4M iflag=direct conv=sparse,fsync,excl status=none
          {rescue}: known when it is repaired
        What remains to be done by hand:
          The copy is {rescue}/srv_store_vm-images.img.
          /mnt/vm-images still stands on the deleted file: leave it mounted until
          the copy has been put in its place.
        Next: stdoctor explain loop-backing-deleted

    Check boot-readiness: not applicable: no systemd runs here, and /etc/fstab names
      nothing, 0 examined, TIME
    Check interrupted-repairs: healthy, 0 examined, TIME
    Check lvm-inactive: not applicable: no disk carries the label of LVM, or a layer
      that could hide one, 0 examined, TIME
    Check zombie-mounts: findings, 5 examined, TIME

    Summary: 4 critical
    Healthy: interrupted-repairs
    Not applicable: boot-readiness, lvm-inactive
    "
  `);
});

it('at 200 columns', () => {
  expect(screen(200)).toMatchInlineSnapshot(`
    "hv1 Debian GNU/Linux 12 (bookworm), kernel 6.18.44 (from a recording)

    CRITICAL /mnt/backup: its FUSE daemon is gone; every access fails
        How we know: stat: cannot read file system information for '/mnt/backup': Transport endpoint is not connected
        Also seen: held by bash (pid 19503 of root): cwd /mnt/backup
        Repair (disruptive: somebody is interrupted, or it can be undone only by effort):
            umount -l /mnt/backup
        Next: stdoctor explain fuse-dead

    CRITICAL /mnt/database: this XFS has shut itself down; every access fails
        How we know: find: '/mnt/database': Input/output error (while statfs answers)
        Repair (disruptive: somebody is interrupted, or it can be undone only by effort):
            umount -c /mnt/database
            mount -t xfs -o rw,relatime,inode64,logbufs=8,logbsize=32k,noquota /dev/loop4 /mnt/database
        Next: stdoctor explain fs-shutdown-xfs

    CRITICAL /mnt/www: a bind mount of something that has been deleted
        How we know: 0 links left to it: the directory is empty for ever, and nothing can be created in it
        Repair (disruptive: somebody is interrupted, or it can be undone only by effort):
            cp -a -T -- /mnt/www /srv/.stdoctor-{run}
            mv -n -T -- /srv/.stdoctor-{run} /srv/www
            umount -c /mnt/www
            mount --bind -o rw,relatime /srv/www /mnt/www
          {run}: known when it is repaired
        Next: stdoctor explain bind-source-deleted

    CRITICAL /mnt/vm-images: the image file behind /dev/loop2 has been deleted; its data is gone with the last unmount
        How we know: /srv/store/vm-images.img (deleted)
        Repair (safe: nothing can be lost and nobody is interrupted):
            sync -f /mnt/vm-images
            dd if=/dev/loop2 of={rescue}/srv_store_vm-images.img bs=4M iflag=direct conv=sparse,fsync,excl status=none
          {rescue}: known when it is repaired
        What remains to be done by hand: The copy is {rescue}/srv_store_vm-images.img.
          /mnt/vm-images still stands on the deleted file: leave it mounted until the copy has been put in its place.
        Next: stdoctor explain loop-backing-deleted

    Summary: 4 critical
    Healthy: interrupted-repairs
    Not applicable: boot-readiness, lvm-inactive
    More: --evidence shows all that was seen
    "
  `);
});

it('in few words', () => {
  expect(screen(80, { quiet: true })).toMatchInlineSnapshot(`
    "CRITICAL /mnt/backup: its FUSE daemon is gone; every access fails
      (fuse-dead-f9713b19)
    CRITICAL /mnt/database: this XFS has shut itself down; every access fails
      (fs-shutdown-xfs-928f550f)
    CRITICAL /mnt/www: a bind mount of something that has been deleted
      (bind-source-deleted-03a47aa4)
    CRITICAL /mnt/vm-images: the image file behind /dev/loop2 has been deleted; its
      data is gone with the last unmount (loop-backing-deleted-2f261cf5)
    "
  `);
});

it.each([60, 80, 200])('at %i columns, only what is to be copied is wider', (columns) => {
  const wide = screen(columns, { evidence: true, verbose: true })
    .split('\n')
    .filter((line) => line.length > columns);
  // A command of a plan, of a source, of ours, or a word without a place to break at.
  const whole = wide.filter((line) => /^ {8}\S|^ {6}TIME {2}|^ {4}Next: |^ *\S+$/.test(line));
  expect(wide).toEqual(whole);
});
