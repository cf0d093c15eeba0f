/** What systemd runs a process for, by its control group. */
import { outputOf, read, Unknown, whyNot } from '../check/asking.ts';
import { defineCondition } from '../check/condition.ts';
import type { Asking, Holds } from '../check/types.ts';

/** The path in /proc/PID/cgroup by which systemd sorts processes. */
export function groupPath(cgroup: string): string | undefined {
  // 0::/system.slice/nginx.service   or, of cgroup v1, 1:name=systemd:/system.slice/nginx.service
  return /^(?:0:|\d+:name=systemd):(\/.*)$/m.exec(cgroup)?.[1];
}

/** Below slices alone: inside user@1000.service and in containers other managers have services of the same names. */
export function serviceOf(cgroup: string): string | undefined {
  // /system.slice/system-foo.slice/foo@1.service/worker
  const service = /^(?:\/[^/]+\.slice)*\/([^/]+\.service)(?:\/|$)/.exec(groupPath(cgroup) ?? '')?.[1];
  return service?.startsWith('user@') ? undefined : service;
}

/** The process is one of this service of the system. */
export const runsIn = defineCondition('runs-in', function* (args: { pid: number; service: string }): Asking<Holds> {
  const path = `/proc/${args.pid}/cgroup`;
  const answer = yield* read(path);
  if (!Number.isSafeInteger(args.pid) || answer.state !== 'ok') {
    throw new Unknown(`${path}: ${whyNot(answer)}`);
  }
  const found = serviceOf(outputOf(answer));
  return found === args.service
    ? { holds: true }
    : { holds: false, expected: `process ${args.pid} in ${args.service}`, found: found ?? 'it in no service of the system' };
});
