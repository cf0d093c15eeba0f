/**
 * What mounts cost: 20, 200 and 2,000 healthy ones in a mount namespace of their own, then one dead and one hung sshfs
 * beside 20. Needs root, sshfs and e2fsprogs; nothing is asserted. Run after npm run build.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { until, World } from '../test/real/world.ts';
import { median } from './measure.ts';

const RUNS = 5;

await inWorld(async (world) => {
  let mounted = 0;
  for (const wanted of [20, 200, 2000]) {
    await mountMore(world, mounted, wanted);
    mounted = wanted;
    await say(world, `${wanted} healthy mounts`);
  }
});
await inWorld(async (world) => {
  await mountMore(world, 0, 20);
  const healthy = await say(world, '20 healthy mounts');
  const dead = await world.sshfs('dead');
  await dead.kill();
  const withDead = await say(world, '20 healthy, 1 dead');
  console.log(`  a dead mount adds ${(withDead - healthy).toFixed(0)} ms`);
});
await inWorld(async (world) => {
  await mountMore(world, 0, 20);
  const healthy = await say(world, '20 healthy mounts');
  const hung = await world.sshfs('hung');
  // sshfs mounts before its server has started.
  await until(() => existsSync(world.path('hung.pid')) && readFileSync(world.path('hung.pid')).length > 0);
  hung.silence();
  const first = await once(world);
  console.log(`20 healthy, 1 hung          ${first.ms} ms in the first run, exit code ${first.code}`);
  const second = await once(world);
  console.log(`                            ${second.ms} ms in the second run, exit code ${second.code}`);
  console.log(
    `  a hung mount adds ${(first.ms - healthy).toFixed(0)} ms, and ${(second.ms - healthy).toFixed(0)} ms while its child is left behind`,
  );
});

async function inWorld(work: (world: World) => Promise<void>): Promise<void> {
  const world = await World.open();
  try {
    await work(world);
  } finally {
    await world.close();
  }
}

/** Binds of directories of an ext4, every tenth an overlay, all in /etc/fstab: so that each is one to be judged by many rows. */
async function mountMore(world: World, from: number, to: number): Promise<void> {
  if (from === 0) {
    await world.image('disk', 'ext4');
    await world.run(['sh', '-ec', 'cd "$1"; mkdir low; : > fstab; mount --bind fstab /etc/fstab', 'sh', world.dir]);
  }
  const script = `cd "$1"; i=${from}; : > new
    while [ $i -lt ${to - 1} ]; do
      mkdir -p m$i disk/b$i
      if [ $((i % 10)) = 9 ]; then
        mkdir disk/b$i/u disk/b$i/w
        echo "overlay $1/m$i overlay lowerdir=$1/low,upperdir=$1/disk/b$i/u,workdir=$1/disk/b$i/w 0 0"
      else
        touch disk/b$i/f
        echo "$1/disk/b$i $1/m$i none bind 0 0"
      fi >> new
      i=$((i + 1))
    done
    mount -a -T new; cat new >> fstab`;
  await world.run(['sh', '-ec', script, 'sh', world.dir]);
}

function once(world: World) {
  return world.stdoctor(['check', 'zombie-mounts', '--json']);
}

/** Prints the median time and the number of children, and returns the time. */
async function say(world: World, name: string): Promise<number> {
  const times: number[] = [];
  let code = 0;
  for (let run = 0; run < RUNS + 1; run++) {
    const ran = await once(world);
    times.push(ran.ms);
    code = ran.code;
  }
  const ms = median(times.slice(1));
  const recording = world.path(`recording-${performance.now()}`);
  await world.stdoctor(['record', 'zombie-mounts', '--json', '--output', recording]);
  const { entries } = JSON.parse(readFileSync(join(recording, 'manifest.json'), 'utf8')) as { entries: { probe: { kind: string } }[] };
  const children = entries.filter(({ probe }) => probe.kind === 'run').length;
  console.log(`${name.padEnd(28)}${ms.toFixed(0)} ms, ${children} children, ${entries.length} questions, exit code ${code}`);
  return ms;
}
