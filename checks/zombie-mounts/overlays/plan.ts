import type { Claim, Plan, Step } from '../../../src/check/types.ts';
import { nobodySeenHolding } from '../../../src/facts/holders.ts';
import { listKernelHolders } from '../../../src/facts/kernel-holders.ts';
import { emptyDirectory, pathIs } from '../../../src/facts/look.ts';
import { mayHang } from '../../../src/facts/mount-kinds.ts';
import { claimMount, claimPathOn, type Mount, optionList } from '../../../src/facts/mountinfo.ts';
import { mountAnswers } from '../../../src/facts/reach-conditions.ts';
import { type Name, shellLine, showName } from '../../../src/names.ts';
import type { ZombieFacts } from '../facts.ts';
import { type MountFinding, mountCommand, mountOfFinding, refuseHeld, refuseTakingAway, run, unmount } from '../steps.ts';
import type { OverlayFound } from './detect.ts';
import type { LayerState } from './facts.ts';

export function planOverlay(finding: MountFinding<OverlayFound>, facts: ZombieFacts): Plan {
  const mount = mountOfFinding(finding, facts);
  if ('refused' in mount) {
    return mount;
  }
  const { data, cause } = finding;
  const again = `then unmount it and mount it again: ${shellLine(['umount', '-c', mount.point])} && ${shellLine(mountCommand(mount))}`;
  if (cause !== undefined) {
    return { refused: `${showName(cause.name)} below it is at fault: repair that first; if this one still fails, ${again}` };
  }
  const layers = facts.overlays.get(mount.id) ?? [];
  const missing = layers.filter(({ state }) => state === 'missing').map(({ layer }) => layer);
  const precious = missing.filter(({ role }) => role !== 'workdir');
  if (precious.length > 0) {
    const list = precious.map(({ role, path }) => `${showName(path)} (${role})`).join(', ');
    return { refused: `no command brings the files of ${list} back: restore them from a backup, ${again}` };
  }
  if (missing.length === 0 && !layers.some(({ on }) => on !== undefined && mayHang(on))) {
    return {
      refused: `one of its layers was on a mount that is gone from ${data.lost.map(({ path }) => showName(path)).join(', ')}: mount that there first, ${again}`,
    };
  }
  // Escaped names lose their escapes on the way through mount(8); the files of a volatile overlay may be torn.
  const odd =
    optionList(mount.superOptions).find((option) => /\\|^volatile$|^\w+\+=/.test(option)) ??
    (mount.line.includes('\\') ? 'an odd name' : undefined);
  const inNamespaces = data.kernelHolders.filter(({ kind }) => kind === 'namespace' || kind === 'overlay');
  const refused =
    refuseTakingAway(mount, facts) ??
    refuseHeld(data) ??
    (inNamespaces.length > 0 ? { refused: `${listKernelHolders(inNamespaces)} would keep it alive: end that first` } : undefined) ??
    (data.alsoAt.length > 0
      ? { refused: `it is mounted at ${data.alsoAt.map(showName).join(', ')} too: unmount all of them, ${again}` }
      : undefined) ??
    (odd === undefined ? undefined : { refused: `its options (${odd}) cannot be given back safely by a machine: ${again}` });
  return refused ?? { steps: [...missing.map(({ path }) => makeWorkdir(mount, path, facts)), ...remount(mount, layers, facts)] };
}

/** Nothing is ever kept there between two mounts. */
function makeWorkdir(mount: Mount, path: Name, facts: ZombieFacts): Step {
  const place = claimPathOn(facts.table, path);
  return {
    title: `Make ${showName(path)} again`,
    why: 'An overlay needs its working directory to copy files up. It is empty between two mounts.',
    risk: 'safe',
    action: run('mkdir', '-m', '700', '--', path),
    guards: [claimMount(mount), place, pathIs({ path, type: 'absent' })],
    proof: [place, emptyDirectory({ path })],
    undo: { action: run('rmdir', '--', path), proof: [pathIs({ path, type: 'absent' })] },
  };
}

function remount(mount: Mount, layers: readonly LayerState[], facts: ZombieFacts): Step[] {
  const { point } = mount;
  const there: Claim[] = layers.flatMap(({ layer: { path } }) => [claimPathOn(facts.table, path), pathIs({ path, type: 'd' })]);
  const free = claimPathOn(facts.table, point, mount);
  return [
    unmount(
      mount,
      'disruptive',
      'An overlay keeps the directories with which it was mounted: only a new mount takes those that are there now.',
      [claimMount(mount), ...there, nobodySeenHolding({ point })],
      'it is mounted again by the next step',
    ),
    {
      title: `Mount the overlay at ${showName(point)} again`,
      why: 'With the layers and options it had.',
      risk: 'disruptive',
      action: run(...mountCommand(mount)),
      guards: [free, ...there],
      proof: [mountAnswers({ point })],
      patienceMs: 5000,
      undo: { action: run('umount', '-c', point), proof: [free] },
    },
  ];
}
