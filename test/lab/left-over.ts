/** What a machine leaves on this one is removed on every way out, at the latest by the next run. */
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { childOf, isAlive } from '../../src/target/child.ts';

const PREFIX = 'stdoctor-lab-';
const FILE = 'owner.json';
const YOUNG_MS = 60_000;
const open = new Map<string, Process | undefined>();

interface Owner {
  /** The image that it is made from. */
  image: string;
  test: Process | undefined;
  qemu: Process | undefined;
}

type Process = NonNullable<ReturnType<typeof childOf>>;

/** From now on the directory and the process behind it end with this process. */
export function remember(dir: string, { image, qemu }: { image: string; qemu?: number }): void {
  if (open.size === 0) {
    process.on('exit', removeAll);
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, leave);
    }
  }
  const owner: Owner = { image, test: childOf(process.pid), qemu: qemu === undefined ? undefined : childOf(qemu) };
  open.set(dir, owner.qemu);
  writeFileSync(join(dir, FILE), JSON.stringify(owner));
}

export function forget(dir: string): void {
  open.delete(dir);
  if (open.size === 0) {
    process.off('exit', removeAll);
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.off(signal, leave);
    }
  }
}

function leave(signal: NodeJS.Signals): void {
  removeAll();
  process.kill(process.pid, signal);
}

function removeAll(): void {
  for (const [dir, qemu] of [...open]) {
    kill(qemu);
    remove(dir);
    forget(dir);
  }
}

/** Ends and removes the machines of test processes that are no more. Returns the images that those still there are made from. */
export function sweep(): Set<string> {
  const images = new Set<string>();
  for (const name of readdirSync(tmpdir()).filter((entry) => entry.startsWith(PREFIX))) {
    const dir = join(tmpdir(), name);
    const owner = read(dir);
    if (owner?.test !== undefined && isAlive(owner.test)) {
      images.add(owner.image);
    } else if (owner !== undefined || isOld(dir)) {
      kill(owner?.qemu);
      remove(dir);
    }
  }
  return images;
}

/** The ssh to a machine that has just been killed removes its own socket at the same time, and rmSync then stops half way. */
function remove(dir: string): void {
  for (let tries = 0; tries < 20 && existsSync(dir); tries++) {
    try {
      rmSync(dir, { recursive: true, force: true });
    } catch {
      // Again.
    }
  }
}

function read(dir: string): Owner | undefined {
  try {
    return JSON.parse(readFileSync(join(dir, FILE), 'utf8')) as Owner;
  } catch {
    return undefined;
  }
}

/** A directory without an owner may be of a process that is just making it. */
function isOld(dir: string): boolean {
  const made = statSync(dir, { throwIfNoEntry: false })?.mtimeMs;
  return made !== undefined && Date.now() - made > YOUNG_MS;
}

function kill(qemu: Process | undefined): void {
  if (qemu === undefined || !isAlive(qemu)) {
    return;
  }
  try {
    process.kill(qemu.pid, 'SIGKILL');
  } catch {
    // It has just ended.
  }
}
