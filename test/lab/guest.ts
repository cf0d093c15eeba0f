/** A Debian host of its own for one test: each of its disks may be destroyed, and the host with them. */
import { readFileSync, statSync } from 'node:fs';

import { execa } from 'execa';
import { builtImage } from './image.ts';
import { sweep } from './left-over.ts';
import { BOOT_MS, blockNode, Machine, quote, type RunOptions, scsiDisk } from './machine.ts';

/** systemd gives each unit 90 s to stop. */
const SHUTDOWN_MS = 150_000;
let swept = false;

export class Guest extends Machine {
  /**
   * A fresh host, booted and quiet. All have the same boot id, and without a `hostname` of their own the same name and
   * machine id. To be closed when the test ends: `onTestFinished(() => guest.close())`.
   */
  static async open(options: { hostname?: string } = {}): Promise<Guest> {
    const image = await builtImage();
    if (image === undefined) {
      throw new Error('the image of the lab has not been built: npm run lab');
    }
    if (!swept) {
      swept = true;
      sweep();
    }
    const guest = new Guest(image);
    try {
      await guest.start('restore');
      await guest.#wake(options.hostname);
    } catch (error) {
      await guest.close();
      throw error;
    }
    return guest;
  }

  /** Its clock stood still since its state was recorded. */
  async #wake(hostname: string | undefined): Promise<void> {
    const lines = [`date -s @${Date.now() / 1000} > /dev/null`];
    if (hostname !== undefined) {
      lines.push(`hostname ${quote(hostname)}; hostname > /etc/hostname; echo "127.0.1.1 $(hostname)" >> /etc/hosts`);
      lines.push('md5sum < /etc/hostname | cut -c 1-32 > /etc/machine-id');
    }
    await this.run(lines.join('\n'));
  }

  async write(path: string, text: string): Promise<void> {
    await this.run(`mkdir -p "$(dirname ${quote(path)})" && cat > ${quote(path)}`, { input: text });
  }

  /** A file under the name `path`, or what is in a directory into the directory `path`. */
  async copyIn(local: string, path: string, options: { only?: readonly string[]; user?: RunOptions['user'] } = {}): Promise<void> {
    const user = options.user ?? 'root';
    if (statSync(local).isFile()) {
      const mode = (statSync(local).mode & 0o777).toString(8);
      const line = `mkdir -p "$(dirname ${quote(path)})" && cat > ${quote(path)} && chmod ${mode} ${quote(path)}`;
      await this.run(line, { input: readFileSync(local), user });
      return;
    }
    const tar = await execa('tar', ['-C', local, '-cf', '-', '--', ...(options.only ?? ['.'])], { encoding: 'buffer' });
    await this.run(`mkdir -p ${quote(path)} && tar -C ${quote(path)} --no-same-owner -xf -`, { input: tar.stdout, user });
  }

  async bootId(): Promise<string> {
    return (await this.run('cat /proc/sys/kernel/random/boot_id')).stdout.trim();
  }

  async service(action: 'start' | 'stop' | 'restart', name: string): Promise<void> {
    await this.run(['systemctl', action, name]);
  }

  /** Name of a disk in the guest, the same after each boot. */
  disk(name: string): string {
    return `/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_${name}`;
  }

  /** Plugs in an empty disk, or again one that was removed, with all that is on it. Returns its name in the guest. */
  async addDisk(name: string, options: { sizeMb?: number } = {}): Promise<string> {
    const known = statSync(this.path(`${name}.qcow2`), { throwIfNoEntry: false }) !== undefined;
    if (!known) {
      await execa('qemu-img', ['create', '-q', '-f', 'qcow2', this.path(`${name}.qcow2`), `${options.sizeMb ?? 512}M`]);
    }
    this.disks.push(name);
    if (this.isOn) {
      await this.qmp.run('blockdev-add', blockNode(name));
      await this.qmp.run('device_add', scsiDisk(name));
      await this.run(`timeout 20 sh -c 'until [ -b "$0" ]; do sleep 0.1; done' ${this.disk(name)}`);
    }
    return this.disk(name);
  }

  /** Pulls a disk out, without asking the host, which notices at once. */
  async removeDisk(name: string): Promise<void> {
    this.disks.splice(this.disks.indexOf(name), 1);
    if (this.isOn) {
      const deleted = this.qmp.event('DEVICE_DELETED', 20_000, ({ device }) => device === name);
      await Promise.all([deleted, this.qmp.run('device_del', { id: name })]);
      await this.qmp.run('blockdev-del', { 'node-name': name });
      await this.run(`timeout 20 sh -c 'while [ -e "$0" ]; do sleep 0.1; done' ${this.disk(name)}`);
    }
  }

  /**
   * A directory of this machine, from its next boot on: `mount -t virtiofs TAG`. Only for a guest that is off, since one
   * that was restored does not share its memory.
   */
  share(tag: string, directory: string): void {
    this.shares.set(tag, directory);
  }

  /** The kernel forgets the disk, which stays plugged in: `rescan` finds it again. */
  async forgetDisk(name: string): Promise<void> {
    await this.run(`echo 1 > /sys/block/$(basename "$(readlink -f ${this.disk(name)})")/device/delete`);
  }

  async rescan(): Promise<void> {
    await this.run('for scan in /sys/class/scsi_host/host*/scan; do echo "- - -" > $scan; done; udevadm settle');
  }

  /** Whoever reads or writes it sleeps in D state from now on, and not even SIGKILL ends him. */
  async suspend(dm: string): Promise<void> {
    await this.run(['dmsetup', 'suspend', dm]);
  }

  async resume(dm: string): Promise<void> {
    await this.run(['dmsetup', 'resume', dm]);
  }

  /**
   * Returns what systemd says once the host has started anew: `running`, or `degraded` where units have failed. With
   * `until` it returns as soon as the console says this: for a host that is not expected to come up.
   */
  async reboot(options: { until?: RegExp } = {}): Promise<string> {
    // Off and on again: a QEMU that is reset boots half as fast as a new one.
    await this.qmp.run('set-action', { reboot: 'shutdown' });
    await this.#goesOff('systemctl reboot');
    return this.powerOn(options);
  }

  /** The plug is pulled, and put in again. Returns what `reboot` returns. */
  async cutPower(options: { until?: RegExp } = {}): Promise<string> {
    await this.kill();
    return this.powerOn(options);
  }

  async powerOff(): Promise<void> {
    await this.#goesOff('systemctl poweroff');
  }

  async #goesOff(command: string): Promise<void> {
    await this.run(command, { ok: false, timeoutMs: 20_000 });
    await this.disconnect();
    await this.isOff(SHUTDOWN_MS);
  }

  async powerOn(options: { until?: RegExp } = {}): Promise<string> {
    await this.switchOn('boot');
    return this.#up(options.until);
  }

  async #up(until: RegExp | undefined): Promise<string> {
    if (until === undefined) {
      await this.answers(BOOT_MS);
      return (await this.run('systemctl is-system-running --wait', { ok: false, timeoutMs: BOOT_MS })).stdout.trim();
    }
    return this.says(until, BOOT_MS);
  }
}
