/** From findings to repairs: finds, compares with what was planned, asks for consent, and applies what was agreed to. */
import { userInfo } from 'node:os';
import type { Plan, Risk, Target } from '../check/types.ts';
import type { Listener } from '../engine/events.ts';
import { type CheckEntry, inspect } from '../engine/inspect.ts';
import type { CheckResult, FindingResult, TargetResult } from '../engine/result.ts';
import { StdoctorError } from '../errors.ts';
import { host } from '../facts/host.ts';
import type { Journaled, Who } from '../journal/entries.ts';
import { isInterrupted } from '../journal/interrupted.ts';
import { Journal } from '../journal/journal.ts';
import { printable, sameName, showName } from '../names.ts';
import type { CostlyFacts } from '../state/costly-facts.ts';
import { type ApplyContext, applyPlan, notDone } from './apply.ts';
import { sameSteps, whatChanged, whatNoLongerHolds } from './changes.ts';
import type { Repair } from './result.ts';
import type { SavedPlan, SavedPlans } from './saved-plan.ts';

/** A plan that may be applied, if somebody agrees to it. */
export interface Offer {
  finding: FindingResult;
  risk: Risk;
  /** So many are faulty that no repair may go on without a person. */
  tooMany: string | null;
}

/** What somebody said to a plan. */
export type Consent = { apply: true } | { apply: false; outcome: 'declined' | 'skipped' | 'planned'; reason: string };

export interface RepairOptions {
  target: Target;
  entries: readonly CheckEntry[];
  /** Ids of findings; empty means all. */
  findings: readonly string[];
  /** Apply these plans, and no other. */
  saved?: SavedPlans;
  /** To all offers at once, before anything is done: an answer for each, in their order. */
  consent(offers: readonly Offer[]): Promise<Consent[]>;
  /** Told of each repair as it ends. */
  ended?(repair: Repair): void;
  runId: string;
  version: string;
  /** What earlier runs gathered at great cost. */
  costly: CostlyFacts | undefined;
  /** Undefined where nothing will be applied. */
  stateDir: string | undefined;
  rescueDir: string | undefined;
  roundMs: number;
  /** Runs work while its progress is shown. */
  show<T>(title: string, work: (listen: Listener) => Promise<T>): Promise<T>;
  /** Runs work that an interruption must not cut in the middle. */
  minded<T>(work: (stop: AbortSignal) => Promise<T>): Promise<T>;
}

export interface Repaired {
  target: { name: string; identity: string };
  /** What could not be told, as `check: why`. */
  unknown: string[];
  repairs: Repair[];
  /** Ids that were asked for and are not found (any more). */
  missing: string[];
}

export async function repairFindings(options: RepairOptions): Promise<Repaired> {
  const { target, entries, roundMs, stateDir } = options;
  // Whether it can be written and understood is known before anything is asked.
  const journal = stateDir === undefined ? undefined : new Journal(stateDir);
  const edited = new Map<string, string | null>();
  try {
    const { target: result, round } = await look(`Asking ${target.name}`, entries);
    const { bootId } = await round.gather(host());
    const wanted = (options.saved?.plans ?? result.findings).filter(
      ({ finding }) => options.findings.length === 0 || options.findings.includes(finding.id),
    );
    const missing = options.findings.filter((id) => !wanted.some(({ finding }) => finding.id === id));
    const repairs = await repairAll(wanted, result, bootId);
    const unknown =
      options.saved === undefined && options.findings.length === 0 ? await lookAgain(repairs, result, bootId) : notTold(result);
    return {
      target: { name: target.name, identity: result.identity },
      unknown,
      repairs: repairs.map(({ repair }) => repair),
      missing: result.reason === null ? missing : [],
    };
  } finally {
    journal?.close();
  }

  function look(title: string, whom: readonly CheckEntry[]) {
    return options.show(title, (listen) => inspect(target, whom, { until: Date.now() + roundMs, listen, costly: options.costly }));
  }

  async function repairAll(wanted: readonly FindingResult[], result: TargetResult, boot: string | null): Promise<Candidate[]> {
    const repairs = await Promise.all(wanted.map((finding) => judge(finding, result, boot)));
    await agree(repairs, result);
    if (journal !== undefined) {
      await options.minded((stop) => applyAgreed(repairs, journal, result, boot, stop));
    }
    return repairs;
  }

  /**
   * What could not be told may be told once something was repaired, as what lies below a volume that was down: it is looked
   * at again, and repaired as well. Adds to `repairs`; returns what cannot be told in the end.
   */
  async function lookAgain(repairs: Candidate[], first: TargetResult, boot: string | null): Promise<string[]> {
    let result = first;
    let latest: readonly Candidate[] = repairs;
    for (let rounds = 0; rounds < ROUNDS_AT_MOST && latest.some(isRepaired); rounds++) {
      const untold = entries.filter(({ id }) => result.checks.some((check) => check.id === id && unknownOf(check).length > 0));
      if (untold.length === 0) {
        break;
      }
      result = (await look(`Asking ${target.name} again what could not be told`, untold)).target;
      const news = result.findings.filter(({ finding }) => !repairs.some(({ repair }) => repair.finding.id === finding.id));
      latest = await repairAll(news, result, boot);
      repairs.push(...latest);
    }
    return notTold(result);
  }

  /** What can be said without anybody's consent. */
  async function judge(wanted: FindingResult, result: TargetResult, boot: string | null): Promise<Candidate> {
    let finding = wanted;
    if (options.saved !== undefined) {
      const stale = await staleness(wanted, options.saved, result, boot);
      if (stale !== undefined) {
        return ended({ ...unapplied(wanted), outcome: 'stale', reason: stale });
      }
      finding = result.findings.find((each) => each.finding.id === wanted.finding.id) as FindingResult;
    }
    const { plan, risk } = finding;
    if (plan === null || risk === null || 'refused' in plan) {
      const { refused: reason } = plan !== null && 'refused' in plan ? plan : NO_REPAIR;
      return ended({ ...unapplied(finding), outcome: 'refused', reason });
    }
    const open = journal?.repairs.find((repair) => isInterrupted(repair) && isAbout(repair, finding));
    if (open !== undefined) {
      const reason = `run ${open.run} began to repair it and was interrupted: stdoctor resume goes on with that, or takes it back`;
      return ended({ ...unapplied(finding), outcome: 'refused', reason });
    }
    return { repair: { ...unapplied(finding), outcome: 'planned', reason: null }, finding, offered: risk };
  }

  function ended(repair: Repair): Candidate {
    options.ended?.(repair);
    return { repair };
  }

  async function staleness(wanted: SavedPlan, saved: SavedPlans, result: TargetResult, boot: string | null) {
    const { expiresAt, target: made } = saved;
    if (made.identity !== result.identity) {
      return `expected the host that it was made for (${made.name}, ${made.identity}), found ${result.identity}; nothing was done`;
    }
    if (!(Date.parse(expiresAt) > Date.now())) {
      return `expected it to be applied before ${expiresAt}, found ${new Date().toISOString()}; nothing was done`;
    }
    const now = result.findings.find(({ finding }) => finding.id === wanted.finding.id);
    if (now === undefined || ((hasSteps(wanted.plan) || hasSteps(now.plan)) && !sameSteps(now.plan, wanted.plan))) {
      const change = await whatChanged(wanted.plan ?? NO_REPAIR, now === undefined ? null : (now.plan ?? NO_REPAIR), { target, roundMs });
      return `${rebooted(made.boot, boot)}${wanted.altered === true ? 'the plan in the file was altered after it was made: ' : ''}${change}`;
    }
    if (made.boot !== boot) {
      return `expected boot ${made.boot ?? 'unknown'}, in which it was made, found boot ${boot ?? 'unknown'}: the host was restarted; nothing was done`;
    }
    return wanted.altered === true
      ? 'the plan in the file was altered after it was made; nothing was done'
      : await whatNoLongerHolds(now.plan ?? NO_REPAIR, { target, roundMs });
  }

  /** Puts all that can be applied before whoever decides. */
  async function agree(candidates: readonly Candidate[], result: TargetResult): Promise<void> {
    const offered = candidates.filter((each): each is Offered => each.offered !== undefined);
    const answers = await options.consent(
      offered.map(({ finding, offered: risk }) => ({
        finding,
        risk,
        tooMany: result.checks.find(({ id }) => id === finding.finding.check)?.tooMany ?? null,
      })),
    );
    for (const [index, candidate] of offered.entries()) {
      const answer = answers[index] as Consent;
      candidate.agreed = answer.apply;
      if (!answer.apply) {
        Object.assign(candidate.repair, { outcome: answer.outcome, reason: answer.reason });
        options.ended?.(candidate.repair);
      }
    }
  }

  async function applyAgreed(
    candidates: Candidate[],
    open: Journal,
    result: TargetResult,
    boot: string | null,
    stop: AbortSignal,
  ): Promise<void> {
    for (const candidate of candidates) {
      if (!candidate.agreed || candidate.finding === undefined) {
        continue;
      }
      if (stop.aborted) {
        throw new StdoctorError('STD_INTERRUPTED', 'interrupted; the repair under way was ended, and none was begun after it');
      }
      const { finding } = candidate;
      const context: Omit<ApplyContext, 'listen'> = {
        target,
        entry: entries.find(({ id }) => id === finding.finding.check) as CheckEntry,
        journal: open,
        costly: options.costly,
        runId: options.runId,
        version: options.version,
        stateDir: stateDir as string,
        rescueDir: options.rescueDir,
        roundMs,
        who: who(),
        machine: result.identity,
        boot,
        stop,
        edited,
      };
      const repair = await options
        .show(`Repairing: ${finding.summary}`, (listen) => applyPlan(finding, { ...context, listen }))
        .catch((error: unknown) => failed(error, candidate.repair, candidates));
      // With a saved plan, a fault that is gone means that the world has changed.
      candidate.repair = options.saved !== undefined && repair.outcome === 'healed' ? { ...repair, outcome: 'stale' } : repair;
      options.ended?.(candidate.repair);
    }
    if (stop.aborted) {
      throw new StdoctorError('STD_INTERRUPTED', 'interrupted; the repair under way was ended');
    }
  }
}

/** Each tells what the one before hid: images stand on images. */
const ROUNDS_AT_MOST = 8;

function isRepaired({ repair: { outcome } }: Candidate): boolean {
  return outcome === 'repaired' || outcome === 'healed';
}

const NO_REPAIR = { refused: 'there is no repair for it' };

export function hasSteps(plan: Plan | null): boolean {
  return plan !== null && !('refused' in plan);
}

/** A journal that fails after earlier repairs of this run must not hide what became of them. */
function failed(error: unknown, repair: Repair, candidates: readonly Candidate[]): Repair {
  if (error instanceof StdoctorError && error.code === 'STD_STATE_DIR' && candidates.some((each) => each.repair.run !== null)) {
    return { ...repair, outcome: 'failed', reason: error.message };
  }
  throw error;
}

interface Candidate {
  repair: Repair;
  finding?: FindingResult;
  offered?: Risk;
  agreed?: boolean;
}
type Offered = Candidate & Required<Pick<Candidate, 'finding' | 'offered'>>;

/** A repair of which nothing was done. */
export function unapplied(finding: FindingResult): Omit<Repair, 'outcome' | 'reason'> {
  const { plan } = finding;
  return { ...finding, run: null, steps: plan === null || 'refused' in plan ? [] : plan.steps.map(notDone) };
}

function isAbout({ finding }: Journaled, { finding: { subject } }: FindingResult): boolean {
  return finding.subject.kind === subject.kind && sameName(finding.subject.name, subject.name);
}

function rebooted(then: string | null, now: string | null): string {
  return then === now ? '' : `the host was restarted since (boot ${then ?? 'unknown'}, now ${now ?? 'unknown'}): `;
}

/** What could not be told: of a target that could not be asked at all, only why. */
export function notTold({ name, reason, checks }: TargetResult): string[] {
  return reason === null ? checks.flatMap(unknownOf) : [`${printable(name)}: ${reason}`];
}

function unknownOf({ id, outcome, reason, unjudged }: CheckResult): string[] {
  const subjects = unjudged.map(({ subject, why }) => `${id}: ${subject.kind} ${showName(subject.name)}: ${why}`);
  return subjects.length === 0 && outcome === 'unknown' ? [`${id}: ${reason}`] : subjects;
}

export function who(): Who {
  const uid = process.getuid?.() ?? -1;
  let user = String(uid);
  try {
    user = userInfo().username;
  } catch {
    // Nobody of this number is in the user database, as in many containers.
  }
  return { uid, user, sudoUser: process.env['SUDO_USER'] ?? null };
}
