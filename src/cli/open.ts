/** What every command that asks a target needs first. */

import type { Reached, Target } from '../check/types.ts';
import { type Config, DEFAULTS, loadConfig, usualConfigFiles } from '../config.ts';
import { StdoctorError } from '../errors.ts';
import type { CostlyFacts } from '../state/costly-facts.ts';
import { stateDirPath } from '../state/state-dir.ts';
import type { OwnState } from '../target/own-journal.ts';
import { assertAnswers, riskOnTheWay } from '../target/own-paths.ts';
import { fromHere, invocation } from './invocation.ts';

interface Flags {
  from?: string | undefined;
  host?: string | readonly string[] | undefined;
  sudo?: boolean | undefined;
  config?: string | undefined;
  'state-dir'?: string | undefined;
}

/** The user's own directory may lie on the mount that hangs: then what is kept there does without. */
function answersAtOnce(path: string): boolean {
  return riskOnTheWay(path) === undefined;
}

/** Every command that asks a target begins here. */
export async function openConfig(flags: Flags, checkIds: readonly string[]): Promise<Config> {
  for (const name of ['from', 'config', 'state-dir'] as const) {
    if (flags[name] === '') {
      throw new StdoctorError('STD_USAGE', `--${name} '': expected the name of a file or directory, found an empty one`);
    }
  }
  const named = flags.config === undefined ? undefined : fromHere(flags.config);
  if (named !== undefined) {
    await assertAnswers(named, 'STD_BAD_CONFIG');
  }
  const usual = usualConfigFiles(process.env).filter((file) => {
    const answers = answersAtOnce(file);
    if (!answers) {
      process.stderr.write(`stdoctor: ${file} lies on a network or FUSE mount and is not read; --config ${file} reads it\n`);
    }
    return answers;
  });
  return usual.length === 0 && named === undefined ? DEFAULTS : loadConfig(usual, named, checkIds);
}

export function openStateDir(flags: Flags): string | undefined {
  const uid = process.getuid?.() ?? -1;
  return stateDirPath(flags['state-dir'], { uid, env: process.env, from: invocation.from });
}

/** What earlier runs gathered at great cost; nothing of it for a recording. */
export async function openFacts(flags: Flags): Promise<CostlyFacts | undefined> {
  if (flags.from !== undefined) {
    return undefined;
  }
  const stateDir = openStateDir(flags);
  const { openCostlyFacts } = await import('../state/costly-facts.ts');
  return openCostlyFacts(stateDir !== undefined && answersAtOnce(stateDir) ? stateDir : undefined, invocation.version);
}

/** How long the other end of a connection lives where no deadline says it: somebody may think over a question. */
const LIFE_MS = 3600_000;
/** After the deadline of a run, for its last words. */
const LAST_MS = 30_000;

/** The one that is named, else this host. */
export async function openTarget(flags: Flags, deadlineMs?: number): Promise<Target> {
  return (await openTargets(flags, deadlineMs))[0] as Target;
}

/** All that are named, else this host. Throws STD_USAGE for what is no name, before anything is asked. */
export async function openTargets(flags: Flags, deadlineMs?: number): Promise<Target[]> {
  if (flags.from !== undefined) {
    const path = fromHere(flags.from);
    await assertAnswers(path, 'STD_BAD_RECORDING');
    const [{ loadRecording }, { ReplayTarget }] = await Promise.all([import('../target/recording.ts'), import('../target/replay.ts')]);
    return [new ReplayTarget(await loadRecording(path))];
  }
  const names = [...new Set([flags.host ?? []].flat())];
  if (names.length > 0) {
    const sudo = flags.sudo !== false;
    return Promise.all(names.map((name) => openReached({ name, sudo }, flags, deadlineMs)));
  }
  const { LocalTarget } = await import('../target/local.ts');
  return [new LocalTarget(ownState(flags))];
}

export async function openReached(reached: Reached, flags: Flags, deadlineMs?: number): Promise<Target> {
  const { SshTarget } = await import('../target/ssh.ts');
  return new SshTarget({ ...reached, state: ownState(flags), lifeMs: deadlineMs === undefined ? LIFE_MS : deadlineMs + LAST_MS });
}

function ownState(flags: Flags): OwnState {
  const stateDir = openStateDir(flags);
  return stateDir === undefined || answersAtOnce(stateDir)
    ? stateDir
    : { unusable: `the state directory ${stateDir} lies on a network or FUSE mount` };
}

/** Works with a target and closes it, however the work ends. */
export async function closing<T>(target: Target, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } finally {
    await target.close?.();
  }
}
