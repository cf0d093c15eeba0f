/** The engine, driven as the commands do, with a check that edits one file: called with what is to be done, as JSON. */
import { writeFileSync } from 'node:fs';
import type { Target } from '../../src/check/types.ts';
import { newRunId } from '../../src/engine/inspect.ts';
import { messageOf } from '../../src/errors.ts';
import type { Name } from '../../src/names.ts';
import type { JournalledOptions } from '../../src/repair/journalled.ts';
import { planFindings } from '../../src/repair/planned.ts';
import { type Repaired, repairFindings } from '../../src/repair/repair.ts';
import { repairExitCode } from '../../src/repair/result.ts';
import { resumeRepairs } from '../../src/repair/resume.ts';
import { loadPlans, plansToJson } from '../../src/repair/saved-plan.ts';
import { undoRun } from '../../src/repair/undo.ts';
import { takeLock } from '../../src/state/lock.ts';
import { prepareStateDir } from '../../src/state/state-dir.ts';
import { LocalTarget } from '../../src/target/local.ts';
import { SshTarget } from '../../src/target/ssh.ts';
import { fileCheck } from '../edited-file.ts';

export interface Order {
  command: 'plan' | 'fix' | 'forward' | 'back' | 'undo';
  path: Name;
  /** To be written, or applied. */
  planFile?: string;
  verify?: string[];
  host?: string;
}

const { command, path, planFile, verify, host } = JSON.parse(process.argv[2] as string) as Order;
const stateDir = prepareStateDir(process.env['STDOCTOR_STATE_DIR'], 0);
const target = openTarget();
const entry = fileCheck(path, verify);
const runId = newRunId();
const lock = takeLock(stateDir, runId);
const options: JournalledOptions = {
  targetOf: async () => target,
  entries: [entry],
  runId,
  version: '0',
  costly: undefined,
  stateDir,
  rescueDir: undefined,
  roundMs: 10_000,
  show: (_title, work) => work(() => {}),
  minded: (work) => work(new AbortController().signal),
};
try {
  if (command === 'plan') {
    const asked = {
      target,
      costly: undefined,
      entries: [entry],
      findings: [],
      until: Date.now() + 10_000,
      validMs: 3600_000,
      listen: () => {},
    };
    writeFileSync(planFile as string, plansToJson((await planFindings(asked, '0')).saved));
  } else {
    const { repairs, unknown } = await carryOut(command);
    const code = repairExitCode({ repairs, unknown } as Parameters<typeof repairExitCode>[0]);
    process.stdout.write(JSON.stringify({ code, repairs, unknown }));
  }
} catch (error) {
  process.stdout.write(JSON.stringify({ code: 70, error: messageOf(error) }));
} finally {
  await target.close?.();
  lock.release();
}

function carryOut(what: 'fix' | 'forward' | 'back' | 'undo'): Promise<Repaired> {
  const yes = <Way>(known: readonly unknown[], way: Way) => Promise.resolve(known.map(() => ({ apply: true as const, way })));
  switch (what) {
    case 'fix': {
      const saved = planFile === undefined ? {} : { saved: loadPlans(planFile) };
      const consent = async (offers: readonly unknown[]) => offers.map(() => ({ apply: true as const }));
      return repairFindings({ ...options, ...saved, target, findings: [], consent });
    }
    case 'undo':
      return undoRun({ ...options, run: undefined, decide: (known) => yes(known, 'back') });
    default:
      return resumeRepairs({ ...options, decide: (known) => yes(known, what) });
  }
}

function openTarget(): Target {
  return host === undefined ? new LocalTarget(stateDir) : new SshTarget({ name: host, sudo: false, state: stateDir, lifeMs: 600_000 });
}
