/** What mount tables and command lines give away stays out of recordings, journals and plans, which people read and mail. */
import type { Json } from './check/types.ts';

/**
 * `https://user:secret@host` and `password=secret`, as sources and options of mounts carry them; `--password`, `secret`
 * as command lines do. Not \s: as one character a byte, the second byte of an à would count as a blank.
 */
export function mask(text: string): string {
  return text
    .replace(/(\w:\/\/[^ \t\n\0:/@]*:)[^ \t\n\0/]+@/g, '$1********@')
    .replace(/((?:pass|password|passwd|secret|token|credential|key)=)[^ \t\n\0,]+/gi, '$1********')
    .replace(/(\0--?(?:pass|password|passwd|secret|token)\0)[^\0]+/gi, '$1********');
}

/** All texts of a finding or another piece of data, masked. */
export function masked<T>(value: T): T {
  return clean(value as Json) as T;
}

function clean(value: Json): Json {
  if (typeof value === 'string') {
    return mask(value);
  }
  if (Array.isArray(value)) {
    return value.map(clean);
  }
  return typeof value === 'object' && value !== null
    ? Object.fromEntries(Object.entries(value).map(([key, item]) => [key, clean(item)]))
    : value;
}
