/** Whether a volume can be given its disks, whether it may be activated by us, and the claims about that. */
import { outputOf, run, whyNot } from '../../check/asking.ts';
import { defineCondition } from '../../check/condition.ts';
import type { Asking, Holds } from '../../check/types.ts';
import { type Group, type Lvm, lvm, type Volume } from './index.ts';

/** Why a volume cannot be given its disks again; undefined where all of them are there. */
export function lacking({ volumes, groups }: Pick<Lvm, 'volumes' | 'groups'>, mapper: string): string | undefined {
  const volume = volumes.find((each) => each.mapper === mapper);
  const group = groups.find(({ name }) => name === volume?.group);
  if (volume === undefined || group === undefined) {
    return 'LVM knows no such volume';
  }
  if (group.missingDisks !== 0) {
    return `${group.missingDisks} disks of volume group ${group.name} are missing`;
  }
  if (/partial/.test(volume.health)) {
    return `it is ${volume.health}`;
  }
  return group.isShared ? `${group.name} is shared with other hosts` : undefined;
}

/** LVM knows this volume, by its node in /dev/mapper, and has all disks of its group. */
export const volumeWhole = defineCondition('volume-whole', function* (args: { mapper: string }): Asking<Holds> {
  const why = lacking(yield* lvm(), args.mapper);
  return why === undefined ? { holds: true } : { holds: false, expected: `${args.mapper} with all its disks`, found: why };
});

/** Its legs may be gone, and it is whole all the same as long as enough are left: LVM itself refuses where too few are. */
export function isRedundant({ layout }: Volume): boolean {
  return /\braid(1|4|5|6|10)/.test(layout);
}

export function lacksDisks(volume: Volume): boolean {
  return (volume.attr[8] === 'p' || volume.health === 'partial') && !isRedundant(volume);
}

/** Why a group is not this host's to activate; undefined where it is. */
export function notOurs(group: Group, volumes: readonly Volume[]): string | undefined {
  if (group.isExported) {
    return `${group.name} is exported`;
  }
  if (group.isShared) {
    return `${group.name} is shared with other hosts, and its lock manager activates it`;
  }
  // LVM shows no volumes of a group that belongs to another host.
  const isForeign = group.systemId !== '' && !volumes.some((volume) => volume.group === group.name);
  return isForeign ? `${group.name} belongs to host ${group.systemId}` : undefined;
}

export function duplicatesIn({ disks }: Pick<Lvm, 'disks'>, group: string): string[] {
  return disks.filter((disk) => disk.group === group && disk.isDuplicate).map(({ name }) => name);
}

/** Why we must not activate it: an act that would fail, resume what somebody holds, or read the wrong disk. */
export function refusesActivation(known: Pick<Lvm, 'volumes' | 'groups' | 'disks'>, volume: Volume): string | undefined {
  const group = known.groups.find(({ name }) => name === volume.group);
  if (group === undefined) {
    return `LVM tells nothing of group ${volume.group}`;
  }
  const duplicates = duplicatesIn(known, volume.group);
  const foreign = notOurs(group, known.volumes);
  if (foreign !== undefined) {
    return foreign;
  }
  if (duplicates.length > 0) {
    return `${volume.group} has a disk that is there twice (${duplicates.join(', ')})`;
  }
  if (lacksDisks(volume)) {
    return 'a disk that it lies on is missing';
  }
  if (volume.skipsActivation) {
    return 'it is flagged to be skipped';
  }
  if (volume.role.includes('private')) {
    return 'it is a part of another volume';
  }
  if (/^(linear|striped)$/.test(volume.layout) && volume.origin === '') {
    return undefined;
  }
  const pool = known.volumes.find((each) => each.group === volume.group && each.name === volume.pool);
  if (pool !== undefined && (pool.needsCheck || pool.health !== '')) {
    return `its pool ${pool.fullName} is ${pool.needsCheck ? 'in need of a check' : pool.health}`;
  }
  // Activating resumes what it stands on, and somebody may have frozen that on purpose.
  const suspended = known.volumes.find((each) => each.group === volume.group && each.isSuspended);
  return suspended === undefined ? undefined : `${suspended.fullName} is suspended`;
}

interface VolumeArgs {
  /** `vg/data` */
  volume: string;
  uuid: string;
  [key: string]: string;
}

function* volumeNamed({ volume, uuid }: VolumeArgs): Asking<{ known: Lvm; found: Volume | undefined }> {
  const known = yield* lvm();
  return { known, found: known.volumes.find((each) => each.uuid === uuid && each.fullName === volume) };
}

/** The volume is not active, has its disks, and nothing stands against activating it. */
export const mayBeActivated = defineCondition('volume-may-be-activated', function* (args: VolumeArgs): Asking<Holds> {
  const { known, found } = yield* volumeNamed(args);
  const not = (what: string): Holds => ({ holds: false, expected: `${args.volume} inactive and whole`, found: what });
  if (found === undefined) {
    return not('LVM knows no such volume');
  }
  if (found.isActive !== false) {
    return not(found.isActive ? 'it is active' : `LVM cannot tell (${found.attr})`);
  }
  const refused = refusesActivation(known, found);
  return refused === undefined ? { holds: true } : not(refused);
});

/** LVM says that it is not active. */
export const volumeInactive = defineCondition('volume-inactive', function* (args: VolumeArgs): Asking<Holds> {
  const { found } = yield* volumeNamed(args);
  return found?.isActive === false
    ? { holds: true }
    : { holds: false, expected: `${args.volume} inactive`, found: found === undefined ? 'LVM knows no such volume' : found.attr };
});

/** LVM says that it is active and not suspended, and its node is there. */
export const volumeActive = defineCondition('volume-active', function* (args: VolumeArgs): Asking<Holds> {
  const { found } = yield* volumeNamed(args);
  const not = (what: string): Holds => ({ holds: false, expected: `${args.volume} active`, found: what });
  if (found === undefined) {
    return not('LVM knows no such volume');
  }
  if (found.isActive !== true || found.isSuspended || found.device === undefined) {
    return not(found.isSuspended ? 'it is suspended' : `it is not active (${found.attr})`);
  }
  if (isTableUnknown(found)) {
    return not(`its device has not the table that LVM gave it (${found.attr})`);
  }
  const answer = yield* run(['stat', '-L', '-c', '%F %t:%T', '--', found.path || found.mapper], { limitMs: 2000, suspect: true });
  const [major, minor] = found.device.split(':').map((part) => Number(part).toString(16));
  // block special file fd:1a
  return outputOf(answer) === `block special file ${major}:${minor}\n`
    ? { holds: true }
    : not(answer.state === 'ok' && answer.code === 0 ? `its node is ${outputOf(answer).trim()}` : whyNot(answer));
});

/** LVM calls it active, and its device is not what LVM made: `-wi-XX--X-`. */
export function isTableUnknown({ isActive, attr }: Volume): boolean {
  return isActive === true && attr[4] === 'X';
}

/** The group has all its disks, each once, and is this host's: its metadata may be written. */
export const groupWhole = defineCondition('group-whole', function* (args: { group: string }): Asking<Holds> {
  const known = yield* lvm();
  const why = refusesWriting(known, args.group);
  return why === undefined ? { holds: true } : { holds: false, expected: `volume group ${args.group} with all its disks`, found: why };
});

/** Why a group's metadata must not be written: a disk that is away meanwhile is branded missing when it returns. */
export function refusesWriting(known: Pick<Lvm, 'volumes' | 'groups' | 'disks'>, name: string): string | undefined {
  const group = known.groups.find((each) => each.name === name);
  if (group === undefined) {
    return 'LVM knows no such group';
  }
  const duplicates = duplicatesIn(known, name);
  const missing = known.disks.filter((disk) => disk.group === name && disk.isMissing).length;
  if (group.missingDisks > 0 || group.isPartial || missing > 0) {
    return `${Math.max(group.missingDisks, missing, 1)} of its ${group.disks} disks missing`;
  }
  return duplicates.length > 0 ? `a disk that is there twice (${duplicates.join(', ')})` : notOurs(group, known.volumes);
}

/** The flag that lets a volume (by `vg/data`) or a group come up at boot. */
export const autoactivation = defineCondition('autoactivation', function* (args: { of: string; on: boolean }): Asking<Holds> {
  const { volumes, groups } = yield* lvm();
  const found = volumes.find(({ fullName }) => fullName === args.of) ?? groups.find(({ name }) => name === args.of);
  const flag = found?.autoactivates;
  const words = (on: boolean) => `autoactivation of ${args.of} ${on ? 'on' : 'off'}`;
  return flag === args.on
    ? { holds: true }
    : { holds: false, expected: words(args.on), found: flag === undefined ? 'LVM does not tell' : words(flag) };
});
