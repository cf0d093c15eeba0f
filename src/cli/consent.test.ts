import { describe, expect, it } from 'vitest';
import { FakeHost, set, setting } from '../../test/fake-host.ts';
import type { Risk } from '../check/types.ts';
import type { FindingResult } from '../engine/result.ts';
import type { Offer } from '../repair/repair.ts';
import { plain } from '../report/style.ts';
import type { Streams } from '../ui/questions.ts';
import { type ConsentOptions, consentOf } from './consent.ts';

/** Whoever asks here fails: what is asked at a terminal is tested at a real one. */
const NO_TERMINAL = new Proxy({} as Streams, {
  get: () => {
    throw new Error('a question was asked');
  },
});

async function offer(risk: Risk, name = 'x', tooMany: string | null = null): Promise<Offer> {
  const [found] = (await new FakeHost([setting('sick', 'yes', 'no', { risk, action: set('sick', 'no') })]).findings()) as [FindingResult];
  const finding = { ...found.finding, subject: { kind: 'thing', name } };
  return { finding: { ...found, finding, risk }, risk, tooMany };
}

async function consented(offers: Offer[], more: Partial<ConsentOptions>) {
  const said: string[] = [];
  const consent = consentOf({
    applies: true,
    auto: undefined,
    yes: false,
    say: (text) => said.push(text),
    paint: plain,
    streams: NO_TERMINAL,
    rescue: undefined,
    why: undefined,
    ...more,
  });
  return { answers: await consent(offers), said: said.join('') };
}

describe('consent', () => {
  it('shows every plan, and changes nothing where nothing may be changed', async () => {
    const offers = [await offer('safe'), await offer('data-loss')];
    const { answers, said } = await consented(offers, { applies: false });
    expect(answers).toEqual(Array(2).fill({ apply: false, outcome: 'planned', reason: expect.stringContaining('no terminal to ask at') }));
    expect(said.match(/set sick no/g)).toHaveLength(2);
    expect(said).toContain('No backup can be made first: what is lost is lost.');
    const why = 'a recording can only be read';
    expect((await consented(offers, { applies: false, why })).answers[0]).toMatchObject({ reason: why });
  });

  it.each([
    ['safe', 'safe', true],
    ['safe', 'disruptive', false],
    ['safe', 'data-loss', false],
    ['disruptive', 'safe', true],
    ['disruptive', 'disruptive', true],
    ['disruptive', 'data-loss', false],
  ] as [Risk, Risk, boolean][])('--auto %s applies %s: %s', async (auto, risk, apply) => {
    const { answers } = await consented([await offer(risk)], { auto });
    expect(answers).toEqual([apply ? { apply } : { apply, outcome: 'skipped', reason: `its risk is ${risk}, above the allowed ${auto}` }]);
  });

  it('--auto repairs none where too many are faulty, and says why once', async () => {
    const why = '25 of 30 mounts are dead at once';
    const offers = [await offer('safe', 'a', why), await offer('safe', 'b', why), await offer('safe', 'c')];
    const { answers, said } = await consented(offers, { auto: 'safe' });
    expect(answers).toEqual([
      { apply: false, outcome: 'skipped', reason: why },
      { apply: false, outcome: 'skipped', reason: why },
      { apply: true },
    ]);
    expect(said.split(why)).toHaveLength(2);
  });

  it('asks before what was not agreed to, and before bytes can be lost even with --yes', async () => {
    await expect(consented([await offer('safe')], {})).rejects.toThrow('a question was asked');
    await expect(consented([await offer('data-loss')], { yes: true })).rejects.toThrow('a question was asked');
  });

  it('--yes answers plain confirmations; a person may go on where too many are faulty', async () => {
    const { answers } = await consented([await offer('safe', 'a', 'so many'), await offer('disruptive', 'b')], { yes: true });
    expect(answers).toEqual([{ apply: true }, { apply: true }]);
  });
});
