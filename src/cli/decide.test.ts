import { describe, expect, it } from 'vitest';
import { acted, FakeHost, repairIn, setting } from '../../test/fake-host.ts';
import type { Risk } from '../check/types.ts';
import type { Known } from '../repair/journalled.ts';
import type { Way } from '../repair/resume.ts';
import { plain } from '../report/style.ts';
import { decideResume, decideUndo } from './decide.ts';

const step = setting('a', 'off', 'on');

async function known(risk: Risk = 'safe'): Promise<Known> {
  const stateDir = await new FakeHost([step], { a: 'off' }).journalled(...acted(0, step, 'proven'));
  return { repair: { ...repairIn(stateDir), risk }, states: [{ state: 'done', why: 'it is' }], restarted: false };
}

/** Without a terminal: nobody can be asked. */
function unattended(yes: boolean) {
  const said: string[] = [];
  const options = {
    yes,
    interactive: false,
    live: true,
    paint: plain,
    say: (text: string) => said.push(text),
    streams: undefined as never,
  };
  return { options, said };
}

describe('resume without a terminal', () => {
  it.each([
    [undefined, false, false],
    [undefined, true, false],
    ['forward', false, false],
    ['back', false, false],
    ['forward', true, true],
    ['back', true, true],
  ] as [Way | undefined, boolean, boolean][])('way %s, --yes %s: %s', async (way, yes, apply) => {
    const { options, said } = unattended(yes);
    const answers = await decideResume({ ...options, way })([await known()]);
    expect(answers).toEqual([
      apply ? { apply, way } : { apply, outcome: 'planned', reason: expect.stringContaining('--forward or --rollback') },
    ]);
    expect(said.join('')).toContain('1. Set a: done');
  });

  it('never goes on where bytes can be lost, and may take back', async () => {
    const { options } = unattended(true);
    const lossy = [await known('data-loss')];
    expect(await decideResume({ ...options, way: 'forward' })(lossy)).toEqual([
      { apply: false, outcome: 'skipped', reason: 'bytes can be lost: that is never done unattended' },
    ]);
    expect(await decideResume({ ...options, way: 'back' })(lossy)).toEqual([{ apply: true, way: 'back' }]);
  });
});

describe('undo without a terminal', () => {
  it.each([true, false])('--yes %s', async (yes) => {
    const { options, said } = unattended(yes);
    const [answer] = await decideUndo(options)([await known()]);
    expect(answer).toEqual(
      yes ? { apply: true, way: 'back' } : { apply: false, outcome: 'planned', reason: expect.stringContaining('--yes') },
    );
    expect(said.join('')).toContain('To take it back: set a off');
  });
});
