import { expect, it } from 'vitest';
import { unitOf } from './facts.ts';

it.each([
  ['0::/system.slice/nginx.service\n', 'nginx.service'],
  ['0::/system.slice/system-foo.slice/foo@1.service/worker\n', 'foo@1.service'],
  ['12:pids:/x\n1:name=systemd:/user.slice/user-1000.slice/session-3.scope\n', 'session-3.scope'],
  ['0::/lxc.payload.web\n', '/lxc.payload.web'],
  ['0::/\n', undefined],
  ['', undefined],
])('%j', (cgroup, unit) => {
  expect(unitOf(cgroup)).toBe(unit);
});
