import { daemonsOf, type FuseDaemons } from '../../../src/facts/fuse.ts';
import { isFuse, isPseudo, runtimeOf } from '../../../src/facts/mount-kinds.ts';
import type { Mount, MountTable } from '../../../src/facts/mountinfo.ts';
import { sameName, toByteString } from '../../../src/names.ts';

/** Mounts that lie on each other at one place, one of which should not be there. */
export interface Stack {
  /** The one that is shown. */
  top: Mount;
  /** The one below it that is odd. */
  odd: Mount;
  /** How many lie there. */
  layers: number;
  below: 'dead' | 'same source';
}

export function oddStacks(table: Pick<MountTable, 'mounts' | 'visible'>, daemons: FuseDaemons | undefined): Stack[] {
  const byPoint = new Map<string, Mount[]>();
  for (const mount of table.mounts) {
    const key = toByteString(mount.point);
    byPoint.set(key, [...(byPoint.get(key) ?? []), mount]);
  }
  return [...byPoint.values()].flatMap((layers): Stack[] => {
    const top = layers.find(({ id }) => table.visible.has(id));
    const lower = layers.filter((mount) => mount !== top);
    if (top === undefined || lower.length === 0 || runtimeOf(top.point) !== undefined) {
      return [];
    }
    const dead = lower.find((mount) => isProvenDead(mount, table, daemons));
    const twice = lower.find((mount) => isSecond(mount, top));
    const odd = dead ?? twice;
    return odd === undefined ? [] : [{ top, odd, layers: layers.length, below: odd === dead ? 'dead' : 'same source' }];
  });
}

/** No path leads there: only the missing daemon tells. */
function isProvenDead(mount: Mount, table: Pick<MountTable, 'mounts' | 'visible'>, daemons: FuseDaemons | undefined): boolean {
  const shown = table.mounts.some(({ id, device }) => device === mount.device && table.visible.has(id));
  if (!isFuse(mount) || daemons === undefined || shown) {
    return false;
  }
  const { processes, complete } = daemonsOf(mount, daemons);
  return processes.length === 0 && complete;
}

/** The same again, and not the one superblock bound onto itself, as is done to make a mount shared or read-only. */
function isSecond(mount: Mount, top: Mount): boolean {
  const isKind = mount.fstype === top.fstype && sameName(mount.source, top.source);
  // For these the source is a word, and says nothing: /dev/shm is often a tmpfs on a tmpfs.
  return isKind && mount.device !== top.device && !isPseudo(mount) && mount.fstype !== 'overlay';
}
