import type { Risk } from '../check/types.ts';
import { isAtMost } from '../engine/result.ts';
import { printable, showName } from '../names.ts';
import type { Consent, Offer, RepairOptions } from '../repair/repair.ts';
import { planToText } from '../report/pretty.ts';
import type { Paint } from '../report/style.ts';
import { choose, confirm, type Streams, typed } from '../ui/questions.ts';

export interface ConsentOptions {
  /** Something may be changed in this run. */
  applies: boolean;
  auto: Risk | undefined;
  yes: boolean;
  say(text: string): void;
  paint: Paint;
  streams: Streams;
  /** Where copies of data in danger would be put. */
  rescue: string | undefined;
  /** All evidence is shown. */
  evidence?: boolean;
  /** Why nothing may be changed, where that is not for want of a terminal. */
  why: string | undefined;
}

const DECLINED: Consent = { apply: false, outcome: 'declined', reason: 'declined' };

/** How this run comes to a yes: by --auto, by a person, or not at all. A plan that can lose data is never applied unasked. */
export function consentOf({
  applies,
  auto,
  yes,
  say,
  paint,
  streams,
  rescue,
  evidence = false,
  why,
}: ConsentOptions): RepairOptions['consent'] {
  return async (offers) => {
    for (const { finding } of offers) {
      say(planToText(finding, paint, rescue, evidence));
    }
    for (const reason of new Set(offers.map(({ tooMany }) => tooMany).filter((each) => each !== null))) {
      say(`${paint('yellow', 'So many at once:')} ${printable(reason)}\n`);
    }
    if (!applies) {
      const reason = why ?? 'nothing was changed: this was a dry run, or there was no terminal to ask at';
      return offers.map(() => ({ apply: false, outcome: 'planned', reason }));
    }
    if (auto !== undefined) {
      return offers.map((offer) => unasked(offer, auto));
    }
    const wanted = await howMany();
    const answers: Consent[] = [];
    for (const offer of offers) {
      answers.push(wanted === 'none' ? DECLINED : await ask(offer, wanted === 'all', wanted === 'some' && offers.length > 1));
    }
    return answers;

    async function howMany(): Promise<'all' | 'some' | 'none'> {
      if (yes || offers.length < 2) {
        return yes ? 'all' : 'some';
      }
      const choices = [
        { name: 'none', message: 'none of them' },
        { name: 'some', message: 'some: ask for each' },
        { name: 'all', message: 'all; where bytes can be lost, still ask' },
      ] as const;
      return (await choose(`Apply these ${offers.length} plans?`, choices, streams)) ?? 'none';
    }
  };

  async function ask(offer: Offer, agreed: boolean, again: boolean): Promise<Consent> {
    const { finding } = offer.finding;
    const { risk } = offer;
    if (again) {
      say(planToText(offer.finding, paint, rescue, evidence));
    }
    const name = showName(finding.subject.name);
    const yesToIt =
      risk === 'data-loss'
        ? await typed(`Bytes can be lost. Type ${name} to go on, anything else to leave it:`, name, streams)
        : agreed || (await confirm('Apply this plan?', streams));
    return yesToIt ? { apply: true } : DECLINED;
  }
}

function unasked({ risk, tooMany }: Offer, auto: Risk): Consent {
  if (tooMany !== null) {
    return { apply: false, outcome: 'skipped', reason: tooMany };
  }
  return isAtMost(risk, auto)
    ? { apply: true }
    : { apply: false, outcome: 'skipped', reason: `its risk is ${risk}, above the allowed ${auto}` };
}
