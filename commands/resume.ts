import { Command } from '@oclif/core/command';
import * as Flags from '@oclif/core/flags';
import { checks } from '../checks/index.ts';
import { decideResume } from '../src/cli/decide.ts';
import { deadlineFlag, formatFlags, outputFlag, rescueFlag, stateFlags } from '../src/cli/flags.ts';
import { runOnJournal } from '../src/cli/repairing.ts';
import { resumeRepairs } from '../src/repair/resume.ts';

export default class Resume extends Command {
  static override summary = 'Go on with repairs that were interrupted, or take them back.';
  static override description =
    'Says of each step whether it was done: from the journal, and where that does not know, by asking the host. What was borrowed is given back either way. Without a terminal it needs --yes and one of --forward and --rollback.\n\nExit codes: 0 nothing was interrupted, or all is repaired or taken back, 1 something remains, 2 a step or proof failed, 4 the world changed, 75 another repair is under way.';
  static override usage = 'resume [--forward|--rollback] [flags]';
  static override examples = ['<%= config.bin %> resume', '<%= config.bin %> resume --forward --yes'];
  static override flags = {
    forward: Flags.boolean({ description: 'go on with the repair', exclusive: ['rollback'] }),
    rollback: Flags.boolean({ description: 'take back what was done' }),
    yes: Flags.boolean({ description: 'answer plain confirmations; a name that must be typed is still asked for' }),
    ...rescueFlag,
    ...deadlineFlag,
    ...formatFlags,
    ...outputFlag,
    ...stateFlags,
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(Resume);
    const way = flags.forward ? 'forward' : flags.rollback ? 'back' : undefined;
    await runOnJournal(flags, checks, 'No repair was interrupted.', (options, asked) =>
      resumeRepairs({ ...options, decide: decideResume({ ...asked, way }) }),
    );
  }
}
