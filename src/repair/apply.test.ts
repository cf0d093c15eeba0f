import { describe, expect, it } from 'vitest';
import { fakeTarget, said } from '../../test/fake-target.ts';
import { scratch } from '../../test/scratch.ts';
import { defineFact, outputOf, read } from '../check/asking.ts';
import { defineCheck } from '../check/define.ts';
import type { Acted, Asking, Found, ResolvedAction, Step } from '../check/types.ts';
import { inspect } from '../engine/inspect.ts';
import type { FindingResult } from '../engine/result.ts';
import type { Entry } from '../journal/entries.ts';
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
