import { defineCheck } from '../../src/check/define.ts';
import type { Verdict } from '../../src/check/types.ts';
import { toByteString } from '../../src/names.ts';
import type { BootFound } from './data.ts';
import { needsWithFiles, planEdit } from './edits.ts';
import type { BootFacts } from './facts.ts';
import { parts } from './parts.ts';

export const check = defineCheck({
  meta: {
    id: 'boot-readiness',
    title: 'What will go wrong at the next boot',
    area: 'boot',
    scope: 'host',
    summary:
      'Lines of fstab and crypttab that will not do at the next boot what is so now: devices by names that move, sources that are gone, network disks that nobody waits for, two devices of one name, guests and services that start before their storage, mounts made by hand that others depend on.',
    references: ['fstab(5)', 'crypttab(5)', 'systemd.mount(5)', 'systemd-fstab-generator(8)', 'findmnt(8)'],
    codes: Object.assign({}, ...parts.map(({ codes }) => codes)) as Record<string, string>,
  },
  needs: needsWithFiles,
  detect,
  plan: planEdit,
});

function detect(facts: BootFacts): Verdict<BootFound> {
  const sought = parts.map((part) => part.seek(facts));
  const unjudged = new Map(
    sought
      .flatMap((each) => each.unjudged ?? [])
      .map((each) => [`${each.subject.kind}\0${toByteString(each.subject.name)}\0${each.subject.key ?? ''}\0${each.why}`, each]),
  );
  return {
    examined: sought.reduce((sum, { examined = 0 }) => sum + examined, 0),
    findings: sought.flatMap(({ findings }) => findings),
    unjudged: [...unjudged.values()],
  };
}
