import { describe, expect, it } from 'vitest';
import { acted, BOOT, FakeHost, NEVER, repairIn, set, setting, WHO } from '../../test/fake-host.ts';
import type { Step } from '../check/types.ts';
import type { Entry } from '../journal/entries.ts';
import { readJournal } from '../journal/journal.ts';
import type { Repair } from './result.ts';
import { resumeRepairs, type Way } from './resume.ts';

const hold = setting('hold', 'off', 'on', { release: set('hold', 'off'), undo: { none: 'it is given back' } });
const copy = setting('copy', 'none', 'made');
const cure = setting('sick', 'yes', 'no');

const going = (way: Way): Entry => ({ event: 'taken-up', way, by: 'run-3', who: WHO, boot: BOOT });

interface Case {
  steps?: Step[];
  journal?: Entry[];
  /** Values of the host now. */
  now?: Record<string, string>;
  way?: Way;
  change?(host: FakeHost): void;
  stop?: AbortSignal;
}

async function resumed({ steps = [copy, cure], journal = [], now = {}, way = 'forward', change = () => {}, stop = NEVER }: Case) {
  const host = new FakeHost(steps, { hold: 'off', copy: 'none' });
  const stateDir = await host.journalled(...journal);
  for (const [name, value] of Object.entries(now)) {
    host.values.set(name, value);
  }
  change(host);
  const { repairs } = await resumeRepairs({
    ...host.options(stateDir, stop),
    decide: async (known) => known.map(() => ({ apply: true, way })),
  });
  return { host, repair: repairs[0] as Repair, repairs, journalled: readJournal(stateDir) ?? [], acts: host.acts, stateDir };
}

const otherwise = (host: FakeHost) => {
  host.plan = { steps: [cure] };
};

describe('resume, forward', () => {
  it('nothing begun, and the fault as it was: begun anew, in a run of its own', async () => {
    const { repair, acts, journalled } = await resumed({});
    expect(repair).toMatchObject({ outcome: 'repaired', run: 'run-2' });
    expect(acts).toEqual(['set copy made', 'set sick no']);
    expect(journalled.map(({ run, closed }) => [run, closed?.as, closed?.why])).toEqual([
      ['run-1', 'begun-anew', 'by run run-2'],
      ['run-2', 'repaired', undefined],
    ]);
  });

  it('nothing begun, and the fault is gone: healed', async () => {
    const { repair, acts, journalled } = await resumed({ now: { sick: 'no' } });
    expect(repair).toMatchObject({ outcome: 'healed', run: 'run-1', reason: 'the fault is no longer found' });
    expect([acts, journalled[0]?.closed?.as]).toEqual([[], 'healed']);
  });

  it('nothing begun, and it would be repaired otherwise now: stale', async () => {
    const { repair, acts, journalled } = await resumed({ change: otherwise });
    expect(repair).toMatchObject({ outcome: 'stale', reason: 'the plan had 2 steps, now it would have 1; nothing was done' });
    expect([acts, journalled[0]?.closed?.as]).toEqual([[], 'stale']);
  });

  it('nothing begun, and whether the fault is there cannot be told: stale', async () => {
    const { repair, acts } = await resumed({ now: { sick: 'unknown' } });
    expect(repair).toMatchObject({ outcome: 'stale', reason: expect.stringContaining('could not be told: nobody knows') });
    expect(acts).toEqual([]);
  });

  it('begun, and it changed nothing: begun anew', async () => {
    const { repair, acts } = await resumed({ journal: acted(0, copy, 'started') });
    expect(repair).toMatchObject({ outcome: 'repaired', run: 'run-2' });
    expect(acts).toEqual(['set copy made', 'set sick no']);
  });

  it.each(['act', 'started', 'acted', 'failed', 'proven'] as const)(
    'done as far as "%s", and its proof holds: only what is missing is done',
    async (until) => {
      const { repair, acts, journalled } = await resumed({ journal: acted(0, copy, until), now: { copy: 'made' }, change: otherwise });
      expect(repair).toMatchObject({ outcome: 'repaired', run: 'run-1', steps: [{ outcome: 'proven' }, { outcome: 'proven' }] });
      expect(acts).toEqual(['set sick no']);
      expect(journalled).toMatchObject([
        {
          deeds: [
            { step: 0, proven: true },
            { step: 1, proven: true },
          ],
          closed: { as: 'repaired' },
        },
      ]);
    },
  );

  it('all done and never closed: looks, and closes it', async () => {
    const journal = [...acted(0, copy, 'proven'), ...acted(1, cure, 'acted')];
    const { repair, acts, journalled } = await resumed({ journal, now: { copy: 'made', sick: 'no' } });
    expect([repair.outcome, acts, journalled[0]?.closed?.as]).toEqual(['repaired', [], 'repaired']);
  });

  it('all done, and the fault is found again: unproven', async () => {
    const journal = [...acted(0, copy, 'proven'), ...acted(1, cure, 'proven')];
    const { repair, acts } = await resumed({ journal, now: { copy: 'made', sick: 'yes' } });
    expect([repair.outcome, acts]).toEqual(['unproven', []]);
  });

  it('neither done nor as before: refused, nothing is done, and it is closed', async () => {
    const { repair, acts, journalled } = await resumed({ journal: acted(0, copy, 'act'), now: { copy: 'half' }, change: otherwise });
    expect(repair).toMatchObject({
      outcome: 'refused',
      reason: expect.stringContaining(
        'whether step 1 (Set copy) was done cannot be known: its result (copy made) is not there, found half',
      ),
      steps: [{ outcome: 'unknown' }, { outcome: 'not-done' }],
    });
    expect([acts, journalled[0]?.closed?.as]).toEqual([[], 'refused']);
  });

  it('the next step is guarded as ever', async () => {
    const { repair, acts, journalled } = await resumed({ journal: acted(0, copy, 'proven'), now: { copy: 'made', sick: 'very' } });
    expect(repair).toMatchObject({
      outcome: 'stale',
      reason: 'step 2 (Set sick): expected sick yes, found very; nothing was done from here on',
    });
    expect([acts, journalled[0]?.closed?.as]).toEqual([[], 'stale']);
  });

  it('names a copy that the interrupted run may have begun', async () => {
    const copying = (name: string): Entry[] => [
      { event: 'act', of: 'step', step: 0, action: { kind: 'run', argv: ['dd', `of=${name}`] }, proof: copy.proof },
    ];
    const began = await resumed({ journal: copying('/rescue/run-1/x') });
    expect(began.repair).toMatchObject({ outcome: 'repaired', reason: 'what the interrupted run had copied lies in /rescue/run-1' });
    expect((await resumed({ journal: copying('/elsewhere/x') })).repair.reason).toBeNull();
  });
});

describe('what was borrowed', () => {
  const steps = [hold, cure];
  const released = acted(0, hold, 'acted', 'release');

  it.each([
    ['is given back after the steps that were missing', acted(0, hold, 'proven'), { hold: 'on' }, ['set sick no', 'set hold off']],
    ['is given back where only the host knows of it', acted(0, hold, 'act'), { hold: 'on' }, ['set sick no', 'set hold off']],
    ['is not given back twice', [...acted(0, hold, 'proven'), ...released], { hold: 'off' }, ['set sick no']],
    [
      'is given back in the same boot, whatever became of its proof',
      acted(0, hold, 'proven'),
      { hold: 'off' },
      ['set sick no', 'set hold off'],
    ],
  ] as const)('%s', async (_, journal, now, acts) => {
    const ended = await resumed({ steps, journal: [...journal], now, change: otherwise });
    expect([ended.repair.outcome, ended.acts]).toEqual(['repaired', acts]);
    expect(ended.host.values.get('hold')).toBe('off');
  });

  it('is not given back twice, though the host does not tell that it was', async () => {
    const quiet = { ...hold, proof: [] };
    const journal = [...acted(0, quiet, 'proven'), ...acted(0, quiet, 'acted', 'release')];
    const { repair, acts } = await resumed({ steps: [quiet, cure], journal, change: otherwise });
    expect([repair.outcome, acts]).toEqual(['repaired', ['set sick no']]);
  });

  it('is given back before it is begun anew', async () => {
    const { repair, acts } = await resumed({ steps, journal: acted(0, hold, 'proven'), now: { hold: 'on' } });
    expect([repair.outcome, acts]).toEqual(['repaired', ['set hold off', 'set hold on', 'set sick no', 'set hold off']]);
  });

  it('is given back where nothing goes on', async () => {
    const journal = [...acted(0, hold, 'proven'), ...acted(1, cure, 'act')];
    const { repair, acts } = await resumed({ steps, journal, now: { hold: 'on', sick: 'half' } });
    expect([repair.outcome, acts]).toEqual(['refused', ['set hold off']]);
  });

  it('and cannot be given back: failed, and nothing is begun', async () => {
    const change = (host: FakeHost) => host.failing.add('set hold off');
    const { repair, journalled } = await resumed({ steps, journal: acted(0, hold, 'proven'), now: { hold: 'on' }, change });
    expect(repair).toMatchObject({ outcome: 'failed', reason: expect.stringContaining('what step 1 borrowed could not be given back') });
    // It stays open: every check says so.
    expect(journalled).toMatchObject([{ takenUp: [{ way: 'forward' }] }]);
    expect(journalled[0]?.closed).toBeUndefined();
  });
});

describe('resume, back', () => {
  it('takes back what was done, newest first, and gives back what was borrowed', async () => {
    const steps = [copy, hold, cure];
    const journal = [...acted(0, copy, 'proven'), ...acted(1, hold, 'started')];
    const { repair, acts, journalled } = await resumed({ steps, journal, now: { copy: 'made', hold: 'on' }, way: 'back' });
    expect(repair.steps.map(({ outcome }) => outcome)).toEqual(['undone', 'not-done', 'not-done']);
    expect([repair.outcome, acts, journalled[0]?.closed?.as]).toEqual(['undone', ['set hold off', 'set copy none'], 'undone']);
  });

  it('nothing done: undone, without an act', async () => {
    const { repair, acts } = await resumed({ journal: acted(0, copy, 'act'), way: 'back' });
    expect([repair.outcome, repair.reason, acts]).toEqual(['undone', 'nothing had been done', []]);
  });

  it('neither done nor as before: refused', async () => {
    const { repair, acts, journalled } = await resumed({ journal: acted(0, copy, 'act'), now: { copy: 'half' }, way: 'back' });
    expect([repair.outcome, acts, journalled[0]?.closed?.as]).toEqual(['refused', [], 'refused']);
  });

  it('one that was being taken back goes on with that, whatever is chosen', async () => {
    const journal = [...acted(0, copy, 'proven'), ...acted(1, cure, 'proven'), going('back'), ...acted(1, cure, 'proven', 'undo')];
    const { repair, acts } = await resumed({ journal, now: { copy: 'made' }, way: 'forward' });
    expect([repair.outcome, acts]).toEqual(['undone', ['set copy none']]);
  });
});

describe('resume', () => {
  const begun = { journal: acted(0, copy, 'proven'), now: { copy: 'made' }, change: otherwise };

  it('is over when it is over', async () => {
    const { host, stateDir } = await resumed(begun);
    const again = await resumeRepairs({ ...host.options(stateDir), decide: () => Promise.reject(new Error('asked')) });
    expect(again.repairs).toEqual([]);
  });

  it('leaves alone what nobody agreed to', async () => {
    const host = new FakeHost([copy, cure], { copy: 'none' });
    const stateDir = await host.journalled(...acted(0, copy, 'started'));
    const before = repairIn(stateDir);
    const decide = async () => [{ apply: false, outcome: 'declined', reason: 'declined' } as const];
    const { repairs } = await resumeRepairs({ ...host.options(stateDir), decide });
    expect(repairs).toMatchObject([{ outcome: 'declined' }]);
    expect([host.acts, repairIn(stateDir)]).toEqual([[], before]);
  });

  it('leaves alone what a command of it still works on', async () => {
    const change = (host: FakeHost) => host.processes.set(4711, `4711 (set) D ${'0 '.repeat(18)}99 0\n`);
    const { repair, acts, journalled } = await resumed({ journal: acted(0, copy, 'started'), change });
    expect(repair).toMatchObject({ outcome: 'planned', reason: expect.stringContaining('still runs as process 4711') });
    expect([acts, journalled[0]?.takenUp]).toEqual([[], []]);
  });

  it('refuses what was begun on another machine, or by a check that is not known', async () => {
    const host = new FakeHost([copy, cure], { copy: 'none' });
    const stateDir = await host.journalled(...acted(0, copy, 'started'));
    const nobody = { decide: () => Promise.reject(new Error('asked')) };
    const unknown = await resumeRepairs({ ...host.options(stateDir), ...nobody, entries: [] });
    expect(unknown.repairs).toMatchObject([{ outcome: 'refused', reason: 'expected a check fake, which this version does not have' }]);
    const answers = host.target.ask;
    const elsewhere = {
      ...host.target,
      ask: async (probe: Parameters<typeof answers>[0], until: number) =>
        answers(
          probe.kind === 'read' && probe.path === '/proc/sys/kernel/hostname' ? { kind: 'read', path: '/proc/fake/sick' } : probe,
          until,
        ),
    };
    const moved = await resumeRepairs({ ...host.options(stateDir), ...nobody, targetOf: async () => elsewhere });
    expect(moved.repairs).toMatchObject([
      { outcome: 'refused', reason: 'expected the machine it was made on (hostname:fake), found hostname:yes' },
    ]);
    expect([host.acts, repairIn(stateDir).takenUp]).toEqual([[], []]);
  });

  it('interrupted before it did anything, it leaves the repair as open as it was', async () => {
    const host = new FakeHost([copy, cure], { copy: 'none' });
    const stateDir = await host.journalled(...acted(0, copy, 'proven'));
    host.values.set('copy', 'made');
    otherwise(host);
    const stop = new AbortController();
    const decide = async () => {
      stop.abort('SIGINT');
      return [{ apply: true, way: 'forward' } as const];
    };
    await expect(resumeRepairs({ ...host.options(stateDir, stop.signal), decide })).rejects.toMatchObject({ code: 'STD_INTERRUPTED' });
    expect([host.acts, repairIn(stateDir).closed]).toEqual([[], undefined]);
  });

  it('interrupted while it looks, it stays open, though no step was begun in this run', async () => {
    const host = new FakeHost([copy, cure], { copy: 'none' });
    const stateDir = await host.journalled(...acted(0, copy, 'proven'));
    host.values.set('copy', 'made');
    otherwise(host);
    const stop = new AbortController();
    const options = host.options(stateDir, stop.signal);
    const show: typeof options.show = (title, work) => {
      if (!title.startsWith('Looking')) {
        stop.abort('SIGINT');
      }
      return work(() => {});
    };
    const decide = async () => [{ apply: true, way: 'forward' } as const];
    await expect(resumeRepairs({ ...options, show, decide })).rejects.toMatchObject({ code: 'STD_INTERRUPTED' });
    expect([host.acts, repairIn(stateDir).closed]).toEqual([[], undefined]);
  });
});
