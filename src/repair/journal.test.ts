import { appendFileSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { scratch } from '../../test/scratch.ts';
import { StdoctorError } from '../errors.ts';
import { JOURNAL_FILE, Journal } from './journal.ts';

function linesOf(directory: string): unknown[] {
  const text = readFileSync(join(directory, JOURNAL_FILE), 'utf8');
  expect(text.endsWith('\n')).toBe(true);
  return text
    .slice(0, -1)
    .split('\n')
    .map((line) => JSON.parse(line));
}

describe('Journal', () => {
  it('writes one line an event, readable by nobody else', () => {
    const directory = scratch();
    const before = process.umask(0);
    try {
      const journal = new Journal(directory, 'run-1');
      journal.write('fuse-dead-1', { event: 'act', step: 0, action: { kind: 'run', argv: ['umount', '/a\nb', { base64: '/w==' }] } });
      expect(linesOf(directory)).toHaveLength(1);
      journal.write('fuse-dead-1', { event: 'acted', step: 0, ok: false, code: 32, log: '/x', why: 'target is busy\n' });
      journal.close();
    } finally {
      process.umask(before);
    }
    expect(linesOf(directory)).toEqual([
      {
        v: 1,
        at: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
        run: 'run-1',
        plan: 'fuse-dead-1',
        event: 'act',
        step: 0,
        action: { kind: 'run', argv: ['umount', '/a\nb', { base64: '/w==' }] },
      },
      expect.objectContaining({ event: 'acted', ok: false, code: 32, why: 'target is busy\n' }),
    ]);
    expect(statSync(join(directory, JOURNAL_FILE)).mode & 0o777).toBe(0o600);
  });

  it('appends, also from two runs at once', () => {
    const directory = scratch();
    const [first, second] = [new Journal(directory, 'run-1'), new Journal(directory, 'run-2')];
    first.write('p', { event: 'proven', step: 0 });
    second.write('p', { event: 'proven', step: 0 });
    first.write('p', { event: 'closed', as: 'repaired' });
    first.close();
    second.close();
    expect(linesOf(directory)).toMatchObject([{ run: 'run-1' }, { run: 'run-2' }, { run: 'run-1', event: 'closed' }]);
  });

  it('does not write on to a line that a crash cut off', () => {
    const directory = scratch();
    appendFileSync(join(directory, JOURNAL_FILE), '{"v":1,"run":"run-0","ev');
    const journal = new Journal(directory, 'run-1');
    journal.write('p', { event: 'proven', step: 0 });
    journal.close();
    const lines = readFileSync(join(directory, JOURNAL_FILE), 'utf8').split('\n');
    expect(lines[0]).toBe('{"v":1,"run":"run-0","ev');
    expect(JSON.parse(lines[1] as string)).toMatchObject({ run: 'run-1', event: 'proven' });
  });

  it('says where it cannot be written', () => {
    const directory = join(scratch(), 'absent');
    expect(() => new Journal(directory, 'run-1')).toThrow(StdoctorError);
    expect(() => new Journal(directory, 'run-1')).toThrow(directory);
  });
});
