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
    await bind(world, mounted, wanted);
    mounted = wanted;
    await say(world, `${wanted} healthy mounts`);
  }
});
await inWorld(async (world) => {
  await bind(world, 0, 20);
  const healthy = await say(world, '20 healthy mounts');
  const dead = await world.sshfs('dead');
  await dead.kill();
  const withDead = await say(world, '20 healthy, 1 dead');
  console.log(`  a dead mount adds ${(withDead - healthy).toFixed(0)} ms`);
});
await inWorld(async (world) => {
  await bind(world, 0, 20);
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

/** Bind mounts of an ext4, so that each is one to be judged. */
async function bind(world: World, from: number, to: number): Promise<void> {
  const { point } = from === 0 ? await world.image('disk', 'ext4') : { point: world.path('disk') };
  const script = `i=${from}; while [ $i -lt ${to - 1} ]; do mkdir -p "$1/m$i" "$2/b$i"; touch "$2/b$i/f"; mount --bind "$2/b$i" "$1/m$i"; i=$((i + 1)); done`;
  await world.run(['sh', '-ec', script, 'sh', world.dir, point]);
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
