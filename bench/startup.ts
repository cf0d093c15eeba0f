/** How long the program takes to start, as a ratio to Node itself. Medians of 20; nothing is asserted. Run after npm run build. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { median, RUN, timesOf } from './measure.ts';

const RUNS = 20;
const CASES: readonly [name: string, argv: string[], goal?: number][] = [
  ['--version', [RUN, '--version'], 1.3],
  ['explain fuse-dead', [RUN, 'explain', 'fuse-dead']],
  ['checks', [RUN, 'checks']],
  ['check zombie-mounts --json', [RUN, 'check', 'zombie-mounts', '--json'], 4],
];

const scratch = mkdtempSync(join(tmpdir(), 'stdoctor-bench-'));
try {
  // Bare Node is measured between the cases too: a busy machine slows both.
  console.log(`Node ${process.version}, medians of ${RUNS}\n`);
  for (const [name, argv, goal] of CASES) {
    const bare = [...timesOf(['-e', '0'], RUNS / 2, scratch)];
    const own = median(timesOf(argv, RUNS, scratch));
    bare.push(...timesOf(['-e', '0'], RUNS / 2, scratch));
    const ratio = (own / median(bare)).toFixed(1);
    const beside = `${own.toFixed(0)} ms against ${median(bare).toFixed(0)} ms`;
    console.log(`${name.padEnd(28)} x ${ratio.padStart(4)}   (${beside}${goal === undefined ? '' : `, goal ${goal}`})`);
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
