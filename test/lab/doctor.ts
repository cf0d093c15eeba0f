/** The doctor, at work on a guest over ssh. */
import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ROOT } from '../cli.ts';
import { Terminal } from '../real/terminal.ts';
import type { Guest } from './guest.ts';
import type { Ran, User } from './machine.ts';

// biome-ignore lint/suspicious/noExplicitAny: a report is read as an outside program reads it
export type Report = any;

export interface Reported {
  code: number;
  report: Report;
  ms: number;
}

export class Doctor {
  readonly #host: string;
  readonly #guest: Guest;
  readonly #env: Record<string, string>;
  readonly #check: string;

  /** With a journal of its own, which outlives the guest's reboots. */
  constructor(guest: Guest, user: User = 'root', check = 'zombie-mounts') {
    this.#check = check;
    this.#host = user === 'root' ? guest.name : `${user}@${guest.name}`;
    this.#guest = guest;
    const bin = guest.path('bin');
    if (!existsSync(bin)) {
      mkdirSync(bin);
      writeFileSync(join(bin, 'ssh'), `#!/bin/sh\nexec /usr/bin/ssh -F ${guest.sshConfig} "$@"\n`);
      chmodSync(join(bin, 'ssh'), 0o755);
    }
    this.#env = { PATH: `${bin}:${process.env['PATH']}`, STDOCTOR_STATE_DIR: guest.path('state') };
  }

  /** Over ssh. */
  run(command: string, ...args: string[]): Promise<Ran> {
    return this.bare(command, '--host', this.#host, ...args);
  }

  /** Without a host: for what reads the journal. */
  bare(...args: string[]): Promise<Ran> {
    const started = Date.now();
    const child = spawn(process.execPath, [join(ROOT, 'bin/run.js'), ...args], {
      cwd: '/',
      env: { ...process.env, ...this.#env },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 400_000,
    });
    const ran: Ran = { code: -1, stdout: '', stderr: '', ms: 0 };
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      ran.stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      ran.stderr += text;
    });
    return new Promise((done, failed) => {
      child.on('error', failed);
      child.on('close', (code) => done({ ...ran, code: code ?? -1, ms: Date.now() - started }));
    });
  }

  async check(...args: string[]): Promise<Reported> {
    return parsed(await this.run('check', this.#check, '--json', ...args));
  }

  async fix(...args: string[]): Promise<Reported> {
    return parsed(await this.run('fix', this.#check, '--json', ...args));
  }

  /** `fix` at a terminal, by a person who says yes to all, and types the names that are asked for. */
  async fixTyped(...args: string[]): Promise<{ code: number; screen: string; names: string[] }> {
    const env = Object.entries(this.#env).map(([name, value]) => `${name}=${value}`);
    const words = [process.execPath, join(ROOT, 'bin/run.js'), 'fix', this.#check, '--yes', '--host', this.#host, ...args];
    const terminal = await Terminal.open(this.#guest.path('tmux'), ['env', ...env, ...words], { columns: 200, rows: 50 });
    const names: string[] = [];
    try {
      for (;;) {
        const code = await terminal.ended(500).catch(() => undefined);
        const screen = await terminal.screen();
        if (code !== undefined) {
          return { code, screen, names };
        }
        const asked = [...screen.matchAll(/Type (\S+) to go on, anything else to leave it/g)].map(([, name]) => name as string);
        const next = asked.find((name) => !names.includes(name));
        if (next !== undefined) {
          names.push(next);
          await terminal.type(next);
        }
        await sleep(100);
      }
    } finally {
      await terminal.close();
      rmSync(this.#guest.path('tmux.code'), { force: true });
    }
  }
}

function parsed({ code, stdout, stderr, ms }: Ran): Reported {
  if (!stdout.startsWith('{')) {
    throw new Error(`no JSON, exit code ${code}: ${stdout}${stderr}`);
  }
  return { code, report: JSON.parse(stdout), ms };
}

/** Code and subject of each finding. */
export function found(report: Report): string[] {
  return report.targets[0].findings.map(({ code, subject }: Report) => `${code} ${subject.name}`).toSorted();
}

/** Of what nothing could be told. */
export function unjudged(report: Report): string[] {
  return report.targets[0].checks.flatMap((check: Report) => check.unjudged.map(({ subject, why }: Report) => `${subject.name}: ${why}`));
}
