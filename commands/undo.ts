import * as Args from '@oclif/core/args';
import { Command } from '@oclif/core/command';
import * as Flags from '@oclif/core/flags';
import { checks } from '../checks/index.ts';
import { decideUndo } from '../src/cli/decide.ts';
import { deadlineFlag, formatFlags, outputFlag, stateFlags } from '../src/cli/flags.ts';
import { runOnJournal } from '../src/cli/repairing.ts';
import { undoRun } from '../src/repair/undo.ts';

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
    await runOnJournal(flags, checks, 'There is nothing to take back.', (options, asked) =>
      undoRun({ ...options, run: args.run, decide: decideUndo(asked) }),
    );
  }
}
