import type { Finding, Plan } from '../../../src/check/types.ts';
import { shellLine } from '../../../src/names.ts';
import type { Part } from '../data.ts';
import { describeProcess, type ForeignFound, seekForeigners } from './detect.ts';

export const namespaces: Part = {
  codes: {
    'foreign-ns-holder': '{subject}: {source} is still mounted in another mount namespace, and stays busy',
  },
  many: {
    'foreign-ns-holder': 'are mounted only in other mount namespaces',
  },
  seek: seekForeigners,
  plan: (finding) => planForeign(finding as unknown as Finding<ForeignFound>),
};

/** It may be mounted there on purpose, and whoever lives there would work on the bare directory: no repair for a machine to choose. */
function planForeign({ data, subject }: Finding<ForeignFound>): Plan {
  const units = [...new Set(data.processes.flatMap(({ unit }) => (unit?.endsWith('.service') ? [unit] : [])))];
  const restart =
    units.length > 0 ? shellLine(['systemctl', 'restart', ...units]) : `restart ${data.processes.map(describeProcess).join(', ')}`;
  const leave = data.processes.map(({ pid }) => shellLine(['nsenter', '-t', String(pid), '-m', '--', 'umount', '-c', subject.name]));
  return { refused: `whether they need it there is for you to say: ${restart}, or unmount it for them alone: ${leave.join('; ')}` };
}
