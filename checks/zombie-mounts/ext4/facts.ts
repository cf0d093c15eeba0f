import { all, defineFact } from '../../../src/check/asking.ts';
import type { Asking } from '../../../src/check/types.ts';
import { ext4Stops } from '../../../src/facts/ext4.ts';
import { type Elsewhere, mountedElsewhere } from '../../../src/facts/namespaces.ts';

/** By device: other mount namespaces that keep a stopped ext4 alive. */
export const stoppedElsewhere = defineFact('zombie-mounts.stopped-elsewhere', function* (): Asking<ReadonlyMap<string, Elsewhere>> {
  const devices = [...(yield* ext4Stops()).stops.keys()];
  const found = yield* all(devices.map((device) => mountedElsewhere(device, null)));
  return new Map(devices.map((device, index) => [device, found[index] as Elsewhere]));
});
