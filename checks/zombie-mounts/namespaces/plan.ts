import type { Claim, Finding, Plan, Step } from '../../../src/check/types.ts';
import { runsIn } from '../../../src/facts/cgroups.ts';
import { listHolders } from '../../../src/facts/holders.ts';
import type { Mount } from '../../../src/facts/mountinfo.ts';
import { seesMounts, seesNoMounts } from '../../../src/facts/seen-elsewhere.ts';
import { unitIs } from '../../../src/facts/units.ts';
import { shellLine, showName } from '../../../src/names.ts';
import type { ZombieFacts } from '../facts.ts';
import { type Refusal, refuseWithoutRights, run } from '../steps.ts';
import { describeProcess, type ForeignFound } from './detect.ts';
import { type Foreign, keyOf } from './facts.ts';
import { inService, type Place } from './places.ts';

/** A namespace, with what is to go from it, the newest first. */
interface Old {
  process: Foreign['process'];
  mounts: Mount[];
  place: Place;
}

/**
 * Only where the same source is mounted here anew: what is mounted elsewhere alone may be so on purpose, and whoever lives
 * there would work on the bare directory.
 */
export function planForeign({ data, subject }: Finding<ForeignFound>, facts: ZombieFacts): Plan {
  const services = [...new Set(data.processes.flatMap(({ unit }) => (unit?.endsWith('.service') ? [unit] : [])))];
  const restart = services.length > 0 ? shellLine(['systemctl', 'restart', ...services]) : restarting(data.processes);
  const leave = data.processes.map(({ pid }) => shellLine(leaveCommand(pid, subject.name))).join('; ');
  const byHand = `${restart}, or unmount it for them alone: ${leave}`;
  if (!data.replaced) {
    return { refused: `whether they need it there is for you to say: ${byHand}` };
  }
  const old = refuseWithoutRights(facts) ?? placesOf(data, facts);
  if ('refused' in old) {
    return { refused: `${old.refused}. By hand: ${byHand}` };
  }
  const withService = facts.configured.units.state === 'known' ? old.filter(({ place }) => inService(place) !== undefined) : [];
  const others = old.filter((each) => !withService.includes(each));
  const stuck = others.map(refuseLeaving).find((why) => why !== undefined);
  if (stuck !== undefined) {
    return { refused: `${stuck}. By hand, with them stopped: ${byHand}` };
  }
  return {
    steps: [
      ...[...Map.groupBy(withService, ({ place }) => inService(place) as string)].map(([unit, places]) => restartStep(unit, places)),
      ...others.flatMap((each) => each.mounts.map((mount) => leaveStep(mount, each))),
    ],
  };
}

function restarting(processes: readonly Foreign['process'][]): string {
  return `restart ${processes.map(describeProcess).join(', ')}`;
}

function leaveCommand(pid: number, point: Mount['point']) {
  return ['nsenter', '-t', String(pid), '-m', '--', 'umount', '-c', point];
}

function placesOf(data: ForeignFound['data'], { foreigners, foreignPlaces }: ZombieFacts): Old[] | Refusal {
  const found = foreigners === undefined || 'unknown' in foreigners ? [] : foreigners.mounts;
  const group = found.filter((foreign) => keyOf(foreign.mount) === keyOf(data));
  const old: Old[] = [];
  for (const process of data.processes) {
    const place = foreignPlaces.get(process.pid);
    const mounts = group.filter((foreign) => foreign.process.pid === process.pid).map(({ mount }) => mount);
    if (place === undefined || mounts.length === 0) {
      return { refused: `who lives in the mount namespace of ${describeProcess(process)} could not be told` };
    }
    if (place.residents.some(({ pid }) => pid === 1)) {
      return { refused: 'it is the mount namespace of the whole machine, and this is another one: look from there' };
    }
    old.push({ process, mounts: mounts.toReversed(), place });
  }
  return old;
}

/** An unmount there says busy by itself. It is not tried where that is known, or where the path leads to another mount. */
function refuseLeaving({ process, mounts, place }: Old): string | undefined {
  const who = describeProcess(process);
  if (place.holders.length > 0) {
    return `${listHolders(place.holders)} would keep it busy`;
  }
  const above = place.mounts.find((mount) => mounts.some(({ id }) => mount.parent === id) && !mounts.some(({ id }) => id === mount.id));
  if (above !== undefined) {
    return `${showName(above.point)} lies on it in the namespace of ${who}`;
  }
  return mounts.every(({ id }) => place.visible.has(id)) ? undefined : `another mount lies over it in the namespace of ${who}`;
}

function restartStep(unit: string, places: readonly Old[]): Step {
  const all = places.flatMap(({ mounts }) => mounts);
  const points = [...new Set(all.map(({ point }) => showName(point)))].join(', ');
  return {
    title: `Restart ${unit}`,
    why: `Its processes work on the old mount at ${points}. Started anew, they get the mounts that are here now.`,
    risk: 'disruptive',
    action: run('systemctl', 'restart', unit),
    guards: [
      unitIs({ unit, states: ['active'] }),
      ...places.map((each) => runsIn({ pid: each.process.pid, service: unit })),
      ...places.map((each) => stillSees(each, each.mounts)),
    ],
    proof: [
      unitIs({ unit, states: ['active'] }),
      ...places.map(({ mounts, place }) => seesNoMounts({ processes: place.residents.map(identity), mounts: mounts.map(told) })),
    ],
    patienceMs: 10_000,
    limitMs: 300_000,
    undo: { none: 'a restart cannot be taken back' },
  };
}

function leaveStep(mount: Mount, old: Old): Step {
  const { process, place } = old;
  return {
    title: `Unmount the old ${showName(mount.point)} for ${describeProcess(process)} and all in that namespace`,
    why: 'Nobody there is seen holding it; where somebody does, umount says so and changes nothing. They see the bare directory then: mount it anew for them, or restart them.',
    risk: 'disruptive',
    action: run(...leaveCommand(process.pid, mount.point)),
    guards: [stillSees(old, [mount])],
    proof: [seesNoMounts({ processes: place.residents.map(identity), mounts: [told(mount)] })],
    limitMs: 60_000,
    undo: { none: 'the old one is mounted nowhere else' },
  };
}

/** Through the process that stands for the namespace. */
function stillSees({ process: { pid }, place }: Old, mounts: readonly Mount[]): Claim {
  const startTime = place.residents.find((resident) => resident.pid === pid)?.startTime ?? '';
  return seesMounts({ process: { pid, startTime }, mounts: mounts.map(told) });
}

function told({ id, device, point }: Mount) {
  return { id, device, point };
}

function identity({ pid, startTime }: Place['residents'][number]) {
  return { pid, startTime };
}
