import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const RUN = fileURLToPath(new URL('../bin/run.js', import.meta.url));

/** Milliseconds of each run of Node with these arguments; the first two, which fill caches, are left out. */
export function timesOf(argv: readonly string[], runs: number, stateDir: string): number[] {
  const times: number[] = [];
  for (let index = 0; index < runs + 2; index++) {
    const started = performance.now();
    spawnSync(process.execPath, argv, { stdio: 'ignore', env: { ...process.env, STDOCTOR_STATE_DIR: join(stateDir, 'state') } });
    times.push(performance.now() - started);
  }
  return times.slice(2);
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? (sorted[middle] as number) : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}
