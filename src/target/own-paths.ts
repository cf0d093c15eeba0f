/**
 * Paths that this process itself would touch: its search path, its state and configuration. None may lie on a mount
 * that can hang, and finding that out may not touch such a mount either.
 */
import { lstatSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { type ErrorCode, StdoctorError } from '../errors.ts';
import { isFuse, isNetwork } from '../facts/mount-kinds.ts';
import { type MountTable, mountOf, parseMountinfo, visibleMounts } from '../facts/mountinfo.ts';
import { type Name, showName } from '../names.ts';
import { askChild } from './child.ts';

const USUAL = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];
const LINKS_AT_MOST = 40;
const ANSWER_WITHIN = 3000;

export type OwnTable = Pick<MountTable, 'mounts' | 'visible'>;

/** This process' own mount table; undefined where /proc cannot be read. */
function readOwnTable(): OwnTable | undefined {
  try {
    const mounts = parseMountinfo(readFileSync('/proc/self/mountinfo', 'latin1'));
    return { mounts, visible: visibleMounts(mounts) };
  } catch {
    return undefined;
  }
}

/** The mount point of the FUSE, network or autofs mount on the way to a path, links followed; undefined where the way is clear. */
export function riskOnTheWay(path: string, table: OwnTable | undefined = readOwnTable()): Name | undefined {
  if (table === undefined) {
    return undefined;
  }
  // What this program itself was loaded from answers, or we would not be here.
  const own = ['/', process.execPath].map((loaded) => mountOf(table, loaded)?.id);
  let rest = path.split('/').filter(Boolean);
  let walked = '/';
  for (let links = 0; rest.length > 0; ) {
    const next = join(walked, rest[0] as string);
    const mount = mountOf(table, next);
    if (mount !== undefined && !own.includes(mount.id) && (isFuse(mount) || isNetwork(mount) || mount.fstype === 'autofs')) {
      return mount.point;
    }
    const target = linkTarget(next);
    if (target === undefined || ++links > LINKS_AT_MOST) {
      walked = next;
      rest = rest.slice(1);
    } else {
      // Its `..` are left to be walked: they may go up from where another link leads.
      rest = [...target.split('/').filter(Boolean), ...rest.slice(1)];
      walked = target.startsWith('/') ? '/' : walked;
    }
  }
  return undefined;
}

function linkTarget(path: string): string | undefined {
  try {
    return lstatSync(path).isSymbolicLink() ? readlinkSync(path) : undefined;
  } catch {
    return undefined;
  }
}

/** The search path for our children: the user's and the usual one, without directories that could hang a spawn. */
export function safeSearchPath(searchPath: string | undefined, table: OwnTable | undefined = readOwnTable()): string {
  const directories = [...(searchPath ?? '').split(':'), ...USUAL].filter((directory) => directory.startsWith('/'));
  return [...new Set(directories)].filter((directory) => riskOnTheWay(directory, table) === undefined).join(':');
}

/** A file that the user named may well lie on a network mount; but it must answer, asked by a child that may hang. */
export async function assertAnswers(path: string, code: ErrorCode): Promise<void> {
  const point = riskOnTheWay(path);
  if (point === undefined) {
    return;
  }
  const end = await askChild(['stat', '-f', '-c', '%t', '--', point], ANSWER_WITHIN, safeSearchPath(process.env['PATH']), 1024);
  if (end.state !== 'exited' || end.code !== 0) {
    const why = end.state === 'exited' ? end.err.trim() : `no answer within ${ANSWER_WITHIN / 1000} s`;
    throw new StdoctorError(code, `${path} lies on the mount ${showName(point)}, which does not answer: ${why}`);
  }
}
