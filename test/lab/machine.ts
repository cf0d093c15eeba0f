/** A virtual machine of the lab: QEMU without KVM, its disks, and the ssh to it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, copyFileSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa, type Options } from 'execa';
import { forget, remember } from './left-over.ts';
import { Qmp } from './qmp.ts';

export const QEMU = 'qemu-system-x86_64';
const VIRTIOFSD = '/usr/lib/qemu/virtiofsd';
/** The empty disks that each machine has from the start, and their sizes in MiB. */
export const DISKS: Readonly<Record<string, number>> = { disk1: 1024, disk2: 1024, disk3: 512, disk4: 512 };
const MEMORY_MB = 1024;
const KERNEL_LINE = 'console=ttyS0 root=/dev/vda rw net.ifnames=0 apparmor=0 mitigations=off loglevel=5';
/** Few devices and a plain CPU: without KVM each driver that is loaded at boot is felt. */
const HARDWARE = ['-machine', 'q35,sata=off,smbus=off,vmport=off,i8042=off,memory-backend=memory', '-cpu', 'Nehalem'];
export const BOOT_MS = 180_000;
const RESTORE_MS = 60_000;
/** What a boot ends with where systemd gave up. */
const EMERGENCY = /You are in emergency mode|root account is locked|Kernel panic/;

/** `boot`: cold. `record`: cold, with its memory in the image, to be restored later. `restore`: as it was recorded. */
export type Start = 'boot' | 'record' | 'restore';

export interface Ran {
  code: number;
  stdout: string;
  stderr: string;
  ms: number;
}

export interface RunOptions {
  /** false: any exit code will do. */
  ok?: boolean;
  /** When it has passed, the ssh is ended, the command in the machine is not, and the code is -1. */
  timeoutMs?: number;
  input?: string | Uint8Array;
  user?: User;
}

/** `op` may do everything with sudo, without a password; `plain` may not. */
export type User = 'root' | 'op' | 'plain';

/** What QEMU is started with. Relative paths are those of the machine's own directory. */
export function qemuArgv(image: string, disks: readonly string[], start: Start, port = 0, shares: readonly string[] = []): string[] {
  const memory =
    start === 'boot'
      ? shares.length > 0
        ? // virtiofsd reads and writes it as well.
          { 'qom-type': 'memory-backend-memfd', share: true }
        : { 'qom-type': 'memory-backend-ram' }
      : // Shared while it is recorded; then each machine writes to pages of its own, and reads only those that it uses.
        { 'qom-type': 'memory-backend-file', 'mem-path': join(image, 'memory'), share: start === 'record' };
  const file = (filename: string) => ({ driver: 'file', filename });
  const base = { driver: 'raw', 'read-only': true, file: file(join(image, 'root.raw')) };
  const root =
    start === 'record'
      ? { driver: 'raw', file: file(join(image, 'root.raw')) }
      : { driver: 'qcow2', file: file('root.qcow2'), backing: base };
  const scsi = disks.flatMap((name) => ['-blockdev', JSON.stringify(blockNode(name)), '-device', JSON.stringify(scsiDisk(name))]);
  return [
    ...['-nodefaults', '-no-user-config', '-display', 'none', ...HARDWARE],
    ...['-accel', 'tcg,thread=multi', '-smp', '2', '-m', String(MEMORY_MB)],
    ...['-object', JSON.stringify({ ...memory, id: 'memory', size: MEMORY_MB * 2 ** 20 })],
    ...['-kernel', join(image, 'vmlinuz'), '-initrd', join(image, 'initrd'), '-append', KERNEL_LINE],
    ...['-chardev', 'file,id=console,path=console,append=on', '-serial', 'chardev:console'],
    ...['-chardev', 'socket,id=qmp,path=qmp,server=on,wait=off', '-mon', 'chardev=qmp,mode=control'],
    ...['-netdev', `user,id=lan,hostfwd=tcp:127.0.0.1:${port}-:22`, '-device', 'virtio-net-pci,netdev=lan,romfile='],
    ...['-device', 'virtio-rng-pci', '-device', 'vmgenid,guid=auto'],
    ...['-blockdev', JSON.stringify({ ...root, ...UNSYNCED, 'node-name': 'root' }), '-device', 'virtio-blk-pci,drive=root,serial=root'],
    ...['-device', 'virtio-scsi-pci,id=scsi', ...scsi],
    ...shares.flatMap((tag) => ['-chardev', `socket,id=${tag},path=${tag}.sock`, '-device', `vhost-user-fs-pci,chardev=${tag},tag=${tag}`]),
    ...(start === 'restore' ? ['-incoming', 'defer'] : []),
  ];
}

/** A flush reaches this machine's page cache, which outlives QEMU, and no further. */
const UNSYNCED = { cache: { 'no-flush': true } };

export function blockNode(name: string) {
  return { 'node-name': name, driver: 'qcow2', ...UNSYNCED, file: { driver: 'file', filename: `${name}.qcow2` } };
}

export function scsiDisk(name: string) {
  return { driver: 'scsi-hd', id: name, drive: name, bus: 'scsi.0', serial: name, device_id: name };
}

export class Machine {
  /** Host in its ssh_config. */
  readonly name: string;
  readonly dir: string;
  protected readonly image: string;
  protected readonly disks = Object.keys(DISKS);
  /** Directories of this machine that a booted guest can mount, by tag. */
  protected readonly shares = new Map<string, string>();
  protected qmp!: Qmp;
  #qemu: ChildProcess | undefined;
  readonly #virtiofsd = new Map<string, ChildProcess>();
  #port = 0;
  /** How much was on the console before. */
  #said = 0;
  readonly #masters = new Map<User, ChildProcess>();

  protected constructor(image: string) {
    this.image = image;
    this.dir = mkdtempSync(join(tmpdir(), 'stdoctor-lab-'));
    this.name = basename(this.dir).replace('stdoctor-', '').toLowerCase();
    remember(this.dir, { image });
    for (const disk of ['root', ...this.disks]) {
      copyFileSync(join(image, `${disk}.qcow2`), this.path(`${disk}.qcow2`));
    }
    writeFileSync(this.path('console'), '');
  }

  path(name: string): string {
    return join(this.dir, name);
  }

  /** For ssh -F. `Host` is this machine's name; a connection of its own for each ssh. */
  get sshConfig(): string {
    return this.path('ssh_config');
  }

  /** QEMU's. */
  get pid(): number | undefined {
    return this.#qemu?.pid;
  }

  get isOn(): boolean {
    return this.#qemu?.exitCode === null && this.#qemu.signalCode === null;
  }

  /** What came over the serial line since it was opened: of the kernel, and of systemd while it starts and stops. */
  console(): string {
    return readFileSync(this.path('console'), 'latin1');
  }

  /** Until there is ssh. */
  async start(how: Start): Promise<void> {
    await this.switchOn(how);
    await this.answers(how === 'restore' ? RESTORE_MS : BOOT_MS);
  }

  protected async switchOn(how: Start): Promise<void> {
    this.#said = this.console().length;
    for (const [tag, directory] of this.shares) {
      await this.#share(tag, directory);
    }
    const qemu = this.#spawn(QEMU, qemuArgv(this.image, this.disks, how, this.#port, [...this.shares.keys()]));
    this.#qemu = qemu;
    await new Promise<void>((started, failed) => qemu.once('spawn', started).once('error', failed));
    remember(this.dir, { image: this.image, qemu: qemu.pid as number });
    try {
      this.qmp = await Qmp.connect(this.path('qmp'), () => this.isOn);
      if (how === 'restore') {
        await this.#restore();
      }
      await this.#findPort();
    } catch (error) {
      throw this.failure('the machine could not be switched on', error);
    }
  }

  /** virtiofsd, which serves one QEMU and ends with it. */
  async #share(tag: string, directory: string): Promise<void> {
    const socket = this.path(`${tag}.sock`);
    rmSync(socket, { force: true });
    const daemon = this.#spawn(VIRTIOFSD, [
      `--socket-path=${socket}`,
      '-o',
      `source=${directory}`,
      '-o',
      'cache=none',
      '-o',
      'sandbox=chroot',
    ]);
    this.#virtiofsd.set(tag, daemon);
    for (const end = Date.now() + 10_000; !existsSync(socket); await sleep(10)) {
      if (Date.now() > end || daemon.exitCode !== null) {
        throw this.failure('virtiofsd has not started', tag);
      }
    }
  }

  /** To virtiofsd: SIGSTOP makes it silent. Once it was killed, only a new boot brings it back. */
  signalShare(tag: string, signal: NodeJS.Signals): void {
    this.#virtiofsd.get(tag)?.kill(signal);
  }

  /** The kernel ends it with this process, however that ends. */
  #spawn(program: string, argv: readonly string[]): ChildProcess {
    const log = openSync(this.path('qemu.log'), 'a');
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', program, ...argv], {
      cwd: this.dir,
      stdio: ['ignore', log, log],
      env: { ...process.env, LAB_STATE: join(this.image, 'state') },
    });
    closeSync(log);
    return child;
  }

  async #restore(): Promise<void> {
    await this.migrate('migrate-incoming', 'exec:cat "$LAB_STATE"');
    await this.qmp.run('cont');
  }

  /** The state without the memory, which is a file of the image already. */
  protected async migrate(command: 'migrate' | 'migrate-incoming', uri: string): Promise<void> {
    await this.qmp.run('migrate-set-capabilities', { capabilities: [{ capability: 'x-ignore-shared', state: true }] });
    await this.qmp.run(command, { uri });
    for (;;) {
      const { status, 'error-desc': why } = await this.qmp.run('query-migrate');
      if (status === 'completed') {
        return;
      }
      if (status === 'failed') {
        throw new Error(`${command} failed: ${why ?? ''}`);
      }
      await sleep(5);
    }
  }

  /** The first time QEMU takes a free port; it is kept from then on. */
  async #findPort(): Promise<void> {
    // TCP[HOST_FORWARD]  14       127.0.0.1 40937       10.0.2.15    22
    this.#port = Number(/HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)/.exec(await this.qmp.monitor('info usernet'))?.[1]);
    const common = [
      '  HostName 127.0.0.1',
      `  Port ${this.#port}`,
      '  User root',
      `  IdentityFile ${join(this.image, 'id_ed25519')}`,
      '  IdentitiesOnly yes',
      `  UserKnownHostsFile ${join(this.image, 'known_hosts')}`,
      '  HostKeyAlias lab',
      '  StrictHostKeyChecking yes',
    ];
    const own = [`Host ${this.name}`, ...common];
    const shared = [
      'Host shared',
      ...common,
      `  ControlPath ${this.path('ssh-%r')}`,
      '  KexAlgorithms curve25519-sha256',
      '  LogLevel ERROR',
    ];
    writeFileSync(this.sshConfig, `${[...own, '', ...shared].join('\n')}\n`);
  }

  /** Until sshd greets. */
  protected async answers(limitMs: number): Promise<void> {
    for (const end = Date.now() + limitMs; !(await greets(this.#port)); await sleep(20)) {
      const lost = EMERGENCY.exec(this.#newsOfConsole())?.[0];
      if (!this.isOn || lost !== undefined || Date.now() > end) {
        const why = this.isOn ? (lost ?? `no ssh within ${limitMs} ms`) : 'QEMU has ended';
        throw this.failure('the machine did not come up', why);
      }
    }
  }

  /** Until its console says this, after it was last switched on. Returns what it says. */
  protected async says(pattern: RegExp, limitMs: number): Promise<string> {
    for (const end = Date.now() + limitMs; ; await sleep(100)) {
      const said = pattern.exec(this.#newsOfConsole())?.[0];
      if (said !== undefined) {
        return said;
      }
      if (!this.isOn || Date.now() > end) {
        throw this.failure('not on its console', pattern);
      }
    }
  }

  /** Since it was last switched on. */
  #newsOfConsole(): string {
    return this.console().slice(this.#said);
  }

  /** A shell line, or an argv. */
  async run(command: string | readonly string[], options: RunOptions = {}): Promise<Ran> {
    const { ok = true, timeoutMs = 60_000, input, user = 'root' } = options;
    return this.ssh(
      typeof command === 'string' ? command : command.map(quote).join(' '),
      { ok, timeoutMs, user },
      {
        ...(input === undefined ? { stdin: 'ignore' } : { input }),
      },
    );
  }

  protected async ssh(line: string, { ok, timeoutMs, user }: { ok: boolean; timeoutMs: number; user: User }, more: Options): Promise<Ran> {
    const started = Date.now();
    await this.#master(user);
    const ended = await execa('ssh', ['-F', this.sshConfig, '-o', `User=${user}`, 'shared', '--', line], {
      reject: false,
      timeout: timeoutMs,
      stripFinalNewline: false,
      ...more,
    });
    const code = ended.timedOut ? -1 : (ended.exitCode ?? -1);
    const ran = { code, stdout: String(ended.stdout ?? ''), stderr: String(ended.stderr ?? ''), ms: Date.now() - started };
    if (ok && code !== 0) {
      throw new Error(
        `${line}\nended with ${code}${ended.timedOut ? ` after ${timeoutMs} ms` : ''}: ${ran.stderr}${ran.stdout.slice(-2000)}`,
      );
    }
    return ran;
  }

  /** One connection for all that a user runs. */
  async #master(user: User): Promise<void> {
    const known = this.#masters.get(user);
    if (known !== undefined && known.exitCode === null && known.signalCode === null) {
      return;
    }
    const socket = this.path(`ssh-${user}`);
    rmSync(socket, { force: true });
    const argv = ['-F', this.sshConfig, '-o', `User=${user}`, '-o', 'ControlMaster=yes', '-N', 'shared'];
    const log = openSync(this.path('ssh.log'), 'a');
    const master = spawn('setpriv', ['--pdeathsig', 'KILL', 'ssh', ...argv], { stdio: ['ignore', log, log] });
    closeSync(log);
    this.#masters.set(user, master);
    for (const end = Date.now() + 30_000; !existsSync(socket); await sleep(5)) {
      if (Date.now() > end || master.exitCode !== null) {
        master.kill('SIGKILL');
        throw this.failure('no ssh to the machine', readFileSync(this.path('ssh.log'), 'utf8'));
      }
    }
  }

  async disconnect(): Promise<void> {
    for (const master of this.#masters.values()) {
      await ended(master, () => master.kill('SIGTERM'));
    }
    this.#masters.clear();
  }

  /** The plug is pulled. What QEMU held of writes that were never flushed is lost as well. */
  async kill(): Promise<void> {
    const qemu = this.#qemu;
    if (qemu !== undefined) {
      await ended(qemu, () => qemu.kill('SIGKILL'));
    }
    for (const daemon of this.#virtiofsd.values()) {
      await ended(daemon, () => daemon.kill('SIGKILL'));
    }
    this.#virtiofsd.clear();
    this.qmp?.close();
    await this.disconnect();
  }

  /** Waits until the machine has switched itself off. */
  protected async isOff(limitMs: number): Promise<void> {
    const qemu = this.#qemu;
    if (qemu !== undefined && this.isOn) {
      const off = new AbortController();
      const over = sleep(limitMs, 'over', { signal: off.signal }).catch(() => 'off');
      const end = await Promise.race([over, ended(qemu, () => {})]);
      off.abort();
      if (end === 'over') {
        throw this.failure(`the machine was still on after ${limitMs} ms`);
      }
    }
    await this.kill();
  }

  /** Removes all that was on this machine, whatever state it is in. */
  async close(): Promise<void> {
    await this.kill();
    rmSync(this.dir, { recursive: true, force: true });
    forget(this.dir);
  }

  failure(what: string, cause?: unknown): Error {
    const why = cause instanceof Error ? cause.message : String(cause ?? '');
    const log = existsSync(this.path('qemu.log')) ? readFileSync(this.path('qemu.log'), 'utf8') : '';
    return new Error([`${what}: ${why}`, log.trim(), 'The end of its console:', this.console().slice(-3000)].join('\n'), { cause });
  }
}

export function quote(word: string): string {
  return /^[\w./:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

async function ended(child: ChildProcess, kill: () => void): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    const end = new Promise<void>((done) => child.once('exit', () => done()));
    kill();
    await end;
  }
}

/** QEMU accepts each connection; only a greeting tells that somebody is there. */
function greets(port: number): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect(port, '127.0.0.1');
    const end = (greeted: boolean) => {
      socket.destroy();
      done(greeted);
    };
    socket.setTimeout(1000, () => end(false));
    socket.once('data', (bytes) => end(bytes.toString('latin1').startsWith('SSH-')));
    socket.once('error', () => end(false));
    socket.once('close', () => end(false));
  });
}
