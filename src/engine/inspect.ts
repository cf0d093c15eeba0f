/** Runs checks against a target: facts, verdicts, plans. Changes nothing. */
import { createHash, randomBytes } from 'node:crypto';
import { NotHere, Unknown } from '../check/asking.ts';
import type { AnyCheck, Finding, Found, Subject, Target } from '../check/types.ts';
import { sentence } from '../check/wording.ts';
import { messageOf } from '../errors.ts';
import { type Host, host, machine } from '../facts/host.ts';
import { toBytes } from '../names.ts';
import type { CostlyFacts } from '../state/costly-facts.ts';
import type { Listener } from './events.ts';
import { type CheckResult, type FindingResult, type RunResult, riskOf, type TargetResult } from './result.ts';
import { Round } from './round.ts';

export interface CheckEntry {
  id: string;
  title: string;
  load(): Promise<AnyCheck>;
}

export interface InspectOptions {
  /** For the whole round, milliseconds since the epoch. */
  until: number;
  listen?: Listener;
  /** Ask for the hardware too: people like to see it, no check needs it. */
  hardware?: boolean;
  /** What was gathered at great cost before. A recording is made without. */
  costly?: CostlyFacts | undefined;
}

export interface Inspection {
  target: TargetResult;
  identity: string;
  round: Round;
}

/** Runs the checks against one target in one round. */
export async function inspect(target: Target, entries: readonly CheckEntry[], options: InspectOptions): Promise<Inspection> {
  const listen = options.listen ?? (() => {});
  const round = new Round(target, options.until, listen, options.costly);
  listen({ type: 'checks', ids: entries.map(({ id, title }) => ({ id, title })) });
  const unreached = await target.reach?.(options.until);
  const reason = unreached === undefined ? null : `${unreached.state}: ${unreached.why}`;
  const [known, hardware, ...judged] = await Promise.all([
    round.gather(host()),
    options.hardware ? round.gather(machine()) : undefined,
    ...entries.map((entry) => judge(entry, round, listen)),
  ]);
  const identity = reason === null ? identityOf(known) : `name:${target.name}`;
  const ofTheRun = (each: Judged) => each.check?.meta.scope === 'run';
  // What is wrong with earlier repairs is said before anything else.
  const findings = [...judged.filter(ofTheRun), ...judged.filter((each) => !ofTheRun(each))].flatMap(({ check, facts, found }) =>
    found.map((each) => complete(each, check as AnyCheck, facts, identity)),
  );
  const result: TargetResult = {
    name: target.name,
    kind: target.kind,
    via: target.via,
    identity,
    reason,
    host: {
      hostname: known.hostname,
      os: known.os,
      kernel: known.kernel,
      bootedAt: known.bootedAt,
      hardware: [hardware?.manufacturer, hardware?.model].filter(Boolean).join(' ') || null,
    },
    checks: judged.map(({ result }) => (reason !== null && result.outcome === 'unknown' ? { ...result, reason, unjudged: [] } : result)),
    findings: worstFirst(findings),
  };
  return { target: result, identity, round };
}

export function newRunId(): string {
  return `${new Date().toISOString().replace(/[-:]/g, '').replace(/\..*/, 'Z')}-${randomBytes(3).toString('hex')}`;
}

export function toRun(version: string, id: string, startedAt: number, targets: TargetResult[]): RunResult {
  return { id, version, startedAt: new Date(startedAt).toISOString(), durationMs: Date.now() - startedAt, targets };
}

export function identityOf(known: Host): string {
  return known.machineId ?? `hostname:${known.hostname ?? 'unknown'}`;
}

interface Judged {
  check: AnyCheck | undefined;
  facts: unknown;
  found: Found<string, unknown>[];
  result: CheckResult;
}

async function judge(entry: CheckEntry, round: Round, listen: Listener): Promise<Judged> {
  const started = Date.now();
  listen({ type: 'check-started', id: entry.id });
  const judged = await judgeOnce(entry, round);
  judged.result.durationMs = Date.now() - started;
  listen({
    type: 'check-ended',
    id: entry.id,
    outcome: judged.result.outcome,
    findings: judged.found.length,
    durationMs: judged.result.durationMs,
  });
  return judged;
}

async function judgeOnce(entry: CheckEntry, round: Round): Promise<Judged> {
  const nothing = { id: entry.id, title: entry.title, examined: 0, unjudged: [], notes: [], tooMany: null, durationMs: 0 };
  let check: AnyCheck | undefined;
  try {
    check = await entry.load();
    const needs = Object.entries(check.needs);
    const values = await Promise.all(needs.map(([, need]) => round.gather(need())));
    const facts = Object.fromEntries(needs.map(([name], index) => [name, values[index]]));
    const verdict = check.detect(facts);
    const outcome = verdict.findings.length > 0 ? 'findings' : verdict.unjudged.length > 0 ? 'unknown' : 'healthy';
    const reason = outcome === 'unknown' ? `${verdict.unjudged.length} could not be judged` : null;
    const result = {
      ...nothing,
      outcome,
      reason,
      examined: verdict.examined,
      unjudged: verdict.unjudged,
      notes: verdict.notes ?? [],
      tooMany: check.tooMany?.(verdict) ?? null,
    } as const;
    return { check, facts, found: verdict.findings, result: { ...result } };
  } catch (error) {
    const notHere = error instanceof NotHere;
    const reason = notHere || error instanceof Unknown ? messageOf(error) : `a fault of stdoctor's own: ${messageOf(error)}`;
    return { check, facts: undefined, found: [], result: { ...nothing, outcome: notHere ? 'not-applicable' : 'unknown', reason } };
  }
}

function complete(found: Found<string, unknown>, check: AnyCheck, facts: unknown, identity: string): FindingResult {
  const finding: Finding = { ...found, check: check.meta.id, id: findingId(check.meta.id, identity, found.code, found.subject) };
  const plan = check.plan?.(finding, facts) ?? null;
  return { finding, summary: sentence(check.meta.codes[found.code] ?? found.code, found), plan, risk: riskOf(plan) };
}

/** The same fault has the same id in every run, live or replayed. It begins with the code, so that it can be typed and explained. */
export function findingId(check: string, identity: string, code: string, subject: Subject): string {
  const hash = createHash('sha256');
  for (const part of [check, identity, code, subject.kind, subject.key ?? '']) {
    hash.update(part).update('\0');
  }
  return `${code}-${hash.update(toBytes(subject.name)).digest('hex').slice(0, 8)}`;
}

const SEVERITIES = ['critical', 'warning', 'info'];

/** Worst first; what another fault brought about stands behind it. */
function worstFirst(findings: FindingResult[]): FindingResult[] {
  const rank = ({ finding }: FindingResult) => SEVERITIES.indexOf(finding.severity) * 2 + (finding.cause === undefined ? 0 : 1);
  return findings.toSorted((a, b) => rank(a) - rank(b));
}
