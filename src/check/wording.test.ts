import { expect, it } from 'vitest';
import { claimText, sentence } from './wording.ts';

const finding = {
  subject: { kind: 'mount', name: '/mnt/a\x1b[2J\nb' },
  data: { node: '/dev/loop0', missing: 4096, on: true, raw: { base64: 'Y2Fm6Q==' }, nothing: null, many: ['a'], odd: '\u202e{node}' },
};

it.each([
  ['{subject}: gone', '/mnt/a\\e[2J\\nb: gone'],
  ['{node} lacks {missing} bytes, {on}', '/dev/loop0 lacks 4096 bytes, true'],
  ['{raw}', 'caf\\xe9'],
  // What stands in a name is not filled in again.
  ['{odd}', '\\u202e{node}'],
  ['{nothing} {many} {unknown} {constructor} {toString} {__proto__}', '{nothing} {many} {unknown} {constructor} {toString} {__proto__}'],
  ['{}{ subject }', '{}{ subject }'],
])('%s', (template, text) => {
  expect(sentence(template, finding)).toBe(text);
});

it('needs no data', () => {
  expect(sentence('{subject} {node}', { subject: finding.subject, data: undefined })).toBe('/mnt/a\\e[2J\\nb {node}');
});

it.each([
  [
    { point: '/mnt/a\nb', raw: { base64: '/w==' }, copy: { join: [{ ref: 'rescue' }, '/x'] } },
    "is (point /mnt/a\\nb, raw $'\\xff', copy {rescue}/x)",
  ],
  [{ a: [], b: { join: 'x' }, c: { join: [1] }, d: { ref: 5 }, e: null }, 'is (a [], b {"join":"x"}, c {"join":[1]}, d {"ref":5}, e null)'],
  [7, 'is ()'],
])('a claim, whatever its arguments are: %j', (args, text) => {
  expect(claimText({ is: 'is', args })).toBe(text);
});
