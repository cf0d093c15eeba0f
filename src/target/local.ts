/** The host this process runs on. */
import { closeSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Acted, Child, Probe, ResolvedAction } from '../check/types.ts';
import type { InterruptedRepair } from '../facts/interrupted.ts';
import { type Name, showName, toByteString, toBytes } from '../names.ts';
import { askChild, childEnvironment, childOf, viaXargs } from './child.ts';
import { editCommand } from './edit.ts';
import { asJson, type Ended, HostTarget, isKernelFile, type Outcome, READ_AT_MOST } from './host-target.ts';
import { HERE, LeftBehindMemory, leftBehindFile } from './left-behind.ts';
import { type OwnState, ownInterrupted, stateDirOf } from './own-journal.ts';
import { safeSearchPath } from './own-paths.ts';

export class LocalTarget extends HostTarget {
  readonly name = 'local';
  readonly via = 'local';
  protected override readonly memory: LeftBehindMemory;
  readonly #searchPath = safeSearchPath(process.env['PATH']);
  readonly #state: OwnState;

  /** state: where the journal lies and children that cannot be killed are remembered, or why it is not touched. */
  constructor(state: OwnState) {
    super();
    this.#state = state;
    const directory = stateDirOf(state);
    this.memory = new LeftBehindMemory(directory === undefined ? undefined : leftBehindFile(directory), HERE);
  }

  protected override start(argv: readonly Name[], limitMs: number, maxBytes: number): Promise<Ended> {
    return askChild(argv, limitMs, this.#searchPath, maxBytes);
  }

  /** Whatever host they were begun on: nobody else reads this journal. */
  protected override interrupted(): Promise<readonly InterruptedRepair[] | Outcome> {
    return ownInterrupted(this.#state);
  }

  protected override async inventory(topic: 'os' | 'system', limitMs: number): Promise<Outcome> {
    const { default: systeminformation } = await import('systeminformation');
    const question = topic === 'os' ? systeminformation.osInfo() : systeminformation.system();
    const found = await Promise.race([question, sleep(limitMs, undefined, { ref: false })]);
    return found === undefined
      ? { state: 'timed-out', out: Buffer.alloc(0), err: '', limitMs }
      : asJson({ ...found, serial: '', uuid: '', sku: '' });
  }

  /** Only what the kernel answers by itself is read in this process. */
  protected override async read(probe: Probe & { kind: 'read' }, until: number): Promise<Outcome> {
    if (!isKernelFile(toByteString(probe.path))) {
      return super.read(probe, until);
    }
    try {
      const out = await readFile(toBytes(probe.path));
      return { state: 'ok', code: 0, out: out.subarray(0, probe.maxBytes ?? READ_AT_MOST), err: '' };
    } catch (error) {
      return failedRead(showName(probe.path), error as NodeJS.ErrnoException);
    }
  }

  override async act(action: ResolvedAction, log: string, started: (child: Child) => void): Promise<Acted> {
    const words =
      action.kind === 'run' ? action.argv : action.kind === 'edit' ? editCommand(action) : (['tee', '--', action.path] as const);
    const { argv, input } = viaXargs(words);
    const [file, ...rest] = argv as [string, ...string[]];
    const { execa } = await import('execa');
    // execa's types name only 3 to 9; any open descriptor serves.
    const output = openSync(log, 'a', 0o600) as 3;
    try {
      // A session of its own and a file to write to: it survives this process and its terminal.
      const child = execa(file, rest, {
        cwd: '/',
        env: childEnvironment(this.#searchPath),
        extendEnv: false,
        detached: true,
        cleanup: false,
        reject: false,
        stdout: output,
        stderr: output,
        ...(action.kind === 'write' ? { input: action.content } : input === undefined ? { stdin: 'ignore' as const } : { input }),
      });
      const self = child.pid === undefined ? undefined : childOf(child.pid);
      if (self !== undefined) {
        started(self);
      }
      const result = await child;
      const code = result.exitCode ?? -1;
      const why =
        result.exitCode === undefined
          ? result.signal === undefined
            ? `${file}: ${result.code ?? 'could not be started'}`
            : `ended by ${result.signal}`
          : undefined;
      return { ok: code === 0, code, ...(why !== undefined && { why }) };
    } finally {
      closeSync(output);
    }
  }
}

function failedRead(what: string, error: NodeJS.ErrnoException): Outcome {
  switch (error.code) {
    case 'ENOENT':
    case 'ENOTDIR':
    case 'ESRCH':
      return { state: 'absent', why: `${what} is not there` };
    case 'EACCES':
    case 'EPERM':
      return { state: 'denied', why: `${what} may not be read` };
    default:
      return { state: 'errno', errno: Math.abs(error.errno ?? 0) };
  }
}
