/** What a question came to, out of its frames. */
import type { Child } from '../../check/types.ts';
import { parseStat } from '../../facts/process.ts';
import type { ChildEnd } from '../child.ts';

/** `lost`: the connection ended first, and what became of it is not known. */
export type SessionEnd = ChildEnd | ({ state: 'lost'; out: Buffer; err: string } & { why: string });

/** A question that was put, and what is known of its answer so far. */
export interface Pending {
  out: Buffer[];
  err: Buffer[];
  bytes: number;
  maxBytes: number;
  open: Set<'out' | 'err' | 'status'>;
  pid?: number;
  between: number[];
  isGivenUp?: true;
  code?: number;
  /** Both streams have ended, whatever became of the command. */
  saidAll: Promise<void>;
  tellSaidAll(): void;
  tellPid(pid: number): void;
  settle(end: SessionEnd): void;
}

/** What came until now. */
export function said(question: Pick<Pending, 'out' | 'err'> | undefined): { out: Buffer; err: string } {
  return {
    out: Buffer.concat(question?.out ?? []),
    err: Buffer.concat(question?.err ?? []).toString('latin1'),
  };
}

/** As a child of this host would have ended. */
export function endOf(question: Pending): SessionEnd {
  const { out, err } = said(question);
  const code = question.code as number;
  if (out.length > question.maxBytes) {
    return { state: 'too-much', out, err };
  }
  // setsid: failed to execute nonesuch: No such file or directory
  // sh: 1: exec: nonesuch: not found
  const refused = /^(setsid: |\S*sh: (\d+: |line \d+: )?exec: )/.test(err);
  if (refused && (code === 126 || code === 127)) {
    return { state: 'not-started', errno: code === 127 ? 'ENOENT' : 'EACCES', out, err };
  }
  // SIGTERM or SIGKILL, and not from us: most likely the whole session is being ended.
  return code === 143 || code === 137
    ? { state: 'lost', why: `its command was ended by signal ${code - 128}`, out, err }
    : { state: 'exited', code, out, err };
}

/** What END_PROCESS says. The deepest that sleeps or lives on stands for all. */
export function familyOf(text: string): { wchan?: string; leaked?: Child } {
  const [before = '', after = ''] = text.split('--\n');
  const wchans = before.split('\n').flatMap((line) => /^\d+ (\S+)$/.exec(line)?.[1] ?? []);
  const wchan = wchans.findLast((name) => name !== '0');
  const alive = after.split('\n').flatMap((line) => {
    const stat = parseStat(line);
    return stat === undefined || 'ZX'.includes(stat.state) ? [] : [{ pid: stat.pid, startTime: stat.startTime }];
  });
  const leaked = alive.at(-1);
  return { ...(wchan !== undefined && { wchan }), ...(leaked !== undefined && { leaked }) };
}
