import { Command } from '@oclif/core/command';
import * as Flags from '@oclif/core/flags';
import { checks } from '../checks/index.ts';
import { consentOf } from '../src/cli/consent.ts';
import {
  deadlineFlag,
  deadlineOf,
  evidenceFlag,
  formatFlags,
  fromFlag,
  hostFlag,
  outputFlag,
  rescueFlag,
  stateFlags,
} from '../src/cli/flags.ts';
import { fromHere, invocation } from '../src/cli/invocation.ts';
import { closing, openConfig, openFacts, openTarget } from '../src/cli/open.ts';
import { outputsOf } from '../src/cli/outputs.ts';
import { conclude, preparedStateDir, rescueDirOf, talkOf, tellEnded, withLock } from '../src/cli/repairing.ts';
import { select } from '../src/cli/select.ts';
import { minded } from '../src/cli/signals.ts';
import { StdoctorError } from '../src/errors.ts';
import { printable } from '../src/names.ts';
import { rescueOf } from '../src/repair/apply.ts';
import { repairFindings } from '../src/repair/repair.ts';
import type { SavedPlans } from '../src/repair/saved-plan.ts';
import { assertAnswers } from '../src/target/own-paths.ts';
import { showWhile } from '../src/ui/progress.ts';

export default class Fix extends Command {
  static override summary = 'Go through the findings and repair what can be repaired.';
  static override description =
    'Each plan is shown with its exact commands before anything is done. Without a terminal and without --auto it prints the plans and changes nothing.\n\nExit codes: 0 nothing to do or all repaired and proven, 1 something remains, 2 a step or proof failed, 3 could not tell, 4 the world changed since the plan was made, 75 another repair is under way.';
  static override usage = 'fix [CHECK|FINDING…] [flags]';
  static override examples = [
    '<%= config.bin %> fix',
    '<%= config.bin %> fix --dry-run',
    '<%= config.bin %> fix zombie-mounts --auto safe --json',
    '<%= config.bin %> fix --plan plan.json',
    '<%= config.bin %> fix --host hv1',
  ];
  static override strict = false;
  static override flags = {
    plan: Flags.string({ description: 'apply the plans of a file that stdoctor plan wrote, and no other', helpValue: 'FILE' }),
    'dry-run': Flags.boolean({ description: 'show the plans, change nothing' }),
    auto: Flags.option({
      options: ['safe', 'disruptive'] as const,
      description: 'apply every plan up to this risk without asking',
      exclusive: ['dry-run'],
    })(),
    yes: Flags.boolean({ description: 'answer plain confirmations; a name that must be typed is still asked for' }),
    ...rescueFlag,
    ...deadlineFlag,
    ...fromFlag,
    ...hostFlag,
    ...formatFlags,
    ...outputFlag,
    ...stateFlags,
    ...evidenceFlag,
  };

  async run(): Promise<void> {
    const { argv, flags } = await this.parse(Fix);
    const outputs = outputsOf(flags);
    const config = await openConfig(
      flags,
      checks.map(({ id }) => id),
    );
    const saved = flags.plan === undefined ? undefined : await openPlans(flags.plan);
    const { entries, findings } = select(wordsOf(argv as string[], saved), checks, config.skip, true);
    const [target, costly] = await Promise.all([openTarget(flags), openFacts(flags)]);
    const interactive = process.stdin.isTTY === true && flags.auto === undefined;
    const applies = target.act !== undefined && !flags['dry-run'] && (flags.auto !== undefined || interactive);
    const stateDir = applies ? await preparedStateDir(flags) : undefined;
    const rescueDir = await rescueDirOf(flags);
    const talk = talkOf(outputs);
    const started = Date.now();
    const work = async (runId: string) => {
      const repaired = await repairFindings({
        target,
        costly,
        entries,
        findings,
        ...(saved !== undefined && { saved }),
        consent: consentOf({
          ...talk,
          applies,
          auto: flags.auto,
          yes: flags.yes === true,
          evidence: flags.evidence === true,
          rescue: stateDir === undefined ? undefined : rescueOf({ runId, stateDir: target.elsewhere?.stateDir ?? stateDir, rescueDir }),
          why: target.act === undefined ? 'a recording can only be read' : undefined,
        }),
        ...tellEnded(talk),
        show: (title, work) => showWhile(title, process.stderr, work),
        minded,
        runId,
        version: invocation.version,
        stateDir,
        rescueDir,
        roundMs: deadlineOf(flags.deadline, config.deadlineMs),
      });
      await conclude(outputs, talk, { runId, started, nothing: 'Nothing to repair was found.' }, repaired);
    };
    await closing(target, () => withLock(stateDir, work));
  }
}

async function openPlans(file: string): Promise<SavedPlans> {
  const path = fromHere(file);
  await assertAnswers(path, 'STD_BAD_PLAN');
  const { loadPlans } = await import('../src/repair/saved-plan.ts');
  return loadPlans(path);
}

/** With a saved plan: the checks it was made by, or those of its findings that were named. */
function wordsOf(argv: readonly string[], saved: SavedPlans | undefined): readonly string[] {
  if (saved === undefined) {
    return argv;
  }
  const ids = saved.plans.map(({ finding }) => finding.id);
  const strange = argv.find((word) => !ids.includes(word));
  if (strange !== undefined) {
    throw new StdoctorError(
      'STD_USAGE',
      `${printable(strange)} is no finding of this plan file: expected ${ids.join(', ') || 'none, it is empty'}`,
    );
  }
  return argv.length > 0 ? argv : ids;
}
