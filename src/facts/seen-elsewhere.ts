/** What a process sees mounted: of another mount namespace, through one that lives there. */
import { outputOf, read, Unknown, whyNot } from '../check/asking.ts';
import { defineCondition } from '../check/condition.ts';
import type { Asking, Holds } from '../check/types.ts';
import { type Name, sameName, showName } from '../names.ts';
import { type Mount, parseMountinfo, visibleMounts } from './mountinfo.ts';
import { parseStat, self } from './process.ts';

interface Resident {
  [key: string]: number | string;
  pid: number;
  /** Clock ticks since boot. */
  startTime: string;
}

interface Told {
  [key: string]: number | Name;
  id: number;
  device: string;
  point: Name;
}

/** The process is the one that was seen, and by these paths it reaches these mounts. */
export const seesMounts = defineCondition('sees-mounts', function* (args: { process: Resident; mounts: Told[] }): Asking<Holds> {
  const expected = `process ${args.process.pid} (started at tick ${args.process.startTime}) to see ${listed(args.mounts)}`;
  const mounts = yield* mountsSeenBy(args.process);
  if (mounts === undefined) {
    return { holds: false, expected, found: 'that it has ended' };
  }
  const visible = visibleMounts(mounts);
  const lacking = args.mounts.find((told) => !mounts.some((mount) => isSame(mount, told) && visible.has(mount.id)));
  return args.mounts.length > 0 && lacking === undefined
    ? { holds: true }
    : { holds: false, expected, found: lacking === undefined ? 'none named' : `${listed([lacking])} gone, or another mount over it` };
});

/** These processes have ended, or see none of these mounts any more. */
export const seesNoMounts = defineCondition('sees-no-mounts', function* (args: { processes: Resident[]; mounts: Told[] }): Asking<Holds> {
  const expected = `${listed(args.mounts)} gone from the mount namespace of process ${args.processes.map(({ pid }) => pid).join(', ')}`;
  if (args.processes.length === 0 || args.mounts.length === 0) {
    return { holds: false, expected, found: 'none named' };
  }
  for (const process of args.processes) {
    const mounts = (yield* mountsSeenBy(process)) ?? [];
    const left = args.mounts.find((told) => mounts.some((mount) => isSame(mount, told)));
    if (left !== undefined) {
      return { holds: false, expected, found: `process ${process.pid} still sees ${listed([left])}` };
    }
  }
  return { holds: true };
});

function isSame({ id, device, point }: Mount, told: Told): boolean {
  return id === told.id && device === told.device && sameName(point, told.point);
}

function listed(mounts: readonly Told[]): string {
  return mounts.map(({ id, device, point }) => `mount ${id} (device ${device}) at ${showName(point)}`).join(', ');
}

/** undefined: that process has ended. A number of a process or mount may have been given out again since. */
function* mountsSeenBy({ pid, startTime }: Resident): Asking<Mount[] | undefined> {
  // Absence proves something only where /proc is there.
  if ((yield* self()).uid < 0 || !Number.isSafeInteger(pid)) {
    throw new Unknown('/proc could not be read');
  }
  const path = `/proc/${pid}/stat`;
  const stat = yield* read(path);
  const found = parseStat(outputOf(stat));
  if (stat.state !== 'absent' && found === undefined) {
    throw new Unknown(`${path}: ${whyNot(stat)}`);
  }
  if (found?.startTime !== startTime || 'ZX'.includes(found.state)) {
    return undefined;
  }
  const answer = yield* read(`/proc/${pid}/mountinfo`, { maxBytes: 16 * 1024 * 1024 });
  if (answer.state !== 'ok') {
    throw new Unknown(`/proc/${pid}/mountinfo: ${whyNot(answer)}`);
  }
  return parseMountinfo(outputOf(answer));
}
