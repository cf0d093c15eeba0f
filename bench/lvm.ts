/**
 * What 5,000 volumes cost, from a recording: a recorded host, multiplied; with 250 mounts whose volumes are down, and with
 * 2,250 others that are mounted. Judged through the replay of it, as a ratio to JSON.parse of what lvs says; and the memory
 * of a whole `stdoctor check --from`. Nothing is asserted.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checks } from '../checks/index.ts';
import { type CheckEntry, inspect } from '../src/engine/inspect.ts';
import { Round } from '../src/engine/round.ts';
import { lvm } from '../src/facts/lvm/index.ts';
import { loadRecording, saveRecording } from '../src/target/recording.ts';
import { ReplayTarget } from '../src/target/replay.ts';
import { manyVolumes } from '../test/many-volumes.ts';
import { RUN } from './measure.ts';

const VOLUMES = 5000;
const RUNS = 30;
const WARM_UP = 3;
const SHAPES = [
  { name: 'one mounted', missed: false, mounted: false },
  { name: 'one mounted, 250 missed', missed: true, mounted: false },
  { name: '2,250 mounted, 250 missed', missed: true, mounted: true },
];

const entry = checks.find(({ id }) => id === 'lvm-inactive') as CheckEntry;
const scratch = mkdtempSync(join(tmpdir(), 'stdoctor-bench-'));
try {
  for (const [index, shape] of SHAPES.entries()) {
    const directory = join(scratch, `recording-${index}`);
    const { recording, lvs } = await manyVolumes(VOLUMES, entry, shape);
    await saveRecording(recording, directory);
    console.log(`${VOLUMES} volumes, ${(lvs.length / 2 ** 20).toFixed(1)} MiB, ${shape.name}`);
    await measure(directory, lvs);
    wholeCommand(directory);
  }
} finally {
  rmSync(scratch, { recursive: true });
}

async function measure(directory: string, lvs: string): Promise<void> {
  const recording = await loadRecording(directory);
  const bytes = Buffer.from(lvs, 'latin1');
  let found = 0;
  // One after the other: each pays for its own garbage.
  const parse = await timeOf(() => JSON.parse(bytes.toString('latin1')));
  const read = await timeOf(() => new Round(new ReplayTarget(recording), Number.MAX_SAFE_INTEGER).gather(lvm()));
  const judge = await timeOf(async () => {
    const { target } = await inspect(new ReplayTarget(recording), [entry], { until: Number.MAX_SAFE_INTEGER });
    found = target.findings.length;
  });
  const times = (taken: number) => `x ${(taken / parse).toFixed(1)} (${taken.toFixed(1)} ms)`;
  console.log(
    `  JSON.parse ${parse.toFixed(1)} ms; LVM's reports ${times(read)}; all of it, ${found} findings with plans, ${times(judge)}`,
  );
}

/** Milliseconds of the processor for one, so that what else runs on the machine does not count. */
async function timeOf(work: () => unknown): Promise<number> {
  for (let run = 0; run < WARM_UP; run++) {
    await work();
  }
  const started = process.threadCpuUsage();
  for (let run = 0; run < RUNS; run++) {
    await work();
  }
  const { user, system } = process.threadCpuUsage(started);
  return (user + system) / 1000 / RUNS;
}

function wholeCommand(directory: string): void {
  const measured = `process.on('exit', () => console.error(process.resourceUsage().maxRSS))`;
  const preload = `data:text/javascript,${encodeURIComponent(measured)}`;
  const argv = ['--import', preload, RUN, 'check', 'lvm-inactive', '--json', '--from', directory, '--state-dir', join(scratch, 'state')];
  const started = performance.now();
  const { stderr } = spawnSync(process.execPath, argv, { stdio: ['ignore', 'ignore', 'pipe'], encoding: 'utf8' });
  const memory = Number(stderr.trim().split('\n').at(-1)) / 1024;
  console.log(`  stdoctor check --from: ${(performance.now() - started).toFixed(0)} ms, memory at most ${memory.toFixed(0)} MB`);
}
