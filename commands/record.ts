import { Command } from '@oclif/core/command';
import * as Flags from '@oclif/core/flags';
import { checks } from '../checks/index.ts';
import { deadlineFlag, deadlineOf, formatFlags, fromFlag, hostFlag, stateFlags } from '../src/cli/flags.ts';
import { fromHere, invocation } from '../src/cli/invocation.ts';
import { closing, openConfig, openTarget } from '../src/cli/open.ts';
import { outputsOf } from '../src/cli/outputs.ts';
import { renderReport } from '../src/cli/render.ts';
import { select } from '../src/cli/select.ts';
import { newRunId, toRun } from '../src/engine/inspect.ts';
import { recordTarget } from '../src/engine/record.ts';
import { exitCodeOf } from '../src/engine/result.ts';
import { StdoctorError } from '../src/errors.ts';
import { assertAnswers } from '../src/target/own-paths.ts';
import { saveRecording } from '../src/target/recording.ts';
import { showWhile } from '../src/ui/progress.ts';

export default class Record extends Command {
  static override summary = 'Record what the checks ask and what this host answers, to be judged elsewhere.';
  static override description =
    'The recording is a directory, or a file where the name ends in .tar.gz. The report of the same run is printed; the exit code is that of check. Secrets in mount sources and options are masked.';
  static override usage = 'record [CHECK…] --output DIR|FILE.tar.gz';
  static override examples = [
    '<%= config.bin %> record --output host.tar.gz',
    '<%= config.bin %> check --from host.tar.gz',
    '<%= config.bin %> record --host hv1 --output hv1.tar.gz',
  ];
  static override strict = false;
  static override flags = {
    ...deadlineFlag,
    ...fromFlag,
    ...hostFlag,
    ...formatFlags,
    ...stateFlags,
    output: Flags.string({ required: true, description: 'a new directory, or a .tar.gz file', helpValue: 'DIR|FILE.tar.gz' }),
  };

  async run(): Promise<void> {
    const { argv, flags } = await this.parse(Record);
    if (flags.output === '') {
      throw new StdoctorError('STD_USAGE', "record --output '': expected a directory or a .tar.gz file, found an empty name");
    }
    const path = fromHere(String(flags.output));
    await assertAnswers(path, 'STD_OUTPUT');
    const config = await openConfig(
      flags,
      checks.map(({ id }) => id),
    );
    const { entries } = select(argv as string[], checks, config.skip);
    const deadlineMs = deadlineOf(flags.deadline, config.deadlineMs);
    const target = await openTarget(flags, deadlineMs);
    const started = Date.now();
    const { result, recording } = await showWhile(`Recording ${target.name}`, process.stderr, (listen) =>
      closing(target, () => recordTarget(target, entries, { until: started + deadlineMs, listen, hardware: true }, invocation.version)),
    );
    if (result.reason !== null) {
      throw new StdoctorError('STD_UNREACHED', `${target.name} could not be recorded: ${result.reason}`);
    }
    await saveRecording(recording, path);
    process.stderr.write(`stdoctor: ${recording.entries.length} answers recorded in ${path}\n`);
    const run = toRun(invocation.version, newRunId(), started, [result]);
    const [{ format }] = outputsOf({ format: flags.format, json: flags.json }) as [{ format: 'pretty' | 'json' }];
    process.stdout.write(await renderReport(run, format, process.stdout));
    process.exitCode = exitCodeOf(run);
  }
}
