import { describe, expect, it } from 'vitest';
import type { Severity, Subject } from '../check/types.ts';
import type { FindingResult } from '../engine/result.ts';
import { type Group, groupByCause } from './groups.ts';

function found(name: string, cause?: string, severity: Severity = 'critical', key?: string): FindingResult {
  const subject: Subject = { kind: 'mount', name, ...(key !== undefined && { key }) };
  const finding = { code: 'c', severity, subject, data: null, confidence: 'certain', evidence: [], id: `c-${name}`, check: 'x' } as const;
  return {
    finding: { ...finding, evidence: [], ...(cause !== undefined && { cause: { kind: 'mount', name: cause } }) },
    summary: name,
    plan: null,
    risk: null,
  };
}

/** `a(b(c) d)`; `*a` for a cause that is no finding. */
function drawn(groups: readonly Group[]): string {
  return groups
    .map((group) => {
      const head = 'finding' in group ? group.finding.summary : `*${group.cause.name}`;
      return group.brought.length === 0 ? head : `${head}(${drawn(group.brought)})`;
    })
    .join(' ');
}

describe('findings by cause', () => {
  it.each([
    ['none', [], ''],
    ['without causes, in their order', [found('a'), found('b')], 'a b'],
    ['under the one that brought them about', [found('a', 'b'), found('c', 'a'), found('b'), found('d', 'b')], 'b(a(c) d)'],
    ['a cause of one that is no finding', [found('a', 'z')], 'a'],
    ['a cause of several that is no finding', [found('a', 'z'), found('b'), found('c', 'z')], '*z(a c) b'],
    ['the group with the worst first', [found('a', undefined, 'warning'), found('b', undefined, 'info'), found('c', 'b')], 'b(c) a'],
    ['its own cause', [found('a', 'a'), found('b', 'a')], 'a(b)'],
    ['each the cause of the other', [found('a', 'b'), found('b', 'a')], 'b(a)'],
    ['three in a ring', [found('a', 'b'), found('b', 'c'), found('c', 'a')], 'c(b(a))'],
    ['two faults on the cause', [found('a', undefined, 'critical', '1'), found('a'), found('b', 'a')], 'a a(b)'],
  ])('%s', (_, findings, drawing) => {
    expect(drawn(groupByCause(findings))).toBe(drawing);
  });

  it('shows each of many once', () => {
    const many = Array.from({ length: 2000 }, (_, index) => found(`m${index}`, index === 0 ? undefined : `m${index >> 1}`));
    const started = Date.now();
    const count = (groups: readonly Group[]): number => groups.reduce((sum, { brought }) => sum + 1 + count(brought), 0);
    expect(count(groupByCause(many))).toBe(2000);
    expect(Date.now() - started).toBeLessThan(500);
  });
});
