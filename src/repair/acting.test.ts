import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { FakeHost, set, setting, valueIs } from '../../test/fake-host.ts';
import type { Entry } from '../journal/entries.ts';
import { carryOut, close, examineAll, giveBack, prove } from './acting.ts';

const PLACE = { run: 'run-1', plan: 'p' };
const ON = { of: 'step', step: 0, action: set('a', 'on') } as const;
const LATER = 3500;

/** A journal that keeps the events; `line` may throw. */
function hostWith(line?: (entry: Entry) => void) {
  const host = new FakeHost([], { a: 'off' });
  const events: string[] = [];
  const write = (_run: string, _plan: string, entry: Entry) => {
    events.push(entry.event);
    line?.(entry);
  };
  return { host, events, doing: host.context({ journal: { write } }) };
}

function abortAfter(ms: number, signal: NodeJS.Signals): AbortSignal {
  const controller = new AbortController();
  setTimeout(() => controller.abort(signal), ms);
  return controller.signal;
}

describe.concurrent('carryOut', () => {
  it('writes before the act, names the process, and writes after it', async () => {
    const { host, events, doing } = hostWith();
    host.during = () => void events.push('runs');
    expect(await carryOut(PLACE, ON, doing)).toEqual({ ok: true, code: 0, output: 'did set a on' });
    expect(events).toEqual(['act', 'started', 'runs', 'acted']);
  });

  it('does nothing where the first line cannot be written', async () => {
    const { host, doing } = hostWith(() => {
      throw new Error('no space left');
    });
    await expect(carryOut(PLACE, ON, doing)).rejects.toThrow('no space left');
    expect(host.acts).toEqual([]);
  });

  it('does not let go of a command because the line that names it cannot be written', async () => {
    const { host, events, doing } = hostWith(({ event }) => {
      if (event === 'started') {
        throw new Error('no space left');
      }
    });
    host.during = () => sleep(50);
    expect(await carryOut(PLACE, ON, doing)).toMatchObject({ ok: true });
    expect([events.at(-1), host.values.get('a')]).toEqual(['acted', 'on']);
  });

  it('leaves a command that takes longer than its limit to itself, and writes no end', async () => {
    const { host, events, doing } = hostWith();
    host.during = () => sleep(LATER);
    const acted = await carryOut(PLACE, { ...ON, limitMs: 100 }, doing);
    expect(acted).toMatchObject({ ok: false, running: true, why: 'still running after 0.1 s, and left to itself as process 4711' });
    expect(events).toEqual(['act', 'started']);
  });

  it('interrupted, lets a command end that ends soon', async () => {
    const { host, events, doing } = hostWith();
    host.during = () => sleep(500);
    const acted = await carryOut(PLACE, ON, { ...doing, stop: abortAfter(50, 'SIGINT') });
    expect([acted.ok, events]).toEqual([true, ['act', 'started', 'acted']]);
  });

  it('interrupted, leaves a long command to itself', async () => {
    const { host, events, doing } = hostWith();
    host.during = () => sleep(10_000, undefined, { ref: false });
    const started = Date.now();
    const acted = await carryOut(PLACE, ON, { ...doing, stop: abortAfter(50, 'SIGTERM') });
    expect(acted).toMatchObject({ running: true, why: 'interrupted while it ran, and left to itself as process 4711' });
    expect(events).toEqual(['act', 'started']);
    expect(Date.now() - started).toBeLessThan(5000);
  });

  it('lets a long command end when only the terminal has gone', async () => {
    const { host, doing } = hostWith();
    host.during = () => sleep(LATER);
    expect(await carryOut(PLACE, ON, { ...doing, stop: abortAfter(50, 'SIGHUP') })).toMatchObject({ ok: true });
  });

  it('changes nothing where the target can only be read', async () => {
    const { host, doing } = hostWith();
    const { act: _act, ...readOnly } = host.target;
    expect(await carryOut(PLACE, ON, { ...doing, target: readOnly })).toMatchObject({ ok: false, why: 'fake can only be read' });
  });
});

describe.concurrent('prove', () => {
  const isOn = [valueIs({ name: 'a', value: 'on' })];

  it('waits for the proof while patience lasts', async () => {
    const { host, doing } = hostWith();
    setTimeout(() => host.values.set('a', 'on'), 300);
    expect(await prove(isOn, true, 5000, doing)).toEqual({ holds: true });
    host.values.set('a', 'off');
    expect(await prove(isOn, true, 0, doing)).toMatchObject({ holds: false, expected: 'a on', found: 'off' });
  });

  it('does not wait after a command that failed, nor when interrupted; the proof decides', async () => {
    const { host, doing } = hostWith();
    const started = Date.now();
    expect(await prove(isOn, false, 60_000, doing)).toMatchObject({ holds: false });
    expect(await prove(isOn, true, 60_000, { ...doing, stop: AbortSignal.abort('SIGINT') })).toMatchObject({ holds: false });
    expect(Date.now() - started).toBeLessThan(2000);
    host.values.set('a', 'on');
    expect(await prove(isOn, false, 0, doing)).toEqual({ holds: true });
  });

  it('without a proof takes the exit code', async () => {
    const { doing } = hostWith();
    expect(await prove([], true, 0, doing)).toEqual({ holds: true });
    expect(await prove([], false, 0, doing)).toEqual({ holds: false, expected: 'exit code 0', found: 'another' });
  });
});

describe('examineAll', () => {
  it('names the first claim that does not hold, and never holds where it could not look', async () => {
    const { doing } = hostWith();
    const [off, on] = [valueIs({ name: 'a', value: 'off' }), valueIs({ name: 'a', value: 'on' })];
    expect(await examineAll([off, off], doing)).toEqual({ holds: true });
    expect(await examineAll([off, on, off], doing)).toEqual({ holds: false, expected: 'a on', found: 'off', claim: on });
    expect(await examineAll([{ is: 'nonsense', args: {} }], doing)).toMatchObject({ holds: false, expected: 'a condition named nonsense' });
    expect(await examineAll([{ is: 'value-is', args: null }], doing)).toMatchObject({
      holds: false,
      expected: 'to be able to look at value-is',
    });
  });
});

describe('giveBack', () => {
  const step = setting('a', 'off', 'on', { release: set('a', 'off') });

  it('journals it', async () => {
    const { host, events, doing } = hostWith();
    expect(await giveBack(PLACE, 0, step, {}, doing)).toBeUndefined();
    expect([host.acts, events]).toEqual([['set a off'], ['act', 'started', 'acted']]);
  });

  it('is done whatever became of the journal', async () => {
    const { host, doing } = hostWith(() => {
      throw new Error('no space left');
    });
    expect(await giveBack(PLACE, 0, step, {}, doing)).toBeUndefined();
    expect(host.acts).toEqual(['set a off']);
  });

  it('is done where even the directory of its output is gone', async () => {
    const { host, doing } = hostWith();
    expect(await giveBack(PLACE, 0, step, {}, { ...doing, stateDir: '/proc/nowhere' })).toBeUndefined();
    expect(host.acts).toEqual(['set a off']);
  });

  it('is nothing to give where the release says so of the same thing', async () => {
    const { host, doing } = hostWith();
    host.failing.add('set a off');
    const refuses = (a: string) => ({ ...step, releaseRefuses: { says: 'did set a off', while: setting('a', 'on', a).proof } });
    expect(await giveBack(PLACE, 0, refuses('off'), {}, doing)).toBeUndefined();
    expect(await giveBack(PLACE, 0, refuses('on'), {}, doing)).toContain('exit code 5');
    expect(await giveBack(PLACE, 0, { ...refuses('off'), releaseRefuses: { says: 'nothing', while: [] } }, {}, doing)).toContain(
      'exit code 5',
    );
  });

  it('says why it could not be given back', async () => {
    const { host, doing } = hostWith();
    host.failing.add('set a off');
    expect(await giveBack(PLACE, 0, step, {}, doing)).toBe('what step 1 borrowed could not be given back: exit code 5: did set a off');
  });
});

describe('close', () => {
  it('is what it is closed as, or failed where that cannot be written', () => {
    const write = () => {};
    expect(close(PLACE, 'repaired', null, [], { write })).toEqual({ outcome: 'repaired', reason: null, steps: [] });
    const full = () => {
      throw new Error('no space left');
    };
    expect(close(PLACE, 'repaired', null, [], { write: full })).toMatchObject({ outcome: 'failed', reason: 'no space left' });
    expect(close(PLACE, 'stale', 'it changed', [], { write: full })).toMatchObject({
      outcome: 'failed',
      reason: 'it changed; no space left',
    });
    expect(close(PLACE, 'failed', 'no space left', [], { write: full })).toMatchObject({ reason: 'no space left' });
  });
});
