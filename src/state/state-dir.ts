/** Where stdoctor keeps what outlives a run. */
import { accessSync, chmodSync, constants, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { makeDirectory } from '../directory.ts';
import { messageOf, StdoctorError } from '../errors.ts';

export interface Place {
  uid: number;
  env: NodeJS.ProcessEnv;
  /** The directory that relative names are meant from. */
  from: string;
}

/** The flag, else STDOCTOR_STATE_DIR, else /var/lib/stdoctor for root and the XDG state directory for others; undefined where there is none. */
export function stateDirPath(flag: string | undefined, { uid, env, from }: Place): string | undefined {
  const named = flag ?? env['STDOCTOR_STATE_DIR'];
  if (named) {
    return resolve(from, named);
  }
  if (uid === 0) {
    return '/var/lib/stdoctor';
  }
  const base = env['XDG_STATE_HOME']?.startsWith('/')
    ? env['XDG_STATE_HOME']
    : env['HOME']?.startsWith('/')
      ? join(env['HOME'], '.local/state')
      : undefined;
  return base === undefined ? undefined : join(base, 'stdoctor');
}

/** Makes the directory fit for a journal, or says why it is not: before anything is touched. */
export function prepareStateDir(path: string | undefined, uid: number): string {
  if (path === undefined) {
    throw new StdoctorError('STD_STATE_DIR', 'there is no place for the journal: HOME is not set');
  }
  try {
    makeDirectory(path);
    const stat = statSync(path);
    if (stat.uid !== uid) {
      throw new Error(`it belongs to uid ${stat.uid}, expected uid ${uid}`);
    }
    if ((stat.mode & 0o077) !== 0) {
      chmodSync(path, 0o700);
    }
    accessSync(path, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new StdoctorError('STD_STATE_DIR', `the state directory ${path} cannot be used: ${messageOf(error)}`, { cause: error });
  }
  return path;
}
