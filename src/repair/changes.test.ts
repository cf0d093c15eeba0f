import { describe, expect, it } from 'vitest';
import { FakeHost, set, setting, valueIs } from '../../test/fake-host.ts';
import type { Plan, Step } from '../check/types.ts';
import { sameSteps, whatChanged } from './changes.ts';

const first = setting('a', 'off', 'on');
const second = setting('b', 'off', 'on', { limitMs: 1000 });
const then: Plan = { steps: [first, second] };
const off = (name: string) => valueIs({ name, value: 'off' });

/** Everything that a step does or rests on, changed. */
const OTHERWISE: [string, Partial<Step>, string][] = [
  ['action', { action: set('b', 'up') }, 'step 2 was set b on, now it would be set b up'],
  ['kind of action', { action: { kind: 'write', path: '/sys/b', content: '1' } }, 'step 2 was set b on, now it would be echo 1 > /sys/b'],
  [
    'guards',
    { guards: [off('c')] },
    'step 2 (set b on) rested on value-is (name b, value off), value-is (name b, value on), now it would rest on value-is (name c, value off), value-is (name b, value on)',
  ],
  ['proof', { proof: [] }, 'now it would rest on value-is (name b, value off)'],
  ['risk', { risk: 'disruptive' }, 'step 2 (set b on) had another risk, way back or time limit'],
  ['undo', { undo: { none: 'no' } }, 'had another risk, way back or time limit'],
  ['release', { release: set('b', 'off') }, 'had another risk, way back or time limit'],
  ['limit', { limitMs: 1001 }, 'had another risk, way back or time limit'],
  ['patience', { patienceMs: 7 }, 'had another risk, way back or time limit'],
];

describe('sameSteps', () => {
  it('is about what is done, not about the words', () => {
    expect(sameSteps({ steps: [{ ...first, title: 'Other', why: 'other' }, second] }, then)).toBe(true);
    expect(sameSteps(JSON.parse(JSON.stringify(then)), then)).toBe(true);
  });

  it.each(OTHERWISE)('knows another %s', (_, change) => {
    expect(sameSteps({ steps: [first, { ...second, ...change }] }, then)).toBe(false);
  });

  it('knows another order, another number, a refusal and nothing', () => {
    const others: (Plan | null)[] = [{ steps: [second, first] }, { steps: [first] }, { steps: [] }, { refused: 'no' }, null];
    expect(others.map((now) => sameSteps(now, then))).toEqual([false, false, false, false, false]);
    expect([sameSteps({ refused: 'no' }, { refused: 'no' }), sameSteps(null, null)]).toEqual([false, false]);
  });
});

describe('whatChanged', () => {
  const doing = (values: Record<string, string>) => new FakeHost([], { a: 'off', b: 'off', ...values }).context();

  it('names the first condition of the old plan that no longer holds', async () => {
    expect(await whatChanged(then, null, doing({ a: 'half' }))).toBe('expected a off, found half; nothing was done');
  });

  it('looks at no condition of later steps, and at none that rests on a name of a run', async () => {
    const steps = [{ ...first, guards: [{ is: 'value-is', args: { name: { ref: 'rescue' }, value: 'x' } }] }, second];
    expect(await whatChanged({ steps }, null, doing({ b: 'on' }))).toBe('the fault is no longer found; nothing was done');
  });

  it.each(OTHERWISE)('else the first difference: %s', async (_, change, sentence) => {
    const now = { steps: [first, { ...second, ...change }] };
    expect(await whatChanged(then, now, doing({}))).toContain(sentence);
  });

  it.each([
    [then, { refused: 'it is busy' }, 'it is not repaired any more: it is busy; nothing was done'],
    [then, { steps: [first] }, 'the plan had 2 steps, now it would have 1; nothing was done'],
    [{ refused: 'it was busy' }, then, 'the plan had 0 steps, now it would have 2; nothing was done'],
  ] as [Plan, Plan, string][])('else what became of the plan', async (old, now, sentence) => {
    expect(await whatChanged(old, now, doing({}))).toBe(sentence);
  });

  it('is no way to make the program fail', async () => {
    const guards = [null, 7, 'x', [], {}, { name: null, value: {} }].map((args) => ({ is: 'value-is', args }));
    for (const guard of [...guards, { is: '__proto__', args: {} }]) {
      const changed = await whatChanged({ steps: [{ ...first, guards: [guard] }] }, then, doing({}));
      expect(changed).toMatch(/^expected .*, found .*; nothing was done$/);
    }
  });
});
