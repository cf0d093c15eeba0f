/** Another host, over the system's own ssh: nothing is installed there, and one connection carries all. */
import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Acted, Child, Probe, Reached, ResolvedAction, Unreached } from '../check/types.ts';
import type { InterruptedRepair } from '../facts/interrupted.ts';
import { parseStat } from '../facts/process.ts';
import { actTag } from '../journal/act-tag.ts';
import { type Name, showName, toByteString } from '../names.ts';
import { editCommand } from './edit.ts';
import { asJson, type Ended, HostTarget, isKernelFile, type Outcome, READ_AT_MOST } from './host-target.ts';
import { LeftBehindMemory, type Liveness, leftBehindFile } from './left-behind.ts';
import { type OwnState, ownInterrupted, stateDirOf } from './own-journal.ts';
import { safeSearchPath } from './own-paths.ts';
import { ACT, FETCH, LOOK } from './ssh/act.ts';
import type { SessionEnd } from './ssh/answer.ts';
import { bulkRead, disguised, parseBulk } from './ssh/bulk-read.ts';
import { type Destination, parseDestination } from './ssh/destination.ts';
import { Session } from './ssh/session.ts';

/** A connection that breaks is made again so often. */
const AGAIN = 3;
const OPEN_MS = 20_000;
const SHORT_MS = 10_000;
/** The way, and a host that may be busy with others who ask it. */
const USUAL_LIMIT_MS = 15_000;
/** After the deadline of a run, for what became of its last questions. */
const LAST_GRACE_MS = 1000;
const OUTPUT_AT_MOST = 64 * 1024;
const LOOK_EVERY_MS = 2000;

export interface SshOptions extends Reached {
  /** Of this process: the journal, and children left behind there. */
  state: OwnState;
  /** After so many milliseconds the other end of a connection ends itself, whatever became of this one. */
  lifeMs: number;
}

export class SshTarget extends HostTarget {
  readonly name: string;
  readonly via = 'ssh';
  readonly reached: Reached;
  readonly elsewhere = { stateDir: '/var/lib/stdoctor', makeDirectory: (path: string) => this.#makeDirectory(path) };
  protected override readonly memory: LeftBehindMemory;
  readonly #options: SshOptions;
  readonly #destination: Destination;
  readonly #searchPath = safeSearchPath(process.env['PATH']);
  protected override readonly usualLimitMs = USUAL_LIMIT_MS;
  /** Many hosts are asked at once. */
  protected override readonly bytesAtMost = 16 * 1024 * 1024;
  #toRead: { probe: Probe & { kind: 'read' }; until: number; tell(outcome: Outcome): void }[] = [];
  #session: Promise<Session | Unreached> | undefined;
  /** Boot id at the first connection. */
  #boot: string | undefined;
  #broken = 0;
  #lost: string | undefined;

  /** Throws STD_USAGE where the name is none. */
  constructor(options: SshOptions) {
    super();
    this.name = options.name;
    this.reached = { name: options.name, sudo: options.sudo };
    this.#options = options;
    this.#destination = parseDestination(options.name);
    const directory = stateDirOf(options.state);
    const liveness: Liveness = { bootId: () => this.#bootId(), alive: (children) => this.#alive(children) };
    this.memory = new LeftBehindMemory(directory === undefined ? undefined : leftBehindFile(directory, options.name), liveness);
  }

  async reach(until: number): Promise<Unreached | undefined> {
    const session = await this.#open(until);
    return session instanceof Session ? undefined : session;
  }

  lost(): string | undefined {
    return this.#lost;
  }

  async close(): Promise<void> {
    const session = await this.#session;
    if (session instanceof Session) {
      await session.close();
    }
  }

  /** The session that is; a new one where it broke. What was refused once is not tried again. */
  async #open(until: number): Promise<Session | Unreached> {
    for (;;) {
      this.#session ??= this.#connect(until);
      const opening = this.#session;
      const session = await opening;
      const worn = session instanceof Session && session.gone === undefined && session.isIdle && session.isWorn;
      if (!(session instanceof Session) || (session.gone === undefined && !worn)) {
        return session;
      }
      if (this.#session === opening) {
        this.#broken += worn ? 0 : 1;
        if (this.#broken > AGAIN) {
          return this.#giveUp(session.gone as Unreached);
        }
        if (worn) {
          void session.close();
        }
        this.#session = this.#connect(until);
      }
    }
  }

  async #connect(until: number): Promise<Session | Unreached> {
    const { sudo, lifeMs } = this.#options;
    const session = await Session.open({ destination: this.#destination, sudo, searchPath: this.#searchPath, until, lifeMs });
    if (!(session instanceof Session)) {
      return this.#giveUp({ state: session.state, why: session.why });
    }
    // What was asked of one host, in one boot, says nothing about what answers now: no guard would hold.
    this.#boot ??= session.boot;
    if (session.boot !== this.#boot) {
      void session.close();
      return this.#giveUp({ state: 'unreachable', why: 'it was restarted since it was first asked, or another host answers in its place' });
    }
    return session;
  }

  #giveUp(refusal: Unreached): Unreached {
    this.#lost = refusal.why;
    return refusal;
  }

  async #put(
    argv: readonly Name[],
    limitMs: number,
    maxBytes: number,
    how: { suspect?: boolean; graceMs?: number } = {},
  ): Promise<SessionEnd | Unreached> {
    const session = await this.#open(Date.now() + OPEN_MS);
    return session instanceof Session ? session.ask(argv, limitMs, maxBytes, how) : session;
  }

  /** Those that are asked for at the same time are read by one command. */
  protected override read(probe: Probe & { kind: 'read' }, until: number): Promise<Outcome> {
    if (!isKernelFile(toByteString(probe.path)) || probe.limitMs !== undefined) {
      return super.read(probe, until);
    }
    if (this.#toRead.length === 0) {
      setTimeout(() => void this.#readAll(), 0);
    }
    return new Promise((tell) => {
      this.#toRead.push({ probe, until, tell });
    });
  }

  async #readAll(): Promise<void> {
    const waiting = this.#toRead;
    this.#toRead = [];
    for (const [maxBytes, reads] of Map.groupBy(waiting, ({ probe }) => probe.maxBytes ?? READ_AT_MOST)) {
      const paths = reads.map(({ probe }) => probe.path);
      const names = paths.map((path) => disguised(path));
      const until = Math.max(...reads.map((read) => read.until));
      const said = await this.run({ kind: 'run', argv: bulkRead(names, maxBytes) }, until);
      const outcomes = said.state === 'ok' ? parseBulk(paths, names, Buffer.from(said.out), said.err) : paths.map(() => said);
      reads.forEach(({ tell }, index) => {
        tell(outcomes[index] as Outcome);
      });
    }
  }

  protected override async start(
    argv: readonly Name[],
    limitMs: number,
    maxBytes: number,
    { suspect, mustEnd }: { suspect: boolean; mustEnd: boolean },
  ): Promise<Ended> {
    const end = await this.#put(argv, limitMs, maxBytes, { suspect, ...(mustEnd && { graceMs: LAST_GRACE_MS }) });
    switch (end.state) {
      case 'lost':
        return { state: 'no-answer', outcome: { state: 'unreachable', why: end.why } };
      case 'unreachable':
      case 'denied':
        return { state: 'no-answer', outcome: end };
      default:
        return end;
    }
  }

  /** What a question of this target itself came to; undefined where it was not answered well. */
  async #told(argv: readonly Name[], maxBytes = OUTPUT_AT_MOST): Promise<string | undefined> {
    const end = await this.#put(argv, SHORT_MS, maxBytes);
    return end.state === 'exited' ? end.out.toString('latin1') : undefined;
  }

  async #bootId(): Promise<string> {
    return ((await this.#told(['cat', '/proc/sys/kernel/random/boot_id'])) ?? '').trim();
  }

  /** Those of which it could not be told count as alive: they are not asked a second time. */
  async #alive(children: readonly Child[]): Promise<readonly Child[]> {
    const text = await this.#told(['cat', ...children.map(({ pid }) => `/proc/${pid}/stat`)]);
    const found = text?.split('\n').map(parseStat);
    return found === undefined
      ? children
      : children.filter(({ pid, startTime }) =>
          found.some((stat) => stat?.pid === pid && stat.startTime === startTime && !'ZX'.includes(stat.state)),
        );
  }

  protected override async inventory(topic: 'os' | 'system'): Promise<Outcome> {
    if (topic === 'os') {
      return { state: 'absent', why: 'only asked of the host that stdoctor runs on' };
    }
    const text = await this.#told(['head', '-n', '1', '/sys/class/dmi/id/sys_vendor', '/sys/class/dmi/id/product_name']);
    const lines = (text ?? '').split('\n');
    const after = (file: string) => lines[lines.findIndex((line) => line.endsWith(`/${file} <==`)) + 1] ?? '';
    return text === undefined
      ? { state: 'unreachable', why: 'no answer' }
      : asJson({ manufacturer: after('sys_vendor'), model: after('product_name'), virtual: null });
  }

  /** Those of this very host, by whatever name it was reached. */
  protected override async interrupted(): Promise<readonly InterruptedRepair[] | Outcome> {
    const all = await ownInterrupted(this.#options.state);
    if ('state' in all || all.length === 0) {
      return all;
    }
    const machine = (await this.#told(['cat', '/etc/machine-id']))?.trim();
    return all.filter(({ host, machine: of }) => host === this.name || (of !== undefined && of === machine));
  }

  /** The command outlives the connection; its output lies on the host until it is fetched. */
  override async act(action: ResolvedAction, log: string, started: (child: Child) => void): Promise<Acted> {
    const words = wordsOf(action);
    const tag = actTag(log);
    const session = await this.#open(Date.now() + OPEN_MS);
    if (!(session instanceof Session)) {
      return { ok: false, code: -1, why: session.why };
    }
    if (!session.hasSetsid) {
      return {
        ok: false,
        code: -1,
        why: `${this.name} has no setsid, without which a command would end with the connection: nothing was done`,
      };
    }
    const watching = new AbortController();
    let telling: Promise<unknown> = Promise.resolve();
    const end = await session.act(['sh', '-c', ACT, tag, ...words], (pid) => {
      telling = this.#tell(pid, started).then(() => this.#follow(session, tag, log, watching.signal));
    });
    watching.abort();
    await telling;
    if (end.state === 'lost') {
      const why = `the connection to ${this.name} was lost while it ran (${end.why}); it goes on there`;
      return { ok: false, code: -1, running: true, why };
    }
    const code = end.state === 'exited' ? end.code : -1;
    const unkept = (await this.collect(log)) === 'nothing';
    const why = unkept ? `no directory of ${this.name} takes its output: nothing was done` : ended(code, showName(words[0] as Name));
    return { ok: code === 0 && !unkept, code, ...(why !== undefined && { why }) };
  }

  async collect(log: string): Promise<'kept' | 'nothing' | 'unknown'> {
    const fetched = await this.#put(['sh', '-c', FETCH, actTag(log)], SHORT_MS, OUTPUT_AT_MOST);
    if (fetched.state !== 'exited' || (fetched.code !== 0 && fetched.code !== 3)) {
      return 'unknown';
    }
    if (fetched.code === 3) {
      return 'nothing';
    }
    writeFileSync(log, fetched.out, { mode: 0o600 });
    return 'kept';
  }

  async #tell(pid: number, started: (child: Child) => void): Promise<void> {
    const stat = parseStat((await this.#told(['cat', `/proc/${pid}/stat`])) ?? '');
    if (stat !== undefined) {
      started({ pid, startTime: stat.startTime });
    }
  }

  /** What a long command prints, while it runs. */
  async #follow(session: Session, tag: string, log: string, ended: AbortSignal): Promise<void> {
    while (!ended.aborted && session.gone === undefined) {
      await sleep(LOOK_EVERY_MS, undefined, { signal: ended }).catch(() => {});
      if (!ended.aborted) {
        const seen = await session.ask(['sh', '-c', LOOK, tag], SHORT_MS, OUTPUT_AT_MOST);
        if (seen.state === 'exited' && seen.code === 0) {
          writeFileSync(log, seen.out, { mode: 0o600 });
        }
      }
    }
  }

  async #makeDirectory(path: string): Promise<void> {
    const end = await this.#put(['mkdir', '-p', '-m', '700', '--', path], SHORT_MS, OUTPUT_AT_MOST);
    if (end.state !== 'exited' || end.code !== 0) {
      throw new Error(`${path} could not be made on ${this.name}: ${'why' in end ? end.why : end.err.trim()}`);
    }
  }
}

function wordsOf(action: ResolvedAction): readonly Name[] {
  switch (action.kind) {
    case 'run':
      return action.argv;
    case 'write':
      return ['sh', '-c', 'printf %s "$1" | tee -- "$2"', 'sh', action.content, action.path];
    case 'edit':
      return editCommand(action);
  }
}

/** As a shell tells it. */
function ended(code: number, what: string): string | undefined {
  if (code === 126 || code === 127) {
    return `${what}: ${code === 127 ? 'ENOENT' : 'EACCES'}`;
  }
  return code > 128 && code < 160 ? `ended by signal ${code - 128}` : undefined;
}
