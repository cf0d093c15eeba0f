import type { Claim, Finding, Plan, Step } from '../../../src/check/types.ts';
import type { Consumer } from '../../../src/facts/consumers/index.ts';
import {
  autoactivation,
  groupWhole,
  mayBeActivated,
  refusesActivation,
  refusesWriting,
  volumeActive,
  volumeInactive,
} from '../../../src/facts/lvm/activation.ts';
import type { Volume } from '../../../src/facts/lvm/index.ts';
import { describeLock, groupUnlocked } from '../../../src/facts/lvm/locks.ts';
import { shellLine, showName } from '../../../src/names.ts';
import { run } from '../../../src/steps/mounting.ts';
import { keepMetadata } from '../backup.ts';
import { consumersOf, describeConsumers, isMissedMount, NO_WAIT, ourGroups, refuseWithoutRights } from '../data.ts';
import type { LvmFacts } from '../facts.ts';
import { type CauseCode, causesOf } from './causes.ts';
import type { GroupOffFound, InactiveData, InactiveFound } from './detect.ts';
import { missedMount } from './places.ts';

export function planInactive(finding: Finding<InactiveFound>, facts: LvmFacts): Plan {
  const { data, code } = finding;
  const volume = facts.needed.volumes.get(data.uuid);
  if (volume === undefined) {
    return { refused: 'nobody needs the volume any more' };
  }
  return refuseWithoutRights(facts) ?? (code === 'volume-inactive' ? planActivation(volume, data, facts) : planBoot(volume, data, facts));
}

function planActivation(volume: Volume, data: InactiveData, facts: LvmFacts): Plan {
  const { fullName, group } = volume;
  const refused = refuseDown(volume, data);
  const stands = refusesActivation(facts.lvm, volume);
  if (refused !== undefined || stands !== undefined) {
    return { refused: refused ?? `${stands}: that comes first` };
  }
  const lock = facts.locks.held.get(group);
  if (lock !== undefined) {
    return { refused: `${describeLock(lock)}, and LVM would have to wait for it: run stdoctor fix again when it has ended` };
  }
  const active = volumeActive(nameOf(volume));
  const mounts = consumersOf(volume, facts)
    .filter((consumer) => isMissedMount(consumer) && lastOf(consumer, facts) === volume)
    .map((consumer) => ({ consumer, step: missedMount(consumer, activeClaims(consumer, facts), facts) }));
  const later = consumersOf(volume, facts).filter((consumer) => !consumer.isUp && !mounts.some((each) => each.consumer === consumer));
  const byHand = [
    ...mounts.flatMap(({ consumer, step }) =>
      typeof step === 'string' ? [`${describeConsumers([consumer])} is left to you (${step})`] : [],
    ),
    ...listsOf(data.causes, volume),
    ...(later.length > 0 ? [`start ${describeConsumers(later)} once all that they need is there`] : []),
  ];
  const withFlags = refusesWriting(facts.lvm, group) === undefined;
  if (!withFlags && data.causes.includes('autoactivation-volume')) {
    byHand.push(`once ${group} has all its disks, let it come up at boot: ${shellLine(flagCommand(volume))}`);
  }
  return {
    steps: [
      {
        title: `Activate ${fullName}`,
        why: `It is needed: ${data.consumer}. LVM makes its node, and nothing is written to it. No lock is waited for.`,
        risk: 'safe',
        action: run('lvchange', ...NO_WAIT, '-ay', '--', fullName),
        guards: [mayBeActivated(nameOf(volume)), groupUnlocked({ group })],
        proof: [active],
        patienceMs: 10_000,
        limitMs: 120_000,
        // lvchange itself refuses while somebody has it open.
        undo: { action: run('lvchange', ...NO_WAIT, '-an', '--', fullName), proof: [volumeInactive(nameOf(volume))] },
      },
      ...(withFlags ? flagSteps(volume, data.causes) : []),
      ...mounts.flatMap(({ step }) => (typeof step === 'string' ? [] : [step])),
    ],
    ...(byHand.length > 0 && { remains: `${byHand.join('. ')}.` }),
  };
}

/** What is no activation's business. */
function refuseDown({ fullName, group }: Volume, { causes }: InactiveData): string | undefined {
  if (causes.includes('disk-hidden')) {
    return `LVM does not look at the disk: look at ${shellLine(['lvm', 'lvmdevices', '--check'])} and at global_filter in lvm.conf, then add it with ${shellLine(['lvm', 'lvmdevices', '--adddev'])} NODE`;
  }
  if (causes.includes('disk-missing')) {
    return `bring its disk back: LVM activates it then. Never without need: ${shellLine(['lvchange', '-ay', '--activationmode', 'partial', '--', fullName])} shows holes instead of data, and what is cached on the missing disk is lost`;
  }
  if (causes.includes('disk-duplicate')) {
    return `LVM activates nothing in ${group} while a disk of it is there twice: hide the copy first, with a filter or the devices file, or give it a name of its own with vgimportclone`;
  }
  if (causes.includes('skip-flag')) {
    return `somebody flagged it so that it is not activated. If it is meant to be: ${shellLine(['lvchange', '-ay', '-K', '--', fullName])}, and for good ${shellLine(['lvchange', '--setactivationskip', 'n', '--', fullName])}`;
  }
  return causes.includes('volume-list')
    ? `volume_list in lvm.conf forbids it, and LVM says nothing then: add "${fullName}" there first, and in the initramfs`
    : undefined;
}

/** Of those that are down, the one that is repaired last: it brings the mount. What another fault brought about comes later. */
function lastOf(consumer: Consumer, facts: LvmFacts): Volume | undefined {
  const down = volumesOf(consumer, facts).filter(({ isActive }) => isActive === false);
  if (down.length < 2) {
    return down[0];
  }
  const groups = ourGroups(facts.lvm);
  const isCaused = (volume: Volume) => {
    const group = groups.get(volume.group);
    return group !== undefined && causesOf(volume, group, facts)[0]?.subject !== undefined;
  };
  return down.findLast(isCaused) ?? down.at(-1);
}

/** Base first. */
function volumesOf(consumer: Consumer, { needed }: LvmFacts): readonly Volume[] {
  return needed.byConsumer.get(consumer) ?? [];
}

function activeClaims(consumer: Consumer, facts: LvmFacts): Claim[] {
  return volumesOf(consumer, facts).map((volume) => volumeActive(nameOf(volume)));
}

export function planGroup({ data }: Finding<GroupOffFound>, facts: LvmFacts): Plan {
  const { group } = data;
  const stands = refusesWriting(facts.lvm, group);
  if (stands !== undefined) {
    return { refused: `the metadata of ${group} must not be written now: ${stands}` };
  }
  const why = 'All its volumes come up then whose own flag lets them.';
  return refuseWithoutRights(facts) ?? { steps: turnOn(['vgchange', ...NO_WAIT, '--setautoactivation', 'y', '--', group], group, why) };
}

function planBoot(volume: Volume, { causes }: InactiveData, facts: LvmFacts): Plan {
  const remains = listsOf(causes, volume);
  const steps = flagSteps(volume, causes);
  if (steps.length === 0) {
    return { refused: remains[0] ?? 'it is flagged to be skipped: lvchange --setactivationskip n' };
  }
  const stands = refusesWriting(facts.lvm, volume.group);
  if (stands !== undefined) {
    return { refused: `the metadata of ${volume.group} must not be written now: ${stands}` };
  }
  return { steps, ...(remains.length > 0 && { remains: `${remains.join('. ')}.` }) };
}

/** Settings in files, which only a person changes. */
function listsOf(causes: readonly CauseCode[], { fullName }: Volume): string[] {
  const words: Partial<Record<CauseCode, string>> = {
    'autoactivation-list': `add "${fullName}" to auto_activation_volume_list in lvm.conf, and make the initramfs anew`,
    'volume-list': `add "${fullName}" to volume_list in lvm.conf, and make the initramfs anew`,
    'event-activation': 'set event_activation to 1 in lvm.conf, or have vgchange -aay run at boot',
    'skip-flag': `if it is meant to come up at boot: ${shellLine(['lvchange', '--setactivationskip', 'n', '--', fullName])}`,
  };
  return causes.flatMap((code) => words[code] ?? []);
}

function flagCommand({ fullName }: Volume): string[] {
  return ['lvchange', ...NO_WAIT, '--setautoactivation', 'y', '--', fullName];
}

function flagSteps(volume: Volume, causes: readonly CauseCode[]): Step[] {
  return causes.includes('autoactivation-volume') ? turnOn(flagCommand(volume), volume.group, '') : [];
}

/** One write of metadata while a disk is away would brand that disk missing when it returns. */
function turnOn(argv: string[], group: string, more: string): Step[] {
  const of = argv.at(-1) as string;
  const isOff = autoactivation({ of, on: false });
  return [
    keepMetadata(group, of),
    {
      title: `Let ${showName(of)} come up at boot`,
      why: ["Its autoactivation is off: the next boot would leave it inactive. Writes LVM's metadata.", more].filter(Boolean).join(' '),
      risk: 'safe',
      action: run(...argv),
      guards: [groupWhole({ group }), groupUnlocked({ group }), isOff],
      proof: [autoactivation({ of, on: true })],
      limitMs: 120_000,
      undo: { action: run(...argv.map((word) => (word === 'y' ? 'n' : word))), proof: [isOff] },
    },
  ];
}

function nameOf({ fullName, uuid }: Volume) {
  return { volume: fullName, uuid };
}
