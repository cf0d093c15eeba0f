import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findingOf, found, liveAndReplayed, outcomes } from './compare.ts';
import { type Service, sees, serviceIn } from './wanted.ts';
import { type Report, until, World } from './world.ts';

let world: World;
beforeEach(async () => {
  world = await World.open();
  world.seesAll = true;
});
afterEach(() => world.close());

/** An overlay of three directories, mounted. */
async function overlay(layers: { lower?: string } = {}): Promise<{ lower: string; upper: string; work: string; point: string }> {
  const [upper, work, point] = ['upper', 'work', 'merged'].map((name) => world.directory(name)) as [string, string, string];
  const lower = layers.lower ?? world.directory('lower');
  if (layers.lower === undefined) {
    writeFileSync(join(lower, 'below'), 'below\n');
  }
  await world.run(['mount', '-t', 'overlay', 'ov', '-o', `nosuid,lowerdir=${lower},upperdir=${upper},workdir=${work}`, point]);
  return { lower, upper, work, point };
}

function unjudgedOf(report: Report): string[] {
  return report.targets[0].checks[0].unjudged.map(({ subject }: Report) => subject.name);
}

describe('overlay-layer-missing', () => {
  it('is silent about a healthy overlay, one with odd names, and one whose lower is an sshfs', async () => {
    const remote = await world.sshfs('remote');
    await overlay({ lower: remote.point });
    const [odd, point] = [world.directory('l:o,w \\er'), world.directory('odd')];
    const escaped = odd.replace(/[\\:,]/g, '\\$&');
    await world.run(['mount', '-t', 'overlay', 'ov', '-o', `lowerdir=${escaped}:${world.directory('second')}`, point], { ok: false });
    const report = await liveAndReplayed(world);
    expect(found(report)).toEqual([]);
    expect(unjudgedOf(report)).toEqual([]);
  });

  it.each(['lower', 'upper'] as const)('finds that the %s directory is gone, and says what to restore', async (role) => {
    const layers = await overlay();
    rmSync(layers[role], { recursive: true });
    const report = await liveAndReplayed(world);
    expect(found(report)).toEqual([`overlay-layer-missing ${layers.point}`]);
    const finding = findingOf(report, 'overlay-layer-missing');
    expect(finding).toMatchObject({ severity: 'critical', confidence: 'high', fix: { state: 'refused' } });
    expect(finding.fix.reason).toContain(layers[role]);
    expect(finding.fix.reason).toContain(`mount -t overlay -o`);
  });

  it('makes a lost working directory again and mounts anew: files can be copied up again', async () => {
    const { work, point } = await overlay();
    rmSync(work, { recursive: true });
    const append = () => world.run(['sh', '-c', 'echo more >> "$1/below"', 'sh', point], { ok: false });
    expect((await append()).code).not.toBe(0);
    const report = await liveAndReplayed(world);
    expect(findingOf(report, 'overlay-layer-missing')).toMatchObject({ severity: 'warning', fix: { risk: 'disruptive' } });
    const options = world.mountsAt(point)[0]?.superOptions;
    const { code, report: fixed } = await world.fix('--auto', 'disruptive');
    expect([code, outcomes(fixed)]).toEqual([0, ['overlay-layer-missing repaired']]);
    expect((await append()).code).toBe(0);
    expect(world.mountsAt(point)).toMatchObject([{ superOptions: options, options: 'rw,nosuid,relatime' }]);
  });

  it('names the dead sshfs below as the cause; when that is mounted again, the overlay is mounted anew', async () => {
    const remote = await world.sshfs('remote');
    const { point } = await overlay({ lower: remote.point });
    await remote.kill();
    const report = await liveAndReplayed(world);
    expect(found(report)).toEqual([`fuse-dead ${remote.point}`, `overlay-layer-missing ${point}`]);
    expect(findingOf(report, 'overlay-layer-missing')).toMatchObject({
      cause: { kind: 'mount', name: remote.point },
      fix: { state: 'refused' },
    });
    expect(findingOf(report, 'fuse-dead').data.kernelHolders).toMatchObject([{ kind: 'overlay', name: point, path: remote.point }]);

    await world.run(['umount', '-c', remote.point]);
    const between = findingOf(await liveAndReplayed(world), 'overlay-layer-missing');
    expect(between.fix).toMatchObject({ state: 'refused' });
    await world.sshfs('remote');
    expect(findingOf(await liveAndReplayed(world), 'overlay-layer-missing')).toMatchObject({ fix: { risk: 'disruptive' } });
    expect(outcomes((await world.fix('--auto', 'disruptive')).report)).toEqual(['overlay-layer-missing repaired']);
    expect((await world.run(['ls', point])).stdout).toBe('hello\n');
  });

  it('could not tell where layers are relative, or all that is around them is not there', async () => {
    const base = world.directory('base');
    for (const name of ['a', 'b', 'm', 'n', 'deep/x', 'deep/y']) {
      mkdirSync(join(base, name), { recursive: true });
    }
    await world.run(['sh', '-c', 'cd "$1" && mount -t overlay ov -o lowerdir=a:b m', 'sh', base]);
    await world.run(['mount', '-t', 'overlay', 'ov', '-o', `lowerdir=${base}/deep/x:${base}/deep/y`, join(base, 'n')]);
    rmSync(join(base, 'deep'), { recursive: true });
    const report = await liveAndReplayed(world);
    expect(found(report)).toEqual([]);
    expect(unjudgedOf(report).toSorted()).toEqual([join(base, 'm'), join(base, 'n')]);
  });
});

describe('sshfs-lost-ssh', () => {
  /** sshfs -o reconnect whose ssh may be refused, and is then. */
  async function reconnecting(options = ['reconnect']): Promise<{ point: string; refuse(refused: boolean): void }> {
    const [source, point] = [world.directory('far'), world.directory('near')];
    const [ssh, refusal, pid] = ['ssh', 'refuse', 'ssh.pid'].map((name) => world.path(name)) as [string, string, string];
    writeFileSync(join(source, 'hello'), 'hello\n');
    writeFileSync(ssh, `#!/bin/sh\n[ -e ${refusal} ] && exit 255\necho $$ > ${pid}\nexec /usr/lib/openssh/sftp-server\n`);
    chmodSync(ssh, 0o755);
    world.hold(['sshfs', '-f', ...options.flatMap((option) => ['-o', option]), '-o', `ssh_command=${ssh}`, `nas:${source}`, point]);
    await until(() => world.mountsAt(point).length > 0 && existsSync(pid) && readFileSync(pid, 'utf8') !== '');
    return {
      point,
      refuse: (refused) => {
        if (refused) {
          writeFileSync(refusal, '');
          process.kill(Number(readFileSync(pid, 'utf8')), 'SIGKILL');
        } else {
          rmSync(refusal);
        }
      },
    };
  }

  it('is found while the server refuses, and heals by itself', async () => {
    const { point, refuse } = await reconnecting();
    expect(found(await liveAndReplayed(world))).toEqual([]);
    refuse(true);
    const report = await liveAndReplayed(world);
    expect(found(report)).toEqual([`sshfs-lost-ssh ${point}`]);
    expect(findingOf(report, 'sshfs-lost-ssh')).toMatchObject({ severity: 'critical', confidence: 'high', fix: { state: 'refused' } });
    refuse(false);
    expect(found(await liveAndReplayed(world))).toEqual([]);
  });

  it('is not found where one look healed it', async () => {
    const { refuse } = await reconnecting();
    refuse(true);
    refuse(false);
    expect(found(await liveAndReplayed(world))).toEqual([]);
  });
});

describe('orphan-fuse-conn', () => {
  const orphan = (report: Report, connection: number) =>
    report.targets[0].findings.find(({ code, subject }: Report) => code === 'orphan-fuse-conn' && subject.name === String(connection));

  it('is found with who holds it after a lazy unmount, and goes with them', async () => {
    const mount = await world.sshfs('remote');
    const { connection } = mount;
    const holder = world.hold(['sleep', '100'], mount.point);
    await until(() => world.cwdOf(holder.pid as number) === mount.point);
    expect(orphan(await liveAndReplayed(world), connection)).toBeUndefined();
    await world.run(['umount', '-l', mount.point]);
    const finding = orphan(await liveAndReplayed(world), connection);
    expect(finding).toMatchObject({ severity: 'info', confidence: 'high', fix: { state: 'refused' } });
    expect(finding.data.holders).toMatchObject([{ pid: holder.pid, name: 'sleep', user: 'root', by: ['cwd'] }]);
    expect(finding.fix.reason).toContain(`/sys/fs/fuse/connections/${connection}/abort`);
    process.kill(-(holder.pid as number), 'SIGKILL');
    await until(() => !existsSync(world.inside(`/sys/fs/fuse/connections/${connection}`)));
    expect(orphan(await liveAndReplayed(world), connection)).toBeUndefined();
  });

  it('is a warning where callers wait for an answer that does not come', async () => {
    const mount = await world.sshfs('remote');
    const { connection } = mount;
    mount.silence();
    const caller = world.hold(['ls', join(mount.point, 'nothing')]);
    await until(() => readFileSync(world.inside(`/sys/fs/fuse/connections/${connection}/waiting`), 'utf8') !== '0\n');
    await world.run(['umount', '-l', mount.point]);
    const report = await liveAndReplayed(world);
    expect(orphan(report, connection)).toMatchObject({ severity: 'warning', data: { waiting: 1 } });
    await world.run(['sh', '-c', `echo 1 > /sys/fs/fuse/connections/${connection}/abort`]);
    await until(() => caller.exitCode !== null || caller.signalCode !== null);
  });

  it('says nothing where the control files are not mounted, or by somebody who is not root', async () => {
    const mount = await world.sshfs('remote');
    const holder = world.hold(['sleep', '100'], mount.point);
    await until(() => world.cwdOf(holder.pid as number) === mount.point);
    const { connection } = mount;
    await world.run(['umount', '-l', mount.point]);
    const nobody = await world.stdoctor(['check', 'zombie-mounts', '--json'], {
      prefix: ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups', 'env', 'STDOCTOR_STATE_DIR=/tmp/none'],
    });
    expect(orphan(JSON.parse(nobody.stdout), connection)).toBeUndefined();
    await world.run(['umount', '/sys/fs/fuse/connections']);
    expect(orphan((await world.check()).report, connection)).toBeUndefined();
  });
});

describe('foreign-ns-holder', () => {
  const holders: ChildProcess[] = [];
  afterEach(() => {
    for (const { pid } of holders.splice(0)) {
      process.kill(-(pid as number), 'SIGKILL');
    }
  });

  /** A process with a copy of this world's mounts. */
  async function elsewhere(propagation = 'private', ...more: string[]): Promise<number> {
    const argv = ['-t', String(world.pid), '-m', '--', 'unshare', '-m', '--propagation', propagation, ...more, 'sleep', '100'];
    const child = spawn('nsenter', argv, { stdio: 'ignore', detached: true, cwd: '/' });
    holders.push(child);
    await until(() => readFileSync(`/proc/${child.pid}/comm`, 'utf8') === 'sleep\n');
    return child.pid as number;
  }
  const foreign = (report: Report, point: string) =>
    report.targets[0].findings.find(({ code, subject }: Report) => code === 'foreign-ns-holder' && subject.name === point);

  it('names the process that keeps an unmounted file system busy', async () => {
    const image = await world.image('data', 'ext4');
    const pid = await elsewhere();
    expect(foreign(await liveAndReplayed(world), image.point)).toBeUndefined();
    await world.run(['umount', image.point]);
    const finding = foreign(await liveAndReplayed(world), image.point);
    expect(finding).toMatchObject({ severity: 'info', confidence: 'certain', data: { source: image.node, replaced: false } });
    expect(finding.data.processes).toMatchObject([{ pid, name: 'sleep' }]);
    expect(finding.fix.reason).toContain(`nsenter -t ${pid} -m -- umount -c ${image.point}`);
    await world.run(['nsenter', '-t', String(pid), '-m', '--', 'umount', '-c', image.point]);
    expect(foreign(await liveAndReplayed(world), image.point)).toBeUndefined();
  });

  it('warns where the same is mounted here anew: the process there works on the old one', async () => {
    const mount = await world.sshfs('remote');
    await elsewhere();
    await world.run(['umount', mount.point]);
    await world.sshfs('remote');
    expect(foreign(await liveAndReplayed(world), mount.point)).toMatchObject({ severity: 'warning', data: { replaced: true } });
  });

  /** An sshfs that was unmounted and mounted anew while a process kept the old one. */
  async function replaced(keeper: (point: string) => Promise<unknown>): Promise<{ point: string; device: string }> {
    const { point, mount } = await world.sshfs('remote');
    await keeper(point);
    await world.run(['umount', point]);
    await world.sshfs('remote');
    return { point, device: mount.device };
  }
  const fixed = async ({ id }: Report, risk: string) => {
    const ran = await world.stdoctor(['fix', id, '--auto', risk, '--json']);
    return { code: ran.code, repair: JSON.parse(ran.stdout).repairs[0] };
  };

  it('unmounts what was replaced for that process alone, at each place where it has it', async () => {
    const bind = world.directory('bind');
    let pid = 0;
    const { point, device } = await replaced(async (at) => {
      pid = await elsewhere();
      await world.run(['nsenter', '-t', String(pid), '-m', '--', 'mount', '--bind', at, bind]);
    });
    const finding = foreign(await liveAndReplayed(world), point);
    expect(finding.fix).toMatchObject({ state: 'available', risk: 'disruptive' });
    const leave = ['nsenter', '-t', String(pid), '-m', '--', 'umount', '-c'];
    expect(finding.fix.steps.map(({ action }: Report) => action.argv)).toEqual([
      [...leave, bind],
      [...leave, point],
    ]);
    expect(finding.id).not.toContain(String(pid));
    expect(await fixed(finding, 'safe')).toMatchObject({ code: 1, repair: { outcome: 'skipped' } });
    expect(sees(pid, device)).toBe(true);
    expect(await fixed(finding, 'disruptive')).toMatchObject({ code: 0, repair: { outcome: 'repaired' } });
    expect(sees(pid, device)).toBe(false);
    expect((await world.run(['cat', join(point, 'hello')])).stdout).toBe('hello\n');
    expect(foreign((await world.check()).report, point)).toBeUndefined();
  });

  it('leaves it where somebody there holds it, with the commands', async () => {
    const { point } = await replaced((at) => elsewhere('private', 'sh', '-c', `cd ${at} && exec sleep 100`));
    const held = foreign(await liveAndReplayed(world), point);
    expect(held.fix).toMatchObject({
      state: 'refused',
      reason: expect.stringMatching(/sleep \(pid \d+ of root, cwd\) would keep it busy/),
    });
  });

  it('leaves it where something lies over it there', async () => {
    const { point } = await replaced((at) => elsewhere('private', 'sh', '-c', `mount -t tmpfs tmpfs ${at} && exec sleep 100`));
    const covered = foreign(await liveAndReplayed(world), point);
    expect(covered.fix).toMatchObject({ state: 'refused', reason: expect.stringContaining(`${point} lies on it in the namespace`) });
  });

  it('restarts the service that works on the old one, which gets the new one', async () => {
    let service: Service | undefined;
    const { point, device } = await replaced(async () => {
      service = await serviceIn(world);
    });
    const { unit, pid } = service as unknown as Service;
    const before = pid();
    const finding = foreign((await world.check()).report, point);
    expect(finding.data.processes).toMatchObject([{ pid: before, unit }]);
    expect(finding.fix.steps.map(({ action }: Report) => action.argv)).toEqual([['systemctl', 'restart', unit]]);
    expect(await fixed(finding, 'disruptive')).toMatchObject({ code: 0, repair: { outcome: 'repaired' } });
    expect([pid() === before, sees(pid(), device)]).toEqual([false, false]);
    expect(foreign((await world.check()).report, point)).toBeUndefined();
  });

  it('leaves out who has a root or users of its own', async () => {
    const image = await world.image('data', 'ext4');
    await elsewhere('private', '--user', '--map-root-user');
    const root = world.directory('root');
    await world.run(['mount', '--rbind', '/', root]);
    await elsewhere(
      'private',
      'unshare',
      '-m',
      'sh',
      '-c',
      `mount --bind ${root} ${root} && cd ${root} && pivot_root . tmp && exec sleep 100`,
    );
    await world.run(['umount', '-l', root]);
    await world.run(['umount', image.point]);
    expect(foreign(await liveAndReplayed(world), image.point)).toBeUndefined();
  });
});

describe('who holds a mount', () => {
  it('is told with user and path, and a loop device on it', async () => {
    const dead = await world.sshfs('dead');
    const image = join(dead.source, 'a.img');
    await world.run(['truncate', '-s', '1M', image]);
    const node = (await world.run(['losetup', '-f', '--show', join(dead.point, 'a.img')])).stdout.trim();
    try {
      const holder = world.hold(['sh', '-c', 'exec 7< hello; exec sleep 100'], dead.point);
      await until(() => readFileSync(`/proc/${holder.pid}/comm`, 'utf8') === 'sleep\n');
      await dead.kill();
      const finding = findingOf(await liveAndReplayed(world), 'fuse-dead');
      expect(finding.data.holders).toMatchObject([
        { pid: holder.pid, name: 'sleep', user: 'root', by: ['fd 7', 'cwd'], paths: [join(dead.point, 'hello'), dead.point] },
      ]);
      expect(finding.data.kernelHolders).toMatchObject([{ kind: 'loop', name: node, path: join(dead.point, 'a.img') }]);
      expect(finding.fix.reason).toContain(`loop device ${node}`);
    } finally {
      await world.run(['losetup', '-d', node]);
    }
  });
});
