import { describe, expect, it } from 'vitest';
import { fakeTarget, said, timedOut } from '../../test/fake-target.ts';
import { Round } from '../engine/round.ts';
import { bootOrder, isOrderedAfter, parseOrder } from './start-order.ts';

const SHOWN = `Id=app.service
ActiveState=active
UnitFileState=enabled
After=basic.target between.service off.service
RequiresMountsFor=/srv/a "/srv/b c" "/x\\x41\\"y"
ExecStart={ path=/bin/a ; argv[]=/bin/a --password=secret ; ignore_errors=no }
ExecStart={ path=/bin/b ; argv[]=/bin/b ; ignore_errors=no }

Id=basic.target
ActiveState=active
After=sysinit.target

Id=sysinit.target
ActiveState=active
After=local-fs.target app.service

Id=local-fs.target
ActiveState=active
After=srv-local.mount

Id=between.service
ActiveState=active
After=remote-fs.target

Id=off.service
ActiveState=inactive
After=srv-other.mount
`;
const ask = (answer: ReturnType<typeof said>) =>
  new Round(
    fakeTarget(() => answer),
    Date.now() + 5000,
  ).gather(bootOrder());

describe('the order of units', () => {
  it('is what systemctl shows, with secrets masked', () => {
    const app = parseOrder(SHOWN).get('app.service');
    expect(app).toMatchObject({
      unitFileState: 'enabled',
      after: ['basic.target', 'between.service', 'off.service'],
      requiresMountsFor: ['/srv/a', '/srv/b c', '/xA"y'],
    });
    expect(app?.execStart.split('\n')).toHaveLength(2);
  });

  it.each([
    ['srv-local.mount', true],
    ['remote-fs.target', true],
    ['basic.target', true],
    ['srv-other.mount', false],
    ['srv-none.mount', false],
  ])('of app.service after %s: %s', (earlier, expected) => {
    expect(isOrderedAfter(parseOrder(SHOWN), 'app.service', earlier)).toBe(expected);
  });

  it('masks what a command line gives away', async () => {
    const order = await ask(said(SHOWN));
    expect(order.state === 'known' && order.units.get('app.service')?.execStart).toContain('--password=********');
  });

  it.each([
    ['cut off', said(SHOWN.slice(0, -5))],
    ['empty', said('')],
    ['of another format', said('nothing\n')],
    ['refused', said('', 1, 'Failed to connect to bus: No such file or directory\n')],
    ['late', timedOut(SHOWN)],
  ])('is unknown where it is %s', async (_, answer) => {
    expect(await ask(answer)).toMatchObject({ state: 'unknown' });
  });
});
