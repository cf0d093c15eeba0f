import { Command } from '@oclif/core/command';
import * as Flags from '@oclif/core/flags';
import { checks } from '../checks/index.ts';
import { deadlineFlag, deadlineOf, evidenceFlag, formatFlags, fromFlag, outputFlag, stateFlags } from '../src/cli/flags.ts';
import { invocation } from '../src/cli/invocation.ts';
import { openConfig, openFacts, openTarget } from '../src/cli/open.ts';
import { emit, outputsOf } from '../src/cli/outputs.ts';
import { renderReport } from '../src/cli/render.ts';
import { select } from '../src/cli/select.ts';
import type { Listener } from '../src/engine/events.ts';
import { inspect, newRunId, toRun } from '../src/engine/inspect.ts';
import { exitCodeOf } from '../src/engine/result.ts';
import { showWhile } from '../src/ui/progress.ts';
import { Tally } from '../src/ui/tally.ts';

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
  static override flags = {
    ...deadlineFlag,
    ...fromFlag,
    ...formatFlags,
    ...outputFlag,
    ...stateFlags,
    ...evidenceFlag,
    verbose: Flags.boolean({ description: 'show the checks with their times, notes, and what was slow' }),
    quiet: Flags.boolean({
      description: 'show only findings and what could not be told, a sentence each, and no progress',
      exclusive: ['evidence', 'verbose'],
    }),
  };

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
    const until = started + deadlineOf(flags.deadline, config.deadlineMs);
    const tally = new Tally();
    const ask = (listen: Listener) => inspect(target, entries, { until, listen: tally.beside(listen), hardware, costly });
    const { target: result } = await (flags.quiet ? ask(() => {}) : showWhile(`Asking ${target.name}`, process.stderr, ask));
    const run = toRun(invocation.version, newRunId(), started, [result]);
    const view = { ...flags, asked: tally.asked };
    await emit(outputs, (format, stream) => renderReport(run, format, stream, view));
    process.exitCode = exitCodeOf(run);
  }
}
