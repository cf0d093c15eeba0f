import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { scratch } from '../test/scratch.ts';
import { DEFAULTS, loadConfig, usualConfigFiles } from './config.ts';
import { StdoctorError } from './errors.ts';

const CHECKS = ['zombie-mounts', 'xfs-consistency'];

function fileWith(text: string, name = 'config.yaml'): string {
  const file = join(scratch(), name);
  writeFileSync(file, text);
  return file;
}

async function errorOf(text: string): Promise<StdoctorError> {
  const file = fileWith(text);
  const error = await loadConfig([], file, CHECKS).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(StdoctorError);
  expect(error).toMatchObject({ code: 'STD_BAD_CONFIG', exitCode: 78 });
  expect((error as StdoctorError).message).toContain(file);
  (error as StdoctorError).message = (error as StdoctorError).message.replace(file, 'FILE');
  return error as StdoctorError;
}

describe('loadConfig', () => {
  it('needs no file', async () => {
    expect(await loadConfig([], undefined, CHECKS)).toEqual(DEFAULTS);
    expect(await loadConfig([join(scratch(), 'absent.yaml')], undefined, CHECKS)).toEqual(DEFAULTS);
  });

  it.each(['', '\n', '# nothing\n', '---\n', '{}', 'null'])('takes the empty file %j', async (text) => {
    expect(await loadConfig([], fileWith(text), CHECKS)).toEqual(DEFAULTS);
  });

  it('reads what is set', async () => {
    expect(await loadConfig([], fileWith('deadline: 2m\nskip:\n  - xfs-consistency\n'), CHECKS)).toEqual({
      deadlineMs: 120_000,
      skip: ['xfs-consistency'],
    });
  });

  it('lets later files win, key by key', async () => {
    const [first, second] = [fileWith('deadline: 1m\nskip: [zombie-mounts]\n'), fileWith('deadline: 2m\n')];
    expect(await loadConfig([first, second], undefined, CHECKS)).toEqual({ deadlineMs: 120_000, skip: ['zombie-mounts'] });
    expect(await loadConfig([first], fileWith('skip: []\n'), CHECKS)).toEqual({ deadlineMs: 60_000, skip: [] });
  });

  it('needs the file that was named', async () => {
    const file = join(scratch(), 'absent.yaml');
    await expect(loadConfig([], file, CHECKS)).rejects.toMatchObject({ code: 'STD_BAD_CONFIG', message: expect.stringContaining(file) });
  });

  it('does not pass over a file that cannot be read', async () => {
    const directory = join(scratch(), 'config.yaml');
    mkdirSync(directory);
    chmodSync(directory, 0o700);
    await expect(loadConfig([directory], undefined, CHECKS)).rejects.toMatchObject({ code: 'STD_BAD_CONFIG' });
  });

  it.each([
    ['skip: [\n', /^FILE:\d+:\d+: not valid YAML: /],
    ['deadline: 1m\n\tskip: []\n', /^FILE:2:1: not valid YAML: /],
    ['deadline: 1m\ndeadline: 2m\n', /^FILE:2:1: not valid YAML: Map keys must be unique/],
    ['a: 1\n---\nb: 2\n', /^FILE:\d+:\d+: not valid YAML: /],
    ['\n\nskip: *gone\n', /^FILE.*not valid YAML: Unresolved alias.*gone/],
    // Grows to 10^9 elements where it is not bounded.
    [
      `${'abcdefghi'
        .split('')
        .map(
          (key, index) =>
            `${key}: &${key} [${Array(10)
              .fill(index === 0 ? 'x' : `*${'abcdefghi'[index - 1]}`)
              .join(',')}]\n`,
        )
        .join('')}`,
      /^FILE.*not valid YAML: Excessive alias/,
    ],
    ['deadline: 1m\n\ndedline: 2m\n', /^FILE:3: dedline: expected one of the keys deadline, skip, found "dedline"$/],
    ['deadline: 1m\nskipp:\n  - xfs-consistency\n', /^FILE:2: skipp: expected one of the keys deadline, skip, found "skipp"$/],
    ['deadline: 1m\n1: x\n', /^FILE:2: 1: expected one of the keys deadline, skip, found "1"$/],
    ['\ndeadline: soon\n', /^FILE:2: deadline: expected a duration such as 500ms, 30s, 5m, 2h or 7d, found "soon"$/],
    ['deadline: 30\n', /^FILE:1: deadline: expected .*found 30$/],
    ['deadline:\n', /^FILE:1: deadline: expected .*found null$/],
    ['skip: zombie-mounts\n', /^FILE:1: skip: expected a list of checks, found "zombie-mounts"$/],
    [
      'skip:\n  - zombie-mounts\n  - nothing\n',
      /^FILE:3: skip\.1: expected one of the checks zombie-mounts, xfs-consistency, found "nothing"$/,
    ],
    ['just text\n', /^FILE:1: expected the keys deadline and skip, .*found "just text"$/],
    ['- deadline\n', /^FILE:1: expected the keys deadline and skip, .*found a list$/],
    ['7\n', /^FILE:1: expected the keys deadline and skip, .*found 7$/],
  ])('refuses %j', async (text, message) => {
    expect((await errorOf(text)).message).toMatch(message);
  });

  it('has a hint', async () => {
    expect((await errorOf('x: 1\n')).hint).not.toBe('');
  });
});

describe('usualConfigFiles', () => {
  it.each([
    [{ HOME: '/home/u' }, ['/etc/stdoctor/config.yaml', '/home/u/.config/stdoctor/config.yaml']],
    [{ HOME: '/home/u', XDG_CONFIG_HOME: '/x' }, ['/etc/stdoctor/config.yaml', '/x/stdoctor/config.yaml']],
    // The XDG specification: what is not absolute is ignored.
    [{ HOME: '/home/u', XDG_CONFIG_HOME: 'x' }, ['/etc/stdoctor/config.yaml', '/home/u/.config/stdoctor/config.yaml']],
    [{ HOME: 'u', XDG_CONFIG_HOME: '' }, ['/etc/stdoctor/config.yaml']],
    [{}, ['/etc/stdoctor/config.yaml']],
  ])('%j', (env, files) => {
    expect(usualConfigFiles(env)).toEqual(files);
  });
});
