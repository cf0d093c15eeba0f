/** Who is down although all volumes that he needs are active: their activation may have come too late for him. */
import type { Consumer } from '../../../src/facts/consumers/index.ts';
import type { Lvm, Volume } from '../../../src/facts/lvm/index.ts';
import { sameName } from '../../../src/names.ts';
import { isMissedMount, ourGroups } from '../data.ts';
import type { Needed } from '../needs.ts';

export interface Candidate {
  consumer: Consumer;
  /** All that he needs, base first. */
  volumes: readonly Volume[];
}

export function candidatesOf(lvm: Lvm, needed: Needed): Candidate[] {
  const missed = [...needed.byConsumer].filter(([consumer]) => isMissed(consumer));
  const groups = ourGroups(lvm);
  return missed
    .filter(([, volumes]) => volumes.every(({ isActive, isSuspended, group }) => isActive === true && !isSuspended && groups.has(group)))
    .filter(([consumer]) => !lacksMore(consumer, needed))
    .map(([consumer, volumes]) => ({ consumer, volumes }));
}

function isMissed(consumer: Consumer): boolean {
  const { kind, atBoot, isUp, starters = [] } = consumer;
  return isMissedMount(consumer) ? consumer.unit !== null : kind === 'guest' && atBoot && !isUp && starters.length > 0;
}

/** Something else that he needs is not there, or could not be told. */
function lacksMore(consumer: Consumer, { unresolved, unknownGroups, unjudged }: Needed): boolean {
  const others = [...unresolved, ...[...unknownGroups.values()].flat()];
  return (
    others.some((each) => each.consumer === consumer) ||
    unjudged.some(({ subject: { kind, name } }) => kind === consumer.kind && sameName(name, consumer.name))
  );
}
