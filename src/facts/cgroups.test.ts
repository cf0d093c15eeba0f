import { expect, it } from 'vitest';
import { fakeTarget, said } from '../../test/fake-target.ts';
import { examine } from '../check/condition.ts';
import { Round } from '../engine/round.ts';
import { runsIn, serviceOf } from './cgroups.ts';

it.each([
  ['0::/system.slice/nginx.service\n', 'nginx.service'],
  ['0::/system.slice/system-foo.slice/foo@1.service/worker\n', 'foo@1.service'],
  ['9:name=systemd:/custom.slice/a.service\n0::/\n', 'a.service'],
  ['0::/user.slice/user-1000.slice/user@1000.service/app.slice/nginx.service\n', undefined],
  ['0::/lxc.payload.web/system.slice/nginx.service\n', undefined],
  ['0::/machine.slice/machine-web.scope/payload/system.slice/nginx.service\n', undefined],
  ['0::/user.slice/user-1000.slice/session-3.scope\n', undefined],
  ['0::/init.scope\n', undefined],
  ['0::/\n', undefined],
  ['', undefined],
])('%j is of %s', (cgroup, service) => {
  expect(serviceOf(cgroup)).toBe(service);
});

it('a process runs in a service, in another one, or could not be looked at', async () => {
  const holds = (pid: number, service: string) => {
    const target = fakeTarget((probe) =>
      'path' in probe && probe.path === '/proc/7/cgroup' ? said('0::/system.slice/a.service\n') : undefined,
    );
    return new Round(target, Number.MAX_SAFE_INTEGER).gather(examine(runsIn({ pid, service })));
  };
  expect(await holds(7, 'a.service')).toEqual({ holds: true });
  expect(await holds(7, 'b.service')).toMatchObject({ holds: false, found: 'a.service' });
  expect(await holds(8, 'a.service')).toMatchObject({ holds: false });
});
