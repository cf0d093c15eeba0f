import type { Claim, Step } from '../check/types.ts';
import { mountAnswers } from '../facts/reach-conditions.ts';
import { unitIs } from '../facts/units.ts';
import { type Name, showName } from '../names.ts';

/** A mount that /etc/fstab or a unit of systemd wants. */
interface WantedMount {
  target: Name;
  source: Name;
  /** Of /etc/fstab: the target as it is written there. */
  line: { target: Name } | undefined;
  unit: { id: string } | undefined;
}

/**
 * Mounts what is configured, at its place, which `free` says is free. By its unit of systemd, where there is one: a restart
 * takes along whoever requires it, a mere start nobody.
 */
export function mountWanted({ target, source, line, unit }: WantedMount, how: 'start' | 'restart', free: Claim, guards: Claim[]): Step {
  const restarts = unit !== undefined && how === 'restart';
  return {
    title: `Mount ${showName(source)} at ${showName(target)}`,
    why: `As it is configured. Nothing is mounted there, and nothing lies there that it would hide.${restarts ? ' Services that require it are restarted.' : ''}`,
    risk: restarts ? 'disruptive' : 'safe',
    action: run(...(unit === undefined ? ['mount', line?.target ?? target] : ['systemctl', how, unit.id])),
    guards: [free, ...guards],
    proof: [mountAnswers({ point: target }), ...(unit === undefined ? [] : [unitIs({ unit: unit.id, states: ['active'] })])],
    patienceMs: 5000,
    limitMs: 180_000,
    undo: { action: run('umount', '-c', target), proof: [free] },
  };
}

export function run(...argv: Name[]) {
  return { kind: 'run' as const, argv };
}
