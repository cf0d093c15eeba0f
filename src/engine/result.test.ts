import { describe, expect, it } from 'vitest';
import type { Plan, Risk, Severity, Step } from '../check/types.ts';
import { findingId } from './inspect.ts';
import {
  type CheckOutcome,
  type CheckResult,
  exitCodeOf,
  type FindingResult,
  isAtMost,
  type RunResult,
  riskOf,
  summarize,
} from './result.ts';

function finding(severity: Severity): FindingResult {
  const subject = { kind: 'mount', name: '/m' };
  const found = { id: 'x-00000000', check: 'c', code: 'x', severity, subject, data: null, confidence: 'certain', evidence: [] } as const;
  return { finding: { ...found, evidence: [] }, summary: '', plan: null, risk: null };
}

function check(outcome: CheckOutcome, unjudged = 0): CheckResult {
  const open = Array.from({ length: unjudged }, () => ({ subject: { kind: 'mount', name: '/m' }, why: 'x' }));
  return { id: 'c', title: '', outcome, reason: null, examined: 0, unjudged: open, notes: [], tooMany: null, durationMs: 0 };
}

function runOf(severities: Severity[], checks: CheckResult[]): RunResult {
  const host = { hostname: null, os: null, kernel: null, bootedAt: null, hardware: null };
  const target = {
    name: 'local',
    kind: 'host',
    via: 'local',
    identity: '',
    reason: null,
    host,
    checks,
    findings: severities.map(finding),
  } as const;
  return { id: '', startedAt: '', durationMs: 0, version: '', targets: [{ ...target, checks, findings: severities.map(finding) }] };
}

describe('exitCodeOf', () => {
  it.each([
    [['warning', 'critical', 'info'], [check('findings')], 2],
    [['critical'], [check('unknown')], 2],
    [['info', 'warning'], [check('findings'), check('unknown')], 1],
    [['info'], [check('findings')], 0],
    [['info'], [check('findings', 1)], 3],
    [[], [check('healthy'), check('unknown')], 3],
    [[], [check('healthy', 1)], 3],
    [[], [check('healthy'), check('not-applicable')], 0],
    [[], [], 0],
  ] as [Severity[], CheckResult[], number][])('%j: %#', (severities, checks, code) => {
    expect(exitCodeOf(runOf(severities, checks))).toBe(code);
  });

  it('counts findings and outcomes', () => {
    const run = runOf(
      ['critical', 'warning', 'warning', 'info'],
      [check('findings'), check('unknown'), check('healthy'), check('not-applicable')],
    );
    expect(summarize(run)).toEqual({ critical: 1, warning: 2, info: 1, unknown: 1, healthy: 1, notApplicable: 1 });
  });
});

describe('risk', () => {
  const step = (risk: Risk) => ({ risk }) as Step;

  it.each([
    [null, null],
    [{ refused: 'x' }, null],
    [{ steps: [step('safe'), step('data-loss'), step('disruptive')] }, 'data-loss'],
    [{ steps: [step('disruptive'), step('safe')] }, 'disruptive'],
    [{ steps: [step('safe')] }, 'safe'],
  ] as [Plan | null, Risk | null][])('of a plan is the highest of its steps: %#', (plan, risk) => {
    expect(riskOf(plan)).toBe(risk);
  });

  it('is ordered', () => {
    expect(isAtMost('safe', 'safe')).toBe(true);
    expect(isAtMost('disruptive', 'safe')).toBe(false);
    expect(isAtMost('safe', 'disruptive')).toBe(true);
    expect(isAtMost('data-loss', 'disruptive')).toBe(false);
  });
});

describe('findingId', () => {
  const subject = { kind: 'mount', name: '/m' };

  it('is the same for the same fault, and another for any other', () => {
    const id = findingId('c', 'machine', 'fuse-dead', subject);
    expect(id).toMatch(/^fuse-dead-[0-9a-f]{8}$/);
    expect(findingId('c', 'machine', 'fuse-dead', { ...subject })).toBe(id);
    const others = [
      findingId('d', 'machine', 'fuse-dead', subject),
      findingId('c', 'other', 'fuse-dead', subject),
      findingId('c', 'machine', 'fuse-hung', subject),
      findingId('c', 'machine', 'fuse-dead', { kind: 'loop', name: '/m' }),
      findingId('c', 'machine', 'fuse-dead', { kind: 'mount', name: '/n' }),
      findingId('c', 'machine', 'fuse-dead', { ...subject, key: 'hidden' }),
    ];
    expect(new Set([id, ...others]).size).toBe(7);
  });

  it('goes by the bytes of the name', () => {
    expect(findingId('c', 'm', 'x', { kind: 'mount', name: 'é' })).toBe(
      findingId('c', 'm', 'x', { kind: 'mount', name: { base64: 'w6k=' } }),
    );
  });
});
