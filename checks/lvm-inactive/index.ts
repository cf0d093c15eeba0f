import { defineCheck } from '../../src/check/define.ts';
import type { Verdict } from '../../src/check/types.ts';
import { notOurs } from '../../src/facts/lvm/activation.ts';
import { type LvmFound, subjectOfGroup } from './data.ts';
import { type LvmFacts, needs } from './facts.ts';
import { partOf, parts } from './parts.ts';

export const check = defineCheck({
  meta: {
    id: 'lvm-inactive',
    title: 'LVM volumes that did not come up, and LVM in trouble',
    area: 'lvm',
    scope: 'host',
    summary:
      'Logical volumes that are not active although a mount, swap or guest needs them, and why; groups that lack disks or have one twice; thin pools, snapshots, raid and caches in trouble; volumes that are suspended.',
    references: ['lvs(8)', 'lvmautoactivation(7)', 'lvmthin(7)', 'lvmraid(7)', 'lvmdevices(8)', 'lvm.conf(5)'],
    codes: Object.assign({}, ...parts.map(({ codes }) => codes)) as Record<string, string>,
  },
  needs,
  detect,
  plan: (finding, facts) => partOf(finding.code)?.plan(finding, facts) ?? { refused: 'there is no repair for it' },
});

function detect(facts: LvmFacts): Verdict<LvmFound> {
  const sought = parts.map((part) => part.seek(facts));
  return {
    examined: sought.reduce((sum, { examined = 0 }) => sum + examined, 0),
    findings: sought.flatMap(({ findings }) => findings),
    unjudged: [
      ...facts.lvm.lacks.map((why) => ({ subject: { kind: 'volume-group', name: 'all' }, why: `LVM may not have told of all: ${why}` })),
      ...sought.flatMap(({ unjudged = [] }) => unjudged),
    ],
    notes: notesOf(facts),
  };
}

/** Whose groups are not this host's to judge. */
function notesOf({ lvm, ownSystemId }: LvmFacts) {
  return lvm.groups.flatMap((group) => {
    const why = notOurs(group, lvm.volumes);
    const own =
      group.systemId === '' || ownSystemId === undefined
        ? ''
        : ` (this host ${ownSystemId === '' ? 'has no name for LVM' : `is ${ownSystemId}`})`;
    return why === undefined ? [] : [{ subject: subjectOfGroup(group.name), text: `not judged: ${why}${own}` }];
  });
}
