import { Unknown } from '../../check/asking.ts';
import type { Asking, Evidence, Subject } from '../../check/types.ts';
import { type Name, toByteString } from '../../names.ts';

export interface Consumer {
  kind: 'mount' | 'swap' | 'crypt' | 'guest' | 'process' | 'export';
  /** Mount point, guest's name, … */
  name: Name;
  /** Started or mounted at boot without anybody's doing. */
  atBoot: boolean;
  /** It runs or is mounted now. */
  isUp: boolean;
  /** What it needs, as it was written: paths below /dev, `UUID=…`, `LABEL=…`; of a guest's chain base first. */
  needs: readonly Name[];
  /** An inactive volume's UUID cannot be read: then it is only possible. */
  certainty: 'proven' | 'possible';
  evidence: Evidence;
  /** systemd's unit, where there is one. */
  unit: string | null;
  /** What systemd would mount is older than what is configured. */
  needsReload?: boolean;
  /** Services of which one starts it at boot; absent where none is known. */
  starters?: readonly string[];
  /** /etc/fstab says nofail. */
  nofail: boolean;
}

export interface Unjudged {
  subject: Subject;
  why: string;
}

/** One source's answer. `needs` may hold paths of files still. */
export interface Part {
  consumers: Consumer[];
  unjudged: Unjudged[];
}

/** An image as somebody names it. */
export interface Image {
  path: Name;
  /** `raw`, `qcow2`, …; undefined where nobody says. */
  format: string | undefined;
}

/** What a guest reads and writes: as far as its configuration tells, from the top down. */
export interface Disk {
  images: Image[];
  /** Below the last of them lies nothing, or what lies there is not to be asked. */
  closed: boolean;
}

export interface Guest extends Omit<Consumer, 'needs' | 'certainty'> {
  disks: Disk[];
}

export interface Guests {
  guests: Guest[];
  unjudged: Unjudged[];
}

/** What could not be told as a value. */
export function* attempt<T>(part: Asking<T>): Asking<T | { why: string }> {
  try {
    return yield* part;
  } catch (error) {
    if (error instanceof Unknown) {
      return { why: error.message };
    }
    throw error;
  }
}

export function unjudgedFile(name: Name, why: string): Unjudged {
  return { subject: { kind: 'file', name }, why };
}

/** Named by what is written in its superblock or its partition table, and not by where it is. */
export function isByContent(source: Name): boolean {
  return /^([A-Z]+=|\/dev\/disk\/by-(uuid|label|partuuid|partlabel)\/)/.test(toByteString(source));
}

export function isAbsolute(path: Name): boolean {
  return toByteString(path).startsWith('/');
}
