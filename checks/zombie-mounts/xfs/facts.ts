import { all, defineFact } from '../../../src/check/asking.ts';
import type { Asking, Evidence } from '../../../src/check/types.ts';
import { ERRNO } from '../../../src/facts/errno.ts';
import { type Mount, mountTable } from '../../../src/facts/mountinfo.ts';
import { type Elsewhere, mountedElsewhere } from '../../../src/facts/namespaces.ts';
import { reach } from '../../../src/facts/reach.ts';
import { xfsShutdown } from '../../../src/facts/xfs.ts';

/** By device: other mount namespaces that keep a shut-down XFS alive. */
export const shutdownMounts = defineFact('zombie-mounts.shutdown-mounts', function* (): Asking<ReadonlyMap<string, Elsewhere>> {
  const devices = [...new Set((yield* failingXfs()).map(({ device }) => device))];
  const found = yield* all(devices.map((device) => mountedElsewhere(device, null)));
  return new Map(devices.map((device, index) => [device, found[index] as Elsewhere]));
});

/** By device: what the kernel said when it shut an XFS down. */
export const shutdowns = defineFact('zombie-mounts.shutdowns', function* (): Asking<ReadonlyMap<string, Evidence>> {
  const devices = [...new Set((yield* failingXfs()).map(({ device }) => device))];
  const said = yield* all(devices.map((device) => xfsShutdown(device)));
  return new Map(devices.flatMap((device, index) => (said[index] === undefined ? [] : [[device, said[index]]])));
});

function* failingXfs(): Asking<Mount[]> {
  const table = yield* mountTable();
  const reached = yield* reach();
  return table.mounts.filter((mount) => {
    const found = reached.get(mount.id);
    return mount.fstype === 'xfs' && found?.state === 'errno' && found.errno === ERRNO.EIO;
  });
}
