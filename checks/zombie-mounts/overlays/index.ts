import type { Part } from '../data.ts';
import { judgeOverlay } from './detect.ts';
import { planOverlay } from './plan.ts';

export const overlays: Part = {
  codes: {
    'overlay-layer-missing': '{subject}: this overlay has lost a layer, {layer}',
  },
  many: {
    'overlay-layer-missing': 'are an overlay that has lost a layer',
  },
  judge: judgeOverlay,
  plan: (finding, facts) => planOverlay(finding as Parameters<typeof planOverlay>[0], facts),
};
