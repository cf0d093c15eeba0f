/** A mount namespace of its own in which faults are made, and out of which nothing is left. */
import { type ChildProcess, spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { connectionOf } from '../../src/facts/fuse.ts';
import { type Mount, parseMountinfo } from '../../src/facts/mountinfo.ts';
import { toByteString } from '../../src/names.ts';
import { Terminal } from './terminal.ts';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const SFTP_SERVER = '/usr/lib/openssh/sftp-server';
const CGROUP = '/sys/fs/cgroup';
const FREEZER = `${CGROUP}/freezer`;
const CGROUP_V1 = existsSync(FREEZER);
const FUSECTL = '/sys/fs/fuse/connections';

export interface Ran {
  code: number;
  stdout: string;
  stderr: string;
  ms: number;
}

// biome-ignore lint/suspicious/noExplicitAny: a report is read field by field, as an outside program would
export type Report = any;

export class World {
  /** Also what is about the whole machine, and so about the worlds of other tests. */
  seesAll = false;
  /** Of the program, wherever it is run in this world. */
  readonly env: Record<string, string> = {};
  /** Done when it is closed, first of all. */
  readonly closing: (() => Promise<void> | void)[] = [];
  readonly dir: string;
  readonly state: string;
  readonly #holder: ChildProcess;
  readonly #loops: string[] = [];
  readonly #images: string[] = [];
  readonly #groups: number[] = [];
  readonly #frozen: string[] = [];
  readonly #terminals: Promise<Terminal>[] = [];

  private constructor(dir: string, holder: ChildProcess) {
    this.dir = dir;
    this.state = join(dir, 'state');
    this.#holder = holder;
  }

  /** dir: a directory of this name instead of a temporary one; removed in the end like that. */
  static async open(options: { fusectl?: boolean; dir?: string } = {}): Promise<World> {
    const holder = spawn('unshare', ['-m', '--propagation', 'private', 'sleep', 'infinity'], { stdio: 'ignore' });
    if (options.dir !== undefined) {
      mkdirSync(options.dir, { recursive: true });
    }
    const world = new World(options.dir ?? mkdtempSync(join(tmpdir(), 'stdoctor-real-')), holder);
    await until(() => readLink(`/proc/${holder.pid}/comm`) === 'sleep');
    if (options.fusectl !== false) {
      await world.run(['mount', '-t', 'fusectl', 'fusectl', FUSECTL]);
    } else if (existsSync(`${FUSECTL}/0`) || readdirSync(FUSECTL).length > 0) {
      await world.run(['umount', FUSECTL]);
    }
    return world;
  }

  /** Of a process whose mount table is this namespace's. */
  get pid(): number {
    return this.#holder.pid as number;
  }

  path(name: string): string {
    return join(this.dir, name);
  }

  /** A new directory. */
  directory(name: string): string {
    const path = this.path(name);
    mkdirSync(path, { recursive: true });
    return path;
  }

  async run(
    argv: readonly string[],
    options: { ok?: boolean; env?: Record<string, string>; input?: string; cwd?: string; timeoutMs?: number } = {},
  ): Promise<Ran> {
    const started = Date.now();
    const result = await execa('nsenter', ['-t', String(this.pid), '-m', '--', ...argv], {
      reject: false,
      cwd: options.cwd ?? '/',
      env: options.env ?? {},
      timeout: options.timeoutMs ?? 100_000,
      stripFinalNewline: false,
      ...(options.input === undefined ? { stdin: 'ignore' } : { input: options.input }),
    });
    const ran = { code: result.exitCode ?? -1, stdout: result.stdout ?? '', stderr: result.stderr ?? '', ms: Date.now() - started };
    if (options.ok !== false && ran.code !== 0) {
      throw new Error(`${argv.join(' ')} ended with ${ran.code}: ${ran.stderr}${result.message ?? ''}`);
    }
    return ran;
  }

  /** The built program, as a user calls it; what it says of the worlds of other tests is left out. */
  async stdoctor(
    args: readonly string[],
    options: { env?: Record<string, string>; prefix?: readonly string[]; shell?: string; timeoutMs?: number } = {},
  ): Promise<Ran> {
    const argv = [...(options.prefix ?? []), process.execPath, join(ROOT, 'bin/run.js'), ...args];
    const wrapped = options.shell === undefined ? argv : ['sh', '-c', `${options.shell}; exec "$@"`, 'sh', ...argv];
    const ran = await this.run(wrapped, {
      ok: false,
      env: { STDOCTOR_STATE_DIR: this.state, ...this.env, ...options.env },
      ...(options.timeoutMs !== undefined && { timeoutMs: options.timeoutMs }),
    });
    return this.seesAll || !ran.stdout.startsWith('{') ? ran : { ...ran, stdout: withoutOtherWorlds(ran.stdout) };
  }

  async check(...args: string[]): Promise<{ code: number; report: Report; ms: number }> {
    const ran = await this.stdoctor(['check', 'zombie-mounts', '--json', ...args]);
    return { code: ran.code, report: parseReport(ran), ms: ran.ms };
  }

  async fix(...args: string[]): Promise<{ code: number; report: Report; ms: number }> {
    const ran = await this.stdoctor(['fix', 'zombie-mounts', '--json', ...args]);
    return { code: ran.code, report: parseReport(ran), ms: ran.ms };
  }

  mounts(): Mount[] {
    return parseMountinfo(readFileSync(`/proc/${this.pid}/mountinfo`, 'latin1'));
  }

  mountsAt(point: string): Mount[] {
    const bytes = Buffer.from(point, 'utf8').toString('latin1');
    return this.mounts().filter((mount) => toByteString(mount.point) === bytes);
  }

  /** An sshfs on its own SFTP server, without ssh and network between them. */
  async sshfs(
    name: string,
    options: { slow?: boolean; as?: { uid: number; gid: number }; options?: readonly string[]; point?: string } = {},
  ): Promise<Sshfs> {
    const source = this.directory(`${name}.source`);
    writeFileSync(join(source, 'hello'), 'hello\n');
    const point = options.point ?? this.path(name);
    mkdirSync(this.inside(point), { recursive: true });
    const server = this.path(`${name}.server`);
    const delay = this.path(`${name}.delay`);
    writeFileSync(delay, '0');
    const command = options.slow ? `${process.execPath} ${join(ROOT, 'test/real/slow-sftp.mjs')} ${delay} ${SFTP_SERVER}` : SFTP_SERVER;
    const serverPid = this.path(`${name}.pid`);
    writeFileSync(server, `#!/bin/sh\necho $$ > ${serverPid}\nexec ${command}\n`);
    chmodSync(server, 0o755);
    const as =
      options.as === undefined ? [] : ['setpriv', '--reuid', String(options.as.uid), '--regid', String(options.as.gid), '--clear-groups'];
    if (options.as !== undefined) {
      await this.run(['chown', `${options.as.uid}:${options.as.gid}`, point, source]);
      chmodSync(this.dir, 0o755);
      await this.#openFuse();
    }
    const more = (options.options ?? []).flatMap((option) => ['-o', option]);
    const argv = [
      'nsenter',
      '-t',
      String(this.pid),
      '-m',
      '--',
      ...as,
      'sshfs',
      '-f',
      '-o',
      `ssh_command=${server}`,
      ...more,
      `host:${source}`,
      point,
    ];
    const daemon = spawn(argv[0] as string, argv.slice(1), { stdio: 'ignore', detached: true, cwd: '/' });
    this.#groups.push(daemon.pid as number);
    await until(() => this.mountsAt(point).some(({ fstype }) => fstype.startsWith('fuse')));
    // An ordinary user's server cannot write there.
    await until(() => options.as !== undefined || (readLink(serverPid) ?? '') !== '');
    // A daemon that is stopped before its first answer still starts, and is not hung. Of an ordinary user's only he may ask.
    await this.run(['stat', '-f', point], { ok: false });
    return new Sshfs(this, point, source, daemon.pid as number, { delay, serverPid });
  }

  /** Machines differ in who may open /dev/fuse; in this world everybody may, as on most. */
  async #openFuse(): Promise<void> {
    const node = this.path('dev-fuse');
    if (!existsSync(node)) {
      await this.run(['mknod', '-m', '666', node, 'c', '10', '229']);
      await this.run(['mount', '--bind', node, '/dev/fuse']);
    }
  }

  /** An XFS or ext4 in an image file on a loop device, mounted. */
  async image(
    name: string,
    fstype: 'xfs' | 'ext4' = 'xfs',
    options: { megabytes?: number; by?: 'losetup' | 'mount'; point?: string } = {},
  ): Promise<Image> {
    const file = this.path(`${name}.img`);
    const point = options.point ?? this.path(name);
    mkdirSync(point, { recursive: true });
    await this.run(['truncate', '-s', `${options.megabytes ?? (fstype === 'xfs' ? 320 : 32)}M`, file]);
    await this.run([`mkfs.${fstype}`, '-q', file]);
    if (options.by === 'mount') {
      await this.run(['mount', '-o', 'loop', file, point]);
    } else {
      const node = (await this.run(['losetup', '-f', '--show', file])).stdout.trim();
      this.#loops.push(node);
      await this.run(['mount', node, point]);
    }
    this.#images.push(point);
    const node = String(this.mountsAt(point)[0]?.source);
    writeFileSync(this.inside(join(point, 'precious')), 'data\n');
    await this.run(['sync', '-f', point]);
    return { file, point, node };
  }

  /** A path of this namespace as this process can open it. Only for mounts that answer. */
  inside(path: string): string {
    return `/proc/${this.pid}/root${path}`;
  }

  /** A process that holds something until the world is closed. */
  hold(argv: readonly string[], cwd = '/'): ChildProcess {
    const enter = ['-t', String(this.pid), '-m', '--', 'sh', '-c', 'cd "$1" && shift && exec "$@"', 'sh', cwd];
    const child = spawn('nsenter', [...enter, ...argv], {
      stdio: 'ignore',
      detached: true,
      cwd: '/',
    });
    this.#groups.push(child.pid as number);
    return child;
  }

  /** What a command printed; undefined where it has not ended by then, for what it asks may hang for ever. */
  async tried(argv: readonly string[], limitMs = 1500): Promise<string | undefined> {
    const printed = this.path(`tried-${this.#groups.length}`);
    const script = 'out="$1"; shift; LC_ALL=C "$@" > "$out.part" 2>&1; mv "$out.part" "$out"';
    const child = this.hold(['sh', '-c', script, 'sh', printed, ...argv]);
    await until(() => existsSync(printed), limitMs).catch(() => kill(-(child.pid as number)));
    return existsSync(printed) ? readFileSync(printed, 'utf8') : undefined;
  }

  /** Those of this namespace. */
  processes(): number[] {
    const namespaceOf = (pid: number | string) => {
      try {
        return readlinkSync(`/proc/${pid}/ns/mnt`);
      } catch {
        return undefined;
      }
    };
    const own = namespaceOf(this.pid);
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name) && namespaceOf(name) === own)
      .map(Number);
  }

  /** Where a process of this world stands, as the kernel names it. */
  cwdOf(pid: number): string | undefined {
    try {
      return readlinkSync(`/proc/${pid}/cwd`);
    } catch {
      return undefined;
    }
  }

  /** Puts a process into a frozen cgroup: it sleeps, is not stopped, and reads nothing. */
  async freeze(pid: number): Promise<void> {
    const group = `${CGROUP_V1 ? FREEZER : CGROUP}/stdoctor-real-${process.pid}-${pid}`;
    mkdirSync(group);
    this.#frozen.push(group);
    writeFileSync(`${group}/cgroup.procs`, String(pid));
    setFrozen(group, true);
    await until(() =>
      CGROUP_V1 ? readLink(`${group}/freezer.state`) === 'FROZEN' : readLink(`${group}/cgroup.events`)?.includes('frozen 1') === true,
    );
  }

  /** The program at a terminal of its own, in this world. */
  terminal(args: readonly string[], options: { columns?: number; rows?: number; env?: Record<string, string> } = {}): Promise<Terminal> {
    const argv = [
      'nsenter',
      '-t',
      String(this.pid),
      '-m',
      '--',
      'env',
      `STDOCTOR_STATE_DIR=${this.state}`,
      ...Object.entries({ ...this.env, ...options.env }).map(([name, value]) => `${name}=${value}`),
      process.execPath,
      join(ROOT, 'bin/run.js'),
      ...args,
    ];
    const size = { columns: options.columns ?? 100, rows: options.rows ?? 40 };
    const terminal = Terminal.open(this.path(`tmux-${this.#terminals.length}`), argv, size);
    this.#terminals.push(terminal);
    return terminal;
  }

  /** Children of ours that are left on this machine, by a word of their command line. */
  childrenNaming(text: string): number[] {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .filter((pid) => {
        const [comm, stat] = [readLink(`/proc/${pid}/comm`), readLink(`/proc/${pid}/stat`)];
        // A command line may not be read where the process is stuck; those of our probes that are stuck are stat and find.
        return (
          (comm === 'stat' || comm === 'find') &&
          stat !== undefined &&
          !/\) Z /.test(stat) &&
          (readLink(`/proc/${pid}/cmdline`) ?? '').includes(text)
        );
      })
      .map(Number);
  }

  async close(): Promise<void> {
    for (const work of this.closing) {
      await work();
    }
    for (const terminal of this.#terminals) {
      await (await terminal).close();
    }
    for (const point of this.#images) {
      await this.run(['fsfreeze', '-u', point], { ok: false, timeoutMs: 5000 });
    }
    for (const group of this.#frozen) {
      setFrozen(group, false);
    }
    for (const mount of this.mounts().filter(({ fstype }) => fstype.startsWith('fuse'))) {
      await this.run(['sh', '-c', `echo 1 > ${FUSECTL}/${connectionOf(mount)}/abort`], { ok: false, timeoutMs: 5000 });
    }
    for (const file of readdirSync(this.dir).filter((name) => name.endsWith('.pid'))) {
      kill(Number(readFileSync(join(this.dir, file), 'utf8')));
    }
    for (const group of this.#groups) {
      kill(-group);
    }
    await sleep(100);
    const own = this.mounts().filter(({ point }) => toByteString(point).startsWith(this.dir));
    for (const { point } of own.toReversed()) {
      const bytes = Buffer.from(toByteString(point), 'latin1');
      await execa('nsenter', ['-t', String(this.pid), '-m', '--', 'xargs', '-0', 'umount', '-c'], {
        reject: false,
        timeout: 10_000,
        input: bytes,
      });
    }
    for (const node of this.#loops) {
      // Not in this namespace, where the name may lead to another device.
      await execa('losetup', ['-d', node], { reject: false, timeout: 10_000 });
    }
    for (const group of this.#frozen) {
      await until(() => readLink(`${group}/cgroup.procs`) === '');
      rmdirSync(group);
    }
    this.#holder.kill('SIGKILL');
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** Codes about the whole machine: their own tests look for them by name. */
const MACHINE_WIDE = ['foreign-ns-holder', 'orphan-fuse-conn'];

/** A warning of foreign-ns-holder is of a mount that is there in the world itself, too. */
export function isOwn({ code, severity }: Report): boolean {
  return !MACHINE_WIDE.includes(code) || (code === 'foreign-ns-holder' && severity === 'warning');
}

/** A report, plans or repairs as JSON, without what is about the whole machine. */
export function withoutOtherWorlds(json: string): string {
  const document = JSON.parse(json);
  for (const target of document.targets ?? []) {
    target.findings = target.findings.filter(isOwn);
  }
  for (const list of ['repairs', 'plans'].filter((name) => Array.isArray(document[name]))) {
    document[list] = document[list].filter(({ finding }: Report) => isOwn(finding));
  }
  return `${JSON.stringify(document, null, 2)}\n`;
}

export interface Image {
  file: string;
  point: string;
  node: string;
}

export class Sshfs {
  readonly point: string;
  readonly source: string;
  readonly daemon: number;
  readonly #world: World;
  readonly #files: { delay: string; serverPid: string };

  constructor(world: World, point: string, source: string, daemon: number, files: { delay: string; serverPid: string }) {
    this.#world = world;
    this.point = point;
    this.source = source;
    this.daemon = daemon;
    this.#files = files;
  }

  get mount(): Mount {
    return this.#world.mountsAt(this.point).at(-1) as Mount;
  }

  get connection(): number {
    return connectionOf(this.mount);
  }

  /** The SFTP server behind it, or the one that holds its replies back. */
  get server(): number {
    const pid = Number(readFileSync(this.#files.serverPid, 'utf8'));
    if (!(pid > 1)) {
      throw new Error(`no pid in ${this.#files.serverPid}`);
    }
    return pid;
  }

  /** kill -9: the mount is dead from now on. */
  async kill(): Promise<void> {
    process.kill(this.daemon, 'SIGKILL');
    await until(() => {
      const stat = readLink(`/proc/${this.daemon}/stat`);
      // With all its threads: the last of them ends the connection.
      return stat === undefined || /\) Z (\S+ ){16}[01] /.test(stat);
    });
  }

  /** The daemon reads requests and never answers: callers go to D state. */
  silence(): void {
    process.kill(this.server, 'SIGSTOP');
  }

  /** The daemon reads nothing any more. */
  stop(): void {
    process.kill(this.daemon, 'SIGSTOP');
  }

  /** Every reply is held back by this much, with `slow`. */
  delay(ms: number): void {
    writeFileSync(this.#files.delay, String(ms));
  }

  abort(): Promise<Ran> {
    return this.#world.run(['sh', '-c', `echo 1 > ${FUSECTL}/${this.connection}/abort`]);
  }
}

function setFrozen(group: string, frozen: boolean): void {
  if (CGROUP_V1) {
    writeFileSync(`${group}/freezer.state`, frozen ? 'FROZEN' : 'THAWED');
  } else {
    writeFileSync(`${group}/cgroup.freeze`, frozen ? '1' : '0');
  }
}

function kill(pid: number): void {
  if (pid === 0 || pid === 1) {
    return;
  }
  try {
    process.kill(pid, 'SIGCONT');
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}

export async function until(holds: () => boolean, limitMs = 10_000): Promise<void> {
  for (const end = Date.now() + limitMs; !holds(); await sleep(20)) {
    if (Date.now() > end) {
      throw new Error(`not within ${limitMs} ms: ${holds}`);
    }
  }
}

/** The letter of /proc/PID/stat; undefined where it has ended. */
export function stateOf(pid: number): string | undefined {
  // 4242 (sshfs) S 1 4242 …
  return /\) (\S) /.exec(readLink(`/proc/${pid}/stat`) ?? '')?.[1];
}

function readLink(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').replace(/\n$/, '');
  } catch {
    return undefined;
  }
}

function parseReport(ran: Ran): Report {
  try {
    return JSON.parse(ran.stdout);
  } catch {
    throw new Error(`no JSON on standard output (exit code ${ran.code}): ${ran.stdout.slice(0, 500)}\n${ran.stderr}`);
  }
}
