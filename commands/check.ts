import { Command } from '@oclif/core/command';
import { checks } from '../checks/index.ts';
import { deadlineFlag, deadlineOf, formatFlags, fromFlag, outputFlag, stateFlags } from '../src/cli/flags.ts';
import { invocation } from '../src/cli/invocation.ts';
import { openConfig, openFacts, openTarget } from '../src/cli/open.ts';
import { emit, outputsOf } from '../src/cli/outputs.ts';
import { renderReport } from '../src/cli/render.ts';
import { select } from '../src/cli/select.ts';
import { inspect, newRunId, toRun } from '../src/engine/inspect.ts';
import { exitCodeOf } from '../src/engine/result.ts';
import { showWhile } from '../src/ui/progress.ts';

export default class Check extends Command {
  static override summary = 'Look for storage faults; changes nothing.';
  static override description =
    'Exit codes: 0 healthy, 1 a warning, 2 a critical finding, 3 could not tell, 64 wrong usage, 78 wrong configuration.';
  static override usage = 'check [CHECK…] [flags]';
  static override examples = [
    '<%= config.bin %> check',
    '<%= config.bin %> check zombie-mounts --json',
    '<%= config.bin %> check --from host.tar.gz',
  ];
  static override strict = false;
  static override flags = { ...deadlineFlag, ...fromFlag, ...formatFlags, ...outputFlag, ...stateFlags };

  async run(): Promise<void> {
    const { argv, flags } = await this.parse(Check);
    const outputs = outputsOf(flags);
    const config = await openConfig(
      flags,
      checks.map(({ id }) => id),
    );
    const { entries } = select(argv as string[], checks, config.skip);
    const [target, costly] = await Promise.all([openTarget(flags), openFacts(flags)]);
    const started = Date.now();
    const hardware = outputs.some(({ format }) => format === 'pretty');
    const { target: result } = await showWhile(`Asking ${target.name}`, process.stderr, (listen) =>
      inspect(target, entries, { until: started + deadlineOf(flags.deadline, config.deadlineMs), listen, hardware, costly }),
    );
    const run = toRun(invocation.version, newRunId(), started, [result]);
    await emit(outputs, (format, stream) => renderReport(run, format, stream));
    process.exitCode = exitCodeOf(run);
  }
}
