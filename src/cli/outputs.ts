import { writeFileSync } from 'node:fs';
import { messageOf, StdoctorError } from '../errors.ts';
import { printable } from '../names.ts';
import { assertAnswers } from '../target/own-paths.ts';
import { FORMATS, type Format } from './flags.ts';
import { fromHere } from './invocation.ts';

export interface Output {
  format: Format;
  /** undefined: standard output. */
  file?: string;
}

interface Flags {
  format?: Format | undefined;
  json?: boolean | undefined;
  output?: string[] | undefined;
}

/** `--output FILE`, `--output FORMAT:FILE`; only a known format before the colon counts as one. fileFormat: of a file where no flag says it. */
export function outputsOf(flags: Flags, fileFormat: Format = 'pretty'): Output[] {
  if (flags.json && flags.format !== undefined && flags.format !== 'json') {
    throw new StdoctorError('STD_USAGE', `--json and --format ${flags.format}: expected one of them, found both`);
  }
  const format = flags.json ? 'json' : (flags.format ?? 'pretty');
  if (flags.output === undefined || flags.output.length === 0) {
    return [{ format }];
  }
  return flags.output.map((given) => {
    const colon = given.indexOf(':');
    const named = colon < 0 ? undefined : FORMATS.find((known) => known === given.slice(0, colon));
    const file = named === undefined ? given : given.slice(colon + 1);
    if (file === '') {
      throw new StdoctorError('STD_USAGE', `--output '${printable(given)}': expected FILE or FORMAT:FILE, found no name of a file`);
    }
    return { format: named ?? (flags.format === undefined && !flags.json ? fileFormat : format), file: fromHere(file) };
  });
}

export async function emit(
  outputs: readonly Output[],
  render: (format: Format, stream: NodeJS.WriteStream | undefined) => Promise<string>,
): Promise<void> {
  for (const { format, file } of outputs) {
    if (file === undefined) {
      process.stdout.write(await render(format, process.stdout));
      continue;
    }
    await assertAnswers(file, 'STD_OUTPUT');
    try {
      writeFileSync(file, await render(format, undefined));
    } catch (error) {
      throw new StdoctorError('STD_OUTPUT', `the report could not be written to ${file}: ${messageOf(error)}`, { cause: error });
    }
  }
}
