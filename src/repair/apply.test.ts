import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { FakeHost, set, setting } from '../../test/fake-host.ts';
import { fakeTarget, said } from '../../test/fake-target.ts';
import { scratch } from '../../test/scratch.ts';
import { defineFact, outputOf, read } from '../check/asking.ts';
import { defineCheck } from '../check/define.ts';
import type { Acted, Asking, Found, ResolvedAction, Step } from '../check/types.ts';
import { inspect } from '../engine/inspect.ts';
import type { FindingResult } from '../engine/result.ts';
import type { StdoctorError } from '../errors.ts';
import type { Entry } from '../journal/entries.ts';
import { readJournal } from '../journal/journal.ts';
import { type ApplyContext, applyPlan } from './apply.ts';

const state = defineFact('apply-test.state', function* (): Asking<string> {
  return outputOf(yield* read('/proc/apply-test'));
});

const borrowing: Step = {
  title: 'Hold',
  why: '',
  risk: 'safe',
  action: { kind: 'run', argv: ['hold'] },
  guards: [],
  proof: [],
  release: { kind: 'run', argv: ['let-go'] },
  undo: { none: '' },
};
const curing: Step = {
  title: 'Cure',
  why: '',
  risk: 'safe',
  action: { kind: 'run', argv: ['cure'] },
  guards: [],
  proof: [],
  undo: { none: '' },
};

const check = defineCheck({
  meta: { id: 'apply-test', title: '', area: '', scope: 'host', summary: '', references: [], codes: { 'apply-sick': 'sick' } },
  needs: { state },
  detect({ state: text }) {
    const found: Found<'apply-sick', null> = {
      code: 'apply-sick',
      severity: 'warning',
      subject: { kind: 'thing', name: 'x' },
      data: null,
      confidence: 'certain',
      evidence: [],
    };
    return { examined: 1, findings: text === 'sick' ? [found] : [], unjudged: [] };
  },
  plan: () => ({ steps: [borrowing, curing] }),
});

/** A host that is sick until it is cured; some commands fail. */
async function apply(options: { failing?: string; journalFailsAt?: Entry['event'] }) {
  let text = 'sick';
  const acts: string[] = [];
  const target = {
    ...fakeTarget((probe) => (probe.kind === 'read' && probe.path === '/proc/apply-test' ? said(text) : undefined)),
    act: async (action: ResolvedAction): Promise<Acted> => {
      const word = action.kind === 'run' ? String(action.argv[0]) : action.kind;
      acts.push(word);
      text = word === 'cure' && options.failing !== 'cure' ? 'well' : text;
      return word === options.failing ? { ok: false, code: 5 } : { ok: true, code: 0 };
    },
  };
  const events: string[] = [];
  const journal = {
    write: (_run: string, _plan: string, entry: Entry) => {
      if (entry.event === options.journalFailsAt) {
        throw new Error('no space left on the device of the journal');
      }
      events.push('of' in entry && entry.of !== 'step' ? `${entry.event} ${entry.of}` : entry.event);
    },
  };
  const entry = { id: 'apply-test', title: '', load: async () => check };
  const { target: result } = await inspect(target, [entry], { until: Date.now() + 5000 });
  const directory = scratch();
  const context: ApplyContext = {
    target,
    costly: undefined,
    entry,
    journal,
    runId: 'r',
    stateDir: directory,
    rescueDir: undefined,
    roundMs: 5000,
    listen: () => {},
    version: '0',
    stop: new AbortController().signal,
    who: { uid: 0, user: 'root', sudoUser: null },
    machine: '',
    boot: null,
  };
  const repair = await applyPlan(result.findings[0] as FindingResult, context);
  return { repair, acts, events };
}

describe('applyPlan', () => {
  it('acts, gives back what it borrowed, and is repaired', async () => {
    const { repair, acts, events } = await apply({});
    expect(repair).toMatchObject({ outcome: 'repaired', reason: null });
    expect(acts).toEqual(['hold', 'cure', 'let-go']);
    expect(events).toEqual(['opened', 'act', 'acted', 'proven', 'act', 'acted', 'proven', 'act release', 'acted release', 'closed']);
  });

  it('gives back what it borrowed when a step fails', async () => {
    const { repair, acts } = await apply({ failing: 'cure' });
    expect(repair.outcome).toBe('failed');
    expect(repair.reason).toContain('exit code 5');
    expect(acts).toEqual(['hold', 'cure', 'let-go']);
  });

  it('does nothing before the journal, and gives back what it borrowed when the journal fails later', async () => {
    await expect(apply({ journalFailsAt: 'opened' })).rejects.toThrow('no space left');
    expect((await apply({ journalFailsAt: 'act' })).acts).toEqual([]);
    const { repair, acts } = await apply({ journalFailsAt: 'acted' });
    expect(acts).toEqual(['hold', 'let-go']);
    expect(repair).toMatchObject({ outcome: 'failed', reason: expect.stringContaining('no space left') });
  });

  it('says so when what it borrowed cannot be given back', async () => {
    const { repair } = await apply({ failing: 'let-go' });
    expect(repair).toMatchObject({ outcome: 'failed', reason: expect.stringContaining('could not be given back') });
  });
});

const hold = setting('hold', 'off', 'on', { title: 'Hold', release: set('hold', 'off'), undo: { none: '' } });
const cure = setting('sick', 'yes', 'no', { title: 'Cure' });

/** A plan that borrows something, then cures. */
async function applied(host: FakeHost, more: Parameters<FakeHost['context']>[0] = {}) {
  const stateDir = scratch();
  const [finding] = (await host.findings()) as [FindingResult];
  const repair = await applyPlan(finding, host.context({ stateDir, ...more })).catch((error: unknown) => error as StdoctorError);
  return { repair, journalled: (readJournal(stateDir) ?? [])[0] };
}

function holding(): FakeHost {
  return new FakeHost([hold, cure], { hold: 'off' });
}

describe('applyPlan, interrupted', () => {
  const interrupted = { code: 'STD_INTERRUPTED', exitCode: 130 };

  it('before the first step: nothing is done, and the repair is closed', async () => {
    const host = holding();
    const { repair, journalled } = await applied(host, { stop: AbortSignal.abort('SIGINT') });
    expect(repair).toMatchObject({ ...interrupted, message: 'interrupted; nothing was done' });
    expect([host.acts, journalled?.closed?.as]).toEqual([[], 'refused']);
  });

  it('within a step: that step ends, none is begun, what was borrowed is given back, and it stays open for resume', async () => {
    const host = holding();
    const stop = new AbortController();
    host.during = (line) => line === 'set hold on' && stop.abort('SIGINT');
    const { repair, journalled } = await applied(host, { stop: stop.signal });
    expect(repair).toMatchObject({ ...interrupted, message: expect.stringContaining('stdoctor resume') });
    expect(host.acts).toEqual(['set hold on', 'set hold off']);
    expect(journalled).toMatchObject({
      deeds: [
        { of: 'step', proven: true },
        { of: 'release', ended: { ok: true } },
      ],
    });
    expect(journalled?.closed).toBeUndefined();
  });

  it('within the last step: it is carried to its end', async () => {
    const host = holding();
    const stop = new AbortController();
    host.during = (line) => line === 'set sick no' && stop.abort('SIGINT');
    const { repair, journalled } = await applied(host, { stop: stop.signal });
    expect(repair).toMatchObject({ outcome: 'repaired' });
    expect([host.acts, journalled?.closed?.as]).toEqual([['set hold on', 'set sick no', 'set hold off'], 'repaired']);
  });

  it('by the end of the terminal alone: the whole plan is carried to its end', async () => {
    const host = holding();
    const { repair, journalled } = await applied(host, { stop: AbortSignal.abort('SIGHUP') });
    expect(repair).toMatchObject({ outcome: 'repaired' });
    expect([host.acts, journalled?.closed?.as]).toEqual([['set hold on', 'set sick no', 'set hold off'], 'repaired']);
  });

  it('within a command that does not end: nothing is given back under it, and it is named', async () => {
    const host = holding();
    const stop = new AbortController();
    host.during = async (line) => {
      if (line === 'set sick no') {
        stop.abort('SIGTERM');
        await sleep(10_000, undefined, { ref: false });
      }
    };
    const { repair, journalled } = await applied(host, { stop: stop.signal });
    expect(repair).toMatchObject({ ...interrupted, message: expect.stringContaining('left to itself as process 4711') });
    expect(host.acts).toEqual(['set hold on', 'set sick no']);
    expect([journalled?.deeds.at(-1)?.ended, journalled?.closed]).toEqual([undefined, undefined]);
  });
});

describe('applyPlan', () => {
  it('a step that takes longer than its limit has failed, no step follows, and it stays open for resume', async () => {
    const host = new FakeHost([setting('a', 'off', 'on', { limitMs: 50 }), cure], { a: 'off' });
    host.during = () => sleep(500);
    const { repair, journalled } = await applied(host);
    expect(repair).toMatchObject({
      outcome: 'failed',
      reason: 'step 1 (Set a): still running after 0.05 s, and left to itself as process 4711. stdoctor resume says what became of it',
      steps: [{ outcome: 'failed', running: true, exitCode: null }, { outcome: 'not-done' }],
    });
    expect([host.acts, journalled?.closed]).toEqual([['set a on'], undefined]);
  });

  it('a guard that no longer holds between two steps: stale, with what was expected and found', async () => {
    const host = holding();
    host.during = (line) => line === 'set hold on' && host.values.set('sick', 'very');
    const { repair, journalled } = await applied(host);
    expect(repair).toMatchObject({
      outcome: 'stale',
      reason: 'step 2 (Cure): expected sick yes, found very; nothing was done from here on',
    });
    expect([host.acts, journalled?.closed?.as]).toEqual([['set hold on', 'set hold off'], 'stale']);
  });

  it.each([
    ['gone', (host: FakeHost) => host.values.set('sick', 'no'), 'healed', 'the fault is no longer found'],
    [
      'not to be told',
      (host: FakeHost) => host.values.set('sick', 'unknown'),
      'stale',
      'whether the fault is still there could not be told: nobody knows',
    ],
    [
      'to be repaired otherwise',
      (host: FakeHost) => (host.plan = { steps: [cure] }),
      'stale',
      'the plan had 2 steps, now it would have 1; nothing was done',
    ],
    [
      'not to be repaired',
      (host: FakeHost) => (host.plan = { refused: 'it is busy' }),
      'stale',
      'it is not repaired any more: it is busy; nothing was done',
    ],
  ])('a fault that is %s by the time of the yes: nothing is done or journalled', async (_, change, outcome, reason) => {
    const host = holding();
    const [finding] = (await host.findings()) as [FindingResult];
    change(host);
    const stateDir = scratch();
    expect(await applyPlan(finding, host.context({ stateDir }))).toMatchObject({ outcome, reason, run: null });
    expect([host.acts, readJournal(stateDir)]).toEqual([[], undefined]);
  });

  it('every step proven and the fault still found: unproven', async () => {
    const host = new FakeHost([setting('a', 'off', 'on')], { a: 'off' });
    const { repair } = await applied(host);
    expect(repair).toMatchObject({ outcome: 'unproven', reason: 'every step was proven, yet the fault is still found: x is sick' });
  });

  // Lines: opened; act, started, acted, proven of each of the two steps; act, started, acted of the release; closed.
  it.each(Array.from({ length: 13 }, (_, index) => index + 1))('a journal that fails at line %i and after it', async (full) => {
    const host = holding();
    const { repair, journalled } = await applied(host, {
      line: (nth) => {
        if (nth >= full) {
          throw new Error('no space left');
        }
      },
    });
    if (full === 1) {
      expect(repair).toMatchObject({ message: 'no space left' });
    } else {
      // The release says nothing of it; the closing line does.
      expect(repair).toMatchObject({ outcome: 'failed', reason: expect.stringContaining('no space left') });
    }
    // No further step; what was borrowed is given back, whatever the journal says.
    const done = full > 6 ? ['set hold on', 'set sick no', 'set hold off'] : ['set hold on', 'set hold off'];
    expect(host.acts).toEqual(full > 2 ? done : []);
    expect(host.values.get('hold')).toBe('off');
    expect(journalled?.closed).toBeUndefined();
  });
});
