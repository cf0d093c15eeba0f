import { Command } from '@oclif/core/command';
import * as Flags from '@oclif/core/flags';
import { checks } from '../checks/index.ts';
import { formatFlags, outputFlag, stateFlags } from '../src/cli/flags.ts';
import { invocation } from '../src/cli/invocation.ts';
import { openConfig, openStateDir } from '../src/cli/open.ts';
import { emit, outputsOf } from '../src/cli/outputs.ts';
import { readHistory } from '../src/journal/history.ts';
import { historyToText } from '../src/report/journalled.ts';
import { historyToJson } from '../src/report/json.ts';
import { paintFor, plain } from '../src/report/style.ts';
import { assertAnswers } from '../src/target/own-paths.ts';

export default class History extends Command {
  static override summary = 'Show what was repaired here: by whom, when, with which commands, and what proved it.';
  static override description =
    'Reads the journal of the state directory. The id of a run is what stdoctor undo takes.\n\nExit codes: 0 shown, 1 the journal cannot be read.';
  static override examples = ['<%= config.bin %> history --repairs', '<%= config.bin %> history --repairs --json'];
  static override flags = {
    repairs: Flags.boolean({ description: 'the repairs (so far, the only history that is kept)' }),
    ...formatFlags,
    ...outputFlag,
    ...stateFlags,
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(History);
    const outputs = outputsOf(flags);
    await openConfig(
      flags,
      checks.map(({ id }) => id),
    );
    const stateDir = openStateDir(flags);
    if (stateDir !== undefined) {
      await assertAnswers(stateDir, 'STD_STATE_DIR');
    }
    const repairs = readHistory(stateDir);
    await emit(outputs, async (format, stream) =>
      format === 'json'
        ? historyToJson(invocation.version, repairs)
        : historyToText(repairs, stream === undefined ? plain : paintFor(stream)),
    );
    process.exitCode = 0;
  }
}
