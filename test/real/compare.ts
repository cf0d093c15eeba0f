import { expect } from 'vitest';
import { isOwn, type Report, type World } from './world.ts';

/** Records the world and judges the recording: the same report but for times and source. Returns the live one. */
export async function liveAndReplayed(world: World, name = 'recording'): Promise<Report> {
  const path = world.path(`${name}-${Date.now()}.tar.gz`);
  const live = await world.stdoctor(['record', 'zombie-mounts', '--json', '--output', path]);
  const replayed = await world.stdoctor(['check', 'zombie-mounts', '--json', '--from', path]);
  expect(withoutTimesAndSource(JSON.parse(replayed.stdout))).toEqual(withoutTimesAndSource(JSON.parse(live.stdout)));
  expect(replayed.code).toBe(live.code);
  return JSON.parse(live.stdout);
}

function withoutTimesAndSource(report: Report): Report {
  const { run: _run, targets, ...rest } = report;
  return {
    ...rest,
    targets: targets.map(({ name: _name, via: _via, ...target }: Report) => ({
      ...target,
      checks: target.checks.map(({ durationMs: _ms, ...check }: Report) => check),
    })),
  };
}

/** code and subject of each finding. */
export function found(report: Report): string[] {
  const own = report.targets[0].findings.filter(isOwn);
  return own.map((finding: Report) => `${finding.code} ${nameOf(finding.subject.name)}`).toSorted();
}

export function findingOf(report: Report, code: string, point?: string): Report {
  const finding = report.targets[0].findings.find(
    (each: Report) => each.code === code && (point === undefined || each.subject.name === point),
  );
  expect(finding, `${code} among ${found(report).join(', ')}`).toBeDefined();
  return finding;
}

export function outcomes(repairReport: Report): string[] {
  const own = repairReport.repairs.filter(({ finding }: Report) => isOwn(finding));
  return own.map((repair: Report) => `${repair.finding.code} ${repair.outcome}`).toSorted();
}

function nameOf(name: string | { base64: string }): string {
  return typeof name === 'string' ? name : `base64:${name.base64}`;
}
