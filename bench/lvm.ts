/**
 * What 5,000 volumes cost, from a recording: a recorded host, multiplied, of whose volumes half are needed and 250 of these
 * are down. Judged through the replay of it, as a ratio to JSON.parse of what lvs says; and the memory of a whole
 * `stdoctor check --from`. Nothing is asserted.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checks } from '../checks/index.ts';
import { type CheckEntry, inspect } from '../src/engine/inspect.ts';
import { loadRecording, saveRecording } from '../src/target/recording.ts';
import { ReplayTarget } from '../src/target/replay.ts';
import { manyVolumes } from '../test/many-volumes.ts';
import { median, RUN } from './measure.ts';

const VOLUMES = 5000;
const RUNS = 15;
const WARM_UP = 3;

const entry = checks.find(({ id }) => id === 'lvm-inactive') as CheckEntry;
const scratch = mkdtempSync(join(tmpdir(), 'stdoctor-bench-'));
const directory = join(scratch, 'recording');
try {
  const { recording, lvs } = await manyVolumes(VOLUMES, entry);
  await saveRecording(recording, directory);
  await measure(lvs);
  wholeCommand();
} finally {
  rmSync(scratch, { recursive: true });
}

async function measure(lvs: string): Promise<void> {
  const recording = await loadRecording(directory);
  const parsing: number[] = [];
  const judging: number[] = [];
  let found = 0;
  for (let run = 0; run < RUNS + WARM_UP; run++) {
    const first = performance.now();
    JSON.parse(lvs);
    const second = performance.now();
    const { target } = await inspect(new ReplayTarget(recording), [entry], { until: Number.MAX_SAFE_INTEGER });
    const third = performance.now();
    found = target.findings.length;
    if (run >= WARM_UP) {
      parsing.push(second - first);
      judging.push(third - second);
    }
  }
  const [parse, judge] = [median(parsing), median(judging)];
  console.log(`${VOLUMES} volumes, ${(lvs.length / 2 ** 20).toFixed(1)} MiB, ${found} findings`);
  console.log(`JSON.parse ${parse.toFixed(1)} ms, judged with plans in ${judge.toFixed(1)} ms: ratio ${(judge / parse).toFixed(2)}`);
}

function wholeCommand(): void {
  const measured = `process.on('exit', () => console.error(process.resourceUsage().maxRSS))`;
  const preload = `data:text/javascript,${encodeURIComponent(measured)}`;
  const argv = ['--import', preload, RUN, 'check', 'lvm-inactive', '--json', '--from', directory, '--state-dir', join(scratch, 'state')];
  const started = performance.now();
  const { stderr } = spawnSync(process.execPath, argv, { encoding: 'utf8' });
  const memory = Number(stderr.trim().split('\n').at(-1)) / 1024;
  console.log(`stdoctor check --from: ${(performance.now() - started).toFixed(0)} ms, memory at most ${memory.toFixed(0)} MB`);
}
