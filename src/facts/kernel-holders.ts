import { all, defineFact, outputOf, run } from '../check/asking.ts';
import type { Asking } from '../check/types.ts';
import { isBelow, type Name, sameName, showName, toByteString } from '../names.ts';
import { isNfs } from './mount-kinds.ts';
import { type Mount, mountTable, topAt } from './mountinfo.ts';
import { beyondReach, mountedElsewhere } from './namespaces.ts';
import { isAbsolute, overlayLayers } from './overlay.ts';
import { swaps } from './swaps.ts';

/** What in the kernel uses a mount, without any process. */
export interface KernelHolder {
  /** `loop` and `swap` keep it busy; `mount` covers part of it; `overlay` and `namespace` outlive its unmount. */
  kind: 'loop' | 'swap' | 'mount' | 'overlay' | 'namespace';
  /** The loop device, the swap file, the mount point; of a namespace a process in it. */
  name: Name;
  /** The file or layer on the mount that is used. */
  path?: Name;
}

/** By mount point, one character a byte. What could not be read holds nothing: an unmount says busy by itself. */
export const kernelHoldersOf = defineFact('kernel-holders', function* (points: Name[]): Asking<ReadonlyMap<string, KernelHolder[]>> {
  const table = yield* mountTable();
  const tops = points.map((point) => topAt(table, point));
  const loops = yield* run(['losetup', '--list', '--json', '-O', 'NAME,BACK-FILE']);
  const swapped = (yield* swaps()).swaps.filter(({ type }) => type === 'file');
  const elsewhere = yield* all(tops.map((top) => namespacesOf(top)));
  const files: KernelHolder[] = [
    ...parseLoops(outputOf(loops)),
    ...swapped.map(({ name }): KernelHolder => ({ kind: 'swap', name, path: name })),
    ...table.mounts.filter(({ fstype }) => fstype === 'overlay').flatMap(layersOf),
  ];
  return new Map(
    points.map((point, index) => {
      const top = tops[index];
      const below = table.mounts
        .filter(({ parent }) => parent === top?.id)
        .map(({ point: name }): KernelHolder => ({ kind: 'mount', name }));
      const used = files.filter(({ path }) => path !== undefined && (isBelow(path, point) || sameName(path, point)));
      return [toByteString(point), [...used, ...below, ...(elsewhere[index] ?? [])]];
    }),
  );
});

function* namespacesOf(mount: Mount | undefined): Asking<KernelHolder[]> {
  if (mount === undefined) {
    return [];
  }
  const stay = beyondReach(mount, yield* mountedElsewhere(mount.device, isNfs(mount) ? mount.source : null));
  return stay.map(({ pid }) => ({ kind: 'namespace', name: `process ${pid}` }));
}

function layersOf(mount: Mount): KernelHolder[] {
  return overlayLayers(mount)
    .filter(isAbsolute)
    .map(({ path }) => ({ kind: 'overlay', name: mount.point, path }));
}

function parseLoops(json: string): KernelHolder[] {
  // {"loopdevices": [{"name":"/dev/loop0", "back-file":"/srv/a.img (deleted)"}]}
  let parsed: unknown;
  try {
    parsed = JSON.parse(Buffer.from(json, 'latin1').toString('utf8'));
  } catch {
    return [];
  }
  const devices = (parsed as { loopdevices?: unknown } | null)?.loopdevices;
  return (Array.isArray(devices) ? devices : []).flatMap((device): KernelHolder[] => {
    const { name, 'back-file': path } = (device ?? {}) as Record<string, unknown>;
    return typeof name === 'string' && typeof path === 'string' ? [{ kind: 'loop', name, path }] : [];
  });
}

/** `loop device /dev/loop0 on /mnt/x/a.img, a mount at /mnt/x/y` */
export function listKernelHolders(holders: readonly KernelHolder[]): string {
  return holders.map(describe).join(', ');
}

function describe({ kind, name, path }: KernelHolder): string {
  switch (kind) {
    case 'loop':
      return `loop device ${showName(name)} on ${showName(path ?? '')}`;
    case 'swap':
      return `swap file ${showName(name)}`;
    case 'mount':
      return `a mount at ${showName(name)}`;
    case 'overlay':
      return `the overlay at ${showName(name)} with its layer ${showName(path ?? '')}`;
    case 'namespace':
      return `the mount namespace of ${showName(name)}`;
  }
}
