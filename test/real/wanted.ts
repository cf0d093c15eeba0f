/** What a world wants mounted: its /etc/fstab, and a systemd that is played. */
import { chmodSync, existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { ROOT, Sshfs, until, type World } from './world.ts';

/** The lines are this world's /etc/fstab. */
export async function fstabOf(world: World, ...lines: string[]): Promise<void> {
  const file = world.path('fstab');
  writeFileSync(file, lines.map((line) => `${line}\n`).join(''));
  await world.run(['mount', '--bind', file, '/etc/fstab']);
}

export interface UnitText {
  [property: string]: string;
}

/** Units as systemd would have them. Returns the environment in which its systemctl comes first. */
export async function systemdIn(world: World, units: Record<string, UnitText>): Promise<Record<string, string>> {
  await world.run(['mount', '-t', 'tmpfs', 'tmpfs', '/run/systemd']);
  await world.run(['mkdir', '/run/systemd/system']);
  const state = world.path('units.json');
  writeFileSync(state, JSON.stringify({ '-.mount': unit('/', '/dev/root'), ...units }));
  const directory = world.directory('bin');
  const script = join(directory, 'systemctl');
  writeFileSync(script, `#!/bin/sh\nexec ${process.execPath} ${join(ROOT, 'test/real/systemctl.mjs')} ${state} "$@"\n`);
  chmodSync(script, 0o755);
  return { PATH: `${directory}:${process.env['PATH']}` };
}

/** Of a line in /etc/fstab, never started: what systemd 252 has of it. */
export function unit(where: string, what: string, more: UnitText = {}): UnitText {
  return {
    Where: where,
    What: what,
    Type: 'ext4',
    LoadState: 'loaded',
    ActiveState: 'inactive',
    SubState: 'dead',
    Result: 'success',
    FragmentPath: `/run/systemd/generator/${nameOf(where)}`,
    SourcePath: '/etc/fstab',
    UnitFileState: 'generated',
    NeedDaemonReload: 'no',
    ActiveEnterTimestampMonotonic: '0',
    ConditionResult: 'no',
    ConditionTimestampMonotonic: '0',
    ...more,
  };
}

export function nameOf(where: string): string {
  return `${where.slice(1).replaceAll('-', '\\x2d').replaceAll('/', '-')}.mount`;
}

/** An sshfs that /etc/fstab wants, mounted as that says; `systemd`: by a unit, too. */
export async function wantedSshfs(
  world: World,
  name: string,
  { systemd = false, point = world.path(name), more = '' }: { systemd?: boolean; point?: string; more?: string } = {},
): Promise<Sshfs> {
  const source = world.directory(`${name}.source`);
  const [server, serverPid] = [world.path(`${name}.server`), world.path(`${name}.pid`)];
  writeFileSync(join(source, 'hello'), 'hello\n');
  writeFileSync(server, `#!/bin/sh\necho $$ > ${serverPid}\nexec /usr/lib/openssh/sftp-server\n`);
  chmodSync(server, 0o755);
  const options = `ssh_command=${server},nosuid,noatime${more}`;
  await world.run(['mkdir', '-p', point]);
  await fstabOf(world, `host:${source} ${point} fuse.sshfs ${options} 0 0`);
  if (systemd) {
    const text = unit(point, `host:${source}`, { Type: 'fuse.sshfs', Options: options });
    Object.assign(world.env, await systemdIn(world, { [nameOf(point)]: text }));
  }
  // Its SFTP server keeps what it was given to print to.
  await world.run(['sh', '-c', 'exec mount "$1" > "$2" 2>&1', 'sh', point, world.path(`${name}.said`)]);
  return new Sshfs(world, point, source, sshfsAt(world, point)[0] as number, { delay: '', serverPid });
}

/** The daemons of sshfs mounts at this place. */
export function sshfsAt(world: World, point: string): number[] {
  return world.processes().filter((pid) => {
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      return words.includes(point) && /^(sshfs|mount\.fuse)/.test(readFileSync(`/proc/${pid}/comm`, 'utf8'));
    } catch {
      // It has ended.
      return false;
    }
  });
}

/**
 * Here as on most hosts: the first process hides nothing from root. Some sandboxes have one that does, and then nothing is
 * proven by no process having been found.
 */
export async function withOpenProc(world: World): Promise<void> {
  const directory = world.directory('open-proc');
  const script = join(directory, 'find');
  const find = (await world.run(['sh', '-c', 'command -v find'])).stdout.trim();
  const lines = [
    '#!/bin/bash',
    'exec 3>&1',
    `said=$( (exec -a find ${find} "$@") 2>&1 >&3 3>&- ); code=$?`,
    `rest=$(grep -v "^find: '/proc/1/.*Permission denied" <<< "$said")`,
    '[ -z "$rest" ] || printf "%s\\n" "$rest" >&2',
    '[ -n "$said" ] && [ -z "$rest" ] || exit "$code"',
  ];
  writeFileSync(script, `${lines.join('\n')}\n`);
  chmodSync(script, 0o755);
  world.env['PATH'] = `${directory}:${world.env['PATH'] ?? process.env['PATH']}`;
}

export interface Service {
  unit: string;
  /** Of its process, now. */
  pid(): number | undefined;
}

/** A service with a copy of this world's mounts, as systemd runs one with mounts of its own, and the systemctl that restarts it. */
export async function serviceIn(world: World): Promise<Service> {
  const name = `${basename(world.dir)}.service`;
  const hierarchies = ['/sys/fs/cgroup/systemd', '/sys/fs/cgroup'];
  const group = join(hierarchies.find((path) => existsSync(`${path}/cgroup.procs`)) as string, 'system.slice', name);
  const processes = () => readFileSync(`${group}/cgroup.procs`, 'utf8').split('\n').filter(Boolean).map(Number);
  mkdirSync(group, { recursive: true });
  world.closing.push(async () => {
    for (const pid of processes()) {
      process.kill(pid, 'SIGKILL');
    }
    await until(() => processes().length === 0);
    rmdirSync(group);
  });
  const service = {
    LoadState: 'loaded',
    ActiveState: 'active',
    SubState: 'running',
    Group: group,
    Start: 'exec unshare -m --propagation private sleep infinity',
  };
  Object.assign(world.env, await systemdIn(world, { [name]: service }));
  await world.run(['systemctl', 'restart', name], { env: world.env });
  const pid = () => processes()[0];
  await until(() => pid() !== undefined && readFileSync(`/proc/${pid()}/comm`, 'utf8') === 'sleep\n');
  return { unit: name, pid };
}

/** A line of the mount table that this process sees names the device; false where the process has ended. */
export function sees(pid: number | undefined, device: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/mountinfo`, 'latin1').includes(` ${device} `);
  } catch {
    return false;
  }
}
