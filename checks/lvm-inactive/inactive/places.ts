import type { Claim, Step } from '../../../src/check/types.ts';
import type { Consumer } from '../../../src/facts/consumers/index.ts';
import { ERRNO } from '../../../src/facts/errno.ts';
import { describeLooked, emptyDirectory, pathIs } from '../../../src/facts/look.ts';
import { claimPathOn, topAt } from '../../../src/facts/mountinfo.ts';
import { unitIs } from '../../../src/facts/units.ts';
import { showName, toByteString } from '../../../src/names.ts';
import { mountWanted } from '../../../src/steps/mounting.ts';
import type { LvmFacts } from '../facts.ts';

/** Mounts it, once its volume is there; or why that is left to a person, as a clause. */
export function missedMount(consumer: Consumer, guards: Claim[], { places: looked, table }: LvmFacts): Step | string {
  const { name, needs, unit, needsReload } = consumer;
  const place = looked.get(toByteString(name));
  const source = needs.at(-1);
  if (source === undefined || place === undefined) {
    return topAt(table, name)?.fstype === 'autofs'
      ? 'its automount waits there: the next access mounts it'
      : 'what lies at its place was not looked at';
  }
  const isAbsent = place.state === 'errno' && place.errno === ERRNO.ENOENT && unit !== null;
  if (!isAbsent && !(place.state === 'found' && place.type === 'd')) {
    return `no empty directory lies there: ${describeLooked(place)}`;
  }
  if (place.state === 'found' && !place.empty) {
    return `${showName(name)} is not empty, and the mount would hide what lies there`;
  }
  if (needsReload) {
    return 'systemd has not read its configuration since it was changed: systemctl daemon-reload comes first';
  }
  const step = mountWanted(
    { target: name, source, line: undefined, unit: unit === null ? undefined : { id: unit } },
    'start',
    claimPathOn(table, name),
    [
      ...guards,
      isAbsent ? pathIs({ path: name, type: 'absent' }) : emptyDirectory({ path: name }),
      ...(unit === null ? [] : [unitIs({ unit, states: ['inactive', 'failed'], fresh: true })]),
    ],
  );
  return { ...step, risk: 'disruptive' };
}
