/** The contract between checks, targets and the engine: data only. */
import type { Name } from '../names.ts';

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** One question put to a target. Identity (for the memo and for recordings) is everything but `limitMs` and `suspect`. */
export type Probe = {
  /** Which look this is, where a fact looks twice at the same thing. */
  take?: string;
  /** How long the target may take. Default: 5000. */
  limitMs?: number;
  /** May hang: asked in slots of its own, so that it cannot starve the rest. */
  suspect?: boolean;
} & (
  | { kind: 'run'; argv: readonly Name[] }
  | { kind: 'read'; path: Name; maxBytes?: number }
  | { kind: 'inventory'; topic: 'os' | 'system' }
  | { kind: 'left-behind' }
  /** Repairs that were begun from here and never closed: what the state directory's journal tells. */
  | { kind: 'journal' }
);

/** A process of ours on a target. It is alive while the same pid has the same start time (clock ticks since boot) and is no zombie. */
export interface Child {
  pid: number;
  startTime: string;
}

export type Answer = { at: string; ms: number } & (
  | { state: 'ok'; code: number; out: Uint8Array; err: string }
  /** No such file, tool or socket: evidence, not ignorance. */
  | { state: 'absent'; why: string }
  | { state: 'errno'; errno: number }
  /** Had its whole limit. `wchan` is the kernel function it slept in, `leaked` the child that SIGKILL did not end. */
  | { state: 'timed-out'; out: Uint8Array; err: string; limitMs: number; wchan?: string; leaked?: Child }
  /** `cut`: the run's deadline came first, which proves nothing. `not-held`: not in this recording. */
  | { state: 'denied' | 'unreachable' | 'cut' | 'not-held'; why: string }
);

/** A word of an action: literal, or a reference to a name made at run time (`run`, `rescue`), or several joined. */
export type Word = Name | { ref: string } | { join: readonly Word[] };

export type Action =
  | { kind: 'run'; argv: readonly Word[] }
  /** Writes into a file that the kernel offers (sysfs, fusectl); never creates one. */
  | { kind: 'write'; path: Name; content: string }
  | Edit<Word>;

/**
 * Puts a file in the place of another one, whole or not at all, if that one is still as it was. Owner, mode and attributes
 * stay. `was` and `becomes` are the SHA-256 of all of it, in hexadecimal; null: there is no such file.
 */
export interface Edit<W> {
  kind: 'edit';
  /** No link. */
  path: Name;
  was: string | null;
  becomes: string | null;
  /** How the new content comes from the old one, or the copy it is taken from; nothing where the file is removed. */
  content: { changes: readonly Change[] } | { from: W };
  /** Where a copy of the old content is kept first. */
  keep?: W;
  /** Must end well for the new file, whose path is put after these words, before it takes the place of the old one. */
  verify?: readonly Name[];
  /** For whoever agrees to it: a unified diff, a line each, secrets masked. Nothing follows from it. */
  diff: readonly Name[];
}

/** At this byte of the old content so many bytes are left out, and these put in their place. In ascending order. */
export interface Change {
  at: number;
  remove: number;
  insert: Name;
}

/** A host over ssh, as it was named. */
export interface Reached {
  name: string;
  /** Whether to go on as root with `sudo -n`, where that is allowed. */
  sudo: boolean;
}

export interface Target {
  readonly name: string;
  readonly kind: 'host' | 'array' | 'cluster';
  readonly via: 'local' | 'ssh' | 'recording';
  /** Settles when questions can be put, or with why none can. Absent where that needs no effort. */
  reach?(until: number): Promise<Unreached | undefined>;
  /** Never rejects, never changes anything, always settles soon after `until` (milliseconds since the epoch). */
  ask(probe: Probe, until: number): Promise<Answer>;
  /** Absent where nothing may be changed. `log` is a file that receives what the child says. */
  act?(action: ResolvedAction, log: string, started: (child: Child) => void): Promise<Acted>;
  /** How it can be reached again; absent: it is this host. */
  readonly reached?: Reached;
  /** Takes over what an act of an earlier run has printed there, and removes it. `log`: as it was given to that act. */
  collect?(log: string): Promise<unknown>;
  /** Why nothing can be asked or done there any more. */
  lost?(): string | undefined;
  /** Where, on a target that is not this host, copies are put and directories for them made. */
  readonly elsewhere?: { stateDir: string; makeDirectory(path: string): Promise<void> };
  /** Gives back what it holds: connections. */
  close?(): Promise<void>;
}

export interface Unreached {
  state: 'unreachable' | 'denied';
  /** A clause. */
  why: string;
}

export type ResolvedAction = { kind: 'run'; argv: readonly Name[] } | { kind: 'write'; path: Name; content: string } | Edit<Name>;

export interface Acted {
  ok: boolean;
  code: number;
  /** Why it could not be started, or what ended it, where that is not an exit code. */
  why?: string;
  /** It may still run: the connection to it was lost. */
  running?: true;
}

/** What a fact yields. */
export type Wish =
  | { wish: 'ask'; probe: Probe }
  /** Cut by the round's deadline; nothing in a replay. */
  | { wish: 'pause'; ms: number }
  /** At the same time. */
  | { wish: 'all'; parts: Asking<unknown>[] }
  /** `during` runs beside `part` and is dropped where `part` ends first. */
  | { wish: 'meanwhile'; part: Asking<unknown>; during: Asking<unknown> }
  /** While the answer of `stamp` is the same, a value of an earlier round or run may stand. */
  | { wish: 'fact'; key: string; gather: () => Asking<unknown>; stamp?: () => Asking<string> };

/** A pure generator: yields wishes, receives answers. */
export type Asking<T> = Generator<Wish, T, unknown>;

export type Severity = 'critical' | 'warning' | 'info';
export type Risk = 'safe' | 'disruptive' | 'data-loss';
export type Confidence = 'certain' | 'high' | 'medium';

export interface Subject {
  kind: string;
  name: Name;
  /** Tells two subjects of one name apart (place in a stack). Never a mount id or a dm number: those change. */
  key?: string;
}

/** Where and when something was seen: a file or a command line. */
export interface Seen {
  source: string;
  at: string;
}

export interface Evidence extends Seen {
  excerpt: string;
}

export interface Found<C extends string = string, D = Json> {
  code: C;
  severity: Severity;
  subject: Subject;
  /** Typed by the check; JSON, so that it can be reported. */
  data: D;
  confidence: Confidence;
  evidence: Evidence[];
  /** The subject whose fault brought this one about: shown above it and repaired first. */
  cause?: Subject;
}

export type Finding<F extends Found<string, unknown> = Found<string, unknown>> = F & { id: string; check: string };

export interface Verdict<F extends Found<string, unknown>> {
  /** How many subjects were judged. */
  examined: number;
  findings: F[];
  /** Subjects about which the check could not tell. */
  unjudged: { subject: Subject; why: string }[];
  /** Worth saying, and no fault: a mount that answered late. */
  notes?: { subject: Subject; text: string }[];
}

export type Holds = { holds: true } | { holds: false; expected: string; found: string };

/** Names a condition and its arguments, as data. Used as a guard before an act, and as a proof after it. */
export interface Claim {
  is: string;
  args: Json;
}

export interface Step {
  title: string;
  why: string;
  risk: Risk;
  action: Action;
  guards: Claim[];
  proof: Claim[];
  /** How long the proof may take to come true. Default: 2000. */
  patienceMs?: number;
  /** How long the act may take before it is left to itself and the step counts as failed. It is not killed. */
  limitMs?: number;
  /** Gives back what the step borrowed, however the plan ends. */
  release?: Action;
  /** There is nothing to give back (any more) where the last line of `release` ends like this while these claims hold. */
  releaseRefuses?: { says: string; while: Claim[] };
  undo: { action: Action; proof: Claim[] } | { none: string };
}

export type Plan =
  | {
      steps: Step[];
      /** What remains to be done by hand after all steps are proven, where the plan cannot end the fault itself. */
      remains?: string;
    }
  | { refused: string };

export type Needs = Record<string, () => Asking<unknown>>;
export type Facts<N extends Needs> = { [K in keyof N]: N[K] extends () => Asking<infer T> ? T : never };

export interface CheckMeta<C extends string = string> {
  id: string;
  title: string;
  area: string;
  scope: 'host' | 'cluster' | 'run';
  summary: string;
  references: readonly string[];
  /** Code → sentence. `{subject}` and `{name}` for names in the finding's data are filled in. */
  codes: Readonly<Record<C, string>>;
}

export interface Check<N extends Needs = Needs, F extends Found<string, unknown> = Found<string, unknown>> {
  meta: CheckMeta<F['code']>;
  needs: N;
  /** Pure and synchronous. */
  detect(facts: Facts<N>): Verdict<F>;
  /** More is faulty than is plausible: why no repair may go on without a person. */
  tooMany?(verdict: Verdict<F>): string | undefined;
  /** Pure and synchronous. Absent: nothing this check finds can be repaired by us. */
  plan?(finding: Finding<F>, facts: Facts<N>): Plan;
}

/** A check of which only the contract is known: what the engine works with. */
export interface AnyCheck {
  meta: CheckMeta;
  needs: Needs;
  // biome-ignore lint/suspicious/noExplicitAny: the engine hands a check exactly what its own needs gathered
  detect(facts: any): Verdict<Found<string, unknown>>;
  // biome-ignore lint/suspicious/noExplicitAny: its own verdict
  tooMany?(verdict: any): string | undefined;
  // biome-ignore lint/suspicious/noExplicitAny: and its own findings back
  plan?(finding: any, facts: any): Plan;
}
