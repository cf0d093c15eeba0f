/** What repairs rest on: that nobody uses a device or a file, else who does, in words. */
import { defineCondition } from '../check/condition.ts';
import type { Asking, Holds } from '../check/types.ts';
import { type Name, printable, showName } from '../names.ts';
import { deviceUse, fileUse, type Use, type User } from './in-use.ts';

const LISTED = 8;

/** `mounted at /mnt/x (in this namespace); qemu-system-x86 (pid 12, fd 5); could not look at: …` */
function describeUse({ users, gaps }: Use): string {
  const blind = gaps.length === 0 ? [] : [`could not look at: ${firstOf(gaps.map(printable))}`];
  return [...(users.length === 0 ? [] : [firstOf(users.map(describeUser))]), ...blind].join('; ');
}

function firstOf(texts: readonly string[]): string {
  const more = texts.length > LISTED ? [`and ${texts.length - LISTED} more`] : [];
  return [...texts.slice(0, LISTED), ...more].join('; ');
}

function describeUser(user: User): string {
  const text = describeKind(user);
  return user.as === undefined ? text : `${user.as}: ${text}`;
}

function describeKind(user: User): string {
  switch (user.kind) {
    case 'mount':
      return `mounted at ${showName(user.point)} (in ${user.pid === null ? 'this namespace' : `the mount namespace of process ${user.pid}`})`;
    case 'file-system':
      return `a file system that still lives in the kernel (${printable(user.at)})`;
    case 'swap':
      return 'swap';
    case 'holder':
      return `${printable(user.name)} on top of it`;
    case 'loop':
      return `${user.node} on top of it`;
    case 'descriptor':
      return `${printable(user.name)} (pid ${user.pid}, fd ${user.descriptor})`;
    case 'map':
      return `${printable(user.name)} (pid ${user.pid}, memory map)`;
    case 'command-line':
      return `${printable(user.name)} (pid ${user.pid}, command line)`;
    case 'export':
      return `served by the kernel (${showName(user.by)})`;
    case 'open-count':
      return `held open ${user.count} times by somebody who is not seen`;
  }
}

function judge(thing: string, use: Use): Holds {
  return use.users.length === 0 && use.gaps.length === 0
    ? { holds: true }
    : { holds: false, expected: `nobody using ${thing}`, found: describeUse(use) };
}

/** Nobody uses this block device (`major:minor`), and everybody could be looked at. */
export const deviceUnused = defineCondition('device-unused', function* (args: { device: string }): Asking<Holds> {
  const use = yield* deviceUse(args.device);
  return judge(`device ${args.device}`, use);
});

/** Nobody uses the file at this path, and everybody could be looked at. */
export const fileUnused = defineCondition('file-unused', function* (args: { path: Name }): Asking<Holds> {
  const use = yield* fileUse(args.path);
  return judge(showName(args.path), use);
});
