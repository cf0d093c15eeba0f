import { describe, expect, it } from 'vitest';
import { refersTo, resolveAction, resolveClaim, resolveWord } from './references.ts';

const references = { run: '20261103', rescue: '/var/lib/stdoctor/rescue/1', odd: { base64: 'Y2Fm6Q==' } };

describe('resolveWord', () => {
  it('leaves names alone and fills in references', () => {
    expect(resolveWord('{rescue}', references)).toBe('{rescue}');
    expect(resolveWord({ base64: 'Y2Fm6Q==' }, references)).toEqual({ base64: 'Y2Fm6Q==' });
    expect(resolveWord({ ref: 'rescue' }, references)).toBe('/var/lib/stdoctor/rescue/1');
    expect(resolveWord({ join: ['of=', { join: [{ ref: 'rescue' }, '/é'] }] }, references)).toBe('of=/var/lib/stdoctor/rescue/1/é');
    expect(resolveWord({ join: [] }, references)).toBe('');
  });

  it('joins bytes', () => {
    const joined = resolveWord({ join: ['/é/', { ref: 'odd' }] }, references);
    expect(joined).toEqual({ base64: Buffer.concat([Buffer.from('/é/'), Buffer.from('caf\xe9', 'latin1')]).toString('base64') });
    // Two halves of one character come together.
    expect(resolveWord({ join: [{ base64: 'ww==' }, { base64: 'qQ==' }] }, references)).toBe('é');
  });

  it.each(['none', 'constructor', '__proto__', 'toString'])('does not make up the reference %s', (ref) => {
    expect(() => resolveWord({ ref }, references)).toThrow(/which nothing made/);
  });
});

it('resolves every word of an action', () => {
  expect(resolveAction({ kind: 'run', argv: ['cp', { ref: 'odd' }, { join: [{ ref: 'rescue' }, '/x'] }] }, references)).toEqual({
    kind: 'run',
    argv: ['cp', { base64: 'Y2Fm6Q==' }, '/var/lib/stdoctor/rescue/1/x'],
  });
  const write = { kind: 'write', path: '/sys/x', content: '1' } as const;
  expect(resolveAction(write, references)).toEqual(write);
  const edit = { kind: 'edit', path: '/etc/x', was: null, becomes: null, diff: [] } as const;
  const copy = { join: [{ ref: 'rescue' }, '/x'] };
  const changes = { content: { changes: [{ at: 0, remove: 1, insert: '{"ref":"rescue"}' }] } };
  expect(resolveAction({ ...edit, ...changes, keep: copy }, references)).toEqual({
    ...edit,
    ...changes,
    keep: '/var/lib/stdoctor/rescue/1/x',
  });
  expect(resolveAction({ ...edit, content: { from: copy } }, references)).toEqual({
    ...edit,
    content: { from: '/var/lib/stdoctor/rescue/1/x' },
  });
});

it('resolves claims at any depth', () => {
  const args = { a: { ref: 'rescue' }, b: [1, null, true, { join: ['x', { ref: 'run' }] }], c: { d: { base64: 'Y2Fm6Q==' } } };
  expect(resolveClaim({ is: 'x', args }, references)).toEqual({
    is: 'x',
    args: { a: '/var/lib/stdoctor/rescue/1', b: [1, null, true, 'x20261103'], c: { d: { base64: 'Y2Fm6Q==' } } },
  });
});

it('sees whether a plan refers to a name', () => {
  expect(refersTo([{ argv: ['a', { join: ['b', { ref: 'rescue' }] }] }], 'rescue')).toBe(true);
  expect(refersTo([{ argv: ['a', { ref: 'run' }] }], 'rescue')).toBe(false);
  // A file that is only called so.
  expect(refersTo([{ argv: ['{"ref":"rescue"}'] }], 'rescue')).toBe(false);
});
