/** What fix, plan, resume and undo have in common: the lock before, the document after. */
import { type CheckEntry, newRunId } from '../engine/inspect.ts';
import { StdoctorError } from '../errors.ts';
import { printable } from '../names.ts';
import type { JournalledOptions } from '../repair/journalled.ts';
import type { Repaired } from '../repair/repair.ts';
import { isOnlyToKnow, type Repair, type RepairRun, repairExitCode } from '../repair/result.ts';
import { repairToJson } from '../report/json.ts';
import { repairRunToText, repairToText } from '../report/pretty.ts';
import { type Paint, paintFor, plain } from '../report/style.ts';
import { takeLock } from '../state/lock.ts';
import { prepareStateDir } from '../state/state-dir.ts';
import { assertAnswers } from '../target/own-paths.ts';
import { showWhile } from '../ui/progress.ts';
import type { Streams } from '../ui/questions.ts';
import { deadlineOf } from './flags.ts';
import { fromHere, invocation } from './invocation.ts';
import { openConfig, openFacts, openReached, openStateDir, openTarget } from './open.ts';
import { emit, type Output, outputsOf } from './outputs.ts';
import { minded } from './signals.ts';

/** Where a run that repairs talks to a person. */
export interface Talk {
  /** The report is read on standard output as it comes. */
  live: boolean;
  paint: Paint;
  say(text: string): void;
  streams: Streams;
}

export function talkOf(outputs: readonly Output[]): Talk {
  const live = outputs.some(({ format, file }) => format === 'pretty' && file === undefined);
  const stream = live ? process.stdout : process.stderr;
  return {
    live,
    paint: paintFor(stream),
    say: (text) => stream.write(text),
    streams: { stdin: process.stdin, stdout: process.stderr },
  };
}

/** Takes the lock for the time of the work; without a state directory there is nothing to change, and nothing to lock. */
export async function withLock(stateDir: string | undefined, work: (runId: string) => Promise<void>): Promise<void> {
  const runId = newRunId();
  const lock = stateDir === undefined ? undefined : takeLock(stateDir, runId);
  try {
    await work(runId);
  } finally {
    lock?.release();
  }
}

/** Where copies are to be put, as the user meant it; undefined: below the state directory. */
export async function rescueDirOf(flags: { 'rescue-dir'?: string | undefined; host?: string | undefined }): Promise<string | undefined> {
  const named = flags['rescue-dir'];
  if (flags.host !== undefined && named !== undefined && !named.startsWith('/')) {
    throw new StdoctorError('STD_USAGE', `--rescue-dir ${printable(named)}: expected an absolute path on ${flags.host}`);
  }
  const path = named === undefined ? undefined : fromHere(named);
  if (path !== undefined && flags.host === undefined) {
    await assertAnswers(path, 'STD_USAGE');
  }
  return path;
}

/** The state directory, fit for a journal; refuses before anything is touched. */
export async function preparedStateDir(flags: { 'state-dir'?: string | undefined }): Promise<string> {
  const path = openStateDir(flags);
  if (path !== undefined) {
    await assertAnswers(path, 'STD_STATE_DIR');
  }
  return prepareStateDir(path, process.getuid?.() ?? -1);
}

type JournalFlags = Parameters<typeof outputsOf>[0] &
  Parameters<typeof openConfig>[0] & { yes: boolean; deadline?: string | undefined; 'rescue-dir'?: string | undefined };

/** How a person may be asked, if at all. */
export interface Asked extends Talk {
  yes: boolean;
  interactive: boolean;
}

/** What `resume` and `undo` are around their work on the journal. `nothing`: what is said where there was nothing to do. */
export async function runOnJournal(
  flags: JournalFlags,
  checks: readonly CheckEntry[],
  nothing: string,
  work: (options: JournalledOptions, asked: Asked) => Promise<Repaired>,
): Promise<void> {
  const outputs = outputsOf(flags);
  const config = await openConfig(
    flags,
    checks.map(({ id }) => id),
  );
  const costly = await openFacts(flags);
  const stateDir = await preparedStateDir(flags);
  const rescueDir = await rescueDirOf({ 'rescue-dir': flags['rescue-dir'] });
  const talk = talkOf(outputs);
  const started = Date.now();
  await withLock(stateDir, async (runId) => {
    const options: JournalledOptions = {
      targetOf: (host) => (host === undefined ? openTarget(flags) : openReached(host, flags)),
      costly,
      entries: checks,
      ...tellEnded(talk),
      show: (title, shown) => showWhile(title, process.stderr, shown),
      minded,
      runId,
      version: invocation.version,
      stateDir,
      rescueDir,
      roundMs: deadlineOf(flags.deadline, config.deadlineMs),
    };
    const done = await work(options, { ...talk, yes: flags.yes, interactive: process.stdin.isTTY === true });
    await conclude(outputs, talk, { runId, started, nothing }, done);
  });
}

/** Each repair as it ends, where somebody reads along. */
export function tellEnded({ live, say, paint }: Talk): { ended?(repair: Repair): void } {
  return live ? { ended: (repair) => isOnlyToKnow(repair) || say(repairToText(repair, paint)) } : {};
}

/** Writes the documents and sets the exit code. */
export async function conclude(
  outputs: readonly Output[],
  { paint }: Talk,
  about: { runId: string; started: number; nothing: string },
  repaired: Repaired,
): Promise<void> {
  for (const id of repaired.missing) {
    process.stderr.write(`stdoctor: ${id} is not found (any more)\n`);
  }
  const run: RepairRun = {
    id: about.runId,
    startedAt: new Date(about.started).toISOString(),
    durationMs: Date.now() - about.started,
    version: invocation.version,
    target: repaired.target,
    repairs: repaired.repairs,
    unknown: repaired.unknown,
  };
  await emit(outputs, async (format, stream) => {
    if (format === 'json') {
      return repairToJson(run);
    }
    return stream === undefined
      ? run.repairs
          .filter((repair) => !isOnlyToKnow(repair))
          .map((repair) => repairToText(repair, plain))
          .join('') + repairRunToText(run, about.nothing, plain)
      : repairRunToText(run, about.nothing, paint);
  });
  process.exitCode = repairExitCode(run);
}
