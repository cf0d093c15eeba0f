import { expect, it } from 'vitest';
// biome-ignore lint/style/noRestrictedImports: the test judges a recording as the engine does
import { inspect } from '../../src/engine/inspect.ts';
// biome-ignore lint/style/noRestrictedImports: and replays it
import { ReplayTarget } from '../../src/target/replay.ts';
import { manyVolumes } from '../../test/many-volumes.ts';
import { check } from './index.ts';

it('finds of 5,000 volumes those that are down and needed, and no other', async () => {
  const entry = { id: check.meta.id, title: check.meta.title, load: () => Promise.resolve(check) };
  const { recording, down } = await manyVolumes(5000, entry, { missed: true, mounted: true });
  const { target } = await inspect(new ReplayTarget(recording), [entry], { until: Number.MAX_SAFE_INTEGER });
  const [result] = target.checks;
  expect([result?.outcome, result?.reason, result?.unjudged]).toEqual(['findings', null, []]);
  expect(down).toHaveLength(250);
  expect(target.findings.map(({ finding }) => `${finding.code} ${finding.subject.name}`).toSorted()).toEqual(
    down.map((name) => `volume-inactive ${name}`).toSorted(),
  );
  // Each is activated, comes up at boot from then on (after a copy of the metadata), and its mount is started.
  expect(new Set(target.findings.map(({ plan }) => (plan !== null && 'steps' in plan ? plan.steps.length : 0)))).toEqual(new Set([4]));
});
