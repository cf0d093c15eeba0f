import { defineFact, outputOf, read } from '../check/asking.ts';
import type { Asking, Evidence } from '../check/types.ts';
import { kernelLog } from './kernel-log.ts';

/**
 * The kernel's word that the XFS on this device (`major:minor`) has shut itself down since it was last mounted. Nothing but
 * a new mount brings it back. Undefined proves nothing: the log may have been cleared, or be hidden from us.
 */
export const xfsShutdown = defineFact('xfs-shutdown', function* (device: string): Asking<Evidence | undefined> {
  // The kernel names the device, not the path that was mounted: dm-3 for /dev/mapper/vg-data.
  const name = /^DEVNAME=(.+)\n/m.exec(outputOf(yield* read(`/sys/dev/block/${device}/uevent`)))?.[1];
  if (name === undefined) {
    return undefined;
  }
  const { lines, seen } = yield* kernelLog();
  // [  954.5] XFS (loop0): Corruption of in-memory data (0x8) detected at … Shutting down filesystem.
  const said = lines.filter((line) => line.includes(`XFS (${name}): `));
  const sinceMount = said.slice(said.findLastIndex((line) => line.includes('): Mounting ')) + 1);
  const excerpt = sinceMount.findLast((line) => /shut ?down|shutting down/i.test(line));
  return excerpt === undefined ? undefined : { ...seen, excerpt };
});
