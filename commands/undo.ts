import * as Args from '@oclif/core/args';
import { Command } from '@oclif/core/command';
import * as Flags from '@oclif/core/flags';
import { checks } from '../checks/index.ts';
import { decideUndo } from '../src/cli/decide.ts';
import { deadlineFlag, deadlineOf, formatFlags, outputFlag, stateFlags } from '../src/cli/flags.ts';
import { invocation } from '../src/cli/invocation.ts';
import { openConfig, openFacts, openTarget } from '../src/cli/open.ts';
import { outputsOf } from '../src/cli/outputs.ts';
import { conclude, preparedStateDir, talkOf, tellEnded, withLock } from '../src/cli/repairing.ts';
import { minded } from '../src/cli/signals.ts';
import { undoRun } from '../src/repair/undo.ts';
import { showWhile } from '../src/ui/progress.ts';

export default class Undo extends Command {
  static override summary = 'Take back what a run of fix did, newest step first.';
  static override description =
    'Each step is taken back only while it is as it was left (its own proof still holds), and the taking back is proven too. What cannot be taken back is said, with the reason. Without a terminal it needs --yes.\n\nExit codes: 0 taken back, 1 something cannot be taken back or was not, 2 a step or proof failed, 4 the world changed, 75 another repair is under way.';
  static override usage = 'undo [RUN] [flags]';
  static override examples = ['<%= config.bin %> undo', '<%= config.bin %> undo 20261121T093000Z-1a2b3c --yes'];
  static override args = { run: Args.string({ description: 'a run of fix, as history names it (default: the latest)' }) };
  static override flags = {
    yes: Flags.boolean({ description: 'answer confirmations' }),
    ...deadlineFlag,
    ...formatFlags,
    ...outputFlag,
    ...stateFlags,
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Undo);
    const outputs = outputsOf(flags);
    const config = await openConfig(
      flags,
      checks.map(({ id }) => id),
    );
    const [target, costly] = await Promise.all([openTarget(flags), openFacts(flags)]);
    const stateDir = await preparedStateDir(flags);
    const talk = talkOf(outputs);
    const started = Date.now();
    await withLock(stateDir, async (runId) => {
      const undone = await undoRun({
        target,
        costly,
        entries: checks,
        run: args.run,
        decide: decideUndo({ ...talk, yes: flags.yes === true, interactive: process.stdin.isTTY === true }),
        ...tellEnded(talk),
        show: (title, work) => showWhile(title, process.stderr, work),
        minded,
        runId,
        version: invocation.version,
        stateDir,
        rescueDir: undefined,
        roundMs: deadlineOf(flags.deadline, config.deadlineMs),
      });
      await conclude(outputs, talk, { runId, started, target: target.name, nothing: 'There is nothing to take back.' }, undone);
    });
  }
}
