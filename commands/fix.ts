import { Command } from '@oclif/core/command';
import * as Flags from '@oclif/core/flags';
import { checks } from '../checks/index.ts';
import { consentOf } from '../src/cli/consent.ts';
import { deadlineFlag, deadlineOf, formatFlags, fromFlag, outputFlag, stateFlags } from '../src/cli/flags.ts';
import { fromHere, invocation } from '../src/cli/invocation.ts';
import { openConfig, openStateDir, openTarget } from '../src/cli/open.ts';
import { emit, outputsOf } from '../src/cli/outputs.ts';
import { select } from '../src/cli/select.ts';
import { newRunId } from '../src/engine/inspect.ts';
import { repairFindings } from '../src/repair/repair.ts';
import { type RepairRun, repairExitCode } from '../src/repair/result.ts';
import { repairToJson } from '../src/report/json.ts';
import { repairRunToText, repairToText } from '../src/report/pretty.ts';
import { paintFor, plain } from '../src/report/style.ts';
import { takeLock } from '../src/state/lock.ts';
import { prepareStateDir } from '../src/state/state-dir.ts';
import { assertAnswers } from '../src/target/own-paths.ts';
import { showWhile } from '../src/ui/progress.ts';

export default class Fix extends Command {
  static override summary = 'Go through the findings and repair what can be repaired.';
  static override description =
    'Each plan is shown with its exact commands before anything is done. Without a terminal and without --auto it prints the plans and changes nothing.\n\nExit codes: 0 nothing to do or all repaired and proven, 1 something remains, 2 a step or proof failed, 3 could not tell, 4 the world changed, 75 another repair is under way.';
  static override usage = 'fix [CHECK|FINDING…] [flags]';
  static override examples = [
    '<%= config.bin %> fix',
    '<%= config.bin %> fix --dry-run',
    '<%= config.bin %> fix zombie-mounts --auto safe --json',
  ];
  static override strict = false;
  static override flags = {
    'dry-run': Flags.boolean({ description: 'show the plans, change nothing' }),
    auto: Flags.option({
      options: ['safe', 'disruptive'] as const,
      description: 'apply every plan up to this risk without asking',
      exclusive: ['dry-run'],
    })(),
    yes: Flags.boolean({ description: 'answer plain confirmations; a name that must be typed is still asked for' }),
    'rescue-dir': Flags.string({ description: 'where copies of data in danger are put (default STATE-DIR/rescue)', helpValue: 'DIR' }),
    ...deadlineFlag,
    ...fromFlag,
    ...formatFlags,
    ...outputFlag,
    ...stateFlags,
  };

  async run(): Promise<void> {
    const { argv, flags } = await this.parse(Fix);
    const outputs = outputsOf(flags);
    const config = await openConfig(
      flags,
      checks.map(({ id }) => id),
    );
    const { entries, findings } = select(argv as string[], checks, config.skip, true);
    const target = await openTarget(flags);
    const interactive = process.stdin.isTTY === true && flags.auto === undefined;
    const applies = target.act !== undefined && !flags['dry-run'] && (flags.auto !== undefined || interactive);
    const talks = outputs.some(({ format, file }) => format === 'pretty' && file === undefined);
    const say = (text: string) => (talks ? process.stdout : process.stderr).write(text);

    const stateDir = applies ? await this.#stateDir(flags) : undefined;
    const lock = stateDir === undefined ? undefined : takeLock(stateDir);
    try {
      const started = Date.now();
      const runId = newRunId();
      const paint = paintFor(talks ? process.stdout : process.stderr);
      const repaired = await repairFindings({
        target,
        entries,
        findings,
        consent: consentOf({
          applies,
          auto: flags.auto,
          yes: flags.yes === true,
          say,
          paint,
          streams: { stdin: process.stdin, stdout: process.stderr },
          why: target.act === undefined ? 'a recording can only be read' : undefined,
        }),
        ...(talks && { ended: (repair) => say(repairToText(repair, paint)) }),
        show: (title, work) => showWhile(title, process.stderr, work),
        runId,
        stateDir,
        rescueDir: flags['rescue-dir'] === undefined ? undefined : fromHere(flags['rescue-dir']),
        roundMs: deadlineOf(flags.deadline, config.deadlineMs),
      });
      for (const id of repaired.missing) {
        process.stderr.write(`stdoctor: ${id} is not found (any more)\n`);
      }
      const run: RepairRun = {
        id: runId,
        startedAt: new Date(started).toISOString(),
        durationMs: Date.now() - started,
        version: invocation.version,
        target: { name: target.name, identity: repaired.identity },
        repairs: repaired.repairs,
        unknown: repaired.unknown,
      };
      await emit(outputs, async (format, stream) => {
        if (format === 'json') {
          return repairToJson(run);
        }
        return stream === undefined
          ? run.repairs.map((repair) => repairToText(repair, plain)).join('') + repairRunToText(run, plain)
          : repairRunToText(run, paint);
      });
      process.exitCode = repairExitCode(run);
    } finally {
      lock?.release();
    }
  }

  async #stateDir(flags: { 'state-dir'?: string | undefined }): Promise<string> {
    const path = openStateDir(flags);
    if (path !== undefined) {
      await assertAnswers(path, 'STD_STATE_DIR');
    }
    return prepareStateDir(path, process.getuid?.() ?? -1);
  }
}
