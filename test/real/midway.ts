/** The program stopped in the middle of a repair, so that the world can be changed under it; and what its journal says. */
import { existsSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Ran, type Report, ROOT, until, World } from './world.ts';

/** A world for one test, closed however that ends: for tests that run at the same time. */
export function inWorld(work: (world: World) => Promise<void>, options?: { fusectl?: boolean }): () => Promise<void> {
  return async () => {
    const world = await World.open(options);
    try {
      await work(world);
    } finally {
      await world.close();
    }
  };
}

/** What makes the program stop itself before it writes its nth line of the journal. */
export function stopBefore(nth: number): Record<string, string> {
  return { NODE_OPTIONS: `--import ${join(ROOT, 'test/real/crash.mjs')}`, STDOCTOR_CRASH: `stop before ${nth}` };
}

/** The process that holds the lock. */
export function lockHolder({ state }: World): number {
  return JSON.parse(readFileSync(join(state, 'lock-holder.json'), 'utf8')).pid;
}

/** The program's pid, once it has stopped itself. */
export async function stopped(world: World): Promise<number> {
  const isStopped = () => {
    try {
      return /\) T /.test(readFileSync(`/proc/${lockHolder(world)}/stat`, 'latin1'));
    } catch {
      // Not there, or not yet written to its end.
      return false;
    }
  };
  await until(isStopped, 30_000);
  return lockHolder(world);
}

/** Runs the program to its nth line of the journal, changes the world, and lets it go on. */
export async function changedBefore(nth: number, world: World, args: readonly string[], change: () => Promise<unknown>): Promise<Ran> {
  const running = world.stdoctor(args, { env: stopBefore(nth) });
  const pid = await stopped(world);
  try {
    await change();
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  return running;
}

/** All lines of the journal; none where there is no journal. */
export function journalOf({ state }: World): Report[] {
  const file = join(state, 'journal.jsonl');
  const text = existsSync(file) ? readFileSync(file, 'utf8') : '';
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line));
}

/** `step 1`, `release 1`: what was begun, in order. */
export function actsOf(world: World): string[] {
  return journalOf(world)
    .filter(({ event }) => event === 'act')
    .map(({ of, step }) => `${of} ${step + 1}`);
}

/** The mount table as the kernel prints it. */
export function tableOf({ pid }: World): string {
  return readFileSync(`/proc/${pid}/mountinfo`, 'latin1');
}

/** A plan file of what zombie-mounts finds now. */
export async function planFile(world: World, ...args: string[]): Promise<string> {
  const file = world.path('plan.json');
  const ran = await world.stdoctor(['plan', 'zombie-mounts', '--output', file, ...args]);
  if (ran.code !== 1) {
    throw new Error(`plan ended with ${ran.code}: ${ran.stderr}${readFileSync(file, 'utf8')}`);
  }
  return file;
}

/** Every outcome with its reason. */
export function said(ran: Ran): string[] {
  return JSON.parse(ran.stdout).repairs.map(({ outcome, reason }: Report) => `${outcome}: ${reason}`);
}

/** A bind mount whose source, an empty directory, was deleted: its repair takes four steps. */
export async function deletedSource(world: World): Promise<{ source: string; point: string }> {
  const [source, point] = [world.directory('source'), world.directory('point')];
  await world.run(['mount', '--bind', source, point]);
  rmdirSync(source);
  return { source, point };
}
