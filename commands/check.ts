import { Command } from '@oclif/core/command';
import * as Flags from '@oclif/core/flags';
import { checks } from '../checks/index.ts';
import { deadlineFlag, deadlineOf, evidenceFlag, formatFlags, fromFlag, hostsFlag, outputFlag, stateFlags } from '../src/cli/flags.ts';
import { invocation } from '../src/cli/invocation.ts';
import { openConfig, openFacts, openTargets } from '../src/cli/open.ts';
import { emit, outputsOf } from '../src/cli/outputs.ts';
import { renderReport } from '../src/cli/render.ts';
import { select } from '../src/cli/select.ts';
import type { Listener } from '../src/engine/events.ts';
import { newRunId, toRun } from '../src/engine/inspect.ts';
import { inspectAll } from '../src/engine/inspect-all.ts';
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
    '<%= config.bin %> check --host hv1 --host root@hv2:2222',
  ];
  static override strict = false;
  static override flags = {
    ...deadlineFlag,
    ...fromFlag,
    ...hostsFlag,
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
    const deadlineMs = deadlineOf(flags.deadline, config.deadlineMs);
    const [targets, costly] = await Promise.all([openTargets(flags, deadlineMs), openFacts(flags)]);
    const started = Date.now();
    const hardware = outputs.some(({ format }) => format === 'pretty');
    const tally = new Tally();
    const ask = (listen: Listener) =>
      inspectAll(targets, entries, { until: started + deadlineMs, listen: tally.beside(listen), hardware, costly });
    const whom = targets.length === 1 ? targets[0]?.name : `${targets.length} hosts`;
    const results = await (flags.quiet ? ask(() => {}) : showWhile(`Asking ${whom}`, process.stderr, ask));
    const run = toRun(invocation.version, newRunId(), started, results);
    const view = { ...flags, asked: tally.asked };
    await emit(outputs, (format, stream) => renderReport(run, format, stream, view));
    process.exitCode = exitCodeOf(run);
  }
}
