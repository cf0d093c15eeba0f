import { ERRNO } from '../../../src/facts/errno.ts';
import type { Mount } from '../../../src/facts/mountinfo.ts';
import { isDead, type Reach, sentenceOf } from '../../../src/facts/reach-questions.ts';
import { type Name, showName } from '../../../src/names.ts';
import { dataOf, holderEvidence, type Judgement, lineOf, type MountData, type MountFound, quote, subjectOf, whyUnjudged } from '../data.ts';
import type { ZombieFacts } from '../facts.ts';
import type { LayerState } from './facts.ts';

export interface OverlayData extends MountData {
  /** The first layer that is lost. */
  layer: Name;
  lost: { role: LayerState['layer']['role']; path: Name }[];
}

export type OverlayFound = MountFound<'overlay-layer-missing'> & { data: OverlayData };

export function judgeOverlay(mount: Mount, found: Reach, facts: ZombieFacts): Judgement | undefined {
  const layers = facts.overlays.get(mount.id);
  if (layers === undefined) {
    return undefined;
  }
  const of = (state: LayerState['state']) => layers.filter((layer) => layer.state === state);
  const fails = found.state === 'errno' || found.state === 'silent';
  if (fails && of('behind').length > 0) {
    return { finding: lost(mount, found, of('behind'), facts) };
  }
  if ((fails || found.state === 'answers') && of('missing').length > 0) {
    return { finding: lost(mount, found, of('missing'), facts) };
  }
  if (found.state === 'errno' && (isDead(found.errno) || found.errno === ERRNO.ESTALE)) {
    // No overlay says so by itself: it stands on a mount that is no longer the one at the path of the layer.
    return { finding: lost(mount, found, layers, facts) };
  }
  const [unknown] = of('unknown');
  return found.state === 'answers' && unknown === undefined
    ? undefined
    : { unjudged: unknown === undefined ? whyUnjudged(found) : `it answers, but a layer could not be looked at: ${unknown.why}` };
}

function lost(mount: Mount, found: Reach, layers: readonly LayerState[], facts: ZombieFacts): OverlayFound {
  const { layer, on } = layers[0] as LayerState;
  const behind = layers[0]?.state === 'behind' ? on : undefined;
  // Without its working directory it still shows everything, and new files can be made.
  const scratch = layers.every((each) => each.state === 'missing' && each.layer.role === 'workdir');
  return {
    code: 'overlay-layer-missing',
    severity: scratch ? 'warning' : 'critical',
    subject: subjectOf(mount),
    data: {
      ...dataOf(mount, facts, {}),
      layer: layer.path,
      lost: layers.map((each) => ({ role: each.layer.role, path: each.layer.path })),
    },
    confidence: layers.some(({ state }) => state === 'there') ? 'medium' : 'high',
    evidence: [
      lineOf(mount, facts),
      ...(found.state === 'answers' ? [] : [quote(found.seen, found.state === 'errno' ? found.line : sentenceOf(found))]),
      ...layers.flatMap(({ state, layer: { role, path }, seen, why, on: place }) =>
        state === 'missing'
          ? [quote(seen, `${role} ${showName(path)}: ${why}`)]
          : state === 'behind'
            ? [quote(seen, `${role} ${showName(path)} lies on ${showName(place?.point ?? '')}, which does not answer`)]
            : [],
      ),
      ...holderEvidence(mount, facts),
    ],
    ...(behind !== undefined && { cause: subjectOf(behind) }),
  };
}
