import type { Risk } from '../check/types.ts';
import { isAtMost } from '../engine/result.ts';
import { showName } from '../names.ts';
import type { Consent, RepairOptions } from '../repair/repair.ts';
import { planToText } from '../report/pretty.ts';
import type { Paint } from '../report/style.ts';
import { confirm, type Streams, typed } from '../ui/questions.ts';

export interface ConsentOptions {
  /** Something may be changed in this run. */
  applies: boolean;
  auto: Risk | undefined;
  yes: boolean;
  say(text: string): void;
  paint: Paint;
  streams: Streams;
  /** Why nothing may be changed, where that is not for want of a terminal. */
  why: string | undefined;
}

/** How this run comes to a yes: by --auto, by a person, or not at all. A plan that can lose data is never applied unasked. */
export function consentOf({ applies, auto, yes, say, paint, streams, why }: ConsentOptions): RepairOptions['consent'] {
  return async ({ finding, risk }): Promise<Consent> => {
    say(planToText(finding, paint));
    if (!applies) {
      return {
        apply: false,
        outcome: 'planned',
        reason: why ?? 'nothing was changed: this was a dry run, or there was no terminal to ask at',
      };
    }
    if (auto !== undefined) {
      return isAtMost(risk, auto)
        ? { apply: true }
        : { apply: false, outcome: 'skipped', reason: `its risk is ${risk}, above the allowed ${auto}` };
    }
    const name = showName(finding.finding.subject.name);
    const agreed =
      risk === 'data-loss'
        ? await typed(`Bytes can be lost. Type ${name} to go on, anything else to leave it:`, name, streams)
        : yes || (await confirm('Apply this plan?', streams));
    return agreed ? { apply: true } : { apply: false, outcome: 'declined', reason: 'declined' };
  };
}
