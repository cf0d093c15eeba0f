/** Repairs that edit a file, from the finding to the taking back. */
import { existsSync, linkSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { fileCheck } from '../../test/edited-file.ts';
import { FakeHost, repairIn } from '../../test/fake-host.ts';
import { scratch } from '../../test/scratch.ts';
import { temporaryOf } from '../check/edit.ts';
import type { Edit, ResolvedAction } from '../check/types.ts';
import { inspect } from '../engine/inspect.ts';
import type { FindingResult } from '../engine/result.ts';
import { type Entry, fold, type Line } from '../journal/entries.ts';
import { JOURNAL_FILE } from '../journal/journal.ts';
import type { Name } from '../names.ts';
import { LocalTarget } from '../target/local.ts';
import { type ApplyContext, applyPlan } from './apply.ts';
import { resumeRepairs, type Way } from './resume.ts';
import { undoRun } from './undo.ts';

const BEFORE = '# a comment\nsick  \tand more\n';
const AFTER = '# a comment\nwell  \tand more\n';

class Setting {
  readonly stateDir = scratch();
  readonly directory = scratch();
  readonly path = join(this.directory, 'fstab');
  readonly target = new LocalTarget(undefined);
  readonly entry = fileCheck(this.path);
  readonly #host = new FakeHost([]);

  constructor(content: string | null = BEFORE) {
    if (content !== null) {
      writeFileSync(this.path, content);
    }
  }

  async findings(): Promise<FindingResult[]> {
    return (await this.#look()).findings;
  }

  async #look() {
    return (await inspect(this.target, [this.entry], { until: Date.now() + 5000 })).target;
  }

  /** The first finding, or one of an earlier look. */
  async fix(more: Parameters<FakeHost['context']>[0] = {}, wanted?: FindingResult) {
    const { findings, identity } = await this.#look();
    const { target, entry, stateDir } = this;
    const context: ApplyContext = { ...this.#host.context({ target, entry, stateDir, ...more }), machine: identity, boot: null };
    return applyPlan(wanted ?? (findings[0] as FindingResult), context);
  }

  #options() {
    return { ...this.#host.options(this.stateDir), targetOf: async () => this.target, entries: [this.entry], roundMs: 5000 };
  }

  async resume(way: Way) {
    const { repairs } = await resumeRepairs({
      ...this.#options(),
      decide: async (known) => known.map(() => ({ apply: true as const, way })),
    });
    return repairs[0];
  }

  async undo() {
    const decide = async (known: readonly unknown[]) => known.map(() => ({ apply: true as const, way: 'back' as const }));
    return (await undoRun({ ...this.#options(), run: undefined, decide })).repairs;
  }

  get content(): string {
    return readFileSync(this.path, 'utf8');
  }

  get left(): string[] {
    return readdirSync(this.directory);
  }

  get copies(): string[] {
    const rescue = join(this.stateDir, 'rescue');
    return existsSync(rescue) ? readdirSync(rescue, { recursive: true, encoding: 'utf8' }).filter((name) => name.includes('fstab')) : [];
  }

  /** The journal as it was when its nth line had been written. */
  cutAfter(nth: number): void {
    const file = join(this.stateDir, JOURNAL_FILE);
    const lines = readFileSync(file, 'utf8').split('\n');
    writeFileSync(file, `${lines.slice(0, nth).join('\n')}\n`);
  }

  entries(): Entry['event'][] {
    const text = readFileSync(join(this.stateDir, JOURNAL_FILE), 'utf8');
    const lines = text
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Line);
    fold(lines);
    return lines.map(({ event }) => event);
  }
}

describe('a repair that edits a file', () => {
  it('is proven, keeps a copy, and is taken back', async () => {
    const setting = new Setting();
    expect(await setting.fix()).toMatchObject({ outcome: 'repaired', steps: [{ outcome: 'proven' }] });
    expect([setting.content, setting.left, setting.copies.length]).toEqual([AFTER, ['fstab'], 1]);
    expect(await setting.undo()).toMatchObject([{ outcome: 'undone' }]);
    expect([setting.content, setting.left]).toEqual([BEFORE, ['fstab']]);
  });

  it('makes a file and removes it again', async () => {
    const setting = new Setting(null);
    expect(await setting.fix()).toMatchObject({ outcome: 'repaired' });
    expect([setting.content, setting.left, setting.copies]).toEqual(['well\n', ['fstab'], []]);
    expect(await setting.undo()).toMatchObject([{ outcome: 'undone' }]);
    expect(setting.left).toEqual([]);
  });

  it('edits the file that a link leads to', async () => {
    const setting = new Setting();
    const link = join(setting.directory, 'link');
    symlinkSync('fstab', link);
    Object.assign(setting, { entry: fileCheck(link) });
    expect(await setting.fix()).toMatchObject({ outcome: 'repaired', steps: [{ action: { path: setting.path } }] });
    expect([setting.content, setting.left]).toEqual([AFTER, ['fstab', 'link']]);
  });

  it('stands beside other repairs of the same run on the same file, and of no other', async () => {
    const lines = ['a sick', '1', '2', 'b sick', '3', '4', '5', '6', '7', 'c sick', ''];
    const setting = new Setting(lines.join('\n'));
    const left = new Map<string, string | null>();
    const found = await setting.findings();
    expect(found.map(({ summary }) => summary)).toEqual(['a sick is sick', 'b sick is sick', 'c sick is sick']);
    const [a, b, c] = found as [FindingResult, FindingResult, FindingResult];
    expect(await setting.fix({ edited: left }, a)).toMatchObject({ outcome: 'repaired' });
    expect(await setting.fix({ edited: left }, b)).toMatchObject({ outcome: 'repaired' });
    expect(await setting.fix({}, c)).toMatchObject({ outcome: 'stale' });
    const before = setting.content;
    writeFileSync(setting.path, `${before}# by hand\n`);
    expect(await setting.fix({ edited: left }, c)).toMatchObject({ outcome: 'stale' });
    writeFileSync(setting.path, before);
    expect(await setting.fix({ edited: left }, c)).toMatchObject({ outcome: 'repaired' });
    expect(setting.content).toBe(lines.join('\n').replaceAll('sick', 'well'));
    expect(await setting.undo()).toMatchObject([{ outcome: 'undone' }, { outcome: 'undone' }, { outcome: 'undone' }]);
    expect(setting.content).toBe(lines.join('\n'));
  });

  it('is refused where the file has other names', async () => {
    const setting = new Setting();
    linkSync(setting.path, join(setting.directory, 'other'));
    expect((await setting.findings())[0]?.plan).toEqual({ refused: expect.stringContaining('has 2 names') });
  });

  it('is stale where the file changes after the guards, and overwrites nothing', async () => {
    const setting = new Setting();
    const line = (_nth: number, { event }: Entry) => event === 'act' && writeFileSync(setting.path, `${BEFORE}# by hand\n`);
    const repair = await setting.fix({ line });
    expect(repair).toMatchObject({ outcome: 'stale', steps: [{ outcome: 'stale', exitCode: 4 }] });
    expect(repair.reason).toMatch(/^step 1 \(Heal the file\): expected .*fstab as it was when this was planned, found another file/);
    expect([setting.content, setting.left]).toEqual([`${BEFORE}# by hand\n`, ['fstab']]);
  });

  it('is stale where the file changed since the plan was made', async () => {
    const setting = new Setting();
    const line = (_nth: number, { event }: Entry) => event === 'opened' && writeFileSync(setting.path, `${BEFORE}# by hand\n`);
    const repair = await setting.fix({ line });
    expect(repair).toMatchObject({ outcome: 'stale' });
    expect(repair.reason).toMatch(
      /expected .*fstab with the SHA-256 \w{12}, found another content, with the SHA-256 \w{12}; nothing was done from here on$/,
    );
    expect(setting.entries()).toEqual(['opened', 'closed']);
  });

  it('is not taken back once somebody else has changed the file, nor half', async () => {
    const setting = new Setting();
    await setting.fix();
    writeFileSync(setting.path, `${AFTER}# by hand\n`);
    expect(await setting.undo()).toMatchObject([{ outcome: 'stale', reason: expect.stringContaining('found another content') }]);
    expect(setting.content).toBe(`${AFTER}# by hand\n`);
  });

  it('is not taken back without its copy', async () => {
    const setting = new Setting();
    await setting.fix();
    writeFileSync(join(setting.stateDir, 'rescue', setting.copies[0] as string), 'altered');
    expect(await setting.undo()).toMatchObject([{ outcome: 'failed', reason: expect.stringContaining('it was not changed') }]);
    expect([setting.content, setting.left]).toEqual([AFTER, ['fstab']]);
  });
});

describe('a repair that edits a file and was cut off', () => {
  const LINES = ['opened', 'act', 'started', 'acted', 'proven', 'closed'];

  it.each(LINES.slice(0, -1).map((event, index) => [event, index + 1]))('after %s, done: goes on', async (_event, nth) => {
    const setting = new Setting();
    await setting.fix();
    expect(setting.entries()).toEqual(LINES);
    setting.cutAfter(nth as number);
    expect(await setting.resume('forward')).toMatchObject({ outcome: nth === 1 ? 'healed' : 'repaired' });
    expect([setting.content, setting.left]).toEqual([AFTER, ['fstab']]);
    expect(repairIn(setting.stateDir).closed).toBeDefined();
  });

  it.each([
    ['forward', 'repaired', AFTER],
    ['back', 'undone', BEFORE],
  ] as const)('before the rename: %s, and what it left behind is removed', async (way, outcome, content) => {
    const setting = new Setting();
    await setting.fix();
    writeFileSync(setting.path, BEFORE);
    const { action } = repairIn(setting.stateDir).deeds[0] as { action: ResolvedAction };
    writeFileSync(String(temporaryOf(action as Edit<Name>)), 'half');
    setting.cutAfter(3);
    expect(await setting.resume(way)).toMatchObject({ outcome });
    expect([setting.content, setting.left]).toEqual([content, ['fstab']]);
  });

  it('and of which nothing can be known, for somebody else has changed the file: nothing is overwritten', async () => {
    const setting = new Setting();
    await setting.fix();
    writeFileSync(setting.path, 'sick by hand\n');
    setting.cutAfter(3);
    expect(await setting.resume('forward')).toMatchObject({ outcome: 'refused', reason: expect.stringContaining('cannot be known') });
    expect(setting.content).toBe('sick by hand\n');
  });
});
