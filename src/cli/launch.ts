/** Starts oclif in an environment that cannot hang, and ends with the exit codes of this program. */
import { existsSync, readdirSync } from 'node:fs';
import { parse } from 'node:path';
import type { Command } from '@oclif/core/command';
import { EXIT, StdoctorError } from '../errors.ts';
import { printable } from '../names.ts';
import { killAll } from '../target/child.ts';
import { safeSearchPath } from '../target/own-paths.ts';
import { invocation } from './invocation.ts';
import { putOff } from './signals.ts';
import type { Declared } from './usage.ts';

const SHOW_CURSOR = '\u001b[?25h';
const HELP = ['--help', '-h'];

export interface Launch {
  root: string;
  version: string;
  /** The directory of the commands, a file each, and how the names of these files end. */
  commands: URL;
  extension: '.js' | '.ts';
  /** What oclif is told beyond the root. */
  oclif?: object;
}

type CommandClass = Declared & (new (argv: string[], config: Command['config']) => Command);

/** Never returns: the process ends here, whatever still hangs. */
export async function launch({ root, version, commands, extension, oclif = {} }: Launch): Promise<void> {
  Object.assign(invocation, { root, version, from: workingDirectory() });
  // Nothing that is started from here may look into a directory that hangs.
  process.chdir('/');
  process.env['PATH'] = safeSearchPath(process.env['PATH']);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => putOff(signal) || finish(EXIT.interrupted));
  }
  for (const event of ['uncaughtException', 'unhandledRejection']) {
    process.once(event, async (error) => finish(await report(error, '', {}, commands)));
  }
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    // The reader has gone: there is nobody left to tell. What is being repaired is still brought to its end.
    if (error.code === 'EPIPE' && !putOff('SIGHUP')) {
      finish(process.exitCode === undefined ? EXIT.ok : Number(process.exitCode));
    }
  });
  // A terminal that is gone.
  process.stderr.on('error', () => {});
  const argv = toFlag(process.argv.slice(2));
  const [word = ''] = argv;
  let command: CommandClass | undefined;
  try {
    command = await load(word, commands, extension);
    if (command === undefined || isHelpWanted(argv)) {
      const { run } = await import('@oclif/core/run');
      await run(argv, { root, ...oclif } as Parameters<typeof run>[1]);
    } else {
      await new command(argv.slice(1), NO_PLUGINS).run();
    }
    await flushed(process.stdout);
    finish(Number(process.exitCode ?? EXIT.ok));
  } catch (error) {
    finish(await report(error, word, command ?? {}, commands));
  }
}

/**
 * Commands of our own are started without oclif's registry: without a manifest it loads every command to find one, which
 * costs more than all of `checks` does. What is not ours (help, plugins, mistakes) goes the whole way.
 */
async function load(word: string, commands: URL, extension: string): Promise<CommandClass | undefined> {
  const file = new URL(`${word}${extension}`, commands);
  if (!/^[a-z][a-z-]*$/.test(word) || !existsSync(file)) {
    return undefined;
  }
  return ((await import(file.href)) as { default: CommandClass }).default;
}

/** All that a command asks of oclif's configuration, where no plugin listens. */
const NO_PLUGINS = { bin: 'stdoctor', runHook: async () => ({ successes: [], failures: [] }) } as unknown as Command['config'];

function isHelpWanted(argv: readonly string[]): boolean {
  const end = argv.indexOf('--');
  return argv.slice(0, end < 0 ? undefined : end).some((word) => HELP.includes(word));
}

/** `help` and `help COMMAND`, which people type, as `--help` and `COMMAND --help`. */
function toFlag(argv: readonly string[]): string[] {
  return argv[0] === 'help' ? [...argv.slice(1), '--help'] : [...argv];
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
async function report(error: unknown, word: string, command: Declared, commands: URL): Promise<number> {
  if (error instanceof StdoctorError) {
    return tell(error);
  }
  const exit = (error as { oclif?: { exit?: number } } | undefined)?.oclif?.exit;
  if (exit === 0) {
    return EXIT.ok;
  }
  if (exit !== undefined) {
    const { usageMessage } = await import('./usage.ts');
    const known = readdirSync(commands).map((file) => parse(file).name);
    return tell(new StdoctorError('STD_USAGE', usageMessage(error, word, command, known.toSorted()), { cause: error }));
  }
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  process.stderr.write(`stdoctor: this is a fault of stdoctor's own; please report it with what you did:\n${stack}\n`);
  return EXIT.bug;
}

function tell({ message, hint, exitCode }: StdoctorError): number {
  process.stderr.write(`stdoctor: ${printable(message)}\n${hint === '' ? '' : `${hint}\n`}`);
  return exitCode;
}
