import { all, defineFact } from '../../../src/check/asking.ts';
import type { Asking } from '../../../src/check/types.ts';
import { type Looked, lookAt } from '../../../src/facts/look.ts';
import { isPseudo } from '../../../src/facts/mount-kinds.ts';
import { isRootDeleted, type Mount, type MountTable, mountOf, mountTable, rootBeforeDeletion } from '../../../src/facts/mountinfo.ts';
import { fromByteString, type Name, toByteString } from '../../../src/names.ts';

const LIMIT = 2000;

export interface BindSource {
  /** Where the deleted thing was, as a path that can be used now; undefined where its file system is mounted nowhere. */
  path: Name | undefined;
  /** What is there now. */
  source: Looked | undefined;
  /** What the mount itself still shows. */
  mount: Looked | undefined;
}

/** By mount id, for bind mounts of something deleted. */
export const bindSources = defineFact('zombie-mounts.bind-sources', function* (): Asking<ReadonlyMap<number, BindSource>> {
  const table = yield* mountTable();
  const deleted = deletedBinds(table);
  const found = yield* all(deleted.map((mount) => bindSource(mount, table)));
  return new Map(deleted.map((mount, index) => [mount.id, found[index] as BindSource]));
});

/** tmpfs holds real files, other pseudo file systems do not. */
export function deletedBinds(table: MountTable): Mount[] {
  return table.mounts.filter(
    (mount) => isRootDeleted(mount) && table.visible.has(mount.id) && (!isPseudo(mount) || mount.fstype === 'tmpfs'),
  );
}

function* bindSource(mount: Mount, table: MountTable): Asking<BindSource> {
  const path = sourcePath(mount, table);
  const looked = yield* lookAt([mount.point, ...(path === undefined ? [] : [path])], LIMIT);
  return { path, source: path === undefined ? undefined : looked.get(toByteString(path)), mount: looked.get(toByteString(mount.point)) };
}

/** `/srv/a//deleted` on a device that is also mounted at `/` with root `/` was `/srv/a`. */
function sourcePath(mount: Mount, table: MountTable): Name | undefined {
  const inside = toByteString(rootBeforeDeletion(mount));
  for (const other of table.mounts) {
    const root = toByteString(other.root);
    if (
      other.device !== mount.device ||
      isRootDeleted(other) ||
      !table.visible.has(other.id) ||
      !(root === '/' || inside.startsWith(`${root}/`))
    ) {
      continue;
    }
    const below = root === '/' ? inside : inside.slice(root.length);
    const path = fromByteString((toByteString(other.point) === '/' ? '' : toByteString(other.point)) + below);
    if (mountOf(table, path)?.id === other.id) {
      return path;
    }
  }
  return undefined;
}
