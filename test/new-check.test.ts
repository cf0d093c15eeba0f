import { cpSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { expect, it } from 'vitest';
import { scratch } from './scratch.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const NEEDED = [
  'src',
  'commands',
  'checks',
  'scripts',
  'test/real/world.ts',
  'test/real/wanted.ts',
  'test/real/terminal.ts',
  'test/real/wanted.ts',
  'test/cli.ts',
  'test/full.ts',
  'test/scratch.ts',
  'test/lab',
  'fixtures',
  'README.md',
];
const SETTINGS = ['package.json', 'tsconfig.json', 'vitest.config.ts', 'biome.json', '.gitignore'];

/** The repository as a newcomer has it, without other people's tests. */
function copyOfRepository(): string {
  const copy = scratch();
  for (const name of [...NEEDED, ...SETTINGS]) {
    mkdirSync(dirname(join(copy, name)), { recursive: true });
    cpSync(join(ROOT, name), join(copy, name), {
      recursive: true,
      filter: (from) =>
        !/\/(src|boot-readiness|zombie-mounts|lvm-inactive)\/.*\.test\.ts$/.test(from) &&
        !/\/(boot-readiness|zombie-mounts|lvm-inactive)\/cases/.test(from),
    });
  }
  symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
  return copy;
}

it('npm run new-check makes a check that is listed, typed, and proven by its own cases', async () => {
  const copy = copyOfRepository();
  const run = (...argv: string[]) => execa(process.execPath, argv, { cwd: copy, reject: false, env: { VITEST: '', NO_COLOR: '1' } });
  const made = await run('scripts/new-check.ts', 'some-thing');
  expect(made).toMatchObject({ exitCode: 0, stderr: '' });

  const index = readFileSync(join(copy, 'checks/index.ts'), 'utf8');
  expect(index).toContain("id: 'some-thing'");
  expect(index).toContain("'some-thing-unnamed': ");
  expect(readFileSync(join(copy, 'checks/some-thing/README.md'), 'utf8')).toContain('# some-thing: ');
  expect(readFileSync(join(copy, 'checks/some-thing/index.ts'), 'utf8')).not.toMatch(/template/i);

  const [tests, types, lint] = await Promise.all([
    run('node_modules/vitest/vitest.mjs', 'run', '--project', 'unit', 'checks/some-thing'),
    run('node_modules/typescript/bin/tsc'),
    run('node_modules/@biomejs/biome/bin/biome', 'check', '--vcs-enabled=false', 'checks/some-thing'),
  ]);
  expect(tests.stdout).toMatch(/Tests +10 passed/);
  expect({ exitCode: types.exitCode, said: types.stdout }).toEqual({ exitCode: 0, said: '' });
  expect({ exitCode: lint.exitCode, said: lint.stderr }).toMatchObject({ exitCode: 0 });
}, 120_000);

it.each([
  ['', 'found none'],
  ['Zombie', 'found Zombie'],
  ['zombie', 'found zombie'],
  ['../x-y', 'found ../x-y'],
  ['zombie-mounts', 'is there already'],
])('refuses the id %j', async (id, why) => {
  const { exitCode, stderr } = await execa(process.execPath, [join(ROOT, 'scripts/new-check.ts'), id], { reject: false });
  expect(exitCode).toBe(64);
  expect(stderr).toContain(why);
});
