/** The four proofs that every check owes: made from recorded cases, without a host. For vitest. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { inspect } from '../engine/inspect.ts';
import type { CheckResult, FindingResult } from '../engine/result.ts';
import { Round } from '../engine/round.ts';
import { sameName, showName } from '../names.ts';
import { loadRecording, type Recording } from '../target/recording.ts';
import { ReplayTarget } from '../target/replay.ts';
import { sourceOf } from './asking.ts';
import { examine } from './condition.ts';
import type { Answer, AnyCheck, Claim, Risk, Severity, Step, Subject } from './types.ts';

/** `expected.json` of a case. */
export interface Expected {
  outcome: CheckResult['outcome'];
  findings: { code: string; subject: Subject['name']; severity?: Severity; risk?: Risk | 'refused' }[];
  /** Where and how it was recorded. */
  source: string;
  /** Healthy cases: the codes that a careless check would find here. */
  twinOf?: string[];
  /** With stages: the fault is still found after all steps are proven. */
  remains?: boolean;
}

interface Case {
  name: string;
  expected: Expected;
  /** The states of a real repair, in order; a case without stages has one state. */
  stages: Recording[];
}

interface Judged {
  result: CheckResult;
  findings: FindingResult[];
}

/** Registers the tests of a check: `testCheck(check, new URL('./cases/', import.meta.url))`. */
export async function testCheck(check: AnyCheck, casesDirectory: URL): Promise<void> {
  const cases = await loadCases(fileURLToPath(casesDirectory));

  describe.each(cases)('$name', ({ expected, stages }) => {
    const recording = stages[0] as Recording;

    it(`is ${expected.outcome}${expected.findings.map(({ code }) => `, ${code}`).join('')}`, async () => {
      const { result, findings } = await judge(check, recording);
      const found = findings.map(({ finding, plan, risk }) => ({
        code: finding.code,
        subject: finding.subject.name,
        severity: finding.severity,
        risk: plan !== null && 'refused' in plan ? 'refused' : risk,
      }));
      expect(byName(found)).toMatchObject(byName(expected.findings));
      expect(found).toHaveLength(expected.findings.length);
      expect({ outcome: result.outcome, reason: result.reason }).toMatchObject({ outcome: expected.outcome });
      for (const { finding } of findings) {
        expect(finding.evidence, `evidence of ${finding.code}`).not.toEqual([]);
      }
    });

    it.each(HARM)('with all answers %s could not tell', async (_, harm) => {
      const { result } = await judge(check, {
        ...recording,
        entries: recording.entries.map((entry) => ({ ...entry, answer: harm(entry.answer) })),
      });
      expect(result.reason).not.toContain("stdoctor's own");
      expect(result.outcome, String(result.reason)).toBe('unknown');
    });

    it('with any one answer harmed finds nothing else, and calls nothing sick healthy', async () => {
      expect(await harmOneByOne(check, recording)).toEqual([]);
    });

    if (stages.length > 1) {
      it('is repaired as planned: each guard and proof holds on what was recorded at its stage', async () => {
        expect(await replayRepair(check, stages, expected)).toEqual([]);
      });
    }
  });
}

async function loadCases(directory: string): Promise<Case[]> {
  const names = readdirSync(directory).sort();
  return Promise.all(
    names.map(async (name) => {
      const path = join(directory, name);
      const expected = JSON.parse(readFileSync(join(path, 'expected.json'), 'utf8')) as Expected;
      const staged = join(path, 'stages');
      const tapes = existsSync(staged)
        ? readdirSync(staged)
            .sort(byNumber)
            .map((stage) => join(staged, stage))
        : [path];
      return { name, expected, stages: await Promise.all(tapes.map(loadRecording)) };
    }),
  );
}

// 0-sick, 1-aborted, … 10-healthy
function byNumber(a: string, b: string): number {
  return Number.parseInt(a, 10) - Number.parseInt(b, 10);
}

function byName<T extends { code: string; subject: Subject['name'] }>(list: readonly T[]): T[] {
  const key = ({ code, subject }: T) => `${code} ${showName(subject)}`;
  return list.toSorted((a, b) => (key(a) < key(b) ? -1 : 1));
}

async function judge(check: AnyCheck, recording: Recording): Promise<Judged> {
  const entry = { id: check.meta.id, title: check.meta.title, load: () => Promise.resolve(check) };
  const { target } = await inspect(new ReplayTarget(recording), [entry], { until: Number.MAX_SAFE_INTEGER });
  return { result: target.checks[0] as CheckResult, findings: target.findings };
}

type Harm = (answer: Answer) => Answer;

const NOISE = Buffer.from('\u0007%!@ 12:ab\xff\xfe\0-- {"]\t/x\n\x80 garbled', 'latin1');

/** What a broken pipe, a full disk or an unknown version makes of output. The exit code is what it was. */
const HARM: [name: string, harm: Harm][] = [
  ['garbled', (answer) => reworded(answer, () => NOISE)],
  ['emptied', (answer) => reworded(answer, () => Buffer.alloc(0))],
  ['truncated', (answer) => reworded(answer, half)],
];

const LOSS: [name: string, harm: Harm][] = [
  ['denied', ({ at, ms }) => ({ state: 'denied', why: 'Permission denied', at, ms })],
  ['absent', ({ at, ms }) => ({ state: 'absent', why: 'not there', at, ms })],
  ['timed out', ({ at }) => ({ state: 'timed-out', out: Buffer.alloc(0), err: '', limitMs: 5000, at, ms: 5000 })],
  ['cut', ({ at }) => ({ state: 'cut', why: 'the deadline of the run came first', at, ms: 0 })],
  ['not held', ({ at }) => ({ state: 'not-held', why: 'left out', at, ms: 0 })],
];

function reworded(answer: Answer, word: (said: Buffer) => Buffer): Answer {
  if (answer.state !== 'ok' && answer.state !== 'timed-out') {
    return answer;
  }
  const out = Buffer.from(answer.out);
  const err = Buffer.from(answer.err, 'latin1');
  return { ...answer, out: out.length === 0 ? out : word(out), err: err.length === 0 ? '' : word(err).toString('latin1') };
}

/** In the middle of a line: what ends at the end of one cannot be told from a shorter whole. */
function half(said: Buffer): Buffer {
  let end = said.length >> 1;
  while (end > 0 && (said[end - 1] === 0x0a || said[end - 1] === 0)) {
    end--;
  }
  return said.subarray(0, end);
}

/** Every violation, as a sentence. */
async function harmOneByOne(check: AnyCheck, recording: Recording): Promise<string[]> {
  const intact = await judge(check, recording);
  const violations: string[] = [];
  for (const [index, { probe, answer }] of recording.entries.entries()) {
    for (const [name, harm] of [...HARM, ...LOSS]) {
      const entries = recording.entries.with(index, { probe, answer: harm(answer) });
      const harmed = await judge(check, { ...recording, entries });
      violations.push(...compare(intact, harmed).map((what) => `${sourceOf(probe)} ${name}: ${what}`));
    }
  }
  return violations;
}

function compare(intact: Judged, harmed: Judged): string[] {
  const { result } = harmed;
  if (result.reason?.includes("stdoctor's own")) {
    return [result.reason];
  }
  const known = intact.findings.map(({ finding }) => finding.subject);
  const invented = harmed.findings.filter(({ finding }) => !known.some((subject) => isSame(subject, finding.subject)));
  // Beside other findings, what can no longer be told is an unjudged subject of its own: a file, or systemd.
  const says = result.unjudged.some((each) => !intact.result.unjudged.some((before) => isSame(before.subject, each.subject)));
  const lost = known.filter(
    (subject) =>
      result.outcome !== 'unknown' &&
      !says &&
      !harmed.findings.some(({ finding }) => isSame(finding.subject, subject)) &&
      !result.unjudged.some((each) => isSame(each.subject, subject)),
  );
  return [
    ...invented.map(({ finding }) => `finds ${finding.code} on ${showName(finding.subject.name)}`),
    ...lost.map((subject) => `says nothing about ${showName(subject.name)}, and is ${result.outcome}`),
    ...(intact.result.outcome === 'unknown' && result.outcome === 'healthy'
      ? ['is healthy, where the whole recording could not tell']
      : []),
  ];
}

function isSame(a: Subject, b: Subject): boolean {
  return a.kind === b.kind && sameName(a.name, b.name);
}

/** Every claim that does not hold at its stage, as a sentence. Names made at run time are on no tape. */
async function replayRepair(check: AnyCheck, stages: readonly Recording[], expected: Expected): Promise<string[]> {
  const code = expected.findings[0]?.code;
  const [first, last] = [await judge(check, stages[0] as Recording), await judge(check, stages.at(-1) as Recording)];
  const sick = first.findings.find(({ finding }) => finding.code === code);
  if (sick?.plan == null || 'refused' in sick.plan) {
    return [`${code} has no plan to replay`];
  }
  const { steps } = sick.plan;
  if (stages.length !== steps.length + 1) {
    return [`${steps.length} steps need ${steps.length + 1} stages, there are ${stages.length}`];
  }
  const violations: string[] = [];
  for (const [index, step] of steps.entries()) {
    violations.push(...(await failing(step, 'guards', stages[index] as Recording)));
    violations.push(...(await failing(step, 'proof', stages[index + 1] as Recording)));
    violations.push(...(await unfounded(step, 'guards', stages[index] as Recording)));
    violations.push(...(await unfounded(step, 'proof', stages[index + 1] as Recording)));
  }
  const still = last.findings.some(({ finding }) => finding.id === sick.finding.id);
  const unjudged = last.result.unjudged.some(({ subject }) => isSame(subject, sick.finding.subject));
  if (still !== (expected.remains ?? false) || unjudged) {
    violations.push(`after the last step ${code} is ${still ? 'still found' : unjudged ? 'not judged' : 'no longer found'}`);
  }
  return violations;
}

/** A claim that could not be looked at does not hold. (Half an answer may hold all that it needs.) */
async function unfounded(step: Step, which: 'guards' | 'proof', tape: Recording): Promise<string[]> {
  const violations: string[] = [];
  for (const [name, lose] of [...HARM.filter(([harm]) => harm !== 'truncated'), ...LOSS]) {
    const entries = tape.entries.map((entry) => ({ ...entry, answer: lose(entry.answer) }));
    const round = new Round(new ReplayTarget({ ...tape, entries }), Number.MAX_SAFE_INTEGER);
    for (const claim of step[which].filter(isOnTape)) {
      if ((await round.gather(examine(claim))).holds) {
        violations.push(`${step.title}, ${which}, ${claim.is}: holds with all answers ${name}`);
      }
    }
  }
  return violations;
}

async function failing(step: Step, which: 'guards' | 'proof', tape: Recording): Promise<string[]> {
  const round = new Round(new ReplayTarget(tape), Number.MAX_SAFE_INTEGER);
  const violations: string[] = [];
  for (const claim of step[which].filter(isOnTape)) {
    const held = await round.gather(examine(claim));
    if (!held.holds) {
      violations.push(`${step.title}, ${which}, ${claim.is}: expected ${held.expected}, found ${held.found}`);
    }
  }
  return violations;
}

function isOnTape({ args }: Claim): boolean {
  return !JSON.stringify(args).includes('"ref":');
}
