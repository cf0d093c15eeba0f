import type { Action, Claim, Json, ResolvedAction, Word } from '../check/types.ts';
import { fromByteString, type Name, toByteString } from '../names.ts';

/** Names made at run time, by the reference that a plan holds for them. */
export type References = Readonly<Record<string, Name>>;

export function resolveWord(word: Word, references: References): Name {
  if (typeof word === 'string' || 'base64' in word) {
    return word;
  }
  if ('ref' in word) {
    const name = Object.hasOwn(references, word.ref) ? references[word.ref] : undefined;
    if (name === undefined) {
      throw new Error(`a plan refers to ${word.ref}, which nothing made`);
    }
    return name;
  }
  return fromByteString(word.join.map((part) => toByteString(resolveWord(part, references))).join(''));
}

export function resolveAction(action: Action, references: References): ResolvedAction {
  switch (action.kind) {
    case 'run':
      return { kind: 'run', argv: action.argv.map((word) => resolveWord(word, references)) };
    case 'write':
      return action;
    case 'edit': {
      const { content, keep, ...rest } = action;
      return {
        ...rest,
        content: 'from' in content ? { from: resolveWord(content.from, references) } : content,
        ...(keep !== undefined && { keep: resolveWord(keep, references) }),
      };
    }
  }
}

export function resolveClaim(claim: Claim, references: References): Claim {
  return { is: claim.is, args: resolveJson(claim.args, references) };
}

function resolveJson(value: Json, references: References): Json {
  if (typeof value !== 'object' || value === null) {
    return value;
  }
  if (Array.isArray(value)) {
    return value.map((item: Json) => resolveJson(item, references));
  }
  if ('ref' in value || 'join' in value) {
    return resolveWord(value as unknown as Word, references) as Json;
  }
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, resolveJson(item, references)]));
}

export function refersTo(value: unknown, name: string): boolean {
  return JSON.stringify(value).includes(`{"ref":${JSON.stringify(name)}}`);
}
