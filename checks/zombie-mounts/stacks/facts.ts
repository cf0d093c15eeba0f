import { all, defineFact } from '../../../src/check/asking.ts';
import type { Asking } from '../../../src/check/types.ts';
import { below, canLookBelow } from '../../../src/facts/below.ts';
import type { Looked } from '../../../src/facts/look.ts';
import { isPseudo, mayHang } from '../../../src/facts/mount-kinds.ts';
import { type Mount, mountTable } from '../../../src/facts/mountinfo.ts';
import { otherTables } from '../../../src/facts/namespaces.ts';
import { self } from '../../../src/facts/process.ts';
import { reach } from '../../../src/facts/reach.ts';
import { type Name, toByteString } from '../../../src/names.ts';
import { configured } from '../configured/facts.ts';

/** What wanted mounts cover: by mount id, or that an ordinary user may not look. */
export interface Covered {
  looked: ReadonlyMap<number, Looked>;
  needsRoot: boolean;
}

/**
 * Only below mounts that /etc/fstab or a unit wants, and only where a local file system that answers lies below: what else
 * covers something was laid there by a program that knows why.
 */
export const covered = defineFact('zombie-mounts.covered', function* (): Asking<Covered> {
  const table = yield* mountTable();
  const reached = yield* reach();
  const me = yield* self();
  const byParent = new Map<number, { parent: Mount; mounts: Mount[] }>();
  const byId = new Map(table.mounts.map((mount) => [mount.id, mount]));
  const shown = new Map(
    table.mounts.flatMap((mount): [string, Mount][] => (table.visible.has(mount.id) ? [[toByteString(mount.point), mount]] : [])),
  );
  for (const { target } of (yield* configured()).mounted) {
    const mount = shown.get(toByteString(target));
    const parent = mount === undefined ? undefined : byId.get(mount.parent);
    if (mount === undefined || !canLookBelow(mount, parent) || !table.visible.has(parent.id) || mayHang(parent)) {
      continue;
    }
    // A pseudo file system is asked nothing, and cannot hang. Of a network file system nothing is known to be ours.
    if ((parent.fstype === 'tmpfs' || reached.get(parent.id)?.state === 'answers') && !isPseudo(mount)) {
      const group = byParent.get(parent.id) ?? { parent, mounts: [] };
      group.mounts.push(mount);
      byParent.set(parent.id, group);
    }
  }
  const groups = [...byParent.values()];
  if (me.uid > 0 && !me.mayMount) {
    return { looked: new Map(), needsRoot: groups.length > 0 };
  }
  if (groups.length > 0) {
    // The rig holds a copy of every mount for a moment: those who look for them in other namespaces have looked by then.
    yield* otherTables('');
  }
  const found = yield* all(groups.map(({ parent, mounts }) => lookBelow(parent, mounts)));
  return { looked: new Map(found.flatMap((each) => [...each])), needsRoot: false };
});

function* lookBelow(parent: Mount, mounts: Mount[]): Asking<[number, Looked][]> {
  const points: Name[] = mounts.map(({ point }) => point);
  const looked = yield* below(parent.point, points);
  return mounts.flatMap((mount): [number, Looked][] => {
    const found = looked.get(toByteString(mount.point));
    return found === undefined ? [] : [[mount.id, found]];
  });
}
