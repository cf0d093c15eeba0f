import type { Finding, Plan, Step } from '../../../src/check/types.ts';
import { volumeActive } from '../../../src/facts/lvm/activation.ts';
import { type Name, shellLine, showName } from '../../../src/names.ts';
import { describeConsumers, refuseWithoutRights } from '../data.ts';
import type { LvmFacts } from '../facts.ts';
import { missedMount } from '../inactive/places.ts';
import { judgeLate, type Late, type LateFound } from './detect.ts';
import { deviceUnit } from './facts.ts';

/** A mount is started; a guest is its administrator's to start. What would help at the next boot is printed, and not written. */
export function planLate({ data }: Finding<LateFound>, facts: LvmFacts): Plan {
  const late = judgeLate(facts).late.filter((each) => each.late.at(-1)?.uuid === data.uuid);
  const mounts = late.filter(({ consumer }) => consumer.kind === 'mount').map((each) => ({ each, step: mountStep(each, facts) }));
  const guests = late.filter(({ consumer }) => consumer.kind === 'guest');
  const byHand = [
    ...mounts.flatMap(({ each, step }) =>
      typeof step === 'string' ? [`${describeConsumers([each.consumer])} is left to you (${step})`] : [],
    ),
    ...guests.map(({ consumer }) => `start ${describeConsumers([consumer])}: ${startCommand(consumer.name)}`),
    ...(guests.length > 0 ? [nextBoot(guests)] : []),
  ];
  const steps = mounts.flatMap(({ step }) => (typeof step === 'string' ? [] : [step]));
  if (steps.length === 0) {
    return { refused: byHand.length > 0 ? byHand.join('. ') : 'nobody waits for it any more' };
  }
  return refuseWithoutRights(facts) ?? { steps, ...(byHand.length > 0 && { remains: `${byHand.join('. ')}.` }) };
}

function mountStep({ consumer, volumes }: Late, facts: LvmFacts): Step | string {
  const guards = volumes.map(({ fullName, uuid }) => volumeActive({ volume: fullName, uuid }));
  const step = missedMount(consumer, guards, facts);
  const longer = 'Where its disk is as late again, the next boot misses it again: a longer x-systemd.device-timeout= in /etc/fstab waits.';
  return typeof step === 'string' ? step : { ...step, why: `${step.why} ${longer}` };
}

/** virsh takes what begins with a dash for an option. */
function startCommand(name: Name): string {
  return shellLine(['virsh', 'start', ...(showName(name).startsWith('-') ? ['--domain'] : []), name]);
}

/** `After=` alone orders nothing: the transient unit that activates a group is in no transaction. The device has to be wanted. */
function nextBoot(guests: readonly Late[]): string {
  const [unit] = guests.map(({ starter }) => starter);
  const devices = [...new Set(guests.flatMap(({ late }) => late.map(deviceUnit)))].join(' ');
  return `For the next boot, ${shellLine(['systemctl', 'edit', unit as string])} with the lines [Unit] / Wants=${devices} / After=${devices}: it waits for them then, 90 s at most`;
}
