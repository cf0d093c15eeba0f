/** Who on this host needs which block device: mounts, swap, encrypted volumes, guests with all they stand on, exports. */
import { all, defineFact } from '../../check/asking.ts';
import type { Asking } from '../../check/types.ts';
import { isBelow, type Name, sameName, showName, toByteString } from '../../names.ts';
import { namesDevice } from '../device-names.ts';
import { type Chain, chainOf, walkDown } from './chains.ts';
import { cloudpodsGuests } from './cloudpods.ts';
import { type Consumer, type Guest, type Guests, isAbsolute, isByContent, type Part, type Unjudged } from './consumer.ts';
import { cryptConsumers } from './crypttab.ts';
import { exportConsumers } from './exports.ts';
import { libvirtGuests } from './libvirt.ts';
import { mountConsumers } from './mounts.ts';
import { qemuProcesses } from './qemu.ts';

export type { Consumer } from './consumer.ts';

export interface GuestWithChains {
  guest: Guest;
  /** Of each disk. */
  chains: Chain[];
}

/** Guests, described or running, with all images that they stand on. */
export const guestsWithChains = defineFact('consumers.guests', function* (): Asking<{ guests: GuestWithChains[]; unjudged: Unjudged[] }> {
  const [libvirt, cloudpods, running] = (yield* all<Guests & { pids: number[] }>([
    libvirtGuests(),
    cloudpodsGuests(),
    qemuProcesses(),
  ])) as [Guests & { pids: number[] }, Guests & { pids: number[] }, Guests & { pids: number[] }];
  const described = new Set([...libvirt.pids, ...cloudpods.pids]);
  const alone = running.guests.filter((_, index) => !described.has(running.pids[index] as number));
  const guests = [...libvirt.guests, ...cloudpods.guests, ...alone];
  const levels = yield* walkDown(guests.flatMap(({ disks }) => disks));
  return {
    guests: guests.map((guest) => ({ guest, chains: guest.disks.map((disk) => chainOf(disk, levels)) })),
    unjudged: [libvirt, cloudpods, running].flatMap((part) => part.unjudged),
  };
});

export const consumers = defineFact('consumers', function* (): Asking<{ consumers: Consumer[]; unjudged: Unjudged[] }> {
  const [mounts, crypts, exports, described] = (yield* all<unknown>([
    mountConsumers(),
    cryptConsumers(),
    exportConsumers(),
    guestsWithChains(),
  ])) as [Part, Part, Part, { guests: GuestWithChains[]; unjudged: Unjudged[] }];
  const grounds = toGrounds([...mounts.consumers, ...crypts.consumers]);
  const chains = described.guests;
  const unjudged = [mounts, crypts, exports, described].flatMap((part) => part.unjudged);
  return {
    consumers: [
      ...[...mounts.consumers, ...crypts.consumers, ...exports.consumers],
      ...chains.map(({ guest, chains }) => consumerOf(guest, chains)),
    ]
      .map((consumer) => withGrounds(consumer, grounds))
      .filter(({ needs }) => needs.length > 0),
    unjudged: [...unjudged, ...chains.flatMap(({ guest, chains }) => hidden(guest, chains, grounds))],
  };
});

function consumerOf({ disks: _, evidence, ...guest }: Guest, chains: readonly Chain[]): Consumer {
  const deep = chains.filter(({ images }) => images.length > 1);
  const shown = deep.map(({ images }) =>
    images
      .toReversed()
      .map(({ path }) => showName(path))
      .join(' on '),
  );
  return {
    ...guest,
    needs: chains.flatMap(({ images }) => images.map(({ path }) => path)),
    certainty: 'proven',
    evidence: shown.length === 0 ? evidence : { ...evidence, excerpt: `${evidence.excerpt} (${shown.join('; ')})` },
  };
}

/** What others stand on. */
interface Grounds {
  /** By the device that it makes. */
  crypts: ReadonlyMap<string, Consumer>;
  /** Longest mount point first; the root is there in any case. */
  mounts: readonly Consumer[];
  /** Names of which it is not known what answers to them. */
  possible: ReadonlySet<string>;
}

function toGrounds(consumers: readonly Consumer[]): Grounds {
  const mounts = consumers.filter(({ kind, name }) => kind === 'mount' && !sameName(name, '/'));
  const crypts = consumers.filter(({ kind }) => kind === 'crypt');
  return {
    // Of two with one name, the first.
    crypts: new Map(crypts.toReversed().map((crypt) => [`/dev/mapper/${toByteString(crypt.name)}`, crypt])),
    mounts: mounts.toSorted((a, b) => toByteString(b.name).length - toByteString(a.name).length),
    possible: new Set(consumers.flatMap(({ certainty, needs }) => (certainty === 'possible' ? needs.map(toByteString) : []))),
  };
}

/** Only devices are left, each after what it or its file lies on: an encrypted volume's own, the one a directory is on. */
function withGrounds(consumer: Consumer, grounds: Grounds): Consumer {
  const needs = new Map<string, Name>();
  const add = (name: Name, above: readonly Consumer[]) => {
    const ground = groundOf(name, grounds);
    if (ground !== undefined && !above.includes(ground)) {
      for (const need of ground.needs) {
        add(need, [...above, ground]);
      }
    }
    if (namesDevice(name)) {
      needs.set(toByteString(name), needs.get(toByteString(name)) ?? name);
    }
  };
  for (const need of consumer.needs) {
    add(need, [consumer]);
  }
  const isPossible = (name: Name) => isByContent(name) && grounds.possible.has(toByteString(name));
  const certainty = consumer.certainty === 'possible' || [...needs.values()].every(isPossible) ? 'possible' : 'proven';
  return { ...consumer, needs: [...needs.values()], certainty };
}

/** What makes a device, or mounts the directory that a file lies in. */
function groundOf(name: Name, { crypts, mounts }: Grounds): Consumer | undefined {
  if (!isAbsolute(name)) {
    return undefined;
  }
  return namesDevice(name) ? crypts.get(toByteString(name)) : mounts.find(({ name: point }) => isBelow(name, point));
}

/** A file that is not there hides what it stands on only where its file system is missing too. */
function hidden({ kind, name }: Guest, chains: readonly Chain[], grounds: Grounds): Unjudged[] {
  return chains.flatMap(({ images, why, gone }) => {
    const lowest = images[0]?.path;
    const isDeleted = gone && lowest !== undefined && !namesDevice(lowest) && groundOf(lowest, grounds)?.isUp !== false;
    return why === undefined || isDeleted ? [] : [{ subject: { kind, name }, why }];
  });
}
