import { all, defineFact, outputOf, read } from '../check/asking.ts';
import { defineCondition } from '../check/condition.ts';
import type { Asking, Holds } from '../check/types.ts';

export interface Process {
  pid: number;
  /** `comm`: at most 15 bytes, chosen by the process itself. */
  name: string;
  /** R S D T t Z X I, proc_pid_stat(5). */
  state: string;
  /** Clock ticks since boot. */
  startTime: string;
  uid: number | null;
  /** Pid of the debugger, 0 for none, null where it could not be read. */
  tracer: number | null;
}

/** undefined: no such process, or it may not be looked at. */
export const processOf = defineFact('process', function* (pid: number): Asking<Process | undefined> {
  if (!Number.isSafeInteger(pid)) {
    return undefined;
  }
  const [stat, status] = yield* all([read(`/proc/${pid}/stat`), read(`/proc/${pid}/status`)]);
  const parsed = parseStat(outputOf(stat as NonNullable<typeof stat>));
  if (parsed === undefined) {
    return undefined;
  }
  const text = outputOf(status as NonNullable<typeof status>);
  return { ...parsed, uid: numberAfter(text, 'Uid'), tracer: numberAfter(text, 'TracerPid') };
});

/** `2583 (a) b) T 1 …`: the name may hold blanks and parentheses, so it ends at the last one. */
export function parseStat(text: string): Pick<Process, 'pid' | 'name' | 'state' | 'startTime'> | undefined {
  const open = text.indexOf(' (');
  const close = text.lastIndexOf(') ');
  const fields = text
    .slice(close + 2)
    .trim()
    .split(' ');
  const startTime = fields[19];
  if (open < 0 || close < open || startTime === undefined || !/^\d+$/.test(startTime)) {
    return undefined;
  }
  return { pid: Number(text.slice(0, open)), name: text.slice(open + 2, close), state: fields[0] as string, startTime };
}

function numberAfter(status: string, field: string): number | null {
  const match = new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(status);
  return match === null ? null : Number(match[1]);
}

export interface Self {
  uid: number;
  /** Has CAP_SYS_ADMIN in effect: may mount and unmount. */
  mayMount: boolean;
  /** Runs in the first pid namespace, so that /proc lists every process of the machine. */
  seesAllProcesses: boolean;
}

const CAP_SYS_ADMIN = 21n;

export const self = defineFact('self', function* (): Asking<Self> {
  const text = outputOf(yield* read('/proc/self/status'));
  const effective = /^CapEff:\s+([0-9a-f]+)$/m.exec(text)?.[1];
  const namespaces = /^NSpid:\s+(.+)$/m.exec(text)?.[1]?.split(/\s+/);
  const init = outputOf(yield* read('/proc/2/comm'));
  return {
    uid: numberAfter(text, 'Uid') ?? -1,
    mayMount: effective !== undefined && ((BigInt(`0x${effective}`) >> CAP_SYS_ADMIN) & 1n) === 1n,
    // Pid 2 is kthreadd in the first pid namespace and cannot be in any other.
    seesAllProcesses: namespaces?.length === 1 && init.trim() === 'kthreadd',
  };
});

/** The process is still the one that was seen, and in this state. */
export const processIs = defineCondition('process-is', function* (args: { pid: number; startTime: string; states: string }): Asking<Holds> {
  const found = yield* processOf(args.pid);
  const expected = `process ${args.pid} (started at tick ${args.startTime}) in state ${args.states.split('').join(' or ')}, not traced`;
  if (found === undefined) {
    return { holds: false, expected, found: 'no such process' };
  }
  const same = found.startTime === args.startTime && args.states.includes(found.state) && found.tracer === 0;
  return same
    ? { holds: true }
    : { holds: false, expected, found: `started at tick ${found.startTime}, state ${found.state}, tracer ${found.tracer ?? 'unknown'}` };
});
