import { describe, expect, it } from 'vitest';
import { fakeTarget, said, timedOut, wordsOf } from '../../test/fake-target.ts';
import type { Answer, Asking } from '../check/types.ts';
import { Round } from '../engine/round.ts';
import { bootEnd, bootJournal, unitTimes } from './boot-order.ts';

function gather<T>(part: Asking<T>, answers: Answer | ((words: string) => Answer), asked: string[] = []): Promise<T> {
  const target = fakeTarget((probe) => {
    asked.push(wordsOf(probe));
    return typeof answers === 'function' ? answers(wordsOf(probe)) : answers;
  });
  return new Round(target, Date.now() + 5000).gather(part);
}

// As systemd 252 shows a volume that came up, and a unit that is not there.
const SHOWN = `Id=dev-mapper-vg0\\x2ddata.device
ActiveState=active
InactiveExitTimestampMonotonic=14030553
ActiveEnterTimestampMonotonic=14030553

Id=libvirtd.service
ActiveState=inactive
InactiveExitTimestampMonotonic=0
ActiveEnterTimestampMonotonic=0
`;
const NAMES = ['dev-mapper-vg0\\x2ddata.device', 'libvirtd.service'];

describe('unitTimes', () => {
  it('tells when a device came, and nothing of what is not there', async () => {
    const times = await gather(unitTimes(NAMES), said(SHOWN));
    expect('units' in times && [...times.units.values()]).toMatchObject([
      {
        activeState: 'active',
        entered: { us: 14030553, evidence: { excerpt: 'dev-mapper-vg0\\x2ddata.device: ActiveEnterTimestampMonotonic=14030553' } },
      },
      { activeState: 'inactive', began: undefined, entered: undefined },
    ]);
  });

  it.each([
    ['one of them is missing', said(SHOWN.split('\n\n')[0] as string)],
    ['it is cut off', said(SHOWN.slice(0, -20))],
    ['it is empty', said('')],
    ['it failed', said(SHOWN, 1)],
    ['it did not answer', timedOut()],
  ])('could not tell where %s', async (_, answer) => {
    expect(await gather(unitTimes(NAMES), answer)).toHaveProperty('why');
  });

  it('asks about many in parts', async () => {
    const asked: string[] = [];
    const names = Array.from({ length: 1200 }, (_, index) => `dev-mapper-vg0\\x2d${index}.device`);
    const show = (words: string) =>
      said(
        (words.split(' -- ')[1] as string)
          .split(' ')
          .map((id) => `Id=${id}\nActiveState=active\nInactiveExitTimestampMonotonic=1\nActiveEnterTimestampMonotonic=1\n`)
          .join('\n'),
      );
    const times = await gather(unitTimes(names), show, asked);
    expect(['units' in times && times.units.size, asked.length]).toEqual([1200, 3]);
  });
});

describe('bootEnd', () => {
  it.each([
    ['over', said('FinishTimestampMonotonic=12014534\n'), { ended: { us: 12014534 } }],
    ['still going on', said('FinishTimestampMonotonic=0\n'), { ended: undefined }],
    ['unknown', said('FinishTimestampMonotonic=1201'), { why: 'systemctl: unknown format' }],
    ['not told', said('', 1, 'Failed to connect to bus\n'), { why: 'systemctl: exit code 1: Failed to connect to bus' }],
  ])('is %s', async (_, answer, expected) => {
    expect(await gather(bootEnd(), answer)).toMatchObject(expected);
  });
});

// Newest first, as journalctl 252 prints them with -r -o json --output-fields=….
const LINES = [
  '{"__MONOTONIC_TIMESTAMP":"13511273","MESSAGE_ID":"39f53479d3a045ac8e11786248231fbf","_BOOT_ID":"f954","MESSAGE":"Started lvm-activate-vg0.service - /sbin/lvm vgchange -aay --autoactivation event vg0.","UNIT":"lvm-activate-vg0.service"}',
  '{"MESSAGE":"Dependency failed for srv-data.mount - /srv/data.","__MONOTONIC_TIMESTAMP":"10129033","MESSAGE_ID":"be02cf6855d2428ba40df7e9d022f03d","UNIT":"srv-data.mount"}',
  '{"UNIT":"dev-vg0-data.device","MESSAGE_ID":"be02cf6855d2428ba40df7e9d022f03d","__MONOTONIC_TIMESTAMP":"10128595","MESSAGE":"Timed out waiting for device dev-vg0-data.device - /dev/vg0/data."}',
  '{"UNIT":"libvirtd.service","MESSAGE_ID":"7d4958e842da4a758f6c1cdc7b36dcc5","__MONOTONIC_TIMESTAMP":"9000000","MESSAGE":"Starting Virtualization daemon..."}',
  '{"MESSAGE_ID":"24d8d4452573402496068381a6312df2","__MONOTONIC_TIMESTAMP":"8000000","MESSAGE":"New machine qemu-1-vm1."}',
  '{"MESSAGE_ID":"f77379a8490b408bbe5f6940505a777b","__MONOTONIC_TIMESTAMP":"6635421","MESSAGE":"Journal started"}',
];
const text = (lines: readonly string[]) => said(lines.map((line) => `${line}\n`).join(''));

describe('bootJournal', () => {
  it('tells the first start of each unit, what was given up, and since when it is kept', async () => {
    const again = (LINES[0] as string).replace('13511273', '99000000');
    const journal = await gather(bootJournal(['x.service']), text([again, ...LINES]));
    expect(journal).toMatchObject({ since: 6635421, machines: ['qemu-1-vm1'] });
    expect(journal.why).toBeUndefined();
    expect([...journal.starts].map(([unit, { us }]) => [unit, us])).toEqual([
      ['lvm-activate-vg0.service', 13511273],
      ['libvirtd.service', 9000000],
    ]);
    expect(journal.starts.get('libvirtd.service')?.evidence).toMatchObject({
      source: 'journalctl -b',
      excerpt: '9.0 s: Starting Virtualization daemon... (libvirtd.service)',
    });
    expect([...journal.givenUp.keys()]).toEqual(['srv-data.mount', 'dev-vg0-data.device']);
  });

  it('has lost the beginning where it does not go back to it', async () => {
    expect(await gather(bootJournal([]), text(LINES.slice(0, -1)))).toMatchObject({ since: undefined });
    expect(await gather(bootJournal([]), said(''))).toMatchObject({ since: undefined });
  });

  it('is asked for whole lines where journalctl is older', async () => {
    const asked: string[] = [];
    const old = (words: string) =>
      words.includes('--output-fields') ? said('', 1, "journalctl: unrecognized option '--output-fields=MESSAGE'\n") : text(LINES);
    expect(await gather(bootJournal([]), old, asked)).toMatchObject({ since: 6635421 });
    expect(asked).toHaveLength(2);
  });

  it.each([
    ['cut off', said(`${LINES[0]}\n${LINES[1]?.slice(0, 40)}`)],
    ['garbled', said('@%!\n')],
    ['of another kind', said('null\n[]\n')],
    ['refused', said('', 1, 'No permission\n')],
    ['late', timedOut()],
  ])('could not be read where it is %s', async (_, answer) => {
    expect(await gather(bootJournal([]), answer)).toMatchObject({ why: expect.any(String), since: undefined });
  });

  it('takes what is no text for none', async () => {
    const bytes = '{"MESSAGE":[1,2],"UNIT":"a.service","MESSAGE_ID":"39f53479d3a045ac8e11786248231fbf","__MONOTONIC_TIMESTAMP":"7"}';
    expect((await gather(bootJournal([]), text([bytes]))).starts.get('a.service')).toMatchObject({ us: 7 });
  });
});
