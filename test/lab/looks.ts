/** What a report says of one finding, and which processes a run leaves in a guest. */
import { expect } from 'vitest';
import { type Doctor, found, type Report, unjudged } from './doctor.ts';
import type { Guest } from './guest.ts';

export function findingOf(report: Report, code: string, subject: string): Report {
  const finding = report.targets[0].findings.find((each: Report) => each.code === code && each.subject.name === subject);
  if (finding === undefined) {
    throw new Error(`no ${code} of ${subject}`);
  }
  return finding;
}

/** What is said where there is no plan. */
export function refusalOf(report: Report, code: string, subject: string): string {
  const { fix } = findingOf(report, code, subject);
  if (fix.state !== 'refused') {
    throw new Error(`${code} of ${subject} is not refused: ${JSON.stringify(fix)}`);
  }
  return fix.reason;
}

/** Processes that are there now and were not before, by pid. Not those of the kernel, of udev, and of this question. */
export async function processes(guest: Guest): Promise<Map<string, string>> {
  const { stdout } = await guest.run('ps --ppid 2 -p 2 --deselect -o pid=,stat=,args=');
  const lines = [...stdout.matchAll(/^ *(\d+) +(\S+) +(.*)$/gm)] as unknown as [string, string, string, string][];
  return new Map(lines.filter(([line]) => !/--ppid 2|udev-worker/.test(line)).map(([, pid, state, args]) => [pid, `${state} ${args}`]));
}

/** What is left of a run, once what ends by itself has had five seconds for it. */
export async function leftBehind(guest: Guest, before: ReadonlyMap<string, string>): Promise<Map<string, string>> {
  for (let tries = 0; ; tries++) {
    const left = new Map([...(await processes(guest))].filter(([pid]) => !before.has(pid)));
    if (left.size === 0 || tries === 5) {
      return left;
    }
    await new Promise((done) => setTimeout(done, 1000));
  }
}

/** Source, type and options of what is mounted below /srv. */
export async function mountLines(guest: Guest): Promise<string[]> {
  return (await guest.run("grep ' /srv/' /proc/self/mounts")).stdout.trim().split('\n').toSorted();
}

/** Nothing is found, and nothing could not be told. */
export async function expectWell(doctor: Doctor): Promise<void> {
  const { code, report } = await doctor.check();
  expect([found(report), unjudged(report), code]).toEqual([[], [], 0]);
}
