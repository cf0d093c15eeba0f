/** For every plan: killed at every line of its journal, then looked at, resumed or taken back, and looked at again. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { toByteString } from '../../src/names.ts';
import { FULL } from '../full.ts';
import { found } from './compare.ts';
import { type Fault, faults, type Made } from './crash-faults.ts';
import { inWorld, journalOf } from './midway.ts';
import { type Report, ROOT, until, type World, withoutOtherWorlds } from './world.ts';

const CRASHING = `--import ${join(ROOT, 'test/real/crash.mjs')}`;
const COMMANDS = {
  fix: ['fix', 'zombie-mounts'],
  resume: ['resume', '--forward'],
  rollback: ['resume', '--rollback'],
  undo: ['undo'],
} as const;
const CODES: Readonly<Record<string, number[]>> = {
  repaired: [0],
  healed: [0],
  unproven: [1],
  refused: [1],
  stale: [4],
  // In part: one step cannot be taken back.
  undone: [0, 1],
};

interface Crash {
  where: 'before' | 'after' | 'torn';
  /** The line, counted from 1 in what the command that is killed writes. */
  nth: number;
  line: string;
}

interface Setting {
  world: World;
  fault: Fault;
  made: Made;
  /** What was there besides the mount before anything was done about it. */
  others: { points: string[]; processes: number[] };
}

describe.concurrent('killed while it repairs', () => {
  for (const [name, fault] of Object.entries(faults)) {
    const lines = linesOf(fault);
    const crashes = [...crashesAt(lines), ...(name === 'fuse-dead' ? tornAt(lines) : [])];
    // Each day mostly the moments at which the journal alone cannot know what was done.
    const wanted = crashes.filter((crash) => FULL || name === 'fuse-dead' || isDoubtful(crash, fault));

    for (const crash of wanted) {
      it(
        `${name}, ${crash.where} ${crash.line}: resume ends it`,
        { concurrent: fault.alone !== true },
        whenKilled(fault, lines, crash, async (setting, interrupted) => {
          const good = goodEnd(fault);
          if (interrupted) {
            expect(await run('resume', setting)).toEqual([good]);
          }
          const left = await expectClosed(setting);
          if (!interrupted) {
            expect(await run('fix', setting)).toEqual(left.map(() => good));
          }
          await expectWell(setting);
        }),
      );
    }

    for (const crash of wanted.filter(({ where }) => FULL || (fault.back === true && where === 'before'))) {
      it(
        `${name}, ${crash.where} ${crash.line}: resume --rollback ends it`,
        { concurrent: fault.alone !== true },
        whenKilled(fault, lines, crash, async (setting, interrupted) => {
          const [outcome] = interrupted ? await run('rollback', setting) : [];
          expect([undefined, 'undone', 'stale', 'refused']).toContain(outcome);
          const left = await expectClosed(setting);
          expect(await run('fix', setting)).toEqual(left.map(() => goodEnd(fault)));
          if (left.length > 0) {
            await expectWell(setting);
          }
        }),
      );
    }
  }
});

describe.concurrent('killed while it takes back', () => {
  for (const [name, taken] of [
    ['fuse-stopped', { step: 1, leaves: 'fuse-stopped' }],
    ['bind-source-deleted, a directory', { step: 4, leaves: undefined }],
  ] as const) {
    const fault = faults[name] as Fault;
    const lines = ['taken-up', ...act(`undo ${taken.step}`), `proven undo ${taken.step}`, 'closed'];

    for (const crash of crashesAt(lines).filter((each) => FULL || isDoubtful(each, fault))) {
      it(
        `${name}, ${crash.where} ${crash.line}: resume ends it`,
        withFault(fault, async (setting) => {
          const { world, made } = setting;
          expect(await run('fix', setting)).toEqual([goodEnd(fault)]);
          const whole = journalOf(world).map(nameOf);
          expect(whole).toEqual(linesOf(fault));

          await kill('undo', setting, crash);
          const written = lines.slice(0, crash.where === 'after' ? crash.nth : crash.nth - 1);
          expect(journalOf(world).map(nameOf)).toEqual([...whole, ...written]);
          const interrupted = written.length > 0 && written.at(-1) !== 'closed';
          expect((await look(setting)).interrupted).toBe(interrupted);
          if (interrupted) {
            expect(await run('resume', setting)).toEqual(['undone']);
          } else if (written.length === 0) {
            expect(await run('undo', setting)).toEqual(['undone']);
          }
          expect(await expectClosed(setting)).toEqual(taken.leaves === undefined ? [] : [`${taken.leaves} ${made.point}`]);
          expect(world.mountsAt(made.point)).toHaveLength(taken.leaves === undefined ? 0 : 1);
        }),
      );
    }
  }
});

/** What the journal of this plan holds when nothing goes wrong. */
function linesOf({ steps, borrows }: Fault): string[] {
  const taken = Array.from({ length: steps }, (_, index) => [...act(`step ${index + 1}`), `proven step ${index + 1}`]).flat();
  return ['opened', ...taken, ...(borrows === undefined ? [] : act(`release ${borrows}`)), 'closed'];
}

function act(of: string): string[] {
  return ['act', 'started', 'acted'].map((event) => `${event} ${of}`);
}

function nameOf({ event, of, step }: Report): string {
  return of === undefined ? event : `${event} ${of} ${step + 1}`;
}

/** Between an act and the line before it lies nothing, between an act and the line after it the command itself. */
function crashesAt(lines: readonly string[]): Crash[] {
  return lines.flatMap((line, index): Crash[] => {
    const crash = { nth: index + 1, line };
    const alsoAfter = line.startsWith('act ') || line === 'closed';
    return [{ ...crash, where: 'before' }, ...(alsoAfter ? [{ ...crash, where: 'after' as const }] : [])];
  });
}

function tornAt(lines: readonly string[]): Crash[] {
  return lines.map((line, index) => ({ where: 'torn', nth: index + 1, line }));
}

/** Done and not said, or announced and not done. */
function isDoubtful({ where, line }: Crash, { slow }: Fault): boolean {
  return where === 'before' ? line.startsWith('started ') : line.startsWith('act ') && slow !== true;
}

function goodEnd({ remains }: Fault): string {
  return remains === true ? 'unproven' : 'repaired';
}

function withFault(fault: Fault, work: (setting: Setting) => Promise<void>): () => Promise<void> {
  return inWorld(
    async (world) => {
      const made = await fault.make(world);
      await work({ world, fault, made, others: { points: pointsBeside(made, world), processes: world.processes() } });
    },
    fault.fusectl === undefined ? {} : { fusectl: fault.fusectl },
  );
}

/** The fault, and fix killed at this line; looked at before anything else is done. */
function whenKilled(
  fault: Fault,
  lines: readonly string[],
  crash: Crash,
  then: (setting: Setting, interrupted: boolean) => Promise<void>,
): () => Promise<void> {
  return withFault(fault, async (setting) => {
    await kill('fix', setting, crash);
    const written = lines.slice(0, crash.where === 'after' ? crash.nth : crash.nth - 1);
    expect(journalOf(setting.world).map(nameOf)).toEqual(written);
    const interrupted = written.length > 0 && written.at(-1) !== 'closed';
    expect((await look(setting)).interrupted).toBe(interrupted);
    await then(setting, interrupted);
  });
}

async function kill(command: keyof typeof COMMANDS, setting: Setting, { where, nth }: Crash): Promise<void> {
  const { code, shown } = await start(command, setting, [], { NODE_OPTIONS: CRASHING, STDOCTOR_CRASH: `kill ${where} ${nth}` });
  expect([-1, 128 + 9], shown).toContain(code);
}

/** The outcome of each repair. */
async function run(command: keyof typeof COMMANDS, setting: Setting): Promise<string[]> {
  const file = setting.world.path(`${command}.json`);
  const { code, shown } = await start(command, setting, ['--output', `json:${file}`], {});
  const { repairs, exitCode } = JSON.parse(withoutOtherWorlds(readFileSync(file, 'utf8')));
  const outcomes: string[] = repairs.map(({ outcome }: Report) => outcome);
  expect(code, shown).toBe(exitCode);
  const codes = outcomes.length === 0 ? [0] : (CODES[outcomes[0] as string] ?? []);
  expect(codes, `${JSON.stringify(repairs, null, 1)}\n${shown}`).toContain(code);
  return outcomes;
}

/** With the consent that the risk asks for. `shown`: what a reader saw. */
async function start(
  command: keyof typeof COMMANDS,
  { world, fault: { consent }, made }: Setting,
  more: readonly string[],
  env: Record<string, string>,
): Promise<{ code: number; shown: string }> {
  const args = [...COMMANDS[command], ...more];
  const losesBytes = async () => command === 'resume' || (command === 'fix' && (await made.truth()).join().startsWith('fuse-hung'));
  if (consent !== 'typed' || !(await losesBytes())) {
    const agreed = command === 'fix' ? ['--auto', consent === 'typed' ? 'disruptive' : consent] : ['--yes'];
    const { code, stdout, stderr } = await world.stdoctor([...args, ...agreed], { env });
    return { code, shown: stdout + stderr };
  }
  const terminal = await world.terminal(args, { env });
  await terminal.waitFor(/Type \S+ to go on/, 60_000);
  await terminal.type(made.point);
  return { code: await terminal.ended(60_000), shown: await terminal.screen() };
}

/** What check says, once that is what the kernel says: before it was asked or, where a command was left behind, after it. */
async function look({ world, made }: Setting): Promise<{ interrupted: boolean; mounts: string[] }> {
  const before = await made.truth();
  const { code, stdout } = await world.stdoctor(['check', '--json']);
  const report = JSON.parse(stdout);
  const all = found(report);
  const mounts = all.filter((each) => !each.startsWith('repair-interrupted '));
  const interrupted = all.length > mounts.length;
  if (mounts.join() !== before.join()) {
    expect(mounts).toEqual(await made.truth());
  }
  if (interrupted) {
    expect([code, report.targets[0].findings[0].code]).toEqual([2, 'repair-interrupted']);
  } else {
    const untold = report.targets[0].checks.flatMap(({ unjudged }: Report) => unjudged);
    expect(mounts.length === 0 ? [0] : [1, 2], JSON.stringify(untold)).toContain(code);
  }
  made.precious();
  return { interrupted, mounts };
}

/** Nothing is interrupted any more, nothing was done twice, and what was borrowed was given back. Returns the faults that are left. */
async function expectClosed(setting: Setting): Promise<string[]> {
  const { world, made, others } = setting;
  const { interrupted, mounts } = await look(setting);
  expect(interrupted).toBe(false);
  const again = await world.stdoctor(['resume', '--forward', '--yes', '--json']);
  expect([again.code, JSON.parse(again.stdout).repairs]).toEqual([0, []]);
  expect(pointsBeside(made, world)).toEqual(others.points);
  await made.released?.();
  const done = journalOf(world).filter(({ event, of, ok }) => event === 'acted' && of === 'step' && ok);
  const names = done.map((line) => `${line.run} ${line.plan} ${nameOf(line)}`);
  expect(names).toEqual([...new Set(names)]);
  return mounts;
}

async function expectWell(setting: Setting): Promise<void> {
  const { world, fault, made, others } = setting;
  expect(await made.truth()).toHaveLength(fault.remains === true ? 1 : 0);
  await made.works();
  expect(pointsBeside(made, world)).toEqual(others.points);
  await until(() => world.processes().every((pid) => others.processes.includes(pid) || made.serving?.().includes(pid)));
}

function pointsBeside({ point }: Made, world: World): string[] {
  return world
    .mounts()
    .map((mount) => toByteString(mount.point))
    .filter((each) => each !== point);
}
