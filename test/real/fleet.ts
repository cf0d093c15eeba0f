/**
 * Hosts to be asked over ssh, good and bad ones, all on loopback: one SSH server inside a world, so that a host has the
 * world's mounts, and peers that only look like servers. What ssh reads of the user database, his keys and known hosts is the
 * world's own.
 */
import { once } from 'node:events';
import { appendFileSync, chmodSync, chownSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { ROOT, stateOf, until, type World } from './world.ts';

const SSHD = '/usr/sbin/sshd';
const BUSYBOX = '/usr/bin/busybox';
/** In the environment of all that is run on a host of a fleet. */
const MARK = 'STDOCTOR_FLEET';
const FIRST_UID = 42_001;
/** As most systems come, but for our mark. */
const SUDOERS = `Defaults env_reset, use_pty, env_keep += ${MARK}
Defaults secure_path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
root ALL=(ALL:ALL) ALL
`;

/** A login on the SSH server. */
interface User {
  /** 0, of which there may be many names, sees everything. */
  uid?: number;
  shell?: string;
  /** Instead of what is asked for. */
  command?: string;
  /** What his home has. */
  files?: Readonly<Record<string, string>>;
  /** May be root with sudo, without a password. */
  sudo?: boolean;
  /** His password; our key then opens nothing. */
  password?: boolean;
}

/** Peers without an SSH server behind them, as fleet-peer.mjs calls them. */
type PeerKind =
  | 'silent'
  | 'banner-then-silent'
  | 'garbage'
  | 'garbage-then-end'
  | 'endless'
  | 'endless-lines'
  | 'banner-then-garbage'
  | 'old-protocol'
  | 'drops'
  | 'resets'
  | 'deaf';

export class Fleet {
  readonly #world: World;
  readonly #dir: string;
  readonly #peer: Peer;
  readonly #groups: readonly number[];
  readonly #port: number;
  readonly #keys: { host: string; other: string };
  #addresses = 0;
  #names = 0;
  #users = 0;

  private constructor(
    world: World,
    dir: string,
    run: { peer: Peer; groups: number[]; port: number; keys: { host: string; other: string } },
  ) {
    this.#world = world;
    this.#dir = dir;
    this.#peer = run.peer;
    this.#groups = run.groups;
    this.#port = run.port;
    this.#keys = run.keys;
  }

  /** Its hosts have Perl, or they have not. */
  static async open(world: World, engine: 'perl' | 'sh' = 'perl'): Promise<Fleet> {
    const dir = world.directory('fleet');
    // Other users than root have their homes in there.
    chmodSync(world.dir, 0o711);
    const at = (name: string) => join(dir, name);
    for (const name of ['root', 'root/.ssh', 'keys', 'homes']) {
      mkdirSync(at(name), { mode: 0o755 });
    }
    for (const key of ['host', 'other', 'client', 'stranger']) {
      await world.run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', key, '-f', at(key)]);
    }
    const publicKey = (name: string) => readFileSync(at(`${name}.pub`), 'utf8').trim();
    await ownUsers(world, dir);
    if (engine === 'sh') {
      await world.run(['sh', '-c', 'while p=$(command -v perl); do mount --bind /dev/null "$(realpath "$p")" || exit; done']);
    }
    writeFileSync(at('root/.ssh/known_hosts'), '');
    // The usual key exchange costs more than all that is asked afterwards.
    writeFileSync(
      at('root/.ssh/config'),
      `IdentitiesOnly yes\nIdentityAgent none\nGSSAPIAuthentication no\nGlobalKnownHostsFile none\nKexAlgorithms curve25519-sha256\n\nHost 127.*\n  IdentityFile ${at('client')}\n`,
    );
    writeFileSync(at('keys/root'), `${publicKey('client')}\n`);

    const control = at('control');
    const peers = world.hold([process.execPath, join(ROOT, 'test/real/fleet-peer.mjs'), control]);
    const peer = await Peer.connect(control);
    const port = await freePort(peer);
    writeFileSync(at('banner'), 'Connection refused\nHost key verification failed.\n@ REMOTE HOST IDENTIFICATION HAS CHANGED! @\n');
    const config = at('sshd_config');
    writeFileSync(config, sshdConfig(port, dir));
    const server = world.hold([SSHD, '-D', '-f', config, '-E', at('sshd.log')]);
    await until(() => (existsSync(at('sshd.log')) ? readFileSync(at('sshd.log'), 'utf8') : '').includes('Server listening'));
    const keys = { host: publicKey('host'), other: publicKey('other') };
    return new Fleet(world, dir, { peer, groups: [peers.pid as number, server.pid as number], port, keys });
  }

  /** Asked as root, with the world's mounts. */
  healthy(): string {
    return this.#host('healthy', { user: 'root' });
  }

  /** The same without a name in ssh_config: user@host:port. */
  address(): string {
    const address = this.#nextAddress();
    this.#know(address, this.#port, this.#keys.host);
    return `root@${address}:${this.#port}`;
  }

  /** Nobody listens there. */
  refused(): string {
    return this.#host('refused', { port: 1 });
  }

  /** Not even a connection is made. */
  unanswered(): Promise<string> {
    return this.#peerHost('unanswered', 'deaf');
  }

  /** Takes the connection and says nothing. */
  silent(): Promise<string> {
    return this.#peerHost('silent', 'silent');
  }

  bannerThenSilent(): Promise<string> {
    return this.#peerHost('banner-then-silent', 'banner-then-silent');
  }

  /** A line of another protocol, and the connection stays open. */
  garbage(): Promise<string> {
    return this.#peerHost('garbage', 'garbage');
  }

  garbageThenEnd(): Promise<string> {
    return this.#peerHost('garbage-then-end', 'garbage-then-end');
  }

  /** A line that never ends. */
  endless(): Promise<string> {
    return this.#peerHost('endless', 'endless');
  }

  /** Lines that never end. */
  endlessLines(): Promise<string> {
    return this.#peerHost('endless-lines', 'endless-lines');
  }

  bannerThenGarbage(): Promise<string> {
    return this.#peerHost('banner-then-garbage', 'banner-then-garbage');
  }

  oldProtocol(): Promise<string> {
    return this.#peerHost('old-protocol', 'old-protocol');
  }

  drops(): Promise<string> {
    return this.#peerHost('drops', 'drops');
  }

  resets(): Promise<string> {
    return this.#peerHost('resets', 'resets');
  }

  /** Its key is in no known_hosts. */
  unknownKey(): string {
    return this.#host('unknown-key', { known: null });
  }

  /** known_hosts has another key for it. */
  changedKey(): string {
    return this.#host('changed-key', { known: this.#keys.other });
  }

  /** Takes no key of ours. */
  unauthorized(): string {
    return this.#host('unauthorized', { key: 'stranger' });
  }

  /** The same, and the server says something else before. */
  lyingBanner(): string {
    return this.#host('lying-banner', { key: 'stranger', user: this.#user('lying', {}) });
  }

  /** Would ask for a password, and takes nothing else. */
  asksPassword(): string {
    return this.#login('asks-password', { password: true });
  }

  unresolvable(): string {
    return this.#host('unresolvable', { name: 'no-such-host.invalid' });
  }

  /** An account that is not for logging in. */
  noLogin(): string {
    return this.#login('no-login', { shell: '/usr/sbin/nologin' });
  }

  /** Whatever is asked, this is the answer. */
  noShell(command = "printf 'Only git is served here\\nand nothing else\\n'"): string {
    return this.#login('no-shell', { command });
  }

  /** Logs in, and writes for ever. */
  sendsWithoutEnd(): string {
    return this.#login('sends-without-end', { command: 'exec yes nothing of interest' });
  }

  /** The same on standard error. */
  complainsWithoutEnd(): string {
    return this.#login('complains-without-end', { command: 'exec yes Permission denied >&2' });
  }

  /** Answers as the program that it was sent would, and then does something else. */
  pretends(then: string): string {
    const script = join(this.#dir, `pretends-${this.#names}`);
    const text = `#!/bin/bash
while IFS= read -r line; do
  case $line in *' ready 1 '*) nonce=$(printf %s "$line" | grep -oE '[0-9a-f]{16,}' | tail -n 1); break;; esac
done
printf '\\n%s ready 1 b64 setsid 0\\n' "$nonce"
${then}
`;
    writeFileSync(script, text, { mode: 0o755 });
    return this.#login('pretends', { command: script });
  }

  /** Logs in, and says nothing. */
  stuckShell(): string {
    return this.#login('stuck-shell', { command: 'exec sleep 1000' });
  }

  /** Its rc file prints text that no newline ends, on both streams. */
  noisy(): string {
    const text = 'Connection refused\\nHost key verification failed.\\n\\033[31mWelcome \\001 to';
    return this.#login('noisy', { files: { '.bashrc': `printf '${text}'\nprintf '${text}' >&2\n` } });
  }

  /** Login shells other than those that are alike, as far as they are installed. */
  otherShells(): string[] {
    const shells = ['/usr/bin/fish', '/usr/bin/tcsh', '/usr/bin/rbash'].filter((shell) => existsSync(shell));
    const hosts = shells.map((shell) => this.#login(shell.replace(/.*\//, ''), { shell }));
    if (existsSync(BUSYBOX)) {
      const ash = join(this.#dir, 'ash');
      if (!existsSync(ash)) {
        symlinkSync(BUSYBOX, ash);
      }
      hosts.push(this.#login('ash', { shell: ash }));
    }
    return hosts;
  }

  /** Behind another one; a healthy one by itself. */
  viaJump(jump = this.healthy()): string {
    return this.#host('via-jump', { more: [`ProxyJump ${jump}`] });
  }

  /** An ordinary user who may become root without a password. */
  sudoer(): string {
    return this.#login('sudoer', { uid: FIRST_UID + this.#users, sudo: true });
  }

  /** An ordinary user. */
  plain(): string {
    return this.#login('plain', { uid: FIRST_UID + this.#users });
  }

  /** A healthy one, behind something that can be cut. */
  async relay(): Promise<RelayedHost> {
    const address = this.#nextAddress();
    const port = await this.#peer.tell({ kind: 'relay', address, target: { host: '127.0.0.1', port: this.#port } });
    return new RelayedHost(this.#host('relay', { port, address }), this.#peer, port);
  }

  /** A healthy one that closes its first connections at once, as one does that has too many of them. */
  async busy(connections = 1): Promise<string> {
    const host = await this.relay();
    await host.down(connections);
    return host.name;
  }

  /** Another name for a host. */
  alias(host: string): string {
    const config = readFileSync(this.#ssh('config'), 'utf8');
    const [, section] = new RegExp(`^Host ${host}\\n((?:  .*\\n)*)`, 'm').exec(config) ?? [];
    const alias = `${host}-${++this.#names}`;
    appendFileSync(this.#ssh('config'), `Host ${alias}\n${section}`);
    return alias;
  }

  /** What runs on its hosts: the sessions, and all that came of them. */
  sessions(): number[] {
    return this.#world.processes().filter((pid) => isRemote(pid) && !this.#groups.includes(pid));
  }

  /** Every ssh in its world, also one that another started for itself. */
  clients(): number[] {
    return this.#world.processes().filter((pid) => readProc(pid, 'comm') === 'ssh\n');
  }

  /** Sessions by a word of their command line. */
  processesNaming(text: string): number[] {
    return this.sessions().filter((pid) => Fleet.describe(pid).includes(text));
  }

  /** By its command line. One that is stuck may keep anybody from reading that: it is told by name. */
  static describe(pid: number): string {
    return stateOf(pid) === 'D' ? `${readProc(pid, 'comm')?.trim()} (D)` : (readProc(pid, 'cmdline') ?? '').replaceAll('\0', ' ').trim();
  }

  /** Before the world is closed, whose mounts its hosts may still look at. What is stuck there ends with those. */
  async close(): Promise<void> {
    for (const pid of [...this.#groups.map((group) => -group), ...this.sessions(), ...this.clients()]) {
      kill(pid);
    }
    // Only now: it would end this whole namespace.
    this.#peer.close();
    await until(() => this.sessions().every((pid) => stateOf(pid) === 'D'));
  }

  #nextAddress(): string {
    const nth = this.#addresses++;
    return `127.0.${1 + Math.floor(nth / 250)}.${1 + (nth % 250)}`;
  }

  /** A name for ssh. */
  #host(
    kind: string,
    {
      address = this.#nextAddress(),
      name = address,
      port = this.#port,
      user = 'root',
      key = 'client',
      known = this.#keys.host,
      more = [],
    }: {
      address?: string;
      name?: string;
      port?: number;
      user?: string;
      key?: string;
      known?: string | null;
      more?: readonly string[];
    },
  ): string {
    const alias = `${kind}-${++this.#names}`;
    const lines = [`HostName ${name}`, `Port ${port}`, `User ${user}`, `IdentityFile ${join(this.#dir, key)}`, ...more];
    appendFileSync(this.#ssh('config'), `Host ${alias}\n${lines.map((line) => `  ${line}\n`).join('')}`);
    if (known !== null) {
      this.#know(name, port, known);
    }
    return alias;
  }

  #know(host: string, port: number, key: string): void {
    appendFileSync(this.#ssh('known_hosts'), `[${host}]:${port} ${key.split(' ').slice(0, 2).join(' ')}\n`);
  }

  #ssh(file: string): string {
    return join(this.#dir, 'root/.ssh', file);
  }

  async #peerHost(name: string, kind: PeerKind): Promise<string> {
    const address = this.#nextAddress();
    return this.#host(name, { address, port: await this.#peer.tell({ kind, address }) });
  }

  /** A host with a user of its own. */
  #login(kind: string, user: User): string {
    return this.#host(kind, { user: this.#user(`fleet-${++this.#users}`, user) });
  }

  #user(user: string, { uid = 0, shell = '/bin/bash', command, files = {}, sudo, password }: User): string {
    const home = join(this.#dir, 'homes', user);
    mkdirSync(home);
    for (const [name, text] of Object.entries(files)) {
      writeFileSync(join(home, name), text);
    }
    chownSync(home, uid, uid);
    appendFileSync(join(this.#dir, 'passwd'), `${user}:x:${uid}:${uid}::${home}:${shell}\n`);
    appendFileSync(join(this.#dir, 'shadow'), `${user}:*:20000::::::\n`);
    if (uid !== 0) {
      appendFileSync(join(this.#dir, 'group'), `${user}:x:${uid}:\n`);
    }
    if (sudo) {
      appendFileSync(join(this.#dir, 'sudoers'), `${user} ALL=(ALL:ALL) NOPASSWD: ALL\n`);
    }
    if (!password) {
      const options = command === undefined ? '' : `command="${command.replaceAll('"', '\\"')}" `;
      writeFileSync(join(this.#dir, 'keys', user), options + readFileSync(join(this.#dir, 'client.pub'), 'utf8'));
    }
    return user;
  }
}

/** A host behind a relay. */
export class RelayedHost {
  readonly name: string;
  readonly #peer: Peer;
  readonly #port: number;

  constructor(name: string, peer: Peer, port: number) {
    this.name = name;
    this.#peer = peer;
    this.#port = port;
  }

  /** Ends all connections; new ones are made as before. */
  cut(): Promise<number> {
    return this.#peer.tell({ kind: 'cut', port: this.#port });
  }

  /** Ends all connections, and closes so many new ones at once. */
  down(connections = Number.MAX_SAFE_INTEGER): Promise<number> {
    return this.#peer.tell({ kind: 'down', port: this.#port, connections });
  }

  up(): Promise<number> {
    return this.down(0);
  }

  /** Nothing goes through any more, and nobody is told. */
  freeze(): Promise<number> {
    return this.#peer.tell({ kind: 'freeze', port: this.#port });
  }

  /** So far. */
  connections(): Promise<number> {
    return this.#peer.tell({ kind: 'connections', port: this.#port });
  }
}

/** The process that plays the bad hosts. */
class Peer {
  readonly #socket: Socket;
  readonly #waiting = new Map<number, { done: (value: number) => void; failed: (error: Error) => void }>();
  #asked = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('error', () => {});
    createInterface({ input: socket }).on('line', (line) => {
      const { id, value, error } = JSON.parse(line);
      const waiting = this.#waiting.get(id);
      if (error === undefined) {
        waiting?.done(value);
      } else {
        waiting?.failed(new Error(error));
      }
    });
  }

  /** As soon as it listens. */
  static async connect(path: string): Promise<Peer> {
    for (const end = Date.now() + 10_000; ; await sleep(20)) {
      try {
        const socket = connect(path);
        await once(socket, 'connect');
        return new Peer(socket);
      } catch (error) {
        if (Date.now() > end) {
          throw error;
        }
      }
    }
  }

  tell(order: Record<string, unknown>): Promise<number> {
    const id = ++this.#asked;
    return new Promise((done, failed) => {
      this.#waiting.set(id, { done, failed });
      this.#socket.write(`${JSON.stringify({ id, ...order })}\n`);
    });
  }

  close(): void {
    this.#socket.destroy();
  }
}

/** The world's own users, and what may be asked about them; nothing of it is on the machine. */
async function ownUsers(world: World, dir: string): Promise<void> {
  const own = async (path: string, mode: number, change: (text: string) => string) => {
    const file = join(dir, path.replace(/.*\//, ''));
    writeFileSync(file, change(readFileSync(path, 'utf8').replace(/\n?$/, '\n')));
    chmodSync(file, mode);
    await world.run(['mount', '--bind', file, path]);
  };
  // ssh takes a user's home from here, whatever HOME says.
  await own('/etc/passwd', 0o644, (text) => text.replace(/^(root(?::[^:]*){4}:)[^:]*/m, `$1${join(dir, 'root')}`));
  // A locked password would lock the keys too.
  await own('/etc/shadow', 0o640, (text) => text.replace(/^root:[^:]*/m, 'root:*'));
  await own('/etc/group', 0o644, (text) => text);
  await own('/etc/nsswitch.conf', 0o644, () => 'passwd: files\ngroup: files\nshadow: files\nhosts: files\n');
  await own('/etc/sudoers', 0o440, () => SUDOERS);
  // The SSH server insists on this directory; what repairs and sudo leave in /run is seen there, and gone with the world.
  await world.run(['sh', '-ec', 'mount -t tmpfs -o mode=755 tmpfs /run && mkdir -m 755 /run/sshd']);
}

function sshdConfig(port: number, dir: string): string {
  return `Port ${port}
ListenAddress 0.0.0.0
AllowUsers *@127.0.0.0/8
HostKey ${join(dir, 'host')}
AuthorizedKeysFile ${join(dir, 'keys')}/%u
StrictModes no
PermitRootLogin yes
SetEnv ${MARK}=${dir}
PasswordAuthentication yes
UsePAM no
UseDNS no
PidFile none
MaxStartups 1000
Match User lying
  Banner ${join(dir, 'banner')}
`;
}

/** One that nobody listens on, on any address. */
function freePort(peer: Peer): Promise<number> {
  return peer.tell({ kind: 'free-port' });
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}

function isRemote(pid: number): boolean {
  const state = stateOf(pid);
  if (state === undefined || state === 'Z') {
    return false;
  }
  // Of one that is stuck the environment cannot always be read; nothing else gets stuck here.
  return state === 'D' || readProc(pid, 'comm') === 'sshd\n' || (readProc(pid, 'environ') ?? '').includes(`${MARK}=`);
}

function readProc(pid: number, name: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'latin1');
  } catch {
    return undefined;
  }
}
