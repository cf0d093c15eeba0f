/** One fault for each plan that the checks can make: how it is made, what the kernel says of it, what must outlive every crash. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { Mount } from '../../src/facts/mountinfo.ts';
import { toByteString } from '../../src/names.ts';
import { sees, serviceIn, sshfsAt, wantedSshfs, withOpenProc } from './wanted.ts';
import { type Image, type Sshfs, stateOf, until, type World } from './world.ts';

/** A plan as its journal shows it. */
export interface Fault {
  /** `typed`: bytes can be lost, so that a person types the mount point. */
  consent: 'safe' | 'disruptive' | 'typed';
  steps: number;
  /** The step that borrows something, counted from 1. */
  borrows?: number;
  /** The repair leaves something to be done by hand: unproven is its good end. */
  remains?: true;
  /** It borrows something, or steps of it can be taken back. */
  back?: true;
  /** Each look at it takes seconds. */
  slow?: true;
  /** Found by what no process of the machine does: not while others start and end some. */
  alone?: true;
  /** Without the control files of FUSE. */
  fusectl?: false;
  make(world: World): Promise<Made>;
}

export interface Made {
  point: string;
  /** `code subject` of what must be found now, by what the kernel shows: no line of the program is asked. */
  truth(): Promise<string[]>;
  /** Fails where the mount is not as the repair promises. */
  works(): Promise<void>;
  /** Fails where something irreplaceable is lost. Holds at every moment. */
  precious(): void;
  /** Fails where the mount is still held back for the repair. */
  released?(): Promise<void>;
  /** Processes that the repair has started, and that belong to what it mounted. */
  serving?(): number[];
}

export const faults: Record<string, Fault> = {
  'fuse-dead': {
    consent: 'safe',
    steps: 1,
    make: async (world) => {
      const mount = await world.sshfs('dead');
      await mount.kill();
      return unmountable(world, mount);
    },
  },
  'fuse-dead that is held': {
    consent: 'disruptive',
    steps: 1,
    make: async (world) => {
      const mount = await world.sshfs('held');
      const holder = world.hold(['sleep', 'infinity'], mount.point);
      await until(() => world.cwdOf(holder.pid as number) === mount.point);
      await mount.kill();
      return unmountable(world, mount);
    },
  },
  'fuse-dead that /etc/fstab wants': {
    consent: 'safe',
    steps: 2,
    back: true,
    make: async (world) => remountable(world, await wantedSshfs(world, 'dead')),
  },
  'fuse-dead that a unit of systemd wants': {
    consent: 'disruptive',
    steps: 2,
    back: true,
    make: async (world) => remountable(world, await wantedSshfs(world, 'dead', { systemd: true })),
  },
  'fuse-aborted': {
    consent: 'safe',
    steps: 1,
    make: async (world) => {
      const mount = await world.sshfs('aborted');
      mount.stop();
      await mount.abort();
      return unmountable(world, mount);
    },
  },
  'fuse-stopped': {
    consent: 'safe',
    steps: 1,
    back: true,
    make: async (world) => {
      const mount = await world.sshfs('stopped');
      mount.stop();
      const works = async () => expect(await world.tried(['cat', join(mount.point, 'hello')])).toBe('hello\n');
      return { ...unmountable(world, mount), works };
    },
  },
  'fuse-hung, nobody waits': {
    consent: 'disruptive',
    steps: 1,
    slow: true,
    make: async (world) => {
      const mount = await world.sshfs('mute', { options: ['max_conns=1'] });
      await world.freeze(mount.daemon);
      return unmountable(world, mount);
    },
  },
  'fuse-hung, no control files': {
    consent: 'typed',
    steps: 3,
    borrows: 1,
    slow: true,
    fusectl: false,
    make: async (world) => {
      const mount = await world.sshfs('hung');
      mount.silence();
      world.hold(['ls', mount.point]);
      return unmountable(world, mount);
    },
  },
  'bind-source-deleted, a directory': {
    consent: 'disruptive',
    steps: 4,
    back: true,
    make: async (world) => {
      const [source, point] = [world.directory('source'), world.directory('point')];
      await world.run(['chmod', '2750', source]);
      await world.run(['mount', '--bind', '-o', 'nosuid,nodev', source, point]);
      const options = world.mountsAt(point)[0]?.options;
      rmSync(source, { recursive: true });
      return {
        point,
        truth: async () => bindTruth(world, point),
        precious: () => {},
        works: async () => {
          expect(world.mountsAt(point)).toMatchObject([{ root: source, options }]);
          expect((await world.run(['stat', '-c', '%a', source])).stdout).toBe('2750\n');
          writeFileSync(join(source, 'new'), 'seen\n');
          expect(await world.tried(['cat', join(point, 'new')])).toBe('seen\n');
          expect(partials(world)).toEqual([]);
        },
      };
    },
  },
  'bind-source-deleted, a file that is gone': {
    consent: 'disruptive',
    steps: 4,
    make: async (world) => {
      const [source, point] = await boundFile(world, 'only copy\n');
      rmSync(source);
      return {
        point,
        truth: async () => bindTruth(world, point),
        precious: () => expect(contents(world, point, source)).toContain('only copy\n'),
        works: async () => {
          expect(world.mountsAt(point)).toMatchObject([{ root: source }]);
          expect(contents(world, point, source)).toEqual(['only copy\n', 'only copy\n']);
          expect(partials(world)).toEqual([]);
        },
      };
    },
  },
  'bind-source-deleted, a file that was replaced': {
    consent: 'disruptive',
    steps: 3,
    make: async (world) => {
      const [source, point] = await boundFile(world, 'old\n');
      writeFileSync(`${source}.new`, 'new\n');
      renameSync(`${source}.new`, source);
      return {
        point,
        truth: async () => bindTruth(world, point),
        precious: () => {
          expect(contents(world, source)).toEqual(['new\n']);
          expect(contents(world, point, ...rescued(world))).toContain('old\n');
        },
        works: async () => {
          expect(world.mountsAt(point)).toMatchObject([{ root: source }]);
          expect(contents(world, point)).toEqual(['new\n']);
        },
      };
    },
  },
  'loop-backing-deleted': {
    consent: 'safe',
    steps: 2,
    remains: true,
    make: async (world) => {
      const image = await world.image('image', 'ext4');
      rmSync(image.file);
      const made = rescuable(world, image);
      return {
        ...made,
        works: async () => {
          const direct = (path: string) => world.run(['sh', '-c', 'dd if="$1" iflag=direct bs=1M status=none | sha256sum', 'sh', path]);
          const { stdout: wanted } = await direct(image.node);
          expect(wanted).not.toMatch(new RegExp(`^${EMPTY}`));
          const copies = await Promise.all(rescued(world).map(async (path) => (await direct(path)).stdout));
          expect(copies).toContain(wanted);
          await made.works();
        },
      };
    },
  },
  'loop-backing-deleted that is held': {
    consent: 'disruptive',
    steps: 2,
    borrows: 1,
    back: true,
    remains: true,
    make: async (world) => {
      const image = await world.image('image', 'ext4');
      const writer = world.hold(['sh', '-c', 'while :; do date >> log; sync log; sleep 0.1; done'], image.point);
      await until(() => world.cwdOf(writer.pid as number) === image.point);
      rmSync(image.file);
      return { ...rescuable(world, image), released: () => expectWritable(world, image.point) };
    },
  },
  'fs-shutdown-xfs': {
    consent: 'disruptive',
    steps: 2,
    make: async (world) => {
      const image = await world.image('image');
      await world.run(['umount', image.point]);
      await world.run(['mount', '-o', 'nosuid,noatime', image.node, image.point]);
      return shutDown(world, image);
    },
  },
  'fs-shutdown-xfs whose loop device goes with it': {
    consent: 'disruptive',
    steps: 2,
    make: async (world) => shutDown(world, await world.image('image', 'xfs', { by: 'mount' })),
  },
  'stacked, a disk over a dead sshfs': {
    consent: 'disruptive',
    steps: 3,
    back: true,
    alone: true,
    make: async (world) => {
      await withOpenProc(world);
      const dead = await world.sshfs('dead');
      const { point } = dead;
      const { node } = await world.image('disk', 'ext4');
      await world.run(['umount', world.path('disk')]);
      await dead.kill();
      await world.run(['mount', '-o', 'nosuid,noatime', node, point]);
      const { options, superOptions } = world.mountsAt(point).at(-1) as Mount;
      return {
        point,
        truth: async () => {
          const [lower, upper] = world.mountsAt(point);
          const isDead = lower?.fstype.startsWith('fuse') === true;
          return isDead ? [`${upper === undefined ? 'fuse-dead' : 'stacked'} ${point}`] : [];
        },
        precious: () => expect(existsSync(world.path('disk.img'))).toBe(true),
        works: async () => {
          expect(world.mountsAt(point)).toMatchObject([{ source: node, options, superOptions }]);
          expect(await world.tried(['cat', join(point, 'precious')])).toBe('data\n');
          await expectWritable(world, point);
        },
      };
    },
  },
  'foreign-ns-holder of a replaced mount': {
    consent: 'disruptive',
    steps: 1,
    make: async (world) => {
      return replaced(world, async () => {
        const keeper = world.hold(['unshare', '-m', '--propagation', 'private', 'sleep', 'infinity']);
        await until(() => readFileSync(`/proc/${keeper.pid}/comm`, 'utf8') === 'sleep\n');
        return () => keeper.pid;
      });
    },
  },
  'foreign-ns-holder that is a service': {
    consent: 'disruptive',
    steps: 1,
    make: (world) => replaced(world, async () => (await serviceIn(world)).pid),
  },
};

const EMPTY = createHash('sha256').digest('hex');

/** A FUSE mount that is repaired by taking it away. */
function unmountable(world: World, { point, source, daemon }: Sshfs): Made {
  return {
    point,
    truth: async () => {
      const said = world.mountsAt(point).length === 0 ? 'nothing there' : await world.tried(['ls', point]);
      if (said === undefined) {
        return [`${'T' === stateOf(daemon) ? 'fuse-stopped' : 'fuse-hung'} ${point}`];
      }
      const dead = /not connected|connection abort/.test(said);
      return dead ? [`${[undefined, 'Z', 'X'].includes(stateOf(daemon)) ? 'fuse-dead' : 'fuse-aborted'} ${point}`] : [];
    },
    precious: () => expect(readFileSync(join(source, 'hello'), 'utf8')).toBe('hello\n'),
    works: async () => {
      expect(world.mountsAt(point)).toEqual([]);
      expect(readdirSync(world.inside(point))).toEqual([]);
    },
  };
}

/** A FUSE mount that is repaired by a new one, as it is configured. */
async function remountable(world: World, mount: Sshfs): Promise<Made> {
  const { point } = mount;
  const shown = () => world.mountsAt(point).map(({ source, fstype, options, superOptions }) => ({ source, fstype, options, superOptions }));
  const before = shown();
  await mount.kill();
  return {
    ...unmountable(world, mount),
    truth: async () => {
      const said = world.mountsAt(point).length === 0 ? undefined : await world.tried(['ls', point]);
      return said === 'hello\n' ? [] : [`${said === undefined ? 'configured-not-mounted' : 'fuse-dead'} ${point}`];
    },
    works: async () => {
      expect(shown()).toEqual(before);
      expect(await world.tried(['cat', join(point, 'hello')])).toBe('hello\n');
    },
    serving: () => [...sshfsAt(world, point), mount.server],
  };
}

/** A mount that is made anew while the process that `keep` starts, in a mount namespace of its own, has the old one. */
async function replaced(world: World, keep: () => Promise<() => number | undefined>): Promise<Made> {
  const old = await world.sshfs('remote');
  const { device } = old.mount;
  const keeper = await keep();
  await world.run(['umount', old.point]);
  const { point, source } = await world.sshfs('remote');
  return {
    point,
    truth: async () => (sees(keeper(), device) ? [`foreign-ns-holder ${point}`] : []),
    precious: () => expect(readFileSync(join(source, 'hello'), 'utf8')).toBe('hello\n'),
    works: async () => {
      expect(keeper()).toBeDefined();
      expect(await world.tried(['cat', join(point, 'hello')])).toBe('hello\n');
    },
  };
}

async function boundFile(world: World, content: string): Promise<[source: string, point: string]> {
  const [source, point] = [world.path('source'), world.path('point')];
  writeFileSync(source, content);
  writeFileSync(point, '');
  await world.run(['mount', '--bind', source, point]);
  return [source, point];
}

function bindTruth(world: World, point: string): string[] {
  const mounts = world.mountsAt(point);
  expect(mounts.length).toBeLessThanOrEqual(1);
  return mounts.some(({ root }) => toByteString(root).endsWith('//deleted')) ? [`bind-source-deleted ${point}`] : [];
}

function contents(world: World, ...paths: string[]): string[] {
  return paths.map((path) => world.inside(path)).flatMap((path) => (existsSync(path) ? [readFileSync(path, 'utf8')] : []));
}

/** What copying under a name of its own left beside the source. */
function partials(world: World): string[] {
  return readdirSync(world.dir).filter((name) => name.startsWith('.stdoctor-'));
}

function rescued({ state }: World): string[] {
  const directory = join(state, 'rescue');
  const files = existsSync(directory) ? readdirSync(directory, { recursive: true, withFileTypes: true }) : [];
  return files.filter((file) => file.isFile()).map((file) => join(file.parentPath, file.name));
}

/** An image without a name: it stays mounted, and a whole copy of it is made. */
function rescuable(world: World, { point, node }: Image): Made {
  const backing = `/sys/block/${node.slice('/dev/'.length)}/loop/backing_file`;
  const precious = () => {
    expect(readFileSync(backing, 'utf8')).toBe(`${world.path('image.img')} (deleted)\n`);
    expect(contents(world, join(point, 'precious'))).toEqual(['data\n']);
  };
  return {
    point,
    truth: async () => [`loop-backing-deleted ${point}`],
    precious,
    works: async () => {
      expect(world.mountsAt(point)).toHaveLength(1);
      await expectWritable(world, point);
      const at = world.directory('rescued');
      const seen: string[] = [];
      for (const path of rescued(world)) {
        if ((await world.run(['mount', '-o', 'loop', path, at], { ok: false })).code === 0) {
          seen.push(...contents(world, join(at, 'precious')));
          await world.run(['umount', at]);
        }
      }
      expect(seen).toContain('data\n');
    },
  };
}

async function shutDown(world: World, { file, point }: Image): Promise<Made> {
  const options = world.mountsAt(point)[0]?.options;
  await world.run(['xfs_io', '-x', '-c', 'shutdown -f', point]);
  const devices = async () => (await world.run(['losetup', '-n', '-O', 'NAME', '-j', file])).stdout.trim().split('\n');
  return {
    point,
    truth: async () => {
      const said = world.mountsAt(point).length === 0 ? 'nothing there' : await world.tried(['ls', point]);
      return said?.includes('Input/output error') ? [`fs-shutdown-xfs ${point}`] : [];
    },
    precious: () => expect(existsSync(file)).toBe(true),
    works: async () => {
      expect(world.mountsAt(point)).toMatchObject([{ fstype: 'xfs', options }]);
      expect(await world.tried(['cat', join(point, 'precious')])).toBe('data\n');
      await expectWritable(world, point);
      expect(await devices()).toHaveLength(1);
    },
  };
}

/** A file system left frozen holds every writer. */
async function expectWritable(world: World, point: string): Promise<void> {
  expect(await world.tried(['sh', '-c', 'echo yes > "$1"/written && sync -f "$1" && cat "$1"/written', 'sh', point], 5000)).toBe('yes\n');
}
