import type { Verdict } from '../../src/check/types.ts';
import type { ZombieFound } from './data.ts';
import { partOf } from './parts.ts';

/** More mounts than this with one fault, and more than half of those examined, seldom break one by one. */
const MANY = 20;

/** Why no repair may go on without a person. What a runtime minds itself (`info`) does not count. */
export function tooMany({ examined, findings }: Verdict<ZombieFound>): string | undefined {
  const counts = new Map<string, number>();
  for (const { code } of findings.filter(({ severity }) => severity !== 'info')) {
    counts.set(code, (counts.get(code) ?? 0) + 1);
  }
  for (const [code, count] of counts) {
    if (count > MANY && count > examined / 2) {
      return `${count} of ${examined} mounts ${partOf(code)?.many[code]}: so many at once rather have one cause; find it first, or repair them one by one with a person`;
    }
  }
  return undefined;
}
