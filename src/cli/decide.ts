/** How `resume` and `undo` come to a yes: by --yes, by a person, or not at all. */

import { showName } from '../names.ts';
import type { Answer, Known } from '../repair/journalled.ts';
import type { Way } from '../repair/resume.ts';
import { knownToText } from '../report/journalled.ts';
import { choose, confirm, typed } from '../ui/questions.ts';
import type { Asked } from './repairing.ts';

const DECLINED = { apply: false, outcome: 'declined', reason: 'declined' } as const;

export function decideResume({ way, ...options }: Asked & { way: Way | undefined }) {
  return async (interrupted: readonly Known[]): Promise<Answer<Way>[]> => {
    const answers: Answer<Way>[] = [];
    for (const known of interrupted) {
      options.say(knownToText(known, options.paint));
      answers.push(await resumeOne(known, way, options));
    }
    return answers;
  };
}

async function resumeOne({ repair }: Known, way: Way | undefined, { yes, interactive, streams }: Asked): Promise<Answer<Way>> {
  if (!interactive && (way === undefined || !yes)) {
    const reason = 'nothing was changed: choose with --forward or --rollback, and say --yes where there is no terminal to ask at';
    return { apply: false, outcome: 'planned', reason };
  }
  const chosen = way ?? (await choose('Go on with it, or take back what was done?', CHOICES, streams)) ?? 'leave';
  if (chosen === 'leave') {
    return DECLINED;
  }
  if (chosen === 'forward' && repair.risk === 'data-loss') {
    if (!interactive) {
      return { apply: false, outcome: 'skipped', reason: 'bytes can be lost: that is never done unattended' };
    }
    const name = showName(repair.finding.subject.name);
    const agreed = await typed(`Bytes can be lost. Type ${name} to go on, anything else to leave it:`, name, streams);
    return agreed ? { apply: true, way: chosen } : DECLINED;
  }
  const question = chosen === 'forward' ? 'Go on with this repair?' : 'Take back what was done?';
  return yes || way === undefined || (await confirm(question, streams)) ? { apply: true, way: chosen } : DECLINED;
}

const CHOICES = [
  { name: 'leave', message: 'leave it as it is' },
  { name: 'forward', message: 'go on with it' },
  { name: 'back', message: 'take back what was done' },
] as const;

export function decideUndo({ yes, interactive, say, paint, streams }: Asked) {
  return async (undoable: readonly Known[]): Promise<Answer<'back'>[]> => {
    for (const known of undoable) {
      say(knownToText(known, paint, 'back'));
    }
    if (!interactive && !yes) {
      const reason = 'nothing was changed: say --yes where there is no terminal to ask at';
      return undoable.map(() => ({ apply: false, outcome: 'planned', reason }));
    }
    const agreed = yes || (await confirm('Take this back?', streams));
    return undoable.map(() => (agreed ? { apply: true, way: 'back' } : DECLINED));
  };
}
