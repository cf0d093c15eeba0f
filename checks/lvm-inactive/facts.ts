/** What this check needs to know. */
import { defineFact, NotHere, outputOf, run, Unknown, whyNot } from '../../src/check/asking.ts';
import type { Asking, Facts } from '../../src/check/types.ts';
import { type LostMappings, lostMappings } from '../../src/facts/block-devices.ts';
import { consumers } from '../../src/facts/consumers/index.ts';
import { namedDevices } from '../../src/facts/device-names.ts';
import { type Looked, lookAt } from '../../src/facts/look.ts';
import { bootActivation, lvmConfig, systemId } from '../../src/facts/lvm/config.ts';
import { type Lvm, lvmIfHere } from '../../src/facts/lvm/index.ts';
import { type Layers, layers, lockedLuks, type SickArray, sickArrays } from '../../src/facts/lvm/layers.ts';
import { groupLocks } from '../../src/facts/lvm/locks.ts';
import { mayHang } from '../../src/facts/mount-kinds.ts';
import { mountTable } from '../../src/facts/mountinfo.ts';
import { self } from '../../src/facts/process.ts';
import { heldMappings } from '../../src/facts/suspended.ts';
import { fromByteString, isBelow, sameName, toByteString } from '../../src/names.ts';
import { isMissedMount } from './data.ts';
import { candidatesOf } from './late/candidates.ts';
import { bootOrder, disksOf } from './late/facts.ts';
import { type Needed, namedOtherwise, neededVolumes, ownNames } from './needs.ts';

const LIMIT = 2000;
const MEMBER = 'LVM2_member';
/** What may hide LVM's label from LVM: it shows once the layer is up. */
const HIDES = new Set(['crypto_LUKS', 'linux_raid_member']);

/** Everything LVM tells; `NotHere` where no disk could belong to it. */
const lvm = defineFact('lvm-inactive.lvm', function* (): Asking<Lvm> {
  const below = yield* layers();
  const signatures = below.devices.map(({ signature }) => signature);
  const isBare = below.why === undefined && !signatures.some((each) => each === MEMBER || HIDES.has(each));
  if (isBare && !(yield* wasInUse())) {
    throw new NotHere('no disk carries the label of LVM, or a layer that could hide one');
  }
  const known = yield* lvmIfHere();
  if (known !== undefined) {
    const isHidden = lockedLuks(below).length > 0 || signatures.includes('linux_raid_member');
    const isEmpty = known.groups.length + known.disks.length === 0 && below.why === undefined;
    if (isEmpty && !signatures.includes(MEMBER) && !isHidden && !(yield* wasInUse())) {
      throw new NotHere('LVM knows no disk, no group and no volume');
    }
    return known;
  }
  if (below.why !== undefined) {
    throw new Unknown(`LVM's tools are not here, and whether disks carry its label could not be told: ${below.why}`);
  }
  const members = below.devices.filter(({ signature }) => signature === MEMBER).map(({ node }) => node);
  if (members.length === 0) {
    throw new NotHere("LVM's tools are not here, and no disk carries its label");
  }
  throw new Unknown(`${members.join(', ')} carry the label of LVM, and its tools are not here`);
});

/** LVM keeps a copy of what it last wrote of each group: the disks of all of them may be gone. */
const wasInUse = defineFact('lvm-inactive.was-in-use', function* (): Asking<boolean> {
  const answer = yield* run(['find', '/etc/lvm/backup', '-mindepth', '1', '-type', 'f', '-printf', '%f\\n']);
  // Without root it is closed; that no disk carries a label has to be enough then.
  if (answer.state !== 'ok') {
    throw new Unknown(`whether LVM was in use here: ${whyNot(answer)}`);
  }
  return outputOf(answer) !== '';
});

const arrays = defineFact('lvm-inactive.arrays', function* (): Asking<{ arrays: SickArray[]; why?: string }> {
  yield* lvm();
  const below = yield* layers();
  const isAssembled = below.devices.some(({ type }) => /^raid/.test(type));
  if (below.why === undefined && !isAssembled && !below.devices.some(({ signature }) => signature === 'linux_raid_member')) {
    return { arrays: [] };
  }
  const found = yield* sickArrays();
  return found ?? { arrays: [], ...(isAssembled && { why: '/proc/mdstat is not there, and md arrays are' }) };
});

/** Who needs which volume. */
const needed = defineFact('lvm-inactive.needed', function* (): Asking<Needed> {
  const known = yield* lvm();
  const wanted = yield* consumers();
  const own = ownNames(wanted.consumers, known);
  const others = namedOtherwise(wanted.consumers, own);
  const named = others.length === 0 ? new Map() : yield* namedDevices(others.map(fromByteString));
  return neededVolumes(wanted, known, own, named, yield* layers());
});

/**
 * What lies where a volume kept something from being mounted. By mount point, one character a byte. Not where an automount
 * waits, which the look would wake, nor behind what may hang.
 */
const places = defineFact('lvm-inactive.places', function* (): Asking<ReadonlyMap<string, Looked>> {
  const { byVolume } = yield* needed();
  const missed = [...byVolume.values()].flat().filter(isMissedMount);
  const closed = missed.length === 0 ? [] : (yield* mountTable()).mounts.filter(mayHang);
  const points = new Map(missed.map(({ name }) => [toByteString(name), name]));
  const free = [...points.values()].filter((name) => !closed.some(({ point }) => sameName(point, name) || isBelow(name, point)));
  return free.length === 0 ? new Map() : yield* lookAt(free, LIMIT);
});

interface Below extends Layers {
  /** Active volumes that lsblk leaves out, as it does with what stands on a disk that left, by `major:minor`. */
  leftOut?: ReadonlySet<string>;
  /** Asked only where there are such. */
  lost?: LostMappings['lost'];
}

const below = defineFact('lvm-inactive.layers', function* (): Asking<Below> {
  const { volumes } = yield* lvm();
  const known = yield* layers();
  const leftOut = new Set<string>();
  for (const { isActive, path, device } of volumes) {
    if (isActive && path !== '' && device !== undefined) {
      leftOut.add(device);
    }
  }
  for (const { device } of known.devices) {
    leftOut.delete(device);
  }
  return known.why !== undefined || leftOut.size === 0 ? known : { ...known, leftOut, lost: (yield* lostMappings()).lost };
});

const suspended = defineFact('lvm-inactive.suspended', function* () {
  const { volumes } = yield* lvm();
  const devices = volumes.flatMap(({ isSuspended, device }) => (isSuspended && device !== undefined ? [device] : []));
  return yield* heldMappings(devices);
});

/** Asked only where something that is needed is down. */
const locks = defineFact('lvm-inactive.locks', function* () {
  const { volumes } = yield* lvm();
  const { byVolume } = yield* needed();
  const isDown = volumes.some(({ uuid, isActive }) => isActive === false && byVolume.has(uuid));
  return isDown ? yield* groupLocks() : { held: new Map() };
});

/** Asked only where somebody is down whose volumes are up. */
const order = defineFact('lvm-inactive.boot-order', function* () {
  const known = yield* lvm();
  return yield* bootOrder(candidatesOf(known, yield* needed()), disksOf(known));
});

const config = defineFact('lvm-inactive.config', function* () {
  const { byVolume } = yield* needed();
  return byVolume.size === 0 ? undefined : yield* lvmConfig();
});

const boot = defineFact('lvm-inactive.boot', function* () {
  return (yield* config()) === undefined ? undefined : yield* bootActivation();
});

/** Asked only where a group belongs to some host. */
const ownSystemId = defineFact('lvm-inactive.system-id', function* () {
  const { groups } = yield* lvm();
  return groups.some((group) => group.systemId !== '') ? yield* systemId() : undefined;
});

export const needs = {
  lvm,
  layers: below,
  arrays,
  needed,
  places,
  suspended,
  locks,
  order,
  config,
  boot,
  ownSystemId,
  table: mountTable,
  self,
};

export type LvmFacts = Facts<typeof needs>;
