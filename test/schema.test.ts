import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { ROOT, stdoctor } from './cli.ts';
import { scratch } from './scratch.ts';
import { makeSick } from './sick-recording.ts';

const HOSTS = join(ROOT, 'fixtures/hosts');
const hosts = existsSync(HOSTS) ? readdirSync(HOSTS) : [];

const report = schemaOf('report-1');
const repair = schemaOf('repair-1');
const recording = schemaOf('recording-1');

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
    expect(checks[0].unjudged).toContainEqual(
      expect.objectContaining({
        subject: { kind: 'mount', name: { base64: Buffer.from('/mnt/\x1b[31mred\xff', 'latin1').toString('base64') } },
      }),
    );

    const fixed = JSON.parse((await stdoctor(['fix', '--dry-run', '--from', directory, '--json'])).stdout);
    expectValid(repair, fixed);
    expect(fixed.repairs).toHaveLength(1);
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
  });

  it('refuse broken documents', async () => {
    const checked = JSON.parse((await stdoctor(['check', '--json'])).stdout);
    const fixed = JSON.parse((await stdoctor(['fix', '--dry-run', '--json'])).stdout);
    const directory = join(scratch(), 'recording');
    await stdoctor(['record', '--output', directory]);
    const manifest = manifestOf(directory);
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
