import { Command } from '@oclif/core/command';
import * as Flags from '@oclif/core/flags';
import { checks } from '../checks/index.ts';
import { deadlineFlag, deadlineOf, durationOf, formatFlags, fromFlag, hostFlag, outputFlag, stateFlags } from '../src/cli/flags.ts';
import { invocation } from '../src/cli/invocation.ts';
import { closing, openConfig, openFacts, openTarget } from '../src/cli/open.ts';
import { emit, outputsOf } from '../src/cli/outputs.ts';
import { select } from '../src/cli/select.ts';
import { planFindings } from '../src/repair/planned.ts';
import { repairExitCode } from '../src/repair/result.ts';
import { plansToJson } from '../src/repair/saved-plan.ts';
import { planRunToText } from '../src/report/pretty.ts';
import { paintFor, plain } from '../src/report/style.ts';
import { showWhile } from '../src/ui/progress.ts';

export default class Plan extends Command {
  static override summary = 'Make the plans of fix, to be reviewed and applied later; changes nothing.';
  static override description =
    'A plan file holds, for each finding, the exact steps and what they rest on. stdoctor fix --plan FILE applies it on the host it was made for: it is derived anew there and must come out the same, else nothing is done (exit code 4).\n\nExit codes: 0 nothing to repair, 1 something is to be repaired, 3 could not tell.';
  static override usage = 'plan [CHECK|FINDING…] [flags]';
  static override examples = [
    '<%= config.bin %> plan',
    '<%= config.bin %> plan zombie-mounts --output plan.json',
    '<%= config.bin %> plan --from host.tar.gz --output plan.json',
    '<%= config.bin %> fix --plan plan.json',
  ];
  static override strict = false;
  static override flags = {
    'valid-for': Flags.string({ description: 'how long the plan may be applied', default: '24h', helpValue: 'DURATION' }),
    ...deadlineFlag,
    ...fromFlag,
    ...hostFlag,
    ...formatFlags,
    ...outputFlag,
    ...stateFlags,
  };

  async run(): Promise<void> {
    const { argv, flags } = await this.parse(Plan);
    // A plan is written to be read by fix.
    const outputs = outputsOf(flags, 'json');
    const validMs = durationOf('valid-for', flags['valid-for']);
    const config = await openConfig(
      flags,
      checks.map(({ id }) => id),
    );
    const { entries, findings } = select(argv as string[], checks, config.skip, true);
    const deadlineMs = deadlineOf(flags.deadline, config.deadlineMs);
    const [target, costly] = await Promise.all([openTarget(flags, deadlineMs), openFacts(flags)]);
    const started = Date.now();
    const { saved, run, missing } = await showWhile(`Asking ${target.name}`, process.stderr, (listen) =>
      closing(target, () =>
        planFindings({ target, costly, entries, findings, until: started + deadlineMs, listen, validMs }, invocation.version),
      ),
    );
    for (const id of missing) {
      process.stderr.write(`stdoctor: ${id} is not found (any more)\n`);
    }
    await emit(outputs, async (format, stream) =>
      format === 'json' ? plansToJson(saved) : planRunToText(run, stream === undefined ? plain : paintFor(stream)),
    );
    for (const { file, format } of outputs) {
      if (file !== undefined && format === 'json') {
        const count = run.repairs.filter(({ outcome }) => outcome === 'planned').length;
        process.stderr.write(
          `stdoctor: ${count} ${count === 1 ? 'plan' : 'plans'} written to ${file}, to be applied until ${saved.expiresAt}\n`,
        );
      }
    }
    process.exitCode = repairExitCode(run);
  }
}
