import { describe, expect, it } from 'vitest';
import { acted, BOOT, FakeHost, repairIn, setting, WHO } from '../../test/fake-host.ts';
import type { Entry, Journaled } from '../journal/entries.ts';
import type { StepState } from '../repair/assess.ts';
import { historyToText, knownToText, whoText } from './journalled.ts';
import { historyToJson } from './json.ts';

const ALICE = { ...WHO, sudoUser: 'al\u001b[31mice' };
const steps = [
  setting('copy', 'none', 'ma\nde'),
  setting('sick', 'yes', 'no', { undo: { none: 'nobody wants it back' }, release: { kind: 'write', path: '/sys/hold', content: '0' } }),
];
const [copy, cure] = steps as [(typeof steps)[number], (typeof steps)[number]];

async function told(...entries: Entry[]): Promise<Journaled> {
  const stateDir = await new FakeHost(steps, { copy: 'none' }).journalled(...entries);
  // What differs from run to run.
  return JSON.parse(JSON.stringify(repairIn(stateDir)).replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, '2026-11-21T00:00:00.000Z'));
}

const back: Entry = { event: 'taken-up', way: 'back', by: 'run-2', who: ALICE, boot: BOOT };

describe('historyToText', () => {
  it('says who, when, what, how it ended and what proved it', async () => {
    const repair = await told(
      ...acted(0, copy, 'proven'),
      ...acted(1, cure, 'failed'),
      ...acted(1, cure, 'acted', 'release'),
      { event: 'closed', as: 'failed', why: 'step 2: exit code 5' },
      back,
      ...acted(0, copy, 'started', 'undo'),
    );
    expect(historyToText([repair])).toMatchInlineSnapshot(`
      "2026-11-21T00:00:00.000Z  interrupted  x is sick
          run run-1, fake-sick-1adfa67e, called for by uid 0 (root)
          2026-11-21T00:00:00.000Z  taken back by run run-2, uid 0 (root), by sudo from al\\e[31mice
          2026-11-21T00:00:00.000Z  set copy $'ma\\x0ade': exit code 0
            proven: value-is (name copy, value ma\\nde)
          2026-11-21T00:00:00.000Z  set sick no: exit code 5
          2026-11-21T00:00:00.000Z  echo 0 > /sys/hold (giving back): exit code 0
          2026-11-21T00:00:00.000Z  set copy none (taking back): its end is not known
      "
    `);
  });

  it('says that nothing was repaired', () => {
    expect(historyToText([])).toBe('No repair was made yet.\n');
  });

  it('lets nothing of what it was told reach the terminal as it is', async () => {
    const text = historyToText([await told(...acted(0, copy, 'proven'), back)]);
    expect(text).not.toContain('\u001b');
    expect(whoText(ALICE)).toBe('uid 0 (root), by sudo from al\\e[31mice');
  });
});

describe('knownToText', () => {
  it('says of each step what became of it, how that is known, and what taking it back would do', async () => {
    const states: StepState[] = [
      { state: 'done', why: 'what it was to bring about holds now' },
      { state: 'unknown', why: 'neither' },
    ];
    const known = { repair: await told(...acted(0, copy, 'proven'), ...acted(1, cure, 'act')), states, restarted: true };
    expect(knownToText(known)).toMatchInlineSnapshot(`
      "x is sick
          run run-1, 2026-11-21T00:00:00.000Z, called for by uid 0 (root); the host was restarted since
        1. Set copy: done
             set copy $'ma\\x0ade'
           what it was to bring about holds now
           To take it back: set copy none
        2. Set sick: cannot be known
             set sick no
           neither
      "
    `);
    expect(knownToText({ ...known, repair: await told(back), restarted: false })).toContain(
      'It was being taken back: that is gone on with.',
    );
  });
});

describe('historyToJson', () => {
  it('holds each act as it was carried out, steps counted from 1', async () => {
    const { repairs } = JSON.parse(historyToJson('0', [await told(...acted(0, copy, 'proven'), ...acted(1, cure, 'started'))]));
    expect(repairs).toMatchObject([
      {
        run: 'run-1',
        outcome: 'interrupted',
        endedAt: null,
        who: WHO,
        acts: [
          { of: 'step', step: 1, title: 'Set copy', ok: true, exitCode: 0, proven: true, action: copy.action },
          { of: 'step', step: 2, title: 'Set sick', ok: null, exitCode: null, endedAt: null, proven: false },
        ],
      },
    ]);
  });
});
