import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { autofs } from './autofs.ts';
import { findingOf, found, liveAndReplayed, outcomes } from './compare.ts';
import { journalOf, stopBefore, stopped } from './midway.ts';
import { type Report, until, World } from './world.ts';

let world: World;
beforeEach(async () => {
  world = await World.open();
});
afterEach(() => world.close());

const USER = { uid: 65534, gid: 65534 };

/** The lines are this world's /etc/fstab. */
async function fstab(...lines: string[]): Promise<void> {
  const file = world.path('fstab');
  writeFileSync(file, lines.map((line) => `${line}\n`).join(''));
  await world.run(['mount', '--bind', file, '/etc/fstab']);
}

async function script(text: string, ...args: string[]): Promise<void> {
  await world.run(['sh', '-ec', text, 'sh', ...args]);
}

/** All that a desktop, a container host and a careful administrator have, in good health. Returns what is slow there. */
async function oddAndHealthy(): Promise<{ slow: string; away: string; automounts: { asked(): number }[] }> {
  // Of their own, so that nothing is left on the machine.
  await script(
    'for d in /run /var/lib; do mount -t tmpfs tmpfs $d; done; mkdir -p /run/user/1000/gvfs /run/user/1000/doc /run/docker/netns',
  );

  const automounts = [await autofs(world, 'direct'), await autofs(world, 'indirect', 'indirect')];
  const data = await world.image('data', 'ext4');
  await script('mkdir "$1/below" "$2"; mount --bind "$1/below" "$2"', data.point, world.path('bound'));
  const away = world.directory('usb');
  await fstab(
    '# a comment',
    `${data.node} ${data.point} ext4 defaults 0 2`,
    `${data.point}/below ${world.path('bound')} none bind,nofail 0 0`,
    `/dev/none1 ${away} ext4 noauto,user 0 0`,
    `/dev/none2 ${away} ext4 nofail 0 2`,
    `/dev/none3 ${automounts[0]?.point} ext4 nofail,x-systemd.automount 0 0`,
    '/dev/none4 none swap noauto 0 0',
    'proc /proc proc defaults 0 0',
    'tmpfs /run tmpfs rw,nosuid 0 0',
  );

  await world.sshfs('of-a-user', { as: USER });
  await world.sshfs('gvfs', { as: USER, point: '/run/user/1000/gvfs', options: ['subtype=gvfsd-fuse', 'fsname=gvfsd-fuse'] });
  await world.sshfs('doc', { as: USER, point: '/run/user/1000/doc', options: ['subtype=portal', 'fsname=portal'] });
  await world.sshfs('appimage', { options: ['ro', 'subtype=AppRun', 'fsname=AppRun'] });
  await world.sshfs('lxcfs', { point: '/var/lib/lxcfs', options: ['subtype=lxcfs', 'fsname=lxcfs', 'allow_other'] });
  const slow = await world.sshfs('rclone', { slow: true, options: ['subtype=rclone', 'fsname=remote:'] });

  await script('mkdir "$2"; mount --bind "$1" "$2"; mount -o remount,bind,ro "$2"', data.point, world.path('ro-bind'));
  const image = await world.image('full', 'ext4');
  await script('head -c 64M /dev/zero > "$1/filler" || true; sync -f "$1"; mount -o remount,ro "$1"', image.point);
  const xfs = await world.image('read-only');
  await script('umount "$2"; mount -o ro "$1" "$2"', xfs.node, xfs.point);

  await script('mkdir "$1"; mount -t tmpfs tmpfs "$1"; mount -t tmpfs tmpfs "$1"', world.path('twice'));
  await script('mount --bind "$1" "$1"; mount --make-shared "$1"', data.point);
  await script('mkdir "$1"; mount -t tmpfs -o size=4k tmpfs "$1"; echo > "$1/f"', world.path('small'));
  await script(
    `for r in docker/volumes/v/_data containers/storage/overlay/x/merged kubelet/pods/p/volumes/kubernetes.io~secret/s; do
       mkdir -p "$1/$r" "/var/lib/$r"; mount --bind "$1/$r" "/var/lib/$r"; rmdir "$1/$r"; done
     mkdir -p "$1/secret" /run/containerd/io.containerd.runtime.v2.task/moby/c/rootfs
     mount --bind "$1/secret" /run/containerd/io.containerd.runtime.v2.task/moby/c/rootfs; rmdir "$1/secret"
     touch /run/docker/netns/default; mount --bind /proc/self/ns/net /run/docker/netns/default`,
    data.point,
  );
  await script(
    'cd "$1"; mkdir low up work merged; mount -t overlay o -o lowerdir="$1/low",upperdir="$1/up",workdir="$1/work" merged',
    world.dir,
  );
  await script('touch "$1/hosts" "$2"; mount --bind "$1/hosts" "$2"', data.point, world.path('hosts'));
  for (const name of ['line\nbreak', 'quote\'and"', 'deleted', ' (deleted)', '-rf', '$(reboot)', '\\040', 'é']) {
    const source = world.inside(join(data.point, name));
    mkdirSync(source);
    await world.run(['mount', '--bind', source, world.directory(`names/${name}`)]);
  }
  await script(
    'i=0; while [ $i -lt 50 ]; do mkdir -p "$1/p$i" "$2/b$i"; mount --bind "$1/p$i" "$2/b$i"; i=$((i+1)); done',
    data.point,
    world.path('plain'),
  );
  slow.delay(2500);
  return { slow: slow.point, away, automounts };
}

const severe = (report: Report) => report.targets[0].findings.filter(({ severity }: Report) => severity !== 'info');

describe('a host full of odd and healthy things', () => {
  it('gives no finding above info, live and replayed', { timeout: 180_000 }, async () => {
    const { slow, away, automounts } = await oddAndHealthy();
    const before = world.mounts();
    const report = await liveAndReplayed(world);
    expect(severe(report)).toEqual([]);
    expect(found(report)).toEqual([
      'bind-source-deleted /run/containerd/io.containerd.runtime.v2.task/moby/c/rootfs',
      'bind-source-deleted /var/lib/containers/storage/overlay/x/merged',
      'bind-source-deleted /var/lib/docker/volumes/v/_data',
      'bind-source-deleted /var/lib/kubelet/pods/p/volumes/kubernetes.io~secret/s',
      `configured-not-mounted ${away}`,
    ]);
    const { unjudged, notes } = report.targets[0].checks[0];
    // Whether its listing comes within the limit too is a matter of luck.
    expect([...unjudged, ...notes].map(({ subject }: Report) => subject.name)).toEqual([slow]);

    const ran = await world.stdoctor(['check', '--json']);
    const all = JSON.parse(ran.stdout);
    expect(severe(all)).toEqual([]);
    expect(ran.code).toBe(all.targets[0].checks.some((check: Report) => check.unjudged.length > 0) ? 3 : 0);
    const { code, report: fixed } = await world.fix('--auto', 'disruptive');
    expect(new Set(outcomes(fixed).map((each) => each.split(' ')[1]))).toEqual(new Set(['refused']));
    expect([0, 3]).toContain(code);
    expect(world.mounts()).toEqual(before);
    expect(automounts.map(({ asked }) => asked())).toEqual([0, 0]);
  });
});

describe('autofs', () => {
  it('is never triggered, by no command', { timeout: 300_000 }, async () => {
    const [direct, indirect] = [await autofs(world, 'direct'), await autofs(world, 'indirect', 'indirect')];
    const below = join(direct.point, 'below');
    await world.run(['ln', '-s', below, world.path('link')]);
    await fstab(
      `/dev/none1 ${direct.point} ext4 nofail,x-systemd.automount 0 0`,
      `/dev/none2 ${below} ext4 defaults 0 0`,
      `/dev/none3 ${world.path('link')}/data ext4 defaults 0 0`,
      `/dev/none4 ${indirect.point}/home ext4 defaults 0 0`,
      `${indirect.point}/disk.img ${world.directory('image')} ext4 loop 0 0`,
      `${direct.point} ${world.directory('bound')} none bind 0 0`,
    );
    // A fault of each kind that is repaired, so that every command has something to do beside it.
    const dead = await world.sshfs('dead');
    const source = world.directory('source');
    const point = world.directory('point');
    await world.run(['mount', '--bind', source, point]);
    await world.run(['rmdir', source]);
    await dead.kill();
    // As the environment of an operator whose home is automounted.
    const env = {
      PATH: `${below}:${indirect.point}/bin:${process.env['PATH']}`,
      HOME: direct.point,
      TMPDIR: `${indirect.point}/tmp`,
      XDG_CONFIG_HOME: `${direct.point}/.config`,
    };
    const asked: string[] = [];
    const run = async (args: readonly string[], more: Record<string, string> = {}) => {
      const before = direct.asked() + indirect.asked();
      const ran = await world.stdoctor(args, { env: { ...env, ...more }, timeoutMs: 60_000 });
      if (direct.asked() + indirect.asked() !== before) {
        asked.push(args.join(' '));
      }
      expect([0, 1, 2, 3, 4], `${args.join(' ')}: ${ran.stderr}`).toContain(ran.code);
      return ran;
    };

    const recording = world.path('recording.tar.gz');
    const plan = world.path('plan.json');
    const report: Report = JSON.parse((await run(['check', '--json'])).stdout);
    expect(found(report)).toEqual(expect.arrayContaining([`bind-source-deleted ${point}`, `fuse-dead ${dead.point}`]));
    for (const name of ['image', 'bound']) {
      expect(findingOf(report, 'configured-not-mounted', world.path(name)).fix.reason).toMatch(/the way to \S+ leads through \S+direct/);
    }
    await run(['check']);
    await run(['check', 'zombie-mounts', '--evidence', '--verbose']);
    await run(['check', '--quiet']);
    await run(['checks']);
    await run(['explain', 'zombie-mounts']);
    await run(['explain', 'automount-target-gone']);
    await run(['explain', report.targets[0].findings[0].id]);
    await run(['record', '--output', recording]);
    await run(['check', '--from', recording]);
    await run(['plan']);
    await run(['plan', '--output', plan]);
    await run(['fix', '--dry-run']);
    await run(['fix']);
    await run(['fix', '--auto', 'safe']);
    expect(world.mountsAt(dead.point)).toEqual([]);
    await run(['fix', '--plan', plan, '--auto', 'disruptive']);
    expect(world.mountsAt(point)[0]?.root).not.toMatch(/\/\/deleted$/);
    await run(['undo', '--yes']);
    await run(['history', '--repairs']);
    await run(['history', '--repairs', '--json']);
    const again = await world.sshfs('again');
    await again.kill();
    await interruptedFix(env);
    await run(['check']);
    await run(['resume', '--forward', '--yes']);
    expect([journalOf(world).at(-1)?.event, world.mountsAt(again.point)]).toEqual(['closed', []]);
    expect(asked).toEqual([]);
    expect([direct.asked(), indirect.asked()]).toEqual([0, 0]);

    // That they count at all.
    await world.run(['ls', direct.point], { ok: false });
    await world.run(['ls', join(indirect.point, 'home')], { ok: false });
    expect([direct.asked() > 0, indirect.asked() > 0]).toEqual([true, true]);
  });

  /** Leaves a repair that was begun and never closed. */
  async function interruptedFix(env: Record<string, string>): Promise<void> {
    const running = world.stdoctor(['fix', '--auto', 'safe'], { env: { ...env, ...stopBefore(5) } });
    process.kill(await stopped(world), 'SIGKILL');
    await running;
    expect(journalOf(world).at(-1)?.event).not.toBe('closed');
  }
});

/** Mounts and unmounts at one place 20 times a second until it is told to stop; what surprises it is in its file. */
const COMES_AND_GOES = `point=$1 stop=$2 log=$3; shift 3
while [ ! -e "$stop" ]; do
  "$@" "$point" 2>> "$log" || continue
  echo >> "$log.rounds"
  sleep 0.02
  # A question of ours may hold it for a moment.
  until said=$(LC_ALL=C umount "$point" 2>&1); do case $said in *busy*) sleep 0.01;; *) echo "$said" >> "$log"; break;; esac; done
  sleep 0.02
done
echo done >> "$log.rounds"`;

describe('while mounts come and go', () => {
  it('nothing crashes, nothing is found, and nothing is unmounted by us', { timeout: 180_000 }, async () => {
    const stays = [(await world.image('stays', 'ext4')).point, (await world.sshfs('remote')).point];
    const image = await world.image('loop', 'ext4');
    await world.run(['umount', image.point]);
    const [stop, source] = [world.path('stop'), world.directory('source')];
    const loops: Record<string, string[]> = {
      tmpfs: ['mount', '-t', 'tmpfs', 'tmpfs'],
      bind: ['mount', '--bind', source],
      loop: ['mount', '-o', 'loop', image.file],
    };
    for (const [name, mount] of Object.entries(loops)) {
      world.hold(['sh', '-c', COMES_AND_GOES, 'sh', world.directory(`of-${name}`), stop, world.path(`${name}.log`), ...mount]);
    }
    const rounds = (name: string) => readFileSync(world.path(`${name}.log.rounds`), 'utf8').split('\n').length - 1;
    await sleep(300);

    const ends = Date.now() + 15_000;
    const codes: number[] = [];
    const judged: string[] = [];
    const check = async () => {
      const ran = await world.stdoctor(['check', '--json']);
      codes.push(ran.code);
      judged.push(...found(JSON.parse(ran.stdout)), ...(ran.stderr === '' ? [] : [ran.stderr]));
    };
    while (Date.now() < ends - 7000) {
      await check();
    }
    const { code, report } = await world.fix('--auto', 'disruptive');
    expect([outcomes(report), journalOf(world)]).toEqual([[], []]);
    while (Date.now() < ends) {
      await check();
    }
    writeFileSync(stop, '');
    await until(() => Object.keys(loops).every((name) => readFileSync(world.path(`${name}.log.rounds`), 'utf8').endsWith('done\n')));

    expect(judged).toEqual([]);
    expect([0, 3]).toContain(code);
    expect(codes.filter((each) => each !== 0 && each !== 3)).toEqual([]);
    expect(codes.length).toBeGreaterThan(5);
    for (const name of Object.keys(loops)) {
      expect(readFileSync(world.path(`${name}.log`), 'utf8'), name).toBe('');
      expect(rounds(name), name).toBeGreaterThan(name === 'loop' ? 30 : 150);
    }
    expect(stays.map((point) => world.mountsAt(point).length)).toEqual([1, 1]);
  });
});
