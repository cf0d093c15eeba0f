import { appendFileSync, chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { scratch } from '../../test/scratch.ts';
import type { Finding, Step } from '../check/types.ts';
import { deedOf, type Entry, lastRun } from './entries.ts';
import { isInterrupted, stateOf } from './interrupted.ts';
import { JOURNAL_FILE, Journal, readJournal } from './journal.ts';

const STEP: Step = {
  title: 'Unmount',
  why: '',
  risk: 'safe',
  action: { kind: 'run', argv: ['umount'] },
  guards: [],
  proof: [],
  undo: { none: '' },
};
const WHO = { uid: 0, user: 'root', sudoUser: 'alice' };
const OPENED: Entry = {
  event: 'opened',
  version: '1',
  who: WHO,
  machine: 'm',
  boot: 'b',
  finding: { id: 'p', check: 'c', subject: { kind: 'mount', name: '/x' } } as Finding,
  summary: 's',
  risk: 'safe',
  steps: [STEP, STEP],
  references: { run: 'run-1' },
};
const ACT: Entry = { event: 'act', of: 'step', step: 0, action: { kind: 'run', argv: ['umount', '/a\nb', { base64: '/w==' }] }, proof: [] };
const ACTED: Entry = { event: 'acted', of: 'step', step: 0, ok: false, code: 32, log: '/x', why: 'target is busy\n' };

function linesOf(directory: string): unknown[] {
  const text = readFileSync(join(directory, JOURNAL_FILE), 'utf8');
  expect(text.endsWith('\n')).toBe(true);
  return text
    .slice(0, -1)
    .split('\n')
    .map((line) => JSON.parse(line));
}

function written(...entries: Entry[]): string {
  const directory = scratch();
  const journal = new Journal(directory);
  for (const entry of entries) {
    journal.write('run-1', 'p', entry);
  }
  journal.close();
  return directory;
}

describe('Journal', () => {
  it('writes one line an event, readable by nobody else', () => {
    const before = process.umask(0);
    let directory: string;
    try {
      directory = written(OPENED, ACT, ACTED);
    } finally {
      process.umask(before);
    }
    expect(linesOf(directory)).toEqual([
      expect.objectContaining({ v: 1, at: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/), run: 'run-1', plan: 'p', event: 'opened' }),
      expect.objectContaining({ event: 'act', action: { kind: 'run', argv: ['umount', '/a\nb', { base64: '/w==' }] } }),
      expect.objectContaining({ event: 'acted', ok: false, code: 32, why: 'target is busy\n' }),
    ]);
    expect(statSync(join(directory, JOURNAL_FILE)).mode & 0o777).toBe(0o600);
  });

  it('closes a file that others may read', () => {
    const directory = written(OPENED);
    chmodSync(join(directory, JOURNAL_FILE), 0o644);
    new Journal(directory).close();
    expect(statSync(join(directory, JOURNAL_FILE)).mode & 0o777).toBe(0o600);
  });

  it('drops a last line that a crash cut off, and writes on after the one before it', () => {
    const directory = written(OPENED);
    appendFileSync(join(directory, JOURNAL_FILE), Buffer.from('{"v":1,"run":"run-1","ev\xff', 'latin1'));
    expect(readJournal(directory)).toHaveLength(1);
    const journal = new Journal(directory);
    journal.write('run-1', 'p', { event: 'closed', as: 'repaired' });
    journal.close();
    expect(linesOf(directory)).toMatchObject([{ event: 'opened' }, { event: 'closed' }]);
  });

  it.each([
    ['garbage', 'no JSON at all\n', 'line 2: expected an event of a repair, found no JSON at all'],
    ['zeros', `${'\0'.repeat(100)}\n`, 'line 2: expected an event of a repair'],
    ['another document', '{"a":1}\n', 'line 2: expected an event of a repair, found {"a":1}'],
    [
      'a newer version',
      '{"v":2,"at":"","run":"r","plan":"p","event":"x"}\n',
      'line 2: expected version 1, found version 2 of a newer stdoctor',
    ],
    [
      'a plan that was never opened',
      `${JSON.stringify({ v: 1, at: '', run: 'r', plan: 'q', event: 'closed', as: 'failed' })}\n`,
      'line 2: expected the plan q',
    ],
    [
      'a step that is none',
      `${JSON.stringify({ v: 1, at: '', run: 'run-1', plan: 'p', event: 'proven', of: 'step' })}\n`,
      'line 2: expected an event',
    ],
  ])('refuses %s in the middle, and leaves the file as it is', (_, line, sentence) => {
    const directory = written(OPENED);
    const file = join(directory, JOURNAL_FILE);
    appendFileSync(file, `${line}${readFileSync(file, 'utf8')}{"torn`);
    const before = readFileSync(file);
    expect(() => new Journal(directory)).toThrow(
      expect.objectContaining({ code: 'STD_BAD_JOURNAL', message: expect.stringContaining(sentence) }),
    );
    expect(() => readJournal(directory)).toThrow(sentence);
    expect(readFileSync(file)).toEqual(before);
  });

  it('says where it cannot be written', () => {
    const directory = join(scratch(), 'absent');
    expect(() => new Journal(directory)).toThrow(
      expect.objectContaining({ code: 'STD_STATE_DIR', message: expect.stringContaining(directory) }),
    );
    writeFileSync(directory, '');
    expect(() => new Journal(directory)).toThrow(expect.objectContaining({ code: 'STD_STATE_DIR' }));
  });

  it('is absent where nothing was ever repaired', () => {
    expect(readJournal(scratch())).toBeUndefined();
  });
});

describe('what the lines come to', () => {
  const repairOf = (...entries: Entry[]) =>
    readJournal(written(OPENED, ...entries))?.[0] as NonNullable<ReturnType<typeof readJournal>>[number];

  it('an act without an end is begun, and the repair interrupted', () => {
    const repair = repairOf(ACT, { event: 'started', of: 'step', step: 0, child: { pid: 7, startTime: '9' } });
    expect([stateOf(repair, 0), stateOf(repair, 1), isInterrupted(repair)]).toEqual(['begun', 'not-begun', true]);
    expect(deedOf(repair, 'step', 0)).toMatchObject({ child: { pid: 7 }, proven: false });
    expect(isInterrupted(repair, 'run-1')).toBe(false);
  });

  it('one that was closed is not, until somebody takes it up again', () => {
    const closed: Entry[] = [ACT, ACTED, { event: 'proven', of: 'step', step: 0 }, { event: 'closed', as: 'repaired' }];
    expect(repairOf(...closed)).toMatchObject({ closed: { as: 'repaired' } });
    expect(stateOf(repairOf(...closed), 0)).toBe('done');
    const undoing = repairOf(...closed, { event: 'taken-up', way: 'back', by: 'run-2', who: WHO, boot: null }, { ...ACT, of: 'undo' });
    expect([isInterrupted(undoing), lastRun(undoing), stateOf(undoing, 0)]).toEqual([true, 'run-2', 'going-back']);
  });
});
