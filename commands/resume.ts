import { Command } from '@oclif/core/command';
import * as Flags from '@oclif/core/flags';
import { checks } from '../checks/index.ts';
import { decideResume } from '../src/cli/decide.ts';
import { deadlineFlag, deadlineOf, formatFlags, outputFlag, rescueFlag, stateFlags } from '../src/cli/flags.ts';
import { fromHere, invocation } from '../src/cli/invocation.ts';
import { openConfig, openFacts, openTarget } from '../src/cli/open.ts';
import { outputsOf } from '../src/cli/outputs.ts';
import { conclude, preparedStateDir, talkOf, tellEnded, withLock } from '../src/cli/repairing.ts';
import { minded } from '../src/cli/signals.ts';
import { resumeRepairs } from '../src/repair/resume.ts';
import { showWhile } from '../src/ui/progress.ts';

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
      const resumed = await resumeRepairs({
        target,
        costly,
        entries: checks,
        decide: decideResume({
          ...talk,
          way: flags.forward ? 'forward' : flags.rollback ? 'back' : undefined,
          yes: flags.yes === true,
          interactive: process.stdin.isTTY === true,
        }),
        ...tellEnded(talk),
        show: (title, work) => showWhile(title, process.stderr, work),
        minded,
        runId,
        version: invocation.version,
        stateDir,
        rescueDir: flags['rescue-dir'] === undefined ? undefined : fromHere(flags['rescue-dir']),
        roundMs: deadlineOf(flags.deadline, config.deadlineMs),
      });
      await conclude(outputs, talk, { runId, started, target: target.name, nothing: 'No repair was interrupted.' }, resumed);
    });
  }
}
