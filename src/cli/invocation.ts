import { resolve } from 'node:path';

/** How the program was called. Set once, before any command runs. */
export const invocation = { from: '/', version: '0.0.0', root: '/' };

/** A path as the user meant it: the process itself works from `/`, since the user's directory may hang. */
export function fromHere(path: string): string {
  return resolve(invocation.from, path);
}
