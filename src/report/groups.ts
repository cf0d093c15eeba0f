import type { Subject } from '../check/types.ts';
import type { FindingResult } from '../engine/result.ts';
import { toByteString } from '../names.ts';

/** A finding and what it brought about; or a cause that several findings share and that is no finding itself. */
export type Group = { finding: FindingResult; brought: Group[] } | { cause: Subject; brought: Group[] };

const SEVERITIES = ['critical', 'warning', 'info'];

/** Every finding once: under the one whose subject is its cause, else on its own. The group with the worst in it first. */
export function groupByCause(findings: readonly FindingResult[]): Group[] {
  const about = Map.groupBy(findings, ({ finding }) => keyOf(finding.subject));
  const parents = new Map<FindingResult, FindingResult>();
  for (const each of findings) {
    const parent = parentOf(each, about);
    // Of findings that name each other as their cause, one must come first.
    if (parent !== undefined && !chain(parent, parents).includes(each)) {
      parents.set(each, parent);
    }
  }
  const children = Map.groupBy(findings, (each) => parents.get(each));
  const toGroup = (each: FindingResult): Group => ({ finding: each, brought: (children.get(each) ?? []).map(toGroup) });
  const roots = children.get(undefined) ?? [];
  const shared = Map.groupBy(roots, ({ finding }) => (finding.cause === undefined ? undefined : keyOf(finding.cause)));
  const groups = roots.flatMap((each): Group[] => {
    const { cause } = each.finding;
    const together = cause === undefined || about.has(keyOf(cause)) ? [each] : (shared.get(keyOf(cause)) ?? []);
    if (cause === undefined || together.length === 1) {
      return [toGroup(each)];
    }
    return together[0] === each ? [{ cause, brought: together.map(toGroup) }] : [];
  });
  return groups.toSorted((a, b) => worstOf(a) - worstOf(b));
}

function parentOf(each: FindingResult, about: ReadonlyMap<string, FindingResult[]>): FindingResult | undefined {
  const { cause } = each.finding;
  const found = cause === undefined ? [] : (about.get(keyOf(cause)) ?? []).filter((other) => other !== each);
  return found.find(({ finding }) => finding.subject.key === cause?.key) ?? found[0];
}

/** A finding, its parent, and so on. */
function chain(from: FindingResult, parents: ReadonlyMap<FindingResult, FindingResult>): FindingResult[] {
  const passed: FindingResult[] = [];
  for (let each: FindingResult | undefined = from; each !== undefined; each = parents.get(each)) {
    passed.push(each);
  }
  return passed;
}

function keyOf({ kind, name }: Subject): string {
  return `${kind}\0${toByteString(name)}`;
}

function worstOf(group: Group): number {
  const own = 'finding' in group ? SEVERITIES.indexOf(group.finding.finding.severity) : SEVERITIES.length;
  return Math.min(own, ...group.brought.map(worstOf));
}
