import { defineFact, outputOf, run, Unknown, whyNot } from '../check/asking.ts';
import type { Answer, Asking, Probe, Seen } from '../check/types.ts';
import { fromByteString, type Name, toByteString } from '../names.ts';
import { self } from './process.ts';

/** A link below /proc/PID that leads to something asked for. */
export interface ProcLink {
  pid: number;
  /** `cwd`, `root`, `exe` or `fd`. */
  by: 'cwd' | 'root' | 'exe' | 'fd';
  descriptor?: number;
  target: Name;
}

export interface ProcLinks {
  seen: Seen;
  links: ProcLink[];
  /** Every process of the machine was looked at, and every link could be read. */
  complete: boolean;
  why?: string;
}

// Goes no deeper than /proc/PID/fd/N and /proc/PID/{cwd,root,exe}, and follows none of them: reading a link does no I/O on its target.
export const NOT_A_LINK_DIRECTORY = '/proc/[0-9]+(/fd(/[0-9]+)?|/cwd|/root|/exe)?';

/** The links of all processes whose text is one of these paths, or lies below one of them. One child for all. */
export const procLinks = defineFact('proc-links', function* (paths: Name[]): Asking<ProcLinks> {
  const probe: Probe & { kind: 'run' } = {
    kind: 'run',
    argv: [
      'find',
      '/proc',
      '-mindepth',
      '1',
      '-maxdepth',
      '3',
      '-regextype',
      'posix-egrep',
      '!',
      '-regex',
      NOT_A_LINK_DIRECTORY,
      '-prune',
      '-o',
      '-type',
      'l',
      '(',
      ...leadsTo(paths),
      ')',
      '-printf',
      '%p %l\\0',
    ],
  };
  const answer = yield* run(probe.argv);
  const seen = { source: '/proc/*/fd, cwd, root, exe', at: answer.at };
  const { seesAllProcesses } = yield* self();
  if (answer.state !== 'ok' || answer.code > 1) {
    return { seen, links: [], complete: false, why: whyNot(answer) };
  }
  const denied = seesAllProcesses ? firstRefusal(answer) : 'not every process is visible here';
  const links = outputOf(answer).split('\0').slice(0, -1).map(parseLink);
  return { seen, links, complete: denied === undefined, ...(denied !== undefined && { why: denied }) };
});

/** For find: the text of a link is one of these paths, or lies below one of them. */
export function leadsTo(paths: readonly Name[]): Name[] {
  const patterns = paths.flatMap((path) => {
    const glob = toByteString(path).replace(/[\\*?[\]]/g, '\\$&');
    return [fromByteString(glob), fromByteString(`${glob}/*`)];
  });
  return patterns.flatMap((pattern, index) => [...(index === 0 ? [] : ['-o']), '-lname', pattern]);
}

/** Processes end while we look: that is no gap. Anything else that find could not read is one. */
function firstRefusal(answer: Answer & { state: 'ok' }): string | undefined {
  const lines = answer.err.split('\n').filter((line) => line !== '' && !/: No such (file or directory|process)$/.test(line));
  return answer.code === 0 && answer.err === '' ? undefined : lines[0];
}

// /proc/2583/fd/3 /dev/fuse
const LINK = /^\/proc\/(\d+)\/(?:fd\/(\d+)|(cwd|root|exe)) ([\s\S]*)$/;

/** As find printed it: path, blank, target. */
export function parseLink(record: string): ProcLink {
  const match = LINK.exec(record);
  if (match === null) {
    throw new Unknown(`find /proc printed something else than links: ${record.slice(0, 80)}`);
  }
  const [, pid, descriptor, other, target] = match;
  return {
    pid: Number(pid),
    by: (other ?? 'fd') as ProcLink['by'],
    ...(descriptor !== undefined && { descriptor: Number(descriptor) }),
    target: fromByteString(target as string),
  };
}
