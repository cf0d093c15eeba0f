import { chmodSync, existsSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { scratch } from '../../test/scratch.ts';
import { prepareStateDir, stateDirPath } from './state-dir.ts';

const UID = process.getuid?.() ?? -1;

describe('stateDirPath', () => {
  it.each([
    ['/flag', { STDOCTOR_STATE_DIR: '/env' }, 1000, '/flag'],
    ['rel', {}, 1000, '/from/rel'],
    [undefined, { STDOCTOR_STATE_DIR: '/env', HOME: '/home/u' }, 0, '/env'],
    [undefined, { STDOCTOR_STATE_DIR: 'env' }, 0, '/from/env'],
    [undefined, { STDOCTOR_STATE_DIR: '' }, 0, '/var/lib/stdoctor'],
    [undefined, { HOME: '/home/u' }, 0, '/var/lib/stdoctor'],
    [undefined, { HOME: '/home/u' }, 1000, '/home/u/.local/state/stdoctor'],
    [undefined, { HOME: '/home/u', XDG_STATE_HOME: '/x' }, 1000, '/x/stdoctor'],
    [undefined, { HOME: '/home/u', XDG_STATE_HOME: 'x' }, 1000, '/home/u/.local/state/stdoctor'],
    [undefined, {}, 1000, undefined],
    [undefined, { HOME: '' }, 1000, undefined],
  ])('%j with %j as uid %i is %s', (flag, env, uid, path) => {
    expect(stateDirPath(flag, { uid, env, from: '/from' })).toBe(path);
  });
});

describe('prepareStateDir', () => {
  it('makes a directory that nobody else may enter', () => {
    const path = join(scratch(), 'a', 'b');
    expect(prepareStateDir(path, UID)).toBe(path);
    expect(statSync(path).mode & 0o777).toBe(0o700);
  });

  it('closes one that is open', () => {
    const path = join(scratch(), 'a');
    mkdirSync(path);
    chmodSync(path, 0o755);
    prepareStateDir(path, UID);
    expect(statSync(path).mode & 0o777).toBe(0o700);
  });

  it('refuses one of somebody else, and leaves it as it was', () => {
    const path = join(scratch(), 'a');
    mkdirSync(path);
    chmodSync(path, 0o755);
    expect(() => prepareStateDir(path, UID + 1)).toThrow(
      expect.objectContaining({ code: 'STD_STATE_DIR', message: expect.stringContaining(`uid ${UID}`) }),
    );
    expect(statSync(path).mode & 0o777).toBe(0o755);
  });

  it('refuses what is no directory', () => {
    const root = scratch();
    writeFileSync(join(root, 'file'), 'x');
    chmodSync(join(root, 'file'), 0o755);
    symlinkSync(join(root, 'nowhere', 'at', 'all'), join(root, 'dangling'));
    for (const path of [join(root, 'file'), join(root, 'file', 'below'), join(root, 'dangling')]) {
      expect(() => prepareStateDir(path, UID)).toThrow(
        expect.objectContaining({ code: 'STD_STATE_DIR', message: expect.stringContaining(path) }),
      );
    }
    expect(existsSync(join(root, 'nowhere'))).toBe(false);
    expect(statSync(join(root, 'file')).mode & 0o777).toBe(0o755);
  });

  it('says so where there is no place at all', () => {
    expect(() => prepareStateDir(undefined, UID)).toThrow(expect.objectContaining({ code: 'STD_STATE_DIR' }));
  });
});
