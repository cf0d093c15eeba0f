import { expect, it } from 'vitest';
import type { Action } from '../check/types.ts';
import { editFile } from '../steps/editing.ts';
import { actionLines } from './finding.ts';
import { plain } from './style.ts';

const before = '# a\tb\n\tsick\x1b[2J\xff\r\nend';
const { action, undo } = editFile({ path: '/etc/f\nx', before, after: before.replace('sick', 'well \u202e'), title: '', why: '' });

it('shows what an edit changes, harmless for a terminal', () => {
  expect(actionLines(action, plain, 2)).toEqual([
    expect.stringMatching(/^ {2}edit \$'\/etc\/f\\x0ax' \(lines: \+1 -1; SHA-256 [0-9a-f]{12}\)$/),
    '    @@ -1,3 +1,3 @@',
    '     # a     b',
    '    -        sick\\e[2J\\xff\\r',
    expect.stringMatching(/^ {4}\+ {8}well .*\\e\[2J\\xff\\r$/),
    '     end',
    '    \\ No newline at end of file',
  ]);
});

it('shows the beginning of a long one, and where the rest is', () => {
  const lines = actionLines(action, plain, 0, 2);
  expect(lines.slice(1)).toEqual(['  @@ -1,3 +1,3 @@', '   # a     b', '  (4 more lines: stdoctor fix --dry-run)']);
});

it('says how it is taken back', () => {
  const back = 'none' in undo ? undefined : undo.action;
  expect(actionLines(back as Action, plain, 0)).toEqual([expect.stringMatching(/^put back \$'.*' from \{rescue\}\/etc_f_x-[0-9a-f]{12}$/)]);
  const made = editFile({ path: '/etc/new', before: undefined, after: 'x\n', title: '', why: '' });
  expect(actionLines(made.action, plain, 0)[0]).toMatch(/^create \/etc\/new \(lines: \+1 -0; SHA-256 /);
  expect(actionLines('none' in made.undo ? made.action : made.undo.action, plain, 0)).toEqual(['remove /etc/new']);
});

it('trusts no line of a difference that came out of a file', () => {
  const evil = { ...action, diff: ['\x1b]0;x\x07', '', { base64: '/w==' }] } as Action;
  expect(actionLines(evil, plain, 0).slice(1)).toEqual(['  \\e]0;x\\x07', '  ', '  \\xff']);
});
