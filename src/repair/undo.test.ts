import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { acted, BOOT, FakeHost, NEVER, set, setting, WHO } from '../../test/fake-host.ts';
import type { Step } from '../check/types.ts';
import type { Entry } from '../journal/entries.ts';
import { readJournal } from '../journal/journal.ts';
import type { Repair } from './result.ts';
import { undoRun } from './undo.ts';

const copy = setting('copy', 'none', 'made');
const move = setting('place', 'old', 'new');
const cure = setting('sick', 'yes', 'no');
const last = { ...cure, undo: { none: 'nobody wants it back' } };
const done = (steps: Step[]): Entry[] => [
  ...steps.flatMap((step, index) => acted(index, step, 'proven')),
  { event: 'closed', as: 'repaired' },
];
const DONE = { copy: 'made', place: 'new', sick: 'no' };

interface Case {
  steps?: Step[];
  journal?: Entry[];
  now?: Record<string, string>;
  run?: string;
  during?: FakeHost['during'];
  stop?: AbortSignal;
  failing?: string;
}

async function undone({ steps = [copy, move, cure], journal, now = {}, run, during, stop = NEVER, failing }: Case) {
  const host = new FakeHost(steps, { copy: 'none', place: 'old' });
  const stateDir = await host.journalled(...(journal ?? done(steps)));
  for (const [name, value] of Object.entries({ ...DONE, ...now })) {
    host.values.set(name, value);
  }
  host.during = during;
  if (failing !== undefined) {
    host.failing.add(failing);
  }
  const ended = await undoRun({
    ...host.options(stateDir, stop),
    run,
    decide: async (known) => known.map(() => ({ apply: true, way: 'back' })),
  }).catch((error: unknown) => error as Error & { repairs?: undefined });
  const [journalled] = readJournal(stateDir) ?? [];
  return { host, stateDir, ended, repair: ended.repairs?.[0] as Repair, acts: host.acts, journalled };
}

describe('undo', () => {
  it('takes back each step, newest first, and proves it', async () => {
    const { repair, acts, journalled, host } = await undone({});
    expect(repair).toMatchObject({ outcome: 'undone', reason: null, steps: Array(3).fill({ outcome: 'undone' }) });
    expect(acts).toEqual(['set sick yes', 'set place old', 'set copy none']);
    expect(journalled?.deeds.slice(3)).toMatchObject([2, 1, 0].map((step) => ({ of: 'undo', step, proven: true })));
    expect([journalled?.closed?.as, journalled?.takenUp]).toEqual(['undone', [expect.objectContaining({ way: 'back', by: 'run-2' })]]);
    expect(host.values.get('copy')).toBe('none');
  });

  it('stops at the first that cannot be taken back: what lies under it stays', async () => {
    const fixed = { ...move, undo: { none: 'it is sealed' } };
    const { repair, acts } = await undone({ steps: [copy, fixed, cure] });
    expect(repair).toMatchObject({
      outcome: 'undone',
      reason: 'step 2 (Set place) cannot be taken back: it is sealed',
      steps: [{ outcome: 'not-done' }, { outcome: 'refused', why: 'it is sealed' }, { outcome: 'undone' }],
    });
    expect(acts).toEqual(['set sick yes']);
  });

  it('is refused with the reason where the newest cannot be, and nothing is journalled', async () => {
    const { repair, acts, journalled } = await undone({ steps: [copy, move, last] });
    expect(repair).toMatchObject({ outcome: 'refused', reason: 'step 3 (Set sick) cannot be taken back: nobody wants it back' });
    expect([acts, journalled?.takenUp]).toEqual([[], []]);
  });

  it('passes over what only borrowed', async () => {
    const hold = setting('hold', 'off', 'on', { release: set('hold', 'off'), undo: { none: 'it is given back' } });
    const journal = [
      ...done([copy, hold, cure]).slice(0, -1),
      ...acted(1, hold, 'acted', 'release'),
      { event: 'closed', as: 'repaired' } as const,
    ];
    const { repair, acts } = await undone({ steps: [copy, hold, cure], journal, now: { hold: 'off' } });
    expect([repair.outcome, acts]).toEqual(['undone', ['set sick yes', 'set copy none']]);
  });

  it('takes nothing back that is no longer as the step left it, and nothing under it', async () => {
    const { repair, acts, journalled } = await undone({ now: { place: 'third' } });
    expect(repair).toMatchObject({
      outcome: 'stale',
      reason: 'step 2 (Set place): expected place new, found third; nothing was done from here on',
      steps: [{ outcome: 'not-done' }, { outcome: 'stale' }, { outcome: 'undone' }],
    });
    expect([acts, journalled?.closed?.as]).toEqual([['set sick yes'], 'stale']);
  });

  it('a command that fails, or ends well and proves nothing: failed, and nothing under it is touched', async () => {
    const failed = await undone({ failing: 'set place old' });
    expect(failed.repair).toMatchObject({ outcome: 'failed', reason: 'step 2 (Set place): exit code 5: did set place old' });
    expect([failed.acts, failed.journalled?.closed?.as]).toEqual([['set sick yes', 'set place old'], 'failed']);
    const unproven = await undone({ steps: [copy, move, { ...cure, undo: { action: set('sick', 'perhaps'), proof: cure.guards } }] });
    expect(unproven.repair).toMatchObject({ outcome: 'failed', reason: expect.stringContaining('but expected sick yes, found perhaps') });
  });

  it('takes longer than its limit: failed, and it is named', async () => {
    const { repair } = await undone({ steps: [copy, { ...move, limitMs: 50 }, { ...cure, limitMs: 50 }], during: () => sleep(300) });
    expect(repair).toMatchObject({ outcome: 'failed', reason: expect.stringContaining('left to itself as process 4711') });
  });

  it('only what was done is taken back', async () => {
    const journal: Entry[] = [...acted(0, copy, 'proven'), ...acted(1, move, 'failed'), { event: 'closed', as: 'failed' }];
    const { repair, acts } = await undone({ journal, now: { place: 'old', sick: 'yes' } });
    expect([repair.outcome, acts]).toEqual(['undone', ['set copy none']]);
  });
});

describe('undo refuses', () => {
  it.each([
    ['what is interrupted', acted(0, copy, 'proven'), {}, 'it was interrupted: stdoctor resume goes on with it, or takes it back'],
    [
      'what it cannot know',
      [...acted(0, copy, 'acted'), { event: 'closed', as: 'failed' }],
      { copy: 'half' },
      'whether it was done cannot be known: its result (copy made) is not there, found half; and',
    ],
    ['what was never done', [...acted(0, copy, 'failed'), { event: 'closed', as: 'failed' }], { copy: 'none' }, 'nothing was done'],
  ] as [string, Entry[], Record<string, string>, string][])('%s', async (_, journal, now, reason) => {
    const { repair, acts, journalled } = await undone({ journal, now });
    expect(repair).toMatchObject({ outcome: 'refused', reason: expect.stringContaining(reason) });
    expect([acts, journalled?.takenUp]).toEqual([[], []]);
  });

  it('what was taken back before, when it is named; without a name there is nothing to take back', async () => {
    const journal: Entry[] = [
      ...done([copy, move, cure]),
      { event: 'taken-up', way: 'back', by: 'run-2', who: WHO, boot: BOOT },
      { event: 'closed', as: 'undone' },
    ];
    expect((await undone({ journal, run: 'run-1' })).repair).toMatchObject({
      outcome: 'refused',
      reason: expect.stringMatching(/^it was taken back at 20/),
    });
    expect((await undone({ journal })).ended.repairs).toEqual([]);
  });

  it('a run that the journal does not tell of', async () => {
    const { ended } = await undone({ run: 'run-9' });
    expect(ended).toMatchObject({ code: 'STD_USAGE', message: 'run-9: expected a run in the journal such as run-1' });
  });
});

describe('undo, interrupted', () => {
  it('between two steps: what is left stands open for resume', async () => {
    const stop = new AbortController();
    const { ended, acts, journalled } = await undone({ during: () => stop.abort('SIGINT'), stop: stop.signal });
    expect(ended).toMatchObject({ code: 'STD_INTERRUPTED', message: expect.stringContaining('stdoctor resume goes on') });
    expect(acts).toEqual(['set sick yes']);
    expect(journalled).toMatchObject({ deeds: [{}, {}, {}, { of: 'undo', step: 2, proven: true }] });
    expect(journalled?.closed).toBeUndefined();
  });

  it('before anything: nothing is begun', async () => {
    const { ended, acts, journalled } = await undone({ stop: AbortSignal.abort('SIGINT') });
    expect(ended).toMatchObject({ code: 'STD_INTERRUPTED' });
    expect([acts, journalled?.takenUp]).toEqual([[], []]);
  });

  it('by the end of the terminal alone: all is taken back', async () => {
    const stop = new AbortController();
    const { ended, acts, journalled } = await undone({ during: () => stop.abort('SIGHUP'), stop: stop.signal });
    expect(acts).toEqual(['set sick yes', 'set place old', 'set copy none']);
    expect(journalled?.closed?.as).toBe('undone');
    expect(ended).toMatchObject({ code: 'STD_INTERRUPTED' });
  });
});
