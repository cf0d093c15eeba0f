import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { scratch } from './scratch.ts';

export const ROOT = fileURLToPath(new URL('..', import.meta.url));

export interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs the built program as a user does, without a terminal, with a state directory of its own. undefined takes a variable away. */
export function stdoctor(
  args: readonly string[],
  options: { env?: Record<string, string | undefined>; cwd?: string } = {},
): Promise<Ended> {
  const env = { ...process.env, STDOCTOR_STATE_DIR: join(scratch(), 'state'), ...options.env };
  const child = spawn(process.execPath, [join(ROOT, 'bin/run.js'), ...args], {
    cwd: options.cwd ?? '/',
    env: Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined)),
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 25_000,
  });
  const ended: Ended = { code: null, stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    ended.stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    ended.stderr += text;
  });
  return new Promise((done, failed) => {
    child.on('error', failed);
    child.on('close', (code) => done({ ...ended, code }));
  });
}
