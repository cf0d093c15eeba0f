/** What every check owes, whoever wrote it. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { describe, expect, it } from 'vitest';
import type { Expected } from '../src/check/tester.ts';
import type { CheckMeta } from '../src/check/types.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const BYTES_OF_CASES_AT_MOST = 7_000_000;
/** Codes without a sick or a healthy case, and why. */
const LATER: Readonly<Record<string, string>> = {
  'removable-required': 'needs a disk that hangs on USB',
  'initramfs-lacks': 'needs a root that stands on more than a disk',
};

const folders = readdirSync(join(ROOT, 'checks'), { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name);
const checks = await Promise.all(
  folders.map(async (folder) => {
    const { check } = (await import(join(ROOT, 'checks', folder, 'index.ts'))) as { check: { meta: CheckMeta } };
    return { folder, meta: check.meta, codes: Object.keys(check.meta.codes), cases: casesOf(folder) };
  }),
);

describe.each(checks)('checks/$folder', ({ folder, meta, codes, cases }) => {
  const path = (name: string) => join(ROOT, 'checks', folder, name);

  it('is called by its id and has tests', () => {
    expect(meta.id).toBe(folder.replace(/^_/, ''));
    expect(existsSync(path(`${meta.id}.test.ts`))).toBe(true);
  });

  it('has a README with a section for each code, and for no other', () => {
    const sections = [...readFileSync(path('README.md'), 'utf8').matchAll(/^### `(.+)`$/gm)].map(([, code]) => code);
    expect(sections.toSorted()).toEqual(codes.toSorted());
  });

  it('has a sick case for each code, and a healthy one that looks like it', () => {
    const without = (has: (expected: Expected, code: string) => boolean) =>
      codes.filter((code) => LATER[code] === undefined && !cases.some((each) => has(each, code)));
    const sick = without(({ findings }, code) => findings.some((finding) => finding.code === code));
    const healthy = without(({ outcome, twinOf }, code) => outcome === 'healthy' && (twinOf ?? []).includes(code));
    expect({ 'codes without a sick case': sick, 'codes without a healthy case': healthy }).toEqual({
      'codes without a sick case': [],
      'codes without a healthy case': [],
    });
  });

  it('names only codes of its own in its cases, and where each was recorded', () => {
    const named = cases.flatMap(({ findings, twinOf }) => [...findings.map(({ code }) => code), ...(twinOf ?? [])]);
    expect(named.filter((code) => !codes.includes(code))).toEqual([]);
    expect(cases.filter(({ source }) => !source)).toEqual([]);
  });

  it('imports nothing of Node: a check is pure', () => {
    const sources = filesBelow(path('')).filter((file) => file.endsWith('.ts'));
    const impure = sources.filter((file) =>
      /from '(node:|execa|systeminformation)|\b(Date\.now|fetch)\(|\bconsole\.|\bprocess\.(env|argv|exit|stdout|stderr)/.test(codeOf(file)),
    );
    expect(impure).toEqual([]);
  });
});

describe('all checks', () => {
  it('have ids and codes that are unique', () => {
    const names = checks.flatMap(({ meta, codes }) => [meta.id, ...codes]);
    expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
  });

  it('have generated files that are up to date', async () => {
    const { exitCode, stderr } = await execa({ reject: false })`${process.execPath} ${join(ROOT, 'scripts/generate.ts')} --check`;
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  });
});

describe('recordings', () => {
  const files = [...folders.map((folder) => `checks/${folder}/cases`), 'fixtures']
    .map((name) => join(ROOT, name))
    .filter((path) => existsSync(path))
    .flatMap(filesBelow);

  it('stay small', () => {
    const bytes = files.reduce((sum, file) => sum + readFileSync(file).length, 0);
    expect(bytes).toBeLessThan(BYTES_OF_CASES_AT_MOST);
  });

  it('tell nothing of the machine that made them', () => {
    const telling = files.filter((file) => /\/work\/|\/tmp\/|sandbox|firecracker|node_modules/i.test(readFileSync(file, 'latin1')));
    expect(telling).toEqual([]);
  });
});

it('no two facts share an id, by which a round keeps what they gathered', () => {
  const files = ['src', 'checks'].flatMap((name) => filesBelow(join(ROOT, name))).filter((file) => /(?<!\.test)\.ts$/.test(file));
  const ids = files.flatMap((file) =>
    [...readFileSync(file, 'utf8').matchAll(/defineFact(?:<[^(]*>)?\(\s*'([^']+)'/g)].map(([, id]) => id),
  );
  expect(ids.length).toBeGreaterThan(50);
  expect(ids.filter((id, index) => ids.indexOf(id) !== index)).toEqual([]);
});

function casesOf(folder: string): Expected[] {
  const path = join(ROOT, 'checks', folder, 'cases');
  return existsSync(path)
    ? readdirSync(path).map((name) => JSON.parse(readFileSync(join(path, name, 'expected.json'), 'utf8')) as Expected)
    : [];
}

function filesBelow(path: string): string[] {
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name));
}

/** Without comments. */
function codeOf(file: string): string {
  return readFileSync(file, 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
}
