import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import type { Finding } from '../src/check/types.ts';
import { resolveAction } from '../src/journal/references.ts';
import { notDone } from '../src/repair/apply.ts';
import { plansToJson } from '../src/repair/saved-plan.ts';
import { repairToJson } from '../src/report/json.ts';
import { editFile } from '../src/steps/editing.ts';
import { ROOT, stdoctor } from './cli.ts';
import { journalledState, RUN } from './journalled-state.ts';
import { scratch } from './scratch.ts';
import { makeSick } from './sick-recording.ts';

const HOSTS = join(ROOT, 'fixtures/hosts');
const hosts = existsSync(HOSTS) ? readdirSync(HOSTS) : [];

const report = schemaOf('report-1');
const repair = schemaOf('repair-1');
const recording = schemaOf('recording-1');
const plan = schemaOf('plan-1');
const history = schemaOf('history-1');

describe('the schemas in docs/schema', () => {
  it('hold for a report of this host', async () => {
    const { stdout } = await stdoctor(['check', '--json']);
    expectValid(report, JSON.parse(stdout));
  });

  it('hold for a recording, its report and its plans, with findings and names that are not UTF-8', async () => {
    const directory = join(scratch(), 'recording');
    await stdoctor(['record', '--output', directory]);
    expectValid(recording, manifestOf(directory));
    makeSick(directory);

    const checked = JSON.parse((await stdoctor(['check', '--from', directory, '--json'])).stdout);
    expectValid(report, checked);
    const [{ findings, checks }] = checked.targets;
    expect(findings).toMatchObject([{ code: 'bind-source-deleted', subject: { name: '/mnt/bind source' } }]);
    const mounts = checks.find(({ id }: { id: string }) => id === 'zombie-mounts');
    expect(mounts.unjudged).toContainEqual(
      expect.objectContaining({
        subject: { kind: 'mount', name: { base64: Buffer.from('/mnt/\x1b[31mred\xff', 'latin1').toString('base64') } },
      }),
    );

    const fixed = JSON.parse((await stdoctor(['fix', '--dry-run', '--from', directory, '--json'])).stdout);
    expectValid(repair, fixed);
    expect(fixed.repairs).toHaveLength(1);
    expectValid(plan, JSON.parse((await stdoctor(['plan', '--from', directory, '--json'])).stdout));
  });

  it('hold for fix on this host', async () => {
    const { stdout } = await stdoctor(['fix', '--dry-run', '--json']);
    expectValid(repair, JSON.parse(stdout));
  });

  it.each(hosts)('hold for the recorded host %s', async (name) => {
    const directory = join(HOSTS, name);
    expectValid(recording, manifestOf(directory));
    expectValid(report, JSON.parse((await stdoctor(['check', '--from', directory, '--json'])).stdout));
    expectValid(repair, JSON.parse((await stdoctor(['fix', '--from', directory, '--json'])).stdout));
    const planned = JSON.parse((await stdoctor(['plan', '--from', directory, '--json'])).stdout);
    expectValid(plan, planned);
    expect(planned.plans.flatMap(({ steps }: { steps: unknown[] }) => steps)).not.toEqual([]);
  });

  it('hold for plans with all that a step may have', async () => {
    const cases = ['bind-source-deleted-not-utf8/stages/0-sick', 'fs-shutdown-xfs-autoclear/stages/0-sick', 'loop-backing-deleted-held'];
    const plans = await Promise.all(
      cases.map((name) => stdoctor(['plan', '--from', join(ROOT, 'checks/zombie-mounts/cases', name), '--json'])),
    );
    for (const { stdout } of plans) {
      expectValid(plan, JSON.parse(stdout));
    }
    const steps = plans.flatMap(({ stdout }) => JSON.parse(stdout).plans.flatMap((each: { steps: object[] }) => each.steps));
    const fields = new Set(steps.flatMap((step) => Object.keys(step)));
    expect([...fields]).toEqual(expect.arrayContaining(['release', 'limitMs', 'patienceMs']));
  });

  it('hold for what is taken back, gone on with and remembered', async () => {
    const machine = JSON.parse((await stdoctor(['check', '--json'])).stdout).targets[0].identity;
    const json = async (stateDir: string, ...argv: string[]) =>
      JSON.parse((await stdoctor([...argv, '--json'], { env: { STDOCTOR_STATE_DIR: stateDir } })).stdout);
    for (const came of ['opened', 'act', 'acted', 'proven', 'closed'] as const) {
      const { stateDir, file } = journalledState(machine, came);
      expectValid(report, await json(stateDir, 'check', 'interrupted-repairs'));
      expectValid(history, await json(stateDir, 'history', '--repairs'));
      expectValid(repair, await json(stateDir, 'undo'));
      expectValid(repair, await json(stateDir, 'resume'));
      const ended = await json(stateDir, ...(came === 'closed' ? ['undo', '--yes'] : ['resume', '--rollback', '--yes']));
      expectValid(repair, ended);
      expect([ended.repairs[0].outcome, ended.repairs[0].run, existsSync(file)]).toEqual(['undone', RUN, false]);
      const told = await json(stateDir, 'history');
      expectValid(history, told);
      expect(told.repairs).toMatchObject([{ outcome: 'undone', takenUp: [{ way: 'back' }] }]);
    }
    expectValid(history, await json(scratch(), 'history'));
  });

  it('hold for plans and repairs that edit files', () => {
    const name = { base64: Buffer.from('/etc/caf\xe9', 'latin1').toString('base64') };
    const texts = { title: 't', why: 'w' };
    const steps = [
      editFile({ ...texts, path: name, before: 'a\xff\n', after: 'b\n', verify: ['findmnt', '--verify', '--tab-file'] }),
      editFile({ ...texts, path: '/etc/x', before: undefined, after: '\xff' }),
    ];
    const finding: Finding = {
      id: 'fuse-dead-12345678',
      check: 'zombie-mounts',
      code: 'fuse-dead',
      severity: 'warning',
      subject: { kind: 'file', name },
      data: null,
      confidence: 'certain',
      evidence: [{ source: '/etc/x', at: '2026-11-21T00:00:00.000Z', excerpt: 'e' }],
    };
    const found = { finding, summary: 's', plan: { steps }, risk: 'safe' } as const;
    const at = { version: '0', madeAt: '2026-11-21T00:00:00.000Z', expiresAt: '2026-11-22T00:00:00.000Z' };
    const target = { name: 'n', kind: 'host', via: 'local', identity: 'i', boot: null };
    const planned = JSON.parse(plansToJson({ ...at, target, plans: [found], unknown: [] }));
    expectValid(plan, planned);
    const done = steps.map((step) => ({ ...notDone(step), action: resolveAction(step.action, { rescue: '/rescue' }) }));
    const run = { id: 'r', startedAt: at.madeAt, durationMs: 1, version: '0', target: { name: 'n', identity: 'i' }, unknown: [] };
    const repaired = repairToJson({ ...run, repairs: [{ ...found, run: 'r', outcome: 'repaired', reason: null, steps: done }] });
    expectValid(repair, JSON.parse(repaired));
    planned.plans[0].steps[0].action.was = 'short';
    expect(plan(planned)).toBe(false);
  });

  it('refuse broken documents', async () => {
    const checked = JSON.parse((await stdoctor(['check', '--json'])).stdout);
    const fixed = JSON.parse((await stdoctor(['fix', '--dry-run', '--json'])).stdout);
    const directory = join(scratch(), 'recording');
    await stdoctor(['record', '--output', directory]);
    const manifest = manifestOf(directory);
    const planned = JSON.parse((await stdoctor(['plan', '--from', join(HOSTS, 'hv1-after-reboot'), '--json'])).stdout);
    const [wanted] = planned.plans.filter(({ steps }: { steps: unknown[] }) => steps.length > 0);
    const withPlan = (more: object) => ({ ...planned, plans: [{ ...wanted, ...more }] });
    const { stateDir } = journalledState('m', 'closed');
    const told = JSON.parse((await stdoctor(['history', '--json'], { env: { STDOCTOR_STATE_DIR: stateDir } })).stdout);
    const withAct = (more: object) => ({ ...told, repairs: [{ ...told.repairs[0], acts: [{ ...told.repairs[0].acts[0], ...more }] }] });
    expectValid(plan, { ...withPlan({ more: 1 }), more: 2 });
    expectValid(history, { ...withAct({ more: 1 }), more: 2 });
    const step = { title: 't', why: 'w', risk: 'safe', action: { kind: 'run', argv: ['true'] }, undo: { none: 'nothing to undo' } };
    const finding = {
      id: 'fuse-dead-12345678',
      check: 'zombie-mounts',
      code: 'fuse-dead',
      severity: 'critical',
      subject: { kind: 'mount', name: '/mnt/x' },
      summary: 's',
      data: {},
      evidence: [{ source: '/proc/self/mountinfo', at: '2026-11-21T00:00:00.000Z', excerpt: 'e' }],
      confidence: 'certain',
      cause: null,
      fix: { state: 'available', risk: 'safe', reason: null, steps: [step] },
    };
    const withFinding = (more: object) => ({ ...checked, targets: [{ ...checked.targets[0], findings: [{ ...finding, ...more }] }] });
    expectValid(report, { ...withFinding({ more: 1 }), more: 2 });

    for (const [schema, document] of [
      [report, { ...checked, schema: 'stdoctor.report/2' }],
      [report, { ...checked, targets: [] }],
      [report, { ...checked, exitCode: undefined }],
      [report, withFinding({ severity: 'bad' })],
      [report, withFinding({ evidence: [] })],
      [report, withFinding({ id: 'fuse-dead' })],
      [report, withFinding({ cause: undefined })],
      [report, withFinding({ subject: { kind: 'mount', name: 7 } })],
      [report, withFinding({ fix: { ...finding.fix, steps: [{ ...step, action: { kind: 'run', argv: 'true' } }] } })],
      [report, withFinding({ fix: { ...finding.fix, steps: [{ ...step, undo: {} }] } })],
      [repair, { ...fixed, unknown: undefined }],
      [repair, { ...fixed, repairs: [{ finding, plan: finding.fix, outcome: 'fine', reason: null, steps: [] }] }],
      [repair, { ...fixed, repairs: [{ finding, plan: finding.fix, outcome: 'refused', reason: null, steps: [] }] }],
      [report, { ...checked, targets: [{ ...checked.targets[0], checks: [{ ...checked.targets[0].checks[0], tooMany: undefined }] }] }],
      [plan, { ...planned, schema: 'stdoctor.plan/2' }],
      [plan, { ...planned, expiresAt: 'tomorrow' }],
      [plan, { ...planned, target: { ...planned.target, boot: undefined } }],
      [plan, withPlan({ state: 'fine' })],
      [plan, withPlan({ fingerprint: 'sha256:0' })],
      [plan, withPlan({ steps: [{ ...wanted.steps[0], guards: undefined }] })],
      [plan, withPlan({ steps: [{ ...wanted.steps[0], proof: [{ is: 'x' }] }] })],
      [plan, withPlan({ steps: [{ ...wanted.steps[0], limitMs: -1 }] })],
      [plan, withPlan({ steps: [{ ...wanted.steps[0], release: 'umount' }] })],
      [plan, withPlan({ steps: [{ ...wanted.steps[0], undo: { action: wanted.steps[0].action } }] })],
      [history, { ...told, repairs: undefined }],
      [history, { ...told, repairs: [{ ...told.repairs[0], outcome: 'fine' }] }],
      [history, { ...told, repairs: [{ ...told.repairs[0], who: { user: 'root' } }] }],
      [history, withAct({ of: 'nothing' })],
      [history, withAct({ step: 0 })],
      [history, withAct({ proven: null })],
      [history, withAct({ startedAt: null })],
      [recording, { ...manifest, entries: [{ probe: { kind: 'shell', line: 'true' }, answer: manifest.entries[0].answer }] }],
      [
        recording,
        { ...manifest, entries: [{ probe: manifest.entries[0].probe, answer: { at: 'yesterday', ms: 1, state: 'ok', code: 0 } }] },
      ],
    ] as const) {
      expect(schema(JSON.parse(JSON.stringify(document))), JSON.stringify(document).slice(0, 2000)).toBe(false);
    }
  });
});

function schemaOf(name: string): ValidateFunction {
  const schema = JSON.parse(readFileSync(join(ROOT, `docs/schema/${name}.schema.json`), 'utf8'));
  return new Ajv2020({ allErrors: true, strict: true, allowUnionTypes: true }).compile(schema);
}

function expectValid(schema: ValidateFunction, document: unknown): void {
  schema(document);
  expect(schema.errors ?? []).toEqual([]);
}

function manifestOf(directory: string) {
  return JSON.parse(readFileSync(join(directory, 'manifest.json'), 'utf8'));
}
