/** How a command that a repair starts on another host is known there. */
import { basename, dirname } from 'node:path';

/** From where its output is kept here. It stands in the command line of its parent, as a path. */
export function actTag(log: string): string {
  return `/run/stdoctor-${basename(dirname(log))}-${basename(log, '.log')}`;
}
