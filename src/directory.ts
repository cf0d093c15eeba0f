import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

/** For its owner alone, with those above it. (Below /proc, Node's own `recursive` never ends: the parent is there, and mkdir says ENOENT.) */
export function makeDirectory(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' && path !== '/') {
      makeDirectory(dirname(path));
      mkdirSync(path, { mode: 0o700 });
    } else if (code !== 'EEXIST' || !statSync(path).isDirectory()) {
      throw error;
    }
  }
}
