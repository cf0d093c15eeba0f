import { describe, expect, it } from 'vitest';
import { fakeTarget, said, wordsOf } from '../../test/fake-target.ts';
import { examine } from '../check/condition.ts';
import type { Answer } from '../check/types.ts';
import { Round } from '../engine/round.ts';
import { parseUnits, unitIs, unitName, units } from './units.ts';

const ROOT = 'Where=/\nWhat=/dev/vda1\nType=ext4\nResult=success\nId=-.mount\nLoadState=loaded\nActiveState=active\nSubState=mounted\n';
const LATE = `Where=/srv/caf\xc3\xa9
What=/dev/disk/by-uuid/4c0f
Type=xfs
Result=success
Id=srv-caf\\xc3\\xa9.mount
LoadState=loaded
ActiveState=inactive
SubState=dead
FragmentPath=/run/systemd/generator/srv.mount
SourcePath=/etc/fstab
UnitFileState=generated
NeedDaemonReload=yes
Job=812
ActiveEnterTimestampMonotonic=0
ConditionResult=no
ConditionTimestampMonotonic=5123
`;
const SWAP = 'What=/dev/vg/swap\nResult=success\nId=dev-vg-swap.swap\nLoadState=loaded\nActiveState=inactive\nSubState=dead\n';
const NO_CONTAINER = "find: '/run/systemd/container': No such file or directory\n";

function gather(show: Answer, marks = said('/run/systemd/system\0', 1, NO_CONTAINER)) {
  const target = fakeTarget((probe) => (wordsOf(probe).startsWith('systemctl') ? show : marks));
  return new Round(target, Number.MAX_SAFE_INTEGER);
}

describe('parseUnits', () => {
  it('reads blocks of properties', () => {
    const [root, late, swap] = parseUnits([ROOT, LATE, SWAP].join('\n'));
    expect(root).toMatchObject({ id: '-.mount', kind: 'mount', where: '/', activeState: 'active', wasActive: undefined });
    expect(late).toMatchObject({
      id: 'srv-caf\\xc3\\xa9.mount',
      where: '/srv/café',
      what: '/dev/disk/by-uuid/4c0f',
      fstype: 'xfs',
      result: 'success',
      sourcePath: '/etc/fstab',
      needsReload: true,
      hasJob: true,
      wasActive: false,
      isConditionUnmet: true,
    });
    expect(swap).toMatchObject({ kind: 'swap', where: undefined, what: '/dev/vg/swap', hasJob: false, isConditionUnmet: false });
  });

  it.each(['', ROOT.slice(0, -1), 'Id=a.service\nActiveState=active\n', '\x07%!@\n'])('%j holds none', (text) => {
    expect(parseUnits(text)).toEqual([]);
  });
});

describe('units', () => {
  it('are known where systemd runs', async () => {
    expect(await gather(said(`${ROOT}\n${LATE}`)).gather(units())).toMatchObject({
      state: 'known',
      units: [{ id: '-.mount' }, { where: '/srv/café' }],
    });
  });

  it('are none where it does not', async () => {
    const marks = said('', 1, `find: '/run/systemd/system': No such file or directory\n${NO_CONTAINER}`);
    expect(await gather(said(''), marks).gather(units())).toEqual({ state: 'no-systemd' });
  });

  it.each([
    ['the bus is not reached', said('', 1, 'Failed to connect to bus: No such file or directory\n'), undefined],
    ['the root is not among them', said(LATE), undefined],
    ['the output is cut off', said(`${ROOT}\n${LATE}`.slice(0, -3)), undefined],
    ['nothing was said', said(''), undefined],
    ['the marks were not told', said(ROOT), said('')],
    ['the marks were denied', said(ROOT), said('', 1, "find: '/run/systemd/system': Permission denied\n")],
  ])('could not tell where %s', async (_, show, marks) => {
    expect(await gather(show, marks).gather(units())).toMatchObject({ state: 'unknown' });
  });
});

describe('unitName', () => {
  // systemd-escape -p --suffix=mount
  it.each([
    ['/', '-.mount'],
    ['/mnt/a b-c', 'mnt-a\\x20b\\x2dc.mount'],
    ['/mnt//data/', 'mnt-data.mount'],
    ['/.hidden/x.y', '\\x2ehidden-x.y.mount'],
    ['/srv/café', 'srv-caf\\xc3\\xa9.mount'],
  ])('%s → %s', (path, name) => {
    expect(unitName(path, 'mount')).toBe(name);
  });
});

describe('unit-is', () => {
  const holds = (show: Answer, states: string[]) => gather(show).gather(examine(unitIs({ unit: 'dev-vg-swap.swap', states })));

  it('looks at one unit', async () => {
    expect(await holds(said(SWAP), ['inactive'])).toEqual({ holds: true });
    expect(await holds(said(SWAP), ['active', 'failed'])).toMatchObject({ holds: false, found: 'inactive' });
    expect(await holds(said(ROOT), ['active'])).toMatchObject({ holds: false, found: 'no such unit' });
    expect(await holds(said('', 1, 'Failed to connect to bus'), ['active'])).toMatchObject({ holds: false });
    expect(await holds(said(SWAP.slice(0, -3)), ['inactive'])).toMatchObject({ holds: false });
  });

  it('as it is configured now, where that is asked', async () => {
    const fresh = (more: string) =>
      gather(said(`${SWAP}${more}`)).gather(examine(unitIs({ unit: 'dev-vg-swap.swap', states: ['inactive'], fresh: true })));
    expect(await fresh('NeedDaemonReload=no\n')).toEqual({ holds: true });
    expect(await fresh('NeedDaemonReload=yes\n')).toMatchObject({ holds: false, found: expect.stringContaining('has not read') });
    expect(await fresh('')).toMatchObject({ holds: false });
  });

  it('of any kind', async () => {
    const service = gather(said('Id=nginx.service\nActiveState=active\n'));
    expect(await service.gather(examine(unitIs({ unit: 'nginx.service', states: ['active'] })))).toEqual({ holds: true });
  });
});
