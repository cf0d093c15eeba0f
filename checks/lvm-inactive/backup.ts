import type { Step, Word } from '../../src/check/types.ts';
import { pathIs } from '../../src/facts/look.ts';
import { groupWhole } from '../../src/facts/lvm/activation.ts';
import { groupUnlocked } from '../../src/facts/lvm/locks.ts';
import { NO_WAIT } from './data.ts';

/** A copy of a group's metadata, before a step writes them on account of `of` (`vg0`, `vg0/data`), after which it is called. */
export function keepMetadata(group: string, of: string): Step {
  // LVM's names have no @.
  const copy: Word = { join: [{ ref: 'rescue' }, '/', `${of.replace('/', '@')}.vgcfg`] };
  const isAbsent = pathIs({ path: copy, type: 'absent' });
  return {
    title: `Keep a copy of the metadata of ${group}`,
    why: 'LVM is about to write them. vgcfgrestore -f puts the copy back.',
    risk: 'safe',
    action: { kind: 'run', argv: ['vgcfgbackup', ...NO_WAIT, '-f', copy, '--', group] },
    guards: [groupWhole({ group }), groupUnlocked({ group }), isAbsent],
    proof: [pathIs({ path: copy, type: 'f' })],
    undo: { action: { kind: 'run', argv: ['rm', '--', copy] }, proof: [isAbsent] },
  };
}
