import type { Claim, Finding, Plan, Step } from '../../../src/check/types.ts';
import { ERRNO } from '../../../src/facts/errno.ts';
import { describeLooked, emptyDirectory, nodeIs, pathIs } from '../../../src/facts/look.ts';
import { claimPathOn } from '../../../src/facts/mountinfo.ts';
import { type Unit, unitIs, unitName } from '../../../src/facts/units.ts';
import { type Name, sameName, shellLine, showName } from '../../../src/names.ts';
import { mountWanted, run } from '../../../src/steps/mounting.ts';
import type { ZombieFacts } from '../facts.ts';
import { type Refusal, refuseWithoutRights } from '../steps.ts';
import type { ConfiguredFound } from './detect.ts';
import type { Missing } from './facts.ts';

export function planConfigured(finding: Finding<ConfiguredFound>, facts: ZombieFacts): Plan {
  const { code, data } = finding;
  const { target, source, elsewhere, unit } = data;
  if (code === 'automount-target-gone') {
    return { refused: `nothing is to be done here: once ${showName(source)} is there again, the next access mounts it by itself` };
  }
  if (code === 'moved' && elsewhere !== null) {
    const back = `${shellLine(['umount', '-c', elsewhere])} && ${byHand(unit, target)}`;
    return { refused: `it may have been moved on purpose. By hand, once nobody uses ${showName(elsewhere)}: ${back}` };
  }
  if (finding.subject.kind === 'swap') {
    const start = unit === null ? ['swapon', source] : ['systemctl', 'start', unit];
    return { refused: `what swaps is left to a person. Once ${showName(source)} is there: ${shellLine(start)}` };
  }
  const missing = facts.configured.missing.find((each) => sameName(each.target, target));
  if (missing === undefined) {
    return { refused: `look why with systemctl status ${unit}; ${shellLine(['systemctl', 'reset-failed', unit ?? ''])} forgets it` };
  }
  return refuseWithoutRights(facts) ?? planMount(missing, facts);
}

/** The command that mounts it, for people. */
function byHand(unit: string | null, target: Name): string {
  return shellLine(unit === null ? ['mount', target] : ['systemctl', 'start', unit]);
}

function planMount(missing: Missing, facts: ZombieFacts): Plan {
  const { target, source, unit, device, sourceBehind } = missing;
  const command = byHand(unit?.id ?? null, missing.line?.target ?? target);
  if (device?.state === 'missing') {
    return { refused: `${showName(source)} is not there: bring the device back, then ${command}` };
  }
  if (device?.state === 'unknown') {
    return { refused: `whether ${showName(source)} is there could not be told (${device.why}). By hand: ${command}` };
  }
  if (sourceBehind !== undefined) {
    return { refused: `the way to ${showName(source)} leads through ${sourceBehind}, which waits or does not answer. By hand: ${command}` };
  }
  const place = freePlace(missing, command);
  if ('refused' in place) {
    return place;
  }
  const service = refuseUnit(missing, facts);
  if (service !== undefined) {
    return service;
  }
  const guards = [
    ...place.guards,
    ...(device?.state === 'there' ? [nodeIs({ node: device.path, device: device.device })] : []),
    ...(unit === undefined ? [] : [unitIs({ unit: unit.id, states: ['inactive'] })]),
  ];
  const mount = mountWanted(missing, 'start', claimPathOn(facts.table, target), guards);
  return { steps: [...(unit?.activeState === 'failed' ? [forgetFailure(unit)] : []), mount] };
}

function forgetFailure({ id, result }: Unit): Step {
  return {
    title: `Let systemd forget that ${id} failed`,
    why: `It failed with ${result}. After too many tries systemd starts it no more until that is forgotten; its log stays.`,
    risk: 'safe',
    action: run('systemctl', 'reset-failed', id),
    guards: [unitIs({ unit: id, states: ['failed'] })],
    proof: [unitIs({ unit: id, states: ['inactive'] })],
    undo: { none: 'a mark of failure is worth nothing' },
  };
}

/** Where it can be mounted without hiding anything. */
function freePlace({ target, place, unit }: Missing, command: string): { guards: Claim[] } | Refusal {
  const path = showName(target);
  if (place.state === 'found' && place.type === 'd') {
    return place.empty
      ? { guards: [emptyDirectory({ path: target })] }
      : { refused: `${path} is not empty, and the mount would hide what lies there: look at it, move it away, then ${command}` };
  }
  if (place.state === 'errno' && place.errno === ERRNO.ENOENT) {
    // systemd makes the directory.
    return unit === undefined
      ? { refused: `there is no directory ${path}: ${shellLine(['mkdir', '-p', '--', target])} && ${command}` }
      : { guards: [pathIs({ path: target, type: 'absent' })] };
  }
  const found = place.state === 'not-looked' ? place.why : describeLooked(place);
  return { refused: `${path} is no empty directory (${found}). By hand: ${command}` };
}

/** What stands against doing it by systemd, or without. */
function refuseUnit({ target, unit, line, byAutomount }: Missing, { configured }: ZombieFacts): Refusal | undefined {
  const { units } = configured;
  const name = unitName(target, byAutomount ? 'automount' : 'mount');
  if (units.state === 'unknown') {
    return {
      refused: `${units.why}, and a mount behind its back may be undone by it. By hand: ${shellLine(['mount', line?.target ?? target])}`,
    };
  }
  const reload = `systemctl daemon-reload && ${shellLine(['systemctl', 'start', name])}`;
  if (units.state === 'known' && (unit === undefined || unit.needsReload)) {
    return { refused: `systemd has not read the configuration since it was changed. By hand: ${reload}` };
  }
  if (units.state === 'known' && byAutomount) {
    return { refused: `its automount is not active. By hand: ${shellLine(['systemctl', 'start', name])}` };
  }
  if (unit !== undefined && unit.loadState !== 'loaded') {
    return { refused: `systemd cannot use ${unit.id} (${unit.loadState}): see systemctl status ${unit.id}` };
  }
  return undefined;
}
