import { StdoctorError } from '../errors.ts';
import { printable } from '../names.ts';

export interface Listed {
  id: string;
  scope: string;
  codes: Readonly<Record<string, string>>;
}

export interface Selection<E extends Listed> {
  entries: E[];
  /** Ids of findings that were named. */
  findings: string[];
}

/**
 * What CHECK… and FINDING… name. A finding's id begins with its code, which tells the check. Nothing named: all but the
 * skipped. What concerns the run itself (`interrupted-repairs`) is always among them, at the end.
 */
export function select<E extends Listed>(
  words: readonly string[],
  all: readonly E[],
  skip: readonly string[],
  findingsToo = false,
): Selection<E> {
  const always = all.filter(({ scope }) => scope === 'run');
  if (words.length === 0) {
    return { entries: [...all.filter((each) => !skip.includes(each.id) && !always.includes(each)), ...always], findings: [] };
  }
  const entries = new Set<E>();
  const findings: string[] = [];
  for (const word of words) {
    const check = all.find(({ id }) => id === word);
    const owner = check ?? (findingsToo ? ownerOf(word, all) : undefined);
    if (owner === undefined) {
      const known = all.map(({ id }) => id).join(', ');
      throw new StdoctorError(
        'STD_USAGE',
        `${word === '' ? "''" : printable(word)} is no check${findingsToo ? ' and no finding' : ''}: expected one of ${known}`,
      );
    }
    entries.add(owner);
    if (check === undefined) {
      findings.push(word);
    }
  }
  return { entries: [...[...entries].filter((each) => !always.includes(each)), ...always], findings };
}

/** The check whose code a finding's id (`fuse-dead-1a2b3c4d`) begins with. */
export function ownerOf<E extends Listed>(finding: string, all: readonly E[]): E | undefined {
  const code = codeOf(finding);
  return code === undefined ? undefined : all.find(({ codes }) => Object.hasOwn(codes, code));
}

export function codeOf(finding: string): string | undefined {
  return /^(.+)-[0-9a-f]{8}$/.exec(finding)?.[1];
}
