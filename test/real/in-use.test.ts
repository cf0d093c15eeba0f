import type { ChildProcess } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Round } from '../../src/engine/round.ts';
import { deviceUse, type Use, type User } from '../../src/facts/in-use.ts';
import { LocalTarget } from '../../src/target/local.ts';
import { ROOT, until, World } from './world.ts';

let world: World;
const loops: string[] = [];
beforeEach(async () => {
  world = await World.open();
});
afterEach(async () => {
  // While somebody has one open, it goes with the last of them.
  for (const node of loops.splice(0).toReversed()) {
    await world.run(['losetup', '-d', node], { ok: false });
  }
  await world.close();
});

/** Sizes that nothing else on this machine has: a loop device on something deleted is known by its size only. */
let sectors = 9001 + (process.pid % 1000) * 16;

function image(name: string): string {
  const file = world.path(name);
  sectors += 3;
  writeFileSync(file, Buffer.alloc(sectors * 512));
  return file;
}

async function attach(file: string): Promise<string> {
  const node = (await world.run(['losetup', '-f', '--show', file])).stdout.trim();
  loops.push(node);
  return node;
}

function numberOf(node: string): string {
  return readFileSync(`/sys/class/block/${node.slice('/dev/'.length)}/dev`, 'utf8').trim();
}

/** As asked by a process of this world. */
async function asked(fact: 'deviceUse' | 'fileUse', argument: string): Promise<Use> {
  const script = `
    import { Round } from '${join(ROOT, 'src/engine/round.ts')}';
    import { ${fact} } from '${join(ROOT, 'src/facts/in-use.ts')}';
    import { LocalTarget } from '${join(ROOT, 'src/target/local.ts')}';
    const round = new Round(new LocalTarget(undefined), Date.now() + 30_000);
    console.log(JSON.stringify(await round.gather(${fact}(process.argv[1]))));`;
  return JSON.parse((await world.run([process.execPath, '--input-type=module', '-e', script, argument])).stdout);
}

const usersOf = async (node: string): Promise<User[]> => (await asked('deviceUse', numberOf(node))).users;

/** A process named sleep that has a file open as its standard input. */
async function opener(path: string, options = ''): Promise<number> {
  const child = world.hold(['sh', '-c', `exec sleep infinity <${options} "$1"`, 'sh', path]);
  return started(child);
}

async function started(child: ChildProcess, name = 'sleep'): Promise<number> {
  await until(() => readFileSync(`/proc/${child.pid}/comm`, 'utf8') === `${name}\n`);
  return child.pid as number;
}

describe('a block device', () => {
  it('that is free has no users, and what could not be looked at is said', async () => {
    const node = await attach(image('a.img'));
    const { users, gaps } = await asked('deviceUse', numberOf(node));
    expect([users, gaps.filter((gap) => !gap.startsWith('process 1: '))]).toEqual([[], []]);
  });

  it('is in use where it is mounted, in this namespace and seen from another one', async () => {
    const { node, point } = await world.image('mounted', 'ext4');
    expect(await usersOf(node)).toEqual([{ kind: 'mount', point, pid: null }]);
    const round = new Round(new LocalTarget(undefined), Date.now() + 30_000);
    const { users } = await round.gather(deviceUse(numberOf(node)));
    expect(users).toEqual([{ kind: 'mount', point, pid: expect.any(Number) }]);
    const pid = users[0]?.kind === 'mount' ? users[0].pid : null;
    expect(readFileSync(`/proc/${pid}/mountinfo`, 'utf8')).toContain(` ${point} `);
  });

  it.each(['ext4', 'xfs'] as const)('is in use while an %s lives that is mounted nowhere any more', async (fstype) => {
    const { node, point } = await world.image('lazy', fstype);
    await opener(join(point, 'precious'));
    await world.run(['umount', '-l', point]);
    const { users, gaps } = await asked('deviceUse', numberOf(node));
    expect(users).toEqual([{ kind: 'file-system', at: expect.stringContaining(node.slice('/dev/'.length)) }]);
    expect(gaps.join()).toContain('fd 0, /precious, lies on a mount that no table lists');
  });

  it('is in use by a process that has it open: by its node, by another one, by one that is gone', async () => {
    const node = await attach(image('a.img'));
    const [other, gone] = [world.path('other-node'), world.path('gone-node')];
    for (const path of [other, gone]) {
      await world.run(['mknod', path, 'b', ...numberOf(node).split(':')]);
    }
    const pids = [await opener(node), await opener(other, '>'), await opener(gone)];
    rmSync(gone);
    const users = await usersOf(node);
    expect(users).toHaveLength(3);
    expect(users).toEqual(expect.arrayContaining(pids.map((pid) => ({ kind: 'descriptor', pid, name: 'sleep', descriptor: 0 }))));
  });

  it('is in use as swap', async () => {
    const node = await attach(image('a.img'));
    await world.run(['mkswap', node]);
    await world.run(['swapon', node]);
    try {
      expect(await usersOf(node)).toEqual([{ kind: 'swap' }]);
    } finally {
      await world.run(['swapoff', node]);
    }
  });

  it('is in use by a loop device on it, though by a node of another name; one that is gone is a gap', async () => {
    const [below, second] = [await attach(image('a.img')), await attach(image('b.img'))];
    const onTop = await attach(below);
    const other = world.path('other-node');
    await world.run(['mknod', other, 'b', ...numberOf(below).split(':')]);
    const byOther = await attach(other);
    expect(await usersOf(below)).toEqual(expect.arrayContaining([onTop, byOther].map((node) => ({ kind: 'loop', node }))));
    rmSync(other);
    const { users, gaps } = await asked('deviceUse', numberOf(below));
    expect(users).toEqual([{ kind: 'loop', node: onTop }]);
    expect(gaps).toContain(`${byOther} on ${other} (deleted): not known whether that is a node of ${below.slice('/dev/'.length)}`);
    expect((await asked('deviceUse', numberOf(second))).gaps.join()).not.toContain(byOther);
  });

  it('is in use where a partition of it is, and a partition where the whole is', async () => {
    const disk = await attach(image('disk.img'));
    await world.run(['addpart', disk, '1', '8', '4096']);
    await world.run(['addpart', disk, '2', '4104', '2048']);
    try {
      const [first, second] = [`${disk}p1`, `${disk}p2`];
      const pid = await opener(first);
      const user = { kind: 'descriptor', pid, name: 'sleep', descriptor: 0 };
      expect(await usersOf(first)).toEqual([user]);
      expect(await usersOf(disk)).toEqual([{ ...user, as: first.slice('/dev/'.length) }]);
      expect(await usersOf(second)).toEqual([]);
      const whole = { kind: 'descriptor', pid: await opener(disk), name: 'sleep', descriptor: 0, as: disk.slice('/dev/'.length) };
      expect(await usersOf(second)).toEqual([whole]);
      process.kill(pid);
      process.kill(whole.pid);
    } finally {
      for (const number of ['1', '2']) {
        await world.run(['sh', '-c', `for i in 1 2 3 4 5 6 7 8 9; do delpart ${disk} ${number} && break; sleep 0.1; done`], { ok: false });
      }
    }
  });

  it('is in use by a process whose command line names it, by the node or by a link to it', async () => {
    const node = await attach(image('a.img'));
    const link = `/dev/stdoctor-in-use-${process.pid}`;
    await world.run(['ln', '-s', node, link]);
    try {
      const naming = await Promise.all([`file=${node},x`, link, `/jail${node}`, `${node}0`].map(namer));
      const users = await usersOf(node);
      expect(users).toHaveLength(2);
      expect(users).toEqual(expect.arrayContaining(naming.slice(0, 2).map((pid) => ({ kind: 'command-line', pid, name: 'sh' }))));
    } finally {
      rmSync(link);
    }
  });

  it('in a mount namespace that no process is in may be mounted there: that is a gap', async () => {
    const node = await attach(image('a.img'));
    const kept = world.directory('kept');
    await world.run(['mount', '--bind', kept, kept]);
    await world.run(['mount', '--make-private', kept]);
    const file = join(kept, 'mnt');
    writeFileSync(world.inside(file), '');
    // Its mount may be tried before the new namespace is there.
    await world.run(['sh', '-c', 'for try in 1 2 3 4 5; do unshare "--mount=$0" true && exit; done; exit 1', file]);
    const { gaps } = await asked('deviceUse', numberOf(node));
    await world.run(['umount', file]);
    expect(gaps.join()).toMatch(/mount namespace mnt:\[\d+\]: no process is in it/);
  });
});

describe('a file', () => {
  it('that is free has no users', async () => {
    const { users, gaps } = await asked('fileUse', image('a.img'));
    expect([users, gaps.filter((gap) => !gap.startsWith('process 1: '))]).toEqual([[], []]);
  });

  it('is in use by whoever has it open, by whatever name, or in memory', async () => {
    const file = image('a.img');
    const other = world.path('other-name');
    await world.run(['ln', file, other]);
    const open = [await opener(file), await opener(other, '>')];
    rmSync(other);
    const script = `import mmap,time; f = open('a.img', 'r+b'); m = mmap.mmap(f.fileno(), 0); f.close(); time.sleep(1000)`;
    const python = world.hold(['python3', '-c', script], world.dir);
    const maps = () =>
      readFileSync(`/proc/${python.pid}/maps`, 'utf8')
        .split('\n')
        .some((line) => line.includes(file) && line.includes(' rw-s '));
    await until(maps);
    const { users } = await asked('fileUse', file);
    const mapped = { kind: 'map', pid: python.pid, name: 'python3' };
    // A mapping keeps a descriptor of its own in Python; in the kernel it needs none.
    expect(users.filter((user) => !('pid' in user) || user.pid !== python.pid)).toHaveLength(2);
    expect(users).toEqual(
      expect.arrayContaining([...open.map((pid) => ({ kind: 'descriptor', pid, name: 'sleep', descriptor: 0 })), mapped]),
    );
  });

  it('is in use by a loop device, as swap, or on a command line, by its name or a link to it', async () => {
    const file = image('a.img');
    const link = world.path('link.img');
    await world.run(['ln', '-s', file, link]);
    const node = await attach(file);
    const naming = await Promise.all([`-drive=file=${file},format=raw`, link].map(namer));
    const lines = naming.map((pid) => ({ kind: 'command-line', pid, name: 'sh' }));
    expect((await asked('fileUse', file)).users).toEqual([lines[0], { kind: 'loop', node }]);
    expect((await asked('fileUse', link)).users).toEqual([...lines, { kind: 'loop', node }]);
    await world.run(['losetup', '-d', node]);

    const swap = image('swap file');
    await world.run(['chmod', '600', swap]);
    await world.run(['mkswap', swap]);
    await world.run(['swapon', swap]);
    try {
      expect((await asked('fileUse', swap)).users).toEqual([{ kind: 'swap' }]);
    } finally {
      await world.run(['swapoff', swap]);
    }
  });
});

it('neither hangs nor leaves anything behind beside a mount that hangs, with files open and a loop device on it', async () => {
  const [device, file] = [await attach(image('a.img')), image('b.img')];
  // Nothing is remembered: whoever asks it anything waits.
  const fuse = await world.sshfs('hung', { options: ['attr_timeout=0', 'entry_timeout=0', 'dir_cache=no'] });
  writeFileSync(join(fuse.source, 'big'), Buffer.alloc(1024 * 512));
  const onFuse = await attach(join(fuse.point, 'big'));
  const pid = await opener(join(fuse.point, 'hello'));
  const [holder, opened] = [await opener(device), await opener(file)];
  fuse.silence();
  const started = Date.now();
  const [ofDevice, ofFile] = [await asked('deviceUse', numberOf(device)), await asked('fileUse', file)];
  const ofLoop = await asked('deviceUse', numberOf(onFuse));
  expect(Date.now() - started).toBeLessThan(12_000);
  expect(ofDevice.users).toEqual([{ kind: 'descriptor', pid: holder, name: 'sleep', descriptor: 0 }]);
  expect(ofFile.users).toEqual([{ kind: 'descriptor', pid: opened, name: 'sleep', descriptor: 0 }]);
  expect(ofLoop.users).toEqual([]);
  for (const { gaps } of [ofDevice, ofFile, ofLoop]) {
    expect(gaps.filter((gap) => !gap.startsWith('process 1: '))).toEqual([]);
  }
  expect(readFileSync(`/proc/${pid}/stat`, 'utf8')).toMatch(/\) S /);
  for (const text of [fuse.point, `/proc/${pid}/fd/0`]) {
    expect(world.childrenNaming(text)).toEqual([]);
  }
  process.kill(fuse.server, 'SIGCONT');
});

/** A process named sh whose command line has this word in it. */
async function namer(word: string): Promise<number> {
  return started(world.hold(['sh', '-c', 'sleep 1000; :', 'sh', word]), 'sh');
}
