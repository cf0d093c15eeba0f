import { examine } from '../check/condition.ts';
import type { Claim, Target } from '../check/types.ts';
import { RecordingTarget } from '../target/record.ts';
import type { Recording } from '../target/recording.ts';
import { type CheckEntry, type InspectOptions, inspect } from './inspect.ts';
import type { TargetResult } from './result.ts';

/** Judges a target and keeps all that was asked, with what the guards and proofs of the plans would have seen. */
export async function recordTarget(
  target: Target,
  entries: readonly CheckEntry[],
  options: InspectOptions,
  version: string,
  claims: readonly Claim[] = [],
): Promise<{ result: TargetResult; recording: Recording }> {
  const recorder = new RecordingTarget(target);
  const takenAt = new Date().toISOString();
  const { target: result, identity, round } = await inspect(recorder, entries, options);
  const planned = result.findings.flatMap(({ plan }) =>
    plan === null || 'refused' in plan ? [] : plan.steps.flatMap(({ guards, proof }) => [...guards, ...proof]),
  );
  for (const claim of [...planned.filter(({ args }) => !JSON.stringify(args).includes('"ref":')), ...claims]) {
    await round.gather(examine(claim));
  }
  const head = { version, takenAt, target: { name: result.host.hostname ?? target.name, kind: target.kind, identity } };
  return { result, recording: { ...head, entries: recorder.entries() } };
}
