import { all, defineFact } from '../../../src/check/asking.ts';
import type { Asking, Seen } from '../../../src/check/types.ts';
import { ERRNO } from '../../../src/facts/errno.ts';
import { stillHung } from '../../../src/facts/left-behind.ts';
import { describeLooked, type Looked, lookAt } from '../../../src/facts/look.ts';
import { mayHang } from '../../../src/facts/mount-kinds.ts';
import { type Mount, mountOf, mountTable } from '../../../src/facts/mountinfo.ts';
import { isAbsolute, type Layer, overlayLayers } from '../../../src/facts/overlay.ts';
import { judgedMounts, reach } from '../../../src/facts/reach.ts';
import type { Reach } from '../../../src/facts/reach-questions.ts';
import { fromByteString, type Name, showName, toByteString } from '../../../src/names.ts';

const LIMIT = 2000;
/** Where an initramfs has the root that the system gets later: what it mounts names its layers below that. */
const LATER_ROOTS = ['/sysroot', '/mnt-root'];

export interface LayerState {
  layer: Layer;
  seen: Seen;
  /** `behind`: it lies on this mount, which does not answer. */
  state: 'there' | 'missing' | 'behind' | 'unknown';
  /** The mount on which its path lies now. */
  on?: Mount;
  /** What was found instead. */
  why?: string;
}

/** By mount id: the layers of each overlay, as they are found at their paths now. The root's own were named before it was the root. */
export const overlays = defineFact('zombie-mounts.overlays', function* (): Asking<ReadonlyMap<number, LayerState[]>> {
  const table = yield* mountTable();
  const mounts = judgedMounts(table).filter(({ fstype, point }) => fstype === 'overlay' && toByteString(point) !== '/');
  if (mounts.length === 0) {
    return new Map();
  }
  const reached = yield* reach();
  const paths = mounts.flatMap(overlayLayers).filter(isAbsolute).flatMap(pathsOf);
  const looked = yield* lookAtLayers([...new Map(paths.map((path) => [toByteString(path), path])).values()]);
  const states = new Map(mounts.map((mount) => [mount.id, overlayLayers(mount).map((layer) => stateOf(layer))]));
  const missing = [...states.values()].flat().filter(({ state }) => state === 'missing');
  const parents = yield* lookAtLayers([...new Set(missing.map(({ layer }) => toByteString(parentOf(layer.path))))].map(fromByteString));
  return new Map([...states].map(([id, layers]) => [id, layers.map((layer) => anchored(layer, layers, parents))]));

  function stateOf(layer: Layer): LayerState {
    if (!isAbsolute(layer)) {
      const why = `${layer.role} ${showName(layer.path)} is relative to where it was mounted from`;
      return { layer, state: 'unknown', seen: table.seen, why };
    }
    const on = mountOf(table, layer.path);
    const behind = on === undefined ? undefined : reached.get(on.id);
    if (on !== undefined && behind !== undefined && behind.state !== 'answers') {
      return { layer, state: 'behind', seen: behind.seen, on };
    }
    const found = pathsOf(layer).map((path) => looked.get(toByteString(path)));
    const there = found.find(isThere);
    const [first] = found;
    const state = there !== undefined ? 'there' : found.every(isAbsent) ? 'missing' : 'unknown';
    return {
      layer,
      state,
      seen: first?.seen ?? table.seen,
      ...(on !== undefined && { on }),
      ...(state !== 'there' && { why: first === undefined ? 'it lies on an automount that is not asked' : describeLooked(first) }),
    };
  }
});

/** Those on mounts that may hang are asked one by one, and of those only where the mount answers. */
function* lookAtLayers(paths: Name[]): Asking<Map<string, Looked>> {
  const table = yield* mountTable();
  const reached = yield* reach();
  const known = yield* stillHung();
  const on = new Map(paths.map((path) => [path, mountOf(table, path)]));
  const answers = (found: Reach | undefined) => found === undefined || found.state === 'answers';
  const asked = paths.filter((path) => {
    const mount = on.get(path);
    return mount === undefined || (mount.fstype !== 'autofs' && answers(reached.get(mount.id)));
  });
  const isRisky = (path: Name) => {
    const mount = on.get(path);
    return mount !== undefined && mayHang(mount);
  };
  const parts = yield* all([
    lookAt(
      asked.filter((path) => !isRisky(path)),
      LIMIT,
      known,
    ),
    ...asked.filter(isRisky).map((path) => lookAt([path], LIMIT, known)),
  ]);
  return new Map(parts.flatMap((part) => [...part]));
}

/** Where the layer may be: at its path, or there without the place at which an initramfs had the root. */
function pathsOf({ path }: Layer): Name[] {
  const bytes = toByteString(path);
  const root = LATER_ROOTS.find((each) => bytes.startsWith(`${each}/`));
  return root === undefined ? [path] : [path, fromByteString(bytes.slice(root.length))];
}

function isThere(looked: Looked | undefined): boolean {
  return looked?.state === 'found' || (looked?.state === 'errno' && looked.call === 'readdir');
}

function isAbsent(looked: Looked | undefined): boolean {
  return looked?.state === 'errno' && looked.call === 'stat' && (looked.errno === ERRNO.ENOENT || looked.errno === ERRNO.ENOTDIR);
}

/** Missing means: missing from a place that is there. Where nothing around it is there either, it was named in another root. */
function anchored(state: LayerState, all: readonly LayerState[], parents: ReadonlyMap<string, Looked>): LayerState {
  if (
    state.state !== 'missing' ||
    all.some((each) => each.state === 'there') ||
    isThere(parents.get(toByteString(parentOf(state.layer.path))))
  ) {
    return state;
  }
  const why = `neither ${state.layer.role} ${showName(state.layer.path)} nor what is around it is there: it was probably named in another root`;
  return { ...state, state: 'unknown', why };
}

function parentOf(path: Name): Name {
  return fromByteString(toByteString(path).replace(/\/+[^/]*\/*$/, '') || '/');
}
