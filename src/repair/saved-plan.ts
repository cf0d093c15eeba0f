/** `stdoctor.plan/1`: plans as a file that can be reviewed, mailed and approved. docs/schema/plan-1.schema.json */
import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import * as v from 'valibot';
import type { FindingResult } from '../engine/result.ts';
import { messageOf, StdoctorError } from '../errors.ts';
import { printable } from '../names.ts';
import { masked } from '../secrets.ts';
import type { Steps } from './apply.ts';

const SCHEMA = 'stdoctor.plan/1';
const BYTES_AT_MOST = 16 * 1024 * 1024;
const LEVELS_AT_MOST = 50;

/** On which machine and boot a plan was made, and until when it may be applied. Times are UTC, ISO 8601. */
export interface Made {
  version: string;
  madeAt: string;
  expiresAt: string;
  target: { name: string; kind: string; via: string; identity: string; boot: string | null };
}

/** `altered`: its fingerprint was made of something else. */
export type SavedPlan = FindingResult & { altered?: boolean };

export interface SavedPlans extends Made {
  plans: SavedPlan[];
  /** What could not be told, as `check: why`. */
  unknown: string[];
}

const name = v.union([v.string(), v.strictObject({ base64: v.pipe(v.string(), v.base64('bytes in base64')) })]);
type Word = v.InferOutput<typeof name> | { ref: string } | { join: Word[] };
const word: v.GenericSchema<Word> = v.union([
  name,
  v.strictObject({ ref: v.string() }),
  v.strictObject({ join: v.array(v.lazy(() => word)) }),
]);
const sha256 = v.nullable(v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/, 'a SHA-256 in hexadecimal')));
const bytes = v.pipe(v.number(), v.integer(), v.minValue(0));
const action = v.variant('kind', [
  v.strictObject({ kind: v.literal('run'), argv: v.pipe(v.array(word), v.minLength(1)) }),
  v.strictObject({ kind: v.literal('write'), path: name, content: v.string() }),
  v.strictObject({
    kind: v.literal('edit'),
    path: name,
    was: sha256,
    becomes: sha256,
    content: v.union([
      v.strictObject({ changes: v.array(v.strictObject({ at: bytes, remove: bytes, insert: name })) }),
      v.strictObject({ from: word }),
    ]),
    keep: v.optional(word),
    verify: v.optional(v.pipe(v.array(name), v.minLength(1))),
    diff: v.array(name),
  }),
]);
const claims = v.array(v.strictObject({ is: v.string(), args: v.record(v.string(), v.unknown()) }));
const risk = v.picklist(['safe', 'disruptive', 'data-loss']);
const count = v.pipe(v.number(), v.minValue(0));
const step = v.strictObject({
  title: v.string(),
  why: v.string(),
  risk,
  action,
  guards: claims,
  proof: claims,
  patienceMs: v.optional(count),
  limitMs: v.optional(count),
  release: v.optional(action),
  releaseRefuses: v.optional(v.strictObject({ says: v.string(), while: claims })),
  undo: v.union([v.strictObject({ none: v.string() }), v.strictObject({ action, proof: claims })]),
});
const subject = v.looseObject({ kind: v.string(), name, key: v.optional(v.string()) });
const time = v.pipe(v.string(), v.isoTimestamp('a time such as 2026-11-21T09:30:00Z'));
const planFile = v.looseObject({
  schema: v.literal(SCHEMA),
  version: v.string(),
  madeAt: time,
  expiresAt: time,
  target: v.looseObject({ name: v.string(), kind: v.string(), via: v.string(), identity: v.string(), boot: v.nullable(v.string()) }),
  plans: v.array(
    v.looseObject({
      finding: v.looseObject({
        id: v.pipe(v.string(), v.regex(/^[\w-]+-[0-9a-f]{8}$/)),
        check: v.string(),
        code: v.string(),
        severity: v.picklist(['critical', 'warning', 'info']),
        subject,
        summary: v.string(),
        data: v.unknown(),
        evidence: v.array(v.object({ source: v.string(), at: v.string(), excerpt: v.string() })),
        confidence: v.picklist(['certain', 'high', 'medium']),
        cause: v.nullable(subject),
      }),
      state: v.picklist(['available', 'refused', 'none']),
      risk: v.nullable(risk),
      reason: v.nullable(v.string()),
      fingerprint: v.nullable(v.string()),
      steps: v.array(step),
    }),
  ),
  unknown: v.array(v.string()),
});

export function plansToJson({ plans, unknown, ...made }: SavedPlans): string {
  const document = { schema: SCHEMA, ...made, plans: plans.map((plan) => planToJson(plan, made)), unknown };
  return `${JSON.stringify(document, null, 2)}\n`;
}

function planToJson({ finding, summary, plan, risk }: FindingResult, made: Made) {
  const { id, check, code, severity, subject, data, evidence, confidence, cause } = finding;
  const about = {
    id,
    check,
    code,
    severity,
    subject,
    summary,
    data: masked(data),
    evidence: masked(evidence),
    confidence,
    cause: cause ?? null,
  };
  return plan === null || 'refused' in plan
    ? { finding: about, state: plan === null ? 'none' : 'refused', risk, reason: plan?.refused ?? null, fingerprint: null, steps: [] }
    : {
        finding: about,
        state: 'available',
        risk,
        reason: plan.remains ?? null,
        fingerprint: fingerprintOf(finding.id, plan, made),
        steps: plan.steps,
      };
}

/** Of what the plan does and rests on, and where and until when it may be applied: what was approved is what this was made of. */
function fingerprintOf(id: string, { steps }: Steps, { expiresAt, target: { identity, boot } }: Made): string {
  const rests = steps.map(({ title: _title, why: _why, ...essence }) => essence);
  return `sha256:${createHash('sha256')
    .update(JSON.stringify([id, identity, boot, expiresAt, rests], inOrder))
    .digest('hex')}`;
}

/** The order of keys means nothing, and a reader may change it. */
function inOrder(_key: string, value: unknown): unknown {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)))
    : value;
}

/** Throws STD_BAD_PLAN, which says where it is wrong, what was found and what was expected. */
export function loadPlans(path: string): SavedPlans {
  const bad = (why: string, cause?: unknown) => new StdoctorError('STD_BAD_PLAN', `${path} is no plan file: ${why}`, { cause });
  let read: unknown;
  try {
    const stat = statSync(path);
    // A file of /proc shows no size, and its end may never come.
    if (!stat.isFile() || stat.size === 0 || stat.size > BYTES_AT_MOST) {
      throw new Error(`expected a file of 1 to ${BYTES_AT_MOST} bytes`);
    }
    read = JSON.parse(readFileSync(path, 'utf8'));
    assertFlat(read);
  } catch (error) {
    throw bad(messageOf(error), error);
  }
  const result = v.safeParse(planFile, read);
  if (!result.success) {
    const issue = result.issues[0];
    throw bad(`${v.getDotPath(issue) ?? 'the whole'}: expected ${issue.expected ?? issue.message}, found ${issue.received}`);
  }
  const { schema: _schema, plans, ...made } = result.output;
  return { ...made, plans: plans.map((plan) => fromFile(plan, made)) } as SavedPlans;
}

/** What is nested without end ends whoever walks through it. */
function assertFlat(read: unknown): void {
  let level = [read];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > LEVELS_AT_MOST) {
      throw new Error(`expected at most ${LEVELS_AT_MOST} levels, found more`);
    }
    level = level.flatMap((value) => (typeof value === 'object' && value !== null ? Object.values(value) : []));
  }
}

function fromFile(
  { finding, state, risk, reason, fingerprint, steps }: v.InferOutput<typeof planFile>['plans'][number],
  made: Made,
): SavedPlan {
  const { summary, cause, ...about } = finding;
  const altered = state === 'available' && fingerprint !== fingerprintOf(finding.id, { steps } as Steps, made);
  const plan =
    state === 'available'
      ? { steps, ...(reason !== null && { remains: reason }) }
      : state === 'refused'
        ? { refused: reason ?? 'refused' }
        : null;
  return { finding: { ...about, ...(cause !== null && { cause }) }, summary: printable(summary), plan, risk, altered } as SavedPlan;
}
