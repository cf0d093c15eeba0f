/** Starts oclif in an environment that cannot hang, and ends with the exit codes of this program. */
import { run } from '@oclif/core/run';
import { EXIT, messageOf, StdoctorError } from '../errors.ts';
import { printable } from '../names.ts';
import { killAll } from '../target/child.ts';
import { safeSearchPath } from '../target/own-paths.ts';
import { invocation } from './invocation.ts';

const SHOW_CURSOR = '\u001b[?25h';

export interface Launch {
  root: string;
  version: string;
  /** What oclif is told beyond the root. */
  oclif?: object;
}

/** Never returns: the process ends here, whatever still hangs. */
export async function launch({ root, version, oclif = {} }: Launch): Promise<void> {
  Object.assign(invocation, { root, version, from: workingDirectory() });
  // Nothing that is started from here may look into a directory that hangs.
  process.chdir('/');
  process.env['PATH'] = safeSearchPath(process.env['PATH']);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => finish(EXIT.interrupted));
  }
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    // The reader has gone: there is nobody left to tell.
    if (error.code === 'EPIPE') {
      finish(process.exitCode === undefined ? EXIT.ok : Number(process.exitCode));
    }
  });
  try {
    await run(process.argv.slice(2), { root, ...oclif } as Parameters<typeof run>[1]);
    await flushed(process.stdout);
    finish(Number(process.exitCode ?? EXIT.ok));
  } catch (error) {
    finish(report(error));
  }
}

function workingDirectory(): string {
  try {
    return process.cwd();
  } catch {
    // It was removed.
    return '/';
  }
}

function finish(code: number): never {
  killAll();
  if (process.stderr.isTTY) {
    process.stderr.write(SHOW_CURSOR);
  }
  process.exit(code);
}

function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((done) => stream.write('', () => done()));
}

/** Says what went wrong and returns the exit code for it. */
function report(error: unknown): number {
  if (error instanceof StdoctorError) {
    process.stderr.write(`stdoctor: ${printable(error.message)}\n${error.hint === '' ? '' : `${error.hint}\n`}`);
    return error.exitCode;
  }
  const exit = (error as { oclif?: { exit?: number } } | undefined)?.oclif?.exit;
  if (exit === 0) {
    return EXIT.ok;
  }
  if (exit !== undefined) {
    process.stderr.write(`stdoctor: ${messageOf(error).split('\n').filter(Boolean).map(printable).join('\n')}\n`);
    return EXIT.usage;
  }
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  process.stderr.write(`stdoctor: this is a fault of stdoctor's own; please report it with what you did:\n${stack}\n`);
  return EXIT.bug;
}
