/** A host of named values that commands `set NAME VALUE` change: repairs without mounts. */
import { appendFileSync } from 'node:fs';
import { defineFact, outputOf, read } from '../src/check/asking.ts';
import { defineCondition } from '../src/check/condition.ts';
import type { Acted, Action, AnyCheck, Asking, Child, Holds, Plan, Probe, ResolvedAction, Step, Target } from '../src/check/types.ts';
import { type CheckEntry, inspect } from '../src/engine/inspect.ts';
import type { FindingResult } from '../src/engine/result.ts';
import type { Entry, Purpose } from '../src/journal/entries.ts';
import { JOURNAL_FILE, Journal, readJournal } from '../src/journal/journal.ts';
import type { ApplyContext, Steps } from '../src/repair/apply.ts';
import type { JournalledOptions } from '../src/repair/journalled.ts';
import { fakeTarget, said, wordsOf } from './fake-target.ts';
import { scratch } from './scratch.ts';

export const BOOT = 'boot-1';
/** Of a host without a machine-id. */
export const MACHINE = 'hostname:fake';
export const WHO = { uid: 0, user: 'root', sudoUser: null };
/** One that nobody aborts. */
export const NEVER = new AbortController().signal;

export const fakeValue = defineFact('fake-host.value', function* (name: string): Asking<string> {
  return outputOf(yield* read(`/proc/fake/${name}`));
});

export const valueIs = defineCondition('value-is', function* (args: { name: string; value: string }): Asking<Holds> {
  const found = yield* fakeValue(args.name);
  return found === args.value ? { holds: true } : { holds: false, expected: `${args.name} ${args.value}`, found: found || 'nothing' };
});

export function set(name: string, value: string): Action & ResolvedAction {
  return { kind: 'run', argv: ['set', name, value] };
}

/** A step that sets a value, and can be taken back. */
export function setting(name: string, from: string, to: string, more: Partial<Step> = {}): Step {
  return {
    title: `Set ${name}`,
    why: '',
    risk: 'safe',
    action: set(name, to),
    guards: [valueIs({ name, value: from })],
    proof: [valueIs({ name, value: to })],
    patienceMs: 0,
    undo: { action: set(name, from), proof: [valueIs({ name, value: from })] },
    ...more,
  };
}

/** Its check finds `fake-sick` while the value `sick` is yes, for each name in `things`. */
export class FakeHost {
  readonly values: Map<string, string>;
  readonly acts: string[] = [];
  /** Command lines that fail, and change nothing. */
  readonly failing = new Set<string>();
  /** What happens while a command runs; it ends when this does. */
  during: ((line: string) => unknown) | undefined;
  /** Processes of the host: pid to `/proc/PID/stat`. */
  readonly processes = new Map<number, string>();
  /** What the check would do about the fault now. */
  plan: Plan;
  /** Subjects that are faulty while the host is sick. */
  things = ['x'];
  tooMany: string | undefined;
  readonly target: Target & { asked: Probe[] };
  readonly check: AnyCheck;
  readonly entry: CheckEntry;

  constructor(steps: Step[], values: Record<string, string> = {}) {
    this.values = new Map(Object.entries({ sick: 'yes', ...values }));
    this.plan = { steps };
    this.target = {
      ...fakeTarget((probe) => this.#answer(wordsOf(probe))),
      act: (action, log, started) => this.#act(action, log, started),
    };
    this.check = {
      meta: { id: 'fake', title: '', area: '', scope: 'host', summary: '', references: [], codes: { 'fake-sick': '{subject} is sick' } },
      needs: { sick: () => fakeValue('sick') },
      detect: ({ sick }: { sick: string }) => ({
        examined: this.things.length,
        findings: (sick === 'yes' ? this.things : []).map((name) => ({
          code: 'fake-sick',
          severity: 'critical',
          subject: { kind: 'thing', name },
          data: null,
          confidence: 'certain',
          evidence: [],
        })),
        unjudged: sick === 'unknown' ? this.things.map((name) => ({ subject: { kind: 'thing', name }, why: 'nobody knows' })) : [],
      }),
      tooMany: () => this.tooMany,
      plan: () => this.plan,
    };
    this.entry = { id: 'fake', title: '', load: async () => this.check };
  }

  #answer(words: string) {
    const [, name = ''] = /^\/proc\/fake\/(.*)$/.exec(words) ?? [];
    const [, pid = ''] = /^\/proc\/(\d+)\/stat$/.exec(words) ?? [];
    switch (words) {
      case '/proc/sys/kernel/random/boot_id':
        return said(`${BOOT}\n`);
      case '/proc/sys/kernel/hostname':
        return said('fake\n');
      case '/proc/self/mountinfo':
        return said('1 0 0:1 / / rw - ext4 /dev/vda rw\n');
      default: {
        const value = this.values.get(name) ?? this.processes.get(Number(pid));
        return value === undefined ? undefined : said(value);
      }
    }
  }

  async #act(action: ResolvedAction, log: string, started: (child: Child) => void): Promise<Acted> {
    const line = action.kind === 'run' ? action.argv.join(' ') : `write ${action.path}`;
    this.acts.push(line);
    appendFileSync(log, `did ${line}\n`);
    started({ pid: 4711, startTime: '99' });
    await this.during?.(line);
    if (this.failing.has(line)) {
      return { ok: false, code: 5 };
    }
    const [command, name = '', value = ''] = action.kind === 'run' ? action.argv.map(String) : [];
    if (command === 'set') {
      this.values.set(name, value);
    }
    return { ok: true, code: 0 };
  }

  async findings(): Promise<FindingResult[]> {
    return (await inspect(this.target, [this.entry], { until: Date.now() + 5000 })).target.findings;
  }

  /** A state directory whose journal tells that the plan of the (first) fault was opened, and what came after that. */
  async journalled(...entries: Entry[]): Promise<string> {
    const [{ finding, summary, plan }] = (await this.findings()) as [FindingResult];
    const { steps } = plan as Steps;
    const stateDir = scratch();
    const { journal } = this.context({ stateDir });
    const references = { run: 'run-1', state: stateDir, rescue: '/rescue/run-1' };
    const head = { version: '0', who: WHO, machine: MACHINE, boot: BOOT, finding, summary, risk: 'safe', references } as const;
    for (const entry of [{ event: 'opened', ...head, steps } as const, ...entries]) {
      journal.write('run-1', finding.id, entry);
    }
    return stateDir;
  }

  /** What resume and undo are told, as run-2. */
  options(stateDir: string, stop: AbortSignal = NEVER): JournalledOptions {
    return {
      targetOf: async () => this.target,
      entries: [this.entry],
      runId: 'run-2',
      version: '0',
      costly: undefined,
      stateDir,
      rescueDir: undefined,
      roundMs: 500,
      show: (_title, work) => work(() => {}),
      minded: (work) => work(stop),
    };
  }

  /** With a real journal in a directory of its own. `line` is called before each line is written, from 1. */
  context(more: Partial<ApplyContext> & { line?: (nth: number, entry: Entry) => void } = {}): ApplyContext {
    const { line, ...rest } = more;
    const stateDir = more.stateDir ?? scratch();
    let nth = 0;
    const write: Journal['write'] = (run, plan, entry) => {
      nth++;
      line?.(nth, entry);
      const journal = new Journal(stateDir);
      journal.write(run, plan, entry);
      journal.close();
    };
    return {
      target: this.target,
      entry: this.entry,
      journal: { write },
      costly: undefined,
      runId: 'run-1',
      stateDir,
      rescueDir: undefined,
      roundMs: 5000,
      listen: () => {},
      version: '0',
      stop: NEVER,
      who: WHO,
      machine: MACHINE,
      boot: BOOT,
      ...rest,
    };
  }
}

/** The lines of an act on a step, as far as it came. */
export function acted(index: number, step: Step, until: 'act' | 'started' | 'acted' | 'failed' | 'proven', of: Purpose = 'step'): Entry[] {
  const { action, proof } = of === 'step' || 'none' in step.undo ? step : step.undo;
  const { release } = step;
  const lines: Entry[] = [
    {
      event: 'act',
      of,
      step: index,
      action: (of === 'release' ? release : action) as ResolvedAction,
      proof: of === 'release' ? [] : proof,
    },
    { event: 'started', of, step: index, child: { pid: 4711, startTime: '99' } },
    { event: 'acted', of, step: index, ok: until !== 'failed', code: until === 'failed' ? 5 : 0, log: '' },
    { event: 'proven', of, step: index },
  ];
  return lines.slice(0, { act: 1, started: 2, acted: 3, failed: 3, proven: 4 }[until]);
}

/** What the journal of a state directory tells of its only repair. */
export function repairIn(stateDir: string) {
  const repairs = readJournal(stateDir) ?? [];
  if (repairs.length !== 1 || repairs[0] === undefined) {
    throw new Error(`expected one repair in ${stateDir}/${JOURNAL_FILE}, found ${repairs.length}`);
  }
  return repairs[0];
}
