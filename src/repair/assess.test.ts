import { describe, expect, it } from 'vitest';
import { acted, BOOT, FakeHost, repairIn, setting, WHO } from '../../test/fake-host.ts';
import { said, wordsOf } from '../../test/fake-target.ts';
import type { Target } from '../check/types.ts';
import type { Entry } from '../journal/entries.ts';
import { logOf } from './acting.ts';
import { assess, waitForEnd } from './assess.ts';

const step = setting('a', 'off', 'on');
const bare = setting('a', 'off', 'on', { proof: [] });
const back: Entry = { event: 'taken-up', way: 'back', by: 'run-2', who: WHO, boot: BOOT };

describe('assess', () => {
  it.each([
    ['not begun', step, [], 'off', 'not-done', 'it was not begun'],
    ['done and proven', step, acted(0, step, 'proven'), 'off', 'done', 'done and proven at'],
    ['begun, and its proof holds', step, acted(0, step, 'act'), 'on', 'done', 'what it was to bring about holds now'],
    ['ended well, and its proof holds', step, acted(0, step, 'acted'), 'on', 'done', 'what it was to bring about holds now'],
    ['begun, and the host is as before', step, acted(0, step, 'started'), 'off', 'not-done', 'the host is as it was before it'],
    ['failed, and the host is as before', step, acted(0, step, 'failed'), 'off', 'not-done', 'the host is as it was before it'],
    [
      'begun, and neither holds',
      step,
      acted(0, step, 'acted'),
      'half',
      'unknown',
      'its result (a on) is not there, found half; and the host is not as it was before it: expected a off, found half',
    ],
    ['without a proof, ended well', bare, acted(0, bare, 'acted'), 'half', 'done', 'its command ended well'],
    ['without a proof, its end not known', bare, acted(0, bare, 'started'), 'half', 'unknown', 'expected a off, found half'],
    [
      'taken back and proven',
      step,
      [...acted(0, step, 'proven'), back, ...acted(0, step, 'proven', 'undo')],
      'on',
      'taken-back',
      'taken back and proven at',
    ],
    [
      'its taking back begun, and the proof of that holds',
      step,
      [...acted(0, step, 'proven'), back, ...acted(0, step, 'act', 'undo')],
      'off',
      'taken-back',
      'what its taking back was to bring about holds now',
    ],
    [
      'its taking back begun, and the step as it was left',
      step,
      [...acted(0, step, 'proven'), back, ...acted(0, step, 'failed', 'undo')],
      'on',
      'done',
      'what it was to bring about holds now',
    ],
    [
      'its taking back begun, and neither',
      step,
      [...acted(0, step, 'proven'), back, ...acted(0, step, 'started', 'undo')],
      'half',
      'unknown',
      'found half',
    ],
  ] as const)('%s', async (_, only, entries, value, state, why) => {
    const host = new FakeHost([only], { a: 'off' });
    const stateDir = await host.journalled(...entries);
    host.values.set('a', value);
    expect(await assess(repairIn(stateDir), host.context({ stateDir }))).toEqual([{ state, why: expect.stringContaining(why) }]);
    expect(host.acts).toEqual([]);
  });

  it('could not look: cannot be known', async () => {
    const blind = setting('a', 'off', 'on', { guards: [{ is: 'of-another-version', args: {} }] });
    const host = new FakeHost([blind], { a: 'off' });
    const stateDir = await host.journalled(...acted(0, blind, 'act'));
    expect(await assess(repairIn(stateDir), host.context({ stateDir }))).toMatchObject([{ state: 'unknown' }]);
  });
});

describe('waitForEnd', () => {
  // pid (name) state, and 19 fields later the start time
  const stat = (state: string, start: string) => `4711 (set) ${state} ${'0 '.repeat(18)}${start} 0\n`;

  async function running(state: string, start: string, entries: Entry[] = acted(0, step, 'started'), boot: string | null = BOOT) {
    const host = new FakeHost([step], { a: 'off' });
    const stateDir = await host.journalled(...entries);
    host.processes.set(4711, stat(state, start));
    return waitForEnd(repairIn(stateDir), boot, host.context({ stateDir, roundMs: 100 }));
  }

  it('names the command that still runs after a round of asking', async () => {
    expect(await running('S', '99')).toEqual({ pid: 4711, startTime: '99' });
    expect(await running('D', '99')).toEqual({ pid: 4711, startTime: '99' });
  });

  it('waits until it has ended', async () => {
    const host = new FakeHost([step], { a: 'off' });
    const stateDir = await host.journalled(...acted(0, step, 'started'));
    host.processes.set(4711, stat('R', '99'));
    setTimeout(() => host.processes.delete(4711), 200);
    const said: string[] = [];
    const listen = (event: { type: string; text?: string }) => said.push(event.text ?? '');
    expect(await waitForEnd(repairIn(stateDir), BOOT, host.context({ stateDir, listen }))).toBeUndefined();
    expect(said).toContain('waiting for process 4711, which an interrupted step left behind');
  });

  it('knows a zombie, another process of that pid, and one of another boot', async () => {
    expect(await running('Z', '99')).toBeUndefined();
    expect(await running('S', '100')).toBeUndefined();
    expect(await running('S', '99', undefined, 'boot-2')).toBeUndefined();
    expect(await running('S', '99', acted(0, step, 'acted'))).toBeUndefined();
  });

  it('knows a command that was never named by the file it prints to, and by the session it leads', async () => {
    const host = new FakeHost([step], { a: 'off' });
    const stateDir = await host.journalled(...acted(0, step, 'act'));
    const repair = repairIn(stateDir);
    const log = logOf(stateDir, { run: repair.run, plan: repair.plan }, 0, 'step');
    const ask: Target['ask'] = async (probe, until) =>
      wordsOf(probe).startsWith('find /proc ') ? said(`/proc/4711/fd/1 ${log}\0`) : host.target.ask(probe, until);
    const waited = (session: number) => {
      host.processes.set(4711, `4711 (a) b) S 1 1 ${session} ${'0 '.repeat(15)}99 0\n`);
      return waitForEnd(repair, BOOT, host.context({ stateDir, roundMs: 100, target: { ...host.target, ask } }));
    };
    expect(await waited(4711)).toEqual({ pid: 4711, startTime: '99' });
    // A daemon that the command has started holds the file for ever.
    expect(await waited(4700)).toBeUndefined();
  });

  it('looks for the taking back in the boot in which that was begun', async () => {
    const taken: Entry[] = [...acted(0, step, 'proven'), { ...back, boot: 'boot-2' }, ...acted(0, step, 'started', 'undo')];
    expect(await running('S', '99', taken, BOOT)).toBeUndefined();
    expect(await running('S', '99', taken, 'boot-2')).toEqual({ pid: 4711, startTime: '99' });
  });
});
