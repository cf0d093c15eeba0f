/** Repairs out of the journal, for a person at a terminal. */
import { actionText, claimText } from '../check/wording.ts';
import { deedOf, goesBack, type Journaled, type Who } from '../journal/entries.ts';
import { printable } from '../names.ts';
import type { Known } from '../repair/journalled.ts';
import { type Paint, plain } from './style.ts';

const STATES = {
  done: 'done',
  'not-done': 'not done',
  'taken-back': 'taken back',
  unknown: 'cannot be known',
} as const;

/** What was done, what was not, what cannot be known; and what taking it back would do. */
export function knownToText({ repair, states, restarted }: Known, paint: Paint = plain, way?: 'back'): string {
  const { summary, at, run, who, host, steps } = repair;
  const lines = [
    `${paint('bold', printable(summary))}`,
    `    ${paint('dim', `run ${run}${onHost(host)}, ${at}, called for by ${whoText(who)}${restarted ? '; the host was restarted since' : ''}`)}`,
  ];
  if (goesBack(repair)) {
    lines.push('    It was being taken back: that is gone on with.');
  }
  steps.forEach((step, index) => {
    const state = states[index];
    lines.push(
      `  ${index + 1}. ${step.title}: ${paint('bold', STATES[state?.state ?? 'unknown'])}`,
      `       ${paint('cyan', actionText(deedOf(repair, 'step', index)?.action ?? step.action))}`,
      `     ${printable(state?.why ?? '')}`,
    );
    if (state?.state === 'done' && (way === 'back' || repair.closed === undefined)) {
      lines.push(
        `     ${'none' in step.undo ? `Cannot be taken back: ${step.undo.none}` : `To take it back: ${actionText(step.undo.action)}`}`,
      );
    }
  });
  return `${lines.join('\n')}\n`;
}

/** Nothing for the host whose journal it is. */
function onHost(host: Journaled['host']): string {
  return host === undefined ? '' : ` on ${printable(host.name)}`;
}

export function whoText({ uid, user, sudoUser }: Who): string {
  return `uid ${uid} (${printable(user)})${sudoUser === null ? '' : `, by sudo from ${printable(sudoUser)}`}`;
}

/** The audit trail: who, when, what, the exact commands, their exit codes, and what proved them. */
export function historyToText(repairs: readonly Journaled[], paint: Paint = plain): string {
  if (repairs.length === 0) {
    return 'No repair was made yet.\n';
  }
  return `${repairs.map((repair) => historyEntry(repair, paint)).join('\n\n')}\n`;
}

function historyEntry(repair: Journaled, paint: Paint): string {
  const { at, run, who, host, summary, finding, deeds, takenUp, closed } = repair;
  const outcome = closed === undefined ? 'interrupted' : closed.as;
  const lines = [
    `${at}  ${paint('bold', outcome)}  ${printable(summary)}`,
    `    run ${run}${onHost(host)}, ${finding.id}, called for by ${whoText(who)}`,
    ...takenUp.map(
      (each) => `    ${each.at}  ${each.way === 'back' ? 'taken back' : 'gone on with'} by run ${each.by}, ${whoText(each.who)}`,
    ),
  ];
  for (const { at: begun, of, action, ended, proven, proof } of deeds) {
    const what = of === 'step' ? '' : of === 'undo' ? ' (taking back)' : ' (giving back)';
    const how =
      ended === undefined ? 'its end is not known' : `${ended.why === undefined ? `exit code ${ended.code}` : printable(ended.why)}`;
    lines.push(`    ${begun}  ${paint('cyan', actionText(action))}${what}: ${how}`);
    if (proven && proof.length > 0) {
      lines.push(`      proven: ${proof.map(claimText).join(', ')}`);
    }
  }
  if (closed?.why !== undefined) {
    lines.push(`    ${printable(closed.why)}`);
  }
  return lines.join('\n');
}
