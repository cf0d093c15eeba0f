import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { acted, BOOT, FakeHost, fakeValue, MACHINE, NEVER, setting } from '../../test/fake-host.ts';
import { scratch } from '../../test/scratch.ts';
import { StdoctorError } from '../errors.ts';
import { Journal, readJournal } from '../journal/journal.ts';
import { planFindings } from './planned.ts';
import { type Consent, type Offer, type Repaired, type RepairOptions, repairFindings } from './repair.ts';
import type { Repair } from './result.ts';
import type { SavedPlans } from './saved-plan.ts';

const YES: Consent = { apply: true };
const cure = setting('sick', 'yes', 'no');

async function repaired(host: FakeHost, more: Partial<RepairOptions> = {}): Promise<{ stateDir: string; ended: Repaired; told: Repair[] }> {
  const stateDir = more.stateDir ?? scratch();
  const told: Repair[] = [];
  const ended = await repairFindings({
    ...host.options(stateDir),
    target: host.target,
    findings: [],
    consent: async (offers) => offers.map(() => YES),
    ended: (repair) => told.push(repair),
    minded: (work) => work(NEVER),
    ...more,
  });
  return { stateDir, ended, told };
}

async function saved(host: FakeHost, validMs = 60_000): Promise<SavedPlans> {
  const { target, entry } = host;
  const options = { target, entries: [entry], findings: [], until: Date.now() + 5000, validMs, costly: undefined, listen: () => {} };
  return JSON.parse(JSON.stringify((await planFindings(options, '0')).saved));
}

describe('repairFindings', () => {
  it('puts all plans before whoever decides at once, and does what was agreed to', async () => {
    const host = new FakeHost([cure]);
    host.things = ['x', 'y', 'z'];
    host.tooMany = 'all of them are sick';
    const asked: (readonly Offer[])[] = [];
    const consent = async (offers: readonly Offer[]): Promise<Consent[]> => {
      asked.push(offers);
      return offers.map((_, index) => (index === 1 ? YES : { apply: false, outcome: 'declined', reason: 'declined' }));
    };
    const { ended, told } = await repaired(host, { consent });
    expect(asked).toMatchObject([[{ risk: 'safe', tooMany: 'all of them are sick' }, {}, {}]]);
    expect(ended.repairs.map(({ outcome }) => outcome)).toEqual(['declined', 'repaired', 'declined']);
    expect(told.map(({ finding }) => finding.subject.name)).toEqual(['x', 'z', 'y']);
    expect(host.acts).toEqual(['set sick no']);
  });

  it('takes the ids of findings, and tells which are not found', async () => {
    const host = new FakeHost([cure]);
    const id = (await host.findings())[0]?.finding.id ?? '';
    const { ended } = await repaired(host, { findings: [id, 'fake-sick-00000000'] });
    expect([ended.repairs.length, ended.missing]).toEqual([1, ['fake-sick-00000000']]);
  });

  it('tells what could not be told', async () => {
    const { ended } = await repaired(new FakeHost([cure], { sick: 'unknown' }));
    expect(ended).toMatchObject({ target: { identity: MACHINE }, repairs: [], unknown: ['fake: thing x: nobody knows'] });
  });

  describe('what a fault hides', () => {
    /** y can be told only once x is well: what it stands on is down. */
    function hiding(below: 'no' | 'yes' | 'unknown') {
      const host = new FakeHost([cure], { below });
      const how = { code: 'fake-sick', severity: 'critical', data: null, confidence: 'certain' } as const;
      const fault = (name: string) => ({ ...how, subject: { kind: 'thing', name }, evidence: [] });
      const untold = { subject: { kind: 'thing', name: 'y' }, why: 'x is not up' };
      host.entry.load = async () => ({
        ...host.check,
        needs: { sick: () => fakeValue('sick'), below: () => fakeValue('below') },
        detect: ({ sick, below: y }: { sick: string; below: string }) => ({
          examined: 2,
          findings: [...(sick === 'yes' ? ['x'] : []), ...(sick === 'no' && y === 'yes' ? ['y'] : [])].map(fault),
          unjudged: sick === 'yes' || y === 'unknown' ? [untold] : [],
        }),
        plan: ({ subject }: { subject: { name: string } }) => ({ steps: [subject.name === 'x' ? cure : setting('below', 'yes', 'no')] }),
      });
      return host;
    }

    it('is looked at again once that is repaired, and repaired too, with consent of its own', async () => {
      const asked: number[] = [];
      const consent = async (offers: readonly Offer[]): Promise<Consent[]> => {
        asked.push(offers.length);
        return offers.map(() => YES);
      };
      const { ended } = await repaired(hiding('yes'), { consent });
      expect(ended.repairs.map(({ finding, outcome }) => [finding.subject.name, outcome])).toEqual([
        ['x', 'repaired'],
        ['y', 'repaired'],
      ]);
      expect([asked, ended.unknown]).toEqual([[1, 1], []]);
    });

    it('is told in the end, or still not', async () => {
      expect((await repaired(hiding('no'))).ended).toMatchObject({ repairs: [{ outcome: 'repaired' }], unknown: [] });
      const { ended } = await repaired(hiding('unknown'));
      expect(ended).toMatchObject({ repairs: [{ outcome: 'repaired' }], unknown: ['fake: thing y: x is not up'] });
    });

    it('stays untold where nothing was repaired, or only one finding was asked for', async () => {
      const declines = async (offers: readonly Offer[]): Promise<Consent[]> =>
        offers.map(() => ({ apply: false, outcome: 'declined', reason: 'declined' }));
      expect((await repaired(hiding('yes'), { consent: declines })).ended.unknown).toEqual(['fake: thing y: x is not up']);
      const host = hiding('yes');
      const id = (await host.findings())[0]?.finding.id ?? '';
      const { ended } = await repaired(host, { findings: [id] });
      expect([ended.repairs.length, ended.unknown]).toEqual([1, ['fake: thing y: x is not up']]);
    });
  });

  it('begins nothing on a subject whose repair was interrupted', async () => {
    const host = new FakeHost([cure]);
    const stateDir = await host.journalled(...acted(0, cure, 'act'));
    const { ended } = await repaired(host, { stateDir });
    expect(ended.repairs).toMatchObject([{ outcome: 'refused', reason: expect.stringContaining('run run-1 began to repair it') }]);
    expect(host.acts).toEqual([]);
  });

  it('after an interruption begins no other repair', async () => {
    const host = new FakeHost([setting('a', 'off', 'on', { guards: [] })], { a: 'off' });
    host.things = ['x', 'y'];
    const stop = new AbortController();
    host.during = () => stop.abort('SIGINT');
    const stateDir = scratch();
    const ended = repaired(host, { stateDir, minded: (work) => work(stop.signal) });
    await expect(ended).rejects.toMatchObject({ code: 'STD_INTERRUPTED', exitCode: 130 });
    expect(host.acts).toEqual(['set a on']);
    expect(readJournal(stateDir)).toMatchObject([{ closed: { as: 'unproven' } }]);
  });

  it('tells of the repairs before the one at which the journal could not be written any more', async () => {
    const host = new FakeHost([setting('a', 'off', 'on', { guards: [] })], { a: 'off' });
    host.things = ['x', 'y', 'z'];
    const { write } = Journal.prototype;
    let opened = 0;
    const full = vi.spyOn(Journal.prototype, 'write').mockImplementation(function (this: Journal, run, plan, entry) {
      opened += entry.event === 'opened' ? 1 : 0;
      if (opened > 1) {
        throw new StdoctorError('STD_STATE_DIR', 'the journal cannot be written any more: no space left');
      }
      write.call(this, run, plan, entry);
    });
    onTestFinished(() => full.mockRestore());
    const { ended } = await repaired(host);
    expect(ended.repairs).toMatchObject([
      { outcome: 'unproven', run: 'run-2', steps: [{ outcome: 'proven' }] },
      { outcome: 'failed', run: null, reason: expect.stringContaining('no space left') },
      { outcome: 'failed', run: null, reason: expect.stringContaining('no space left') },
    ]);
    expect(host.acts).toEqual(['set a on']);
  });

  it('refuses a journal that cannot be understood before anything is asked', async () => {
    const host = new FakeHost([cure]);
    await expect(repaired(host, { stateDir: join(scratch(), 'absent') })).rejects.toMatchObject({ code: 'STD_STATE_DIR' });
    expect(host.target.asked).toEqual([]);
  });
});

describe('repairFindings with a plan file', () => {
  const others = (host: FakeHost, steps = [setting('a', 'off', 'on'), cure]) => {
    host.plan = { steps };
  };
  type Change = (plans: SavedPlans, host: FakeHost) => unknown;

  it('applies what came out the same', async () => {
    const host = new FakeHost([cure]);
    const { ended } = await repaired(host, { saved: await saved(host) });
    expect([ended.repairs[0]?.outcome, host.acts]).toEqual(['repaired', ['set sick no']]);
  });

  it.each([
    [
      'another machine',
      (plans) => (plans.target.identity = 'm'),
      'expected the host that it was made for (fake, m), found hostname:fake; nothing was done',
    ],
    [
      'expired',
      (plans) => (plans.expiresAt = '2026-11-21T00:00:00.000Z'),
      'expected it to be applied before 2026-11-21T00:00:00.000Z, found 20',
    ],
    ['an expiry that is no time', (plans) => (plans.expiresAt = '2026-11-31T00:00:61.000Z'), 'expected it to be applied before'],
    [
      'another boot',
      (plans) => (plans.target.boot = 'boot-0'),
      `expected boot boot-0, in which it was made, found boot ${BOOT}: the host was restarted`,
    ],
    ['healed', (_, host) => host.values.set('sick', 'no'), 'expected sick yes, found no; nothing was done'],
    [
      'another boot, and healed',
      (plans, host) => {
        plans.target.boot = 'boot-0';
        host.values.set('sick', 'no');
      },
      'the host was restarted since (boot boot-0, now boot-1): expected sick yes, found no; nothing was done',
    ],
    ['repaired otherwise', (_, host) => others(host), 'the plan had 1 steps, now it would have 2; nothing was done'],
    [
      'no longer repaired',
      (_, host) => (host.plan = { refused: 'it is busy' }),
      'it is not repaired any more: it is busy; nothing was done',
    ],
    [
      'altered, and the same',
      (plans) => Object.assign(plans.plans[0] as object, { altered: true }),
      'the plan in the file was altered after it was made; nothing was done',
    ],
    [
      'altered, and another',
      (plans) => Object.assign(plans.plans[0] as object, { altered: true, plan: { steps: [setting('sick', 'yes', 'gone')] } }),
      'the plan in the file was altered after it was made: step 1 was set sick gone, now it would be set sick no; nothing was done',
    ],
    [
      'refused when it was made',
      (plans) => Object.assign(plans.plans[0] as object, { plan: { refused: 'it is busy' } }),
      'the plan had 0 steps, now it would have 1; nothing was done',
    ],
    [
      'without a repair when it was made',
      (plans) => Object.assign(plans.plans[0] as object, { plan: null }),
      'the plan had 0 steps, now it would have 1; nothing was done',
    ],
  ] as [string, Change, string][])('%s: stale, nobody is asked, and nothing is done', async (_, change, reason) => {
    const host = new FakeHost([cure]);
    const plans = await saved(host);
    change(plans, host);
    const consent = async (offers: readonly Offer[]) => offers.map(() => YES);
    const { ended, stateDir } = await repaired(host, { saved: plans, consent });
    expect(ended.repairs).toMatchObject([{ outcome: 'stale', reason: expect.stringContaining(reason) }]);
    expect([host.acts, readJournal(stateDir)]).toEqual([[], []]);
  });

  it('one refused then and now is refused, not stale', async () => {
    const host = new FakeHost([]);
    host.plan = { refused: 'it is busy' };
    const { ended } = await repaired(host, { saved: await saved(host) });
    expect(ended.repairs).toMatchObject([{ outcome: 'refused', reason: 'it is busy' }]);
  });

  it('each finding is stale alone', async () => {
    const host = new FakeHost([cure]);
    host.things = ['x', 'y'];
    const plans = await saved(host);
    host.things = ['y'];
    const { ended } = await repaired(host, { saved: plans });
    expect(ended.repairs.map(({ outcome }) => outcome)).toEqual(['stale', 'repaired']);
  });

  it('one that heals between the yes and the act is stale too', async () => {
    const host = new FakeHost([cure]);
    const consent = async (offers: readonly Offer[]) => {
      host.values.set('sick', 'no');
      return offers.map(() => YES);
    };
    const { ended } = await repaired(host, { saved: await saved(host), consent });
    expect([ended.repairs[0]?.outcome, host.acts]).toEqual(['stale', []]);
  });

  it('finds no other fault to repair', async () => {
    const host = new FakeHost([cure]);
    const plans = await saved(host);
    host.things = ['x', 'y'];
    const { ended } = await repaired(host, { saved: plans });
    expect(ended.repairs.map(({ finding }) => finding.subject.name)).toEqual(['x']);
  });
});
