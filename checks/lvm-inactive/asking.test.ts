/** What is asked of a host, and what is not. */
import { expect, it } from 'vitest';
import { outputOf } from '../../src/check/asking.ts';
import type { Answer } from '../../src/check/types.ts';
// biome-ignore lint/style/noRestrictedImports: the test judges recordings as the engine does
import { inspect } from '../../src/engine/inspect.ts';
// biome-ignore lint/style/noRestrictedImports: and replays them
import { loadRecording } from '../../src/target/recording.ts';
// biome-ignore lint/style/noRestrictedImports: and replays them
import { ReplayTarget } from '../../src/target/replay.ts';
import { ROOT } from '../../test/cli.ts';
import { fakeTarget, said, timedOut, wordsOf } from '../../test/fake-target.ts';
import { check } from './index.ts';

/** A recorded host, of which some answers are others. */
async function judge(recorded: string, other: (words: string, answer: Answer) => Answer) {
  const replay = new ReplayTarget(await loadRecording(`${ROOT}/${recorded}`));
  const target = fakeTarget(async (probe) => other(wordsOf(probe), await replay.ask(probe)));
  const entry = { id: check.meta.id, title: check.meta.title, load: () => Promise.resolve(check) };
  const { target: result } = await inspect(target, [entry], { until: Number.MAX_SAFE_INTEGER });
  return { asked: target.asked.map(wordsOf), check: result.checks[0], plans: result.findings.map(({ plan }) => plan) };
}

it('an automount that waits at the place of a mount is not woken by a look', async () => {
  const looks = (asked: string[]) => asked.filter((words) => words.includes('/srv/data') && words.startsWith('stdbuf'));
  const sick = 'checks/lvm-inactive/cases/volume-inactive';
  expect(looks((await judge(sick, (_, answer) => answer)).asked)).not.toEqual([]);
  const waits = await judge(sick, (words, answer) =>
    words === '/proc/self/mountinfo' ? said(`${outputOf(answer)}900 21 0:99 / /srv/data rw - autofs systemd-1 rw,direct\n`) : answer,
  );
  expect(looks(waits.asked)).toEqual([]);
  expect(waits.plans).toMatchObject([{ remains: expect.stringContaining('its automount waits there') }]);
});

it('where it could not be told whether LVM was in use, it does not say that LVM is not', async () => {
  const bare = 'fixtures/hosts/hv1-after-reboot';
  expect((await judge(bare, (_, answer) => answer)).check?.outcome).toBe('not-applicable');
  const hung = await judge(bare, (words, answer) => (words.includes('/etc/lvm/backup') ? timedOut() : answer));
  expect(hung.check).toMatchObject({ outcome: 'unknown', reason: 'whether LVM was in use here: no answer within 2 s' });
});
