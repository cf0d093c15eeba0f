import { all, outputOf, run, whyNot } from '../check/asking.ts';
import type { Asking } from '../check/types.ts';
import { type Name, toByteString } from '../names.ts';

/** What tells one file from another. */
export interface Inode {
  type: 'block' | 'file' | 'other';
  /** `major:minor` of the file system it lies on, as stat tells. */
  on: string;
  inode: string;
  /** `major:minor` of a block device's node. */
  device?: string;
}

export interface Inodes {
  /** By path, one character a byte. What is not there is left out. */
  found: ReadonlyMap<string, Inode>;
  gaps: string[];
}

const AT_ONCE = 5000;

/** What these paths lead to, links followed. The paths must be absolute. */
export function* inodesOf(paths: readonly Name[], options: { limitMs?: number; suspect?: boolean } = {}): Asking<Inodes> {
  const found = new Map<string, Inode>();
  const gaps: string[] = [];
  const parts: Name[][] = [];
  for (let at = 0; at < paths.length; at += AT_ONCE) {
    parts.push(paths.slice(at, at + AT_ONCE));
  }
  const answers = yield* all(parts.map((part) => run(['stat', '-L', '--printf', '%n\\0%f %d %i %t:%T\\0', '--', ...part], options)));
  for (const answer of answers) {
    const words = outputOf(answer).split('\0');
    for (let at = 0; at + 1 < words.length; at += 2) {
      const inode = parseInode(words[at + 1] as string);
      if (inode !== undefined) {
        found.set(words[at] as string, inode);
      }
    }
    if (answer.state !== 'ok') {
      gaps.push(`what open files and paths lead to: ${whyNot(answer)}`);
      continue;
    }
    gaps.push(...answer.err.split('\n').filter((line) => line !== '' && !/: (No such file or directory|No such process)$/.test(line)));
  }
  return { found, gaps };
}

// 61b0 6 94 7:0
const FIELDS = /^([0-9a-f]+) (\d+) (\d+) ([0-9a-f]+):([0-9a-f]+)$/;

export function parseInode(text: string): Inode | undefined {
  const [, mode, on, inode, major, minor] = FIELDS.exec(text) ?? [];
  if (mode === undefined || on === undefined || inode === undefined || major === undefined || minor === undefined) {
    return undefined;
  }
  // S_IFMT, inode(7)
  const type = ({ 24576: 'block', 32768: 'file' } as const)[Number.parseInt(mode, 16) & 0xf000] ?? 'other';
  const device = type === 'block' ? { device: `${Number.parseInt(major, 16)}:${Number.parseInt(minor, 16)}` } : {};
  return { type, on: unpackDevice(Number(on)), inode, ...device };
}

/** As glibc packs st_dev, gnu_dev_major(3). */
function unpackDevice(packed: number): string {
  return `${(packed >>> 8) & 0xfff}:${(packed & 0xff) | ((packed >>> 12) & 0xfff00)}`;
}

/** True for the two names of one file. */
export function sameInode(a: Pick<Inode, 'on' | 'inode'>, b: Pick<Inode, 'on' | 'inode'>): boolean {
  return a.on === b.on && a.inode === b.inode;
}

/** The path of a link below /proc that leads to what is open there. */
export function pathOfDescriptor({ pid, descriptor }: { pid: number; descriptor: number }): string {
  return `/proc/${pid}/fd/${descriptor}`;
}

/** Keyed by inode and file system. */
export function keyOf({ on, inode }: Pick<Inode, 'on' | 'inode'>): string {
  return `${on} ${inode}`;
}

/** What was found at a path. */
export function inodeAt({ found }: Inodes, path: Name): Inode | undefined {
  return found.get(toByteString(path));
}
