/** The lab's guest, ready to be restored: a Debian with its kernel, booted once, and its memory as it was then. */
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { sweep } from './left-over.ts';
import { DISKS, Machine, QEMU, qemuArgv } from './machine.ts';

const FORMAT = 1;
const SUITE = 'bookworm';
const ROOT_SIZE = '3G';
const CUSTOMISE = fileURLToPath(new URL('customise.sh', import.meta.url));
const PACKAGES = [
  ...['linux-image-amd64', 'initramfs-tools', 'busybox-static', 'systemd-sysv', 'udev', 'dbus', 'kmod'],
  ...['util-linux', 'procps', 'psmisc', 'iproute2'],
  ...['openssh-server', 'openssh-sftp-server', 'sudo', 'attr', 'quota', 'parted', 'sg3-utils', 'lsscsi', 'e2fsprogs', 'xfsprogs'],
  ...['lvm2', 'dmsetup', 'thin-provisioning-tools', 'multipath-tools', 'open-iscsi', 'mdadm', 'cryptsetup-bin'],
  ...['nfs-kernel-server', 'nfs-common', 'samba', 'cifs-utils', 'diod', 'fuse3', 'sshfs', 'qemu-utils'],
];
/** What the machines do without, in the image. */
const WITHOUT = ['/usr/share/doc/*', '/usr/share/man/*', '/usr/share/locale/*'];
/** Read once before the state is recorded, so that a restored guest holds them in memory. */
const WARM = [
  'node -e 0',
  'lvs',
  'dmsetup info',
  'multipath -ll',
  'findmnt',
  'lsblk',
  'sudo -u op sudo true',
  'mkfs.ext4 -V',
  'mkfs.xfs -V',
];

/** Where an image for this machine lies, or would lie. */
async function imageDir(): Promise<string> {
  const version = await execa(QEMU, ['--version']);
  const argv = (['boot', 'record', 'restore'] as const).map((start) => qemuArgv('/image', Object.keys(DISKS), start));
  const parts = [
    FORMAT,
    SUITE,
    ROOT_SIZE,
    PACKAGES,
    WITHOUT,
    WARM,
    readFileSync(CUSTOMISE, 'utf8'),
    argv,
    DISKS,
    version.stdout,
    process.version,
  ];
  return join(cacheDir(), createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 16));
}

/** undefined where it has not been built yet. */
export async function builtImage(): Promise<string | undefined> {
  const dir = await imageDir();
  return existsSync(dir) ? dir : undefined;
}

function cacheDir(): string {
  const { STDOCTOR_LAB_CACHE, XDG_CACHE_HOME } = process.env;
  return STDOCTOR_LAB_CACHE || join(XDG_CACHE_HOME || join(homedir(), '.cache'), 'stdoctor/lab');
}

/** Builds it where it is missing. `say` is told each stage, and how long it took. */
export async function ensureImage(say: (line: string) => void): Promise<string> {
  const dir = await imageDir();
  mkdirSync(cacheDir(), { recursive: true });
  const lock = await takeLock(say);
  try {
    if (!existsSync(dir)) {
      await build(dir, say);
    }
    removeOthers(dir);
  } finally {
    lock.close();
  }
  return dir;
}

/** One builder at a time. The kernel frees the lock when its holder dies, however it dies. */
async function takeLock(say: (line: string) => void): Promise<DatabaseSync> {
  const database = new DatabaseSync(join(cacheDir(), 'lock.sqlite'));
  for (let tries = 0; ; tries++) {
    try {
      database.exec('PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE');
      return database;
    } catch {
      if (tries === 0) {
        say('waiting for another process that builds the image');
      }
      await sleep(500);
    }
  }
}

/** Images of other keys, unless a guest of a test that still runs is made from them, and what was never finished. */
function removeOthers(dir: string): void {
  const used = sweep();
  for (const entry of readdirSync(cacheDir(), { withFileTypes: true })) {
    const path = join(cacheDir(), entry.name);
    if (entry.isDirectory() && path !== dir && !used.has(path)) {
      rmSync(path, { recursive: true, force: true });
    }
  }
}

async function build(dir: string, say: (line: string) => void): Promise<void> {
  const part = mkdtempSync(join(cacheDir(), 'part-'));
  const began = Date.now();
  const stage = async (name: string, work: () => Promise<unknown>) => {
    const started = Date.now();
    say(`${name} …`);
    await work();
    say(`${name}: ${((Date.now() - started) / 1000).toFixed(1)} s`);
  };
  try {
    await stage('install Debian', () => install(part));
    await stage('fill the root disk', () => fill(part));
    await stage('boot and record', () => record(part));
    await stage('write it out', () => execa('sync', ['-f', part]));
    renameSync(part, dir);
  } finally {
    rmSync(part, { recursive: true, force: true });
  }
  say(`the image is in ${dir} after ${((Date.now() - began) / 1000).toFixed(1)} s`);
}

async function install(part: string): Promise<void> {
  const key = join(part, 'id_ed25519');
  await execa('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'lab', '-f', key]);
  const without = ['force-unsafe-io', ...WITHOUT.map((glob) => `path-exclude=${glob}`)].map((option) => `--dpkgopt=${option}`);
  const aptOptions = ['APT::Install-Recommends "false";', ...(await proxies())].map((option) => `--aptopt=${option}`);
  const argv = ['--mode=root', '--variant=minbase', `--include=${PACKAGES.join(',')}`, ...aptOptions, ...without];
  await execa('mmdebstrap', [...argv, `--customize-hook=${CUSTOMISE}`, SUITE, join(part, 'root'), await mirror()], {
    timeout: 900_000,
    // No initramfs for each package that wants one: there is one at the end.
    env: {
      INITRD: 'No',
      DEBIAN_FRONTEND: 'noninteractive',
      LAB_KEY: readFileSync(`${key}.pub`, 'utf8').trim(),
      LAB_NODE: process.execPath,
    },
  });
}

/** Where this machine's apt has Debian from. */
async function mirror(): Promise<string> {
  const targets = await execa('apt-get', ['indextargets', '--format', '$(ORIGIN) $(LABEL) $(REPO_URI)', 'Created-By: Packages']);
  // Debian Debian http://…/debian/
  const uri = /^Debian Debian (http\S+)$/m.exec(targets.stdout)?.[1];
  if (uri === undefined) {
    throw new Error('apt knows no mirror of Debian on this machine: apt-get indextargets names none');
  }
  return uri;
}

async function proxies(): Promise<string[]> {
  const dump = await execa('apt-config', ['dump', 'Acquire::http::Proxy']);
  // Acquire::http::Proxy "http://10.0.0.1:3142";
  return dump.stdout.split('\n').filter((line) => line.includes('://'));
}

async function fill(part: string): Promise<void> {
  const tree = join(part, 'root');
  const boot = readdirSync(join(tree, 'boot'));
  for (const [name, start] of [
    ['vmlinuz', 'vmlinuz-'],
    ['initrd', 'initrd-of-the-lab'],
  ] as const) {
    copyFileSync(join(tree, 'boot', String(boot.find((file) => file.startsWith(start)))), join(part, name));
  }
  writeFileSync(join(part, 'known_hosts'), `lab ${readFileSync(join(tree, 'etc/ssh/ssh_host_ed25519_key.pub'), 'utf8')}`);
  const image = join(part, 'root.raw');
  await execa('mkfs.ext4', ['-q', '-d', tree, '-m', '0', '-E', 'lazy_itable_init=0,lazy_journal_init=0', image, ROOT_SIZE]);
  rmSync(tree, { recursive: true });
  for (const [name, size] of [['root', ROOT_SIZE], ...Object.entries(DISKS).map(([disk, mb]) => [disk, `${mb}M`])]) {
    await execa('qemu-img', ['create', '-q', '-f', 'qcow2', join(part, `${name}.qcow2`), String(size)]);
  }
  writeFileSync(join(part, 'memory'), '');
}

/** Boots it for the first time, and keeps its memory and the state of its devices. */
async function record(part: string): Promise<void> {
  const machine = new Recorded(part);
  try {
    await machine.record();
  } finally {
    await machine.close();
  }
  // Pages that it never used take no place.
  await execa('fallocate', ['--dig-holes', join(part, 'memory')]);
}

class Recorded extends Machine {
  constructor(image: string) {
    super(image);
    truncateSync(join(image, 'memory'), 0);
  }

  async record(): Promise<void> {
    await this.start('record');
    const state = await this.run('systemctl is-system-running --wait', { ok: false, timeoutMs: 180_000 });
    if (state.stdout.trim() !== 'running') {
      const failed = await this.run('systemctl --failed --no-pager; journalctl -b -p warning --no-pager | tail -40', { ok: false });
      throw this.failure(`systemd says ${state.stdout.trim()}`, failed.stdout);
    }
    await this.run('sync; echo 3 > /proc/sys/vm/drop_caches');
    await this.run(`for command in ${WARM.map((command) => `'${command}'`).join(' ')}; do $command > /dev/null 2>&1 || true; done`);
    await this.run('udevadm settle; sync; fstrim / 2> /dev/null || true');
    await this.disconnect();
    // Until the session has ended in the guest as well.
    await sleep(1000);
    await this.qmp.run('stop');
    await this.migrate('migrate', 'exec:cat > "$LAB_STATE"');
  }
}
