import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { set, setting } from '../../test/fake-host.ts';
import { scratch } from '../../test/scratch.ts';
import type { Finding, Step } from '../check/types.ts';
import type { FindingResult } from '../engine/result.ts';
import { editFile } from '../steps/editing.ts';
import { loadPlans, plansToJson, type SavedPlans } from './saved-plan.ts';

const NOT_UTF8 = { base64: Buffer.from('/mnt/caf\xe9', 'latin1').toString('base64') };
const step: Step = setting('a', 'off', 'on', {
  action: { kind: 'run', argv: ['cp', '--', NOT_UTF8, { join: [{ ref: 'rescue' }, '/', 'x'] }] },
  patienceMs: 100,
  limitMs: 5000,
  release: { kind: 'write', path: '/sys/x', content: '0\n' },
});
const finding: Finding = {
  id: 'fake-sick-12345678',
  check: 'fake',
  code: 'fake-sick',
  severity: 'critical',
  subject: { kind: 'mount', name: NOT_UTF8, key: '0' },
  data: { source: 'https://u:secret@nas/x', options: 'rw,password=secret' },
  confidence: 'certain',
  evidence: [{ source: 'mountinfo', at: '2026-11-21T00:00:00.000Z', excerpt: 'rw,password=secret' }],
  cause: { kind: 'disk', name: 'sda' },
};
const available: FindingResult = { finding, summary: 'it is sick', plan: { steps: [step], remains: 'put it back' }, risk: 'safe' };
const refused: FindingResult = { ...available, plan: { refused: 'it is busy' }, risk: null };
const made = {
  version: '0.1.0',
  madeAt: '2026-11-21T00:00:00.000Z',
  expiresAt: '2026-11-22T00:00:00.000Z',
  target: { name: 'hv1', kind: 'host', via: 'local', identity: 'm', boot: 'b' },
};

// biome-ignore lint/suspicious/noExplicitAny: a file is changed field by field, as somebody with an editor would
type Document = any;

function loaded(...plans: FindingResult[]): SavedPlans {
  return changed(() => {}, ...plans);
}

function changed(change: (document: Document) => void, ...plans: FindingResult[]): SavedPlans {
  const document = JSON.parse(plansToJson({ ...made, plans, unknown: ['c: why'] }));
  change(document);
  return loadPlans(fileOf(JSON.stringify(document)));
}

function fileOf(text: string): string {
  const file = join(scratch(), 'plan.json');
  writeFileSync(file, text);
  return file;
}

describe('a plan file', () => {
  it('holds the whole plan, and gives it back', () => {
    const { plans, ...rest } = loaded(available, refused, { ...available, plan: null, risk: null });
    expect(rest).toEqual({ ...made, unknown: ['c: why'] });
    expect(plans.map(({ plan, risk, summary, altered }) => ({ plan, risk, summary, altered }))).toEqual([
      { plan: available.plan, risk: 'safe', summary: 'it is sick', altered: false },
      { plan: { refused: 'it is busy' }, risk: null, summary: 'it is sick', altered: false },
      { plan: null, risk: null, summary: 'it is sick', altered: false },
    ]);
    expect(plans[0]?.finding).toMatchObject({ id: finding.id, subject: finding.subject, cause: finding.cause });
  });

  it('holds edits, and knows those that were altered', () => {
    const before = 'a\xff\n//nas/x /x cifs password=hunter2,rw 0 0\n';
    const edit = editFile({ path: NOT_UTF8, before, after: before.replace('rw', 'rw,soft'), title: 't', why: 'w' });
    const plan = { steps: [edit] };
    expect(loaded({ ...available, plan }).plans).toMatchObject([{ plan, altered: false }]);
    expect(plansToJson({ ...made, plans: [{ ...available, plan }], unknown: [] })).not.toContain('hunter2');
    const { action } = edit as Document;
    const change = { at: 1, remove: 0, insert: 'x' };
    for (const other of [
      { diff: ['+x'] },
      { content: { changes: [change] } },
      { was: null },
      { keep: '/etc/shadow' },
      { verify: ['true'] },
    ]) {
      const [saved] = changed((document) => Object.assign(document.plans[0].steps[0].action, other), { ...available, plan }).plans;
      expect(saved?.altered, JSON.stringify(other)).toBe(true);
    }
    const broken = [
      { was: 'X' },
      { diff: [7] },
      { content: {} },
      { content: { changes: [{ ...change, at: 0.5 }] } },
      { verify: [] },
      { more: 1 },
    ];
    for (const other of broken) {
      const alter = (document: Document) => Object.assign(document.plans[0].steps[0].action, other);
      expect(() => changed(alter, { ...available, plan: { steps: [{ ...edit, action }] } }), JSON.stringify(other)).toThrow(
        'is no plan file',
      );
    }
  });

  it('keeps secrets out', () => {
    expect(plansToJson({ ...made, plans: [available], unknown: [] })).not.toContain('secret');
  });

  it('is not altered by another order of its keys', () => {
    const backwards = (value: unknown): unknown =>
      Array.isArray(value)
        ? value.map(backwards)
        : typeof value === 'object' && value !== null
          ? Object.fromEntries(
              Object.entries(value)
                .toReversed()
                .map(([key, item]) => [key, backwards(item)]),
            )
          : value;
    const text = JSON.stringify(backwards(JSON.parse(plansToJson({ ...made, plans: [available], unknown: [] }))));
    expect(loadPlans(fileOf(text)).plans[0]?.altered).toBe(false);
  });
});

describe('what was altered after it was made is known', () => {
  const one = (document: Document) => document.plans[0];
  const first = (document: Document) => one(document).steps[0];

  it.each([
    ['a word of the command', (document) => first(document).action.argv.push('-rf')],
    ['the command', (document) => (first(document).action = set('a', 'off'))],
    ['the risk of a step', (document) => (first(document).risk = 'data-loss')],
    ['the name of a guard', (document) => (first(document).guards[0].is = 'anything')],
    ['an argument of a guard', (document) => (first(document).guards[0].args.value = 'on')],
    ['the guards', (document) => (first(document).guards = [])],
    ['a proof', (document) => (first(document).proof[0].args.value = 'off')],
    ['the patience', (document) => (first(document).patienceMs = 101)],
    ['the limit', (document) => delete first(document).limitMs],
    ['what is given back', (document) => (first(document).release.content = '1\n')],
    ['the way back', (document) => (first(document).undo.action.argv = ['true'])],
    ['the proof of the way back', (document) => (first(document).undo.proof = [])],
    ['that there is a way back', (document) => (first(document).undo = { none: '' })],
    ['the number of steps', (document) => one(document).steps.push(first(document))],
    ['all steps', (document) => (one(document).steps = [])],
    ['the finding', (document) => (one(document).finding.id = 'fake-sick-12345679')],
    ['the fingerprint', (document) => (one(document).fingerprint = `sha256:${'0'.repeat(64)}`)],
    ['no fingerprint', (document) => (one(document).fingerprint = null)],
    ['the machine', (document) => (document.target.identity = 'n')],
    ['the boot', (document) => (document.target.boot = 'c')],
    ['until when', (document) => (document.expiresAt = '2036-11-22T00:00:00.000Z')],
    ['that it was refused', (document) => (one(document).state = 'available'), refused],
  ] as [string, (document: Document) => unknown, FindingResult?][])('%s', (_, change, plan = available) => {
    expect(changed(change, plan).plans[0]?.altered).toBe(true);
  });

  it('and the words beside it are no part of it', () => {
    const { plans } = changed((document) => {
      first(document).title = 'Other';
      first(document).why = 'other';
    }, available);
    expect(plans[0]?.altered).toBe(false);
  });
});

describe('what is no plan file is refused, with where and what', () => {
  const good = () => JSON.parse(plansToJson({ ...made, plans: [available], unknown: [] }));
  const at = (change: (document: Document) => unknown) => {
    const document = good();
    change(document);
    return JSON.stringify(document);
  };
  const nested = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`;

  it.each([
    ['nothing', '', 'expected a file of 1 to 16777216 bytes'],
    ['garbage', 'hello', 'not valid JSON'],
    ['half of it', JSON.stringify(good()).slice(0, 700), 'JSON'],
    ['another document', '[]', 'schema: expected "schema", found undefined'],
    ['null', 'null', 'the whole: expected Object, found null'],
    [
      'another schema',
      at((document) => (document.schema = 'stdoctor.plan/2')),
      'schema: expected "stdoctor.plan/1", found "stdoctor.plan/2"',
    ],
    ['a time that is none', at((document) => (document.expiresAt = 'soon')), 'expiresAt: expected '],
    ['no machine', at((document) => delete document.target.identity), 'target.identity: expected "identity", found undefined'],
    [
      'a command that is text',
      at((document) => (document.plans[0].steps[0].action.argv = 'rm')),
      'plans.0.steps.0.action.argv: expected Array, found "rm"',
    ],
    ['a command of no word', at((document) => (document.plans[0].steps[0].action.argv = [])), 'plans.0.steps.0.action.argv: expected'],
    [
      'a kind of action that is not known',
      at((document) => (document.plans[0].steps[0].action.kind = 'shell')),
      'plans.0.steps.0.action.kind: expected',
    ],
    ['a risk that is not known', at((document) => (document.plans[0].steps[0].risk = 'none')), 'plans.0.steps.0.risk: expected'],
    [
      'a key more in a step',
      at((document) => (document.plans[0].steps[0].more = 'x')),
      'plans.0.steps.0.more: expected never, found "more"',
    ],
    [
      'a claim without arguments',
      at((document) => (document.plans[0].steps[0].guards[0].args = null)),
      'plans.0.steps.0.guards.0.args: expected Object, found null',
    ],
    ['a finding without a hash', at((document) => (document.plans[0].finding.id = '../../x')), 'plans.0.finding.id: expected'],
    ['base64 that is none', at((document) => (document.plans[0].finding.subject.name = { base64: '*' })), 'plans.0.finding.subject.name'],
    [
      'a million levels',
      JSON.stringify(good()).replace('"why":""', `"why":${nested(1_000_000)}`),
      'expected at most 50 levels, found more',
    ],
  ])('%s', (_, text, sentence) => {
    const file = fileOf(text);
    expect(() => loadPlans(file)).toThrow(
      expect.objectContaining({ code: 'STD_BAD_PLAN', exitCode: 64, message: expect.stringContaining(`${file} is no plan file: `) }),
    );
    expect(() => loadPlans(file)).toThrow(sentence);
  });

  it('a directory, a device, one that is not there, one that is too large', () => {
    const directory = scratch();
    const large = fileOf('');
    truncateSync(large, 17 * 1024 * 1024);
    for (const path of [directory, '/dev/zero', join(directory, 'absent'), large]) {
      expect(() => loadPlans(path), path).toThrow(expect.objectContaining({ code: 'STD_BAD_PLAN' }));
    }
    expect(readFileSync(large)).toHaveLength(17 * 1024 * 1024);
  });
});
