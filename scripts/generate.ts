/**
 * Writes what follows from the checks: checks/index.ts, the header of each check's README, the table and the demo in
 * README.md. `--check` only compares.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { AnyCheck, CheckMeta } from '../src/check/types.ts';
import { select } from '../src/cli/select.ts';
import { inspect, newRunId, toRun } from '../src/engine/inspect.ts';
import { reportToText } from '../src/report/report.ts';
import { plainAt } from '../src/report/style.ts';
import { loadRecording } from '../src/target/recording.ts';
import { ReplayTarget } from '../src/target/replay.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const DEMO = 'fixtures/hosts/hv1-after-reboot';
const DEMO_COLUMNS = 100;
const onlyCompare = process.argv.includes('--check');
const stale: string[] = [];

const ids = readdirSync(join(root, 'checks'), { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && !entry.name.startsWith('_'))
  .map(({ name }) => name)
  .sort();
const checks: AnyCheck[] = [];
for (const id of ids) {
  const { check } = (await import(`../checks/${id}/index.ts`)) as { check: AnyCheck };
  checks.push(check);
}
const metas = checks.map(({ meta }) => meta);

put('checks/index.ts', index(metas));
for (const meta of metas) {
  const path = `checks/${meta.id}/README.md`;
  put(path, between(read(path), 'header', header(meta)));
}
put('README.md', between(between(read('README.md'), 'checks', table(metas)), 'demo', await demo()));
if (stale.length > 0) {
  process.stderr.write(`Not up to date: ${stale.join(', ')}. Run npm run generate.\n`);
  process.exitCode = 1;
}

function index(list: readonly CheckMeta[]): string {
  const entries = list.map(({ id, title, area, scope, summary, codes }) => {
    const lines = Object.entries(codes).map(([code, text]) => `      ${quote(code)}: ${quote(text)},`);
    return `  {
    id: ${quote(id)},
    title: ${quote(title)},
    area: ${quote(area)},
    scope: ${quote(scope)},
    summary: ${quote(summary)},
    codes: {
${lines.join('\n')}
    },
    load: () => import('./${id}/index.ts').then(({ check }) => check),
  },`;
  });
  return `// Written by scripts/generate.ts from each check's meta: npm run generate.
import type { CheckIndexEntry } from '../src/check/define.ts';

export const checks: readonly CheckIndexEntry[] = [
${entries.join('\n')}
];
`;
}

function header({ id, title, area, scope, summary, references }: CheckMeta): string {
  return `# ${id}: ${title}\n\n${summary}\n\nArea: ${area}. Scope: ${scope}. See also: ${references.join('; ')}.`;
}

function table(list: readonly CheckMeta[]): string {
  const rows = list.map(
    ({ id, title, codes }) =>
      `| [\`${id}\`](checks/${id}/README.md) | ${title} | ${Object.keys(codes)
        .map((code) => `\`${code}\``)
        .join(' ')} |`,
  );
  return ['| check | finds | codes |', '| --- | --- | --- |', ...rows].join('\n');
}

/** What the program prints about a recorded host. */
async function demo(): Promise<string> {
  const started = Date.now();
  const all = checks.map((check) => ({ ...check.meta, load: async () => check }));
  const { entries } = select([], all, []);
  const recorded = new ReplayTarget(await loadRecording(join(root, DEMO)));
  const { target } = await inspect(recorded, entries, { until: started + 60_000, hardware: true });
  const text = reportToText(toRun('', newRunId(), started, [target]), plainAt(DEMO_COLUMNS));
  return `\`\`\`console\n$ npx stdoctor check --from ${DEMO}\n${text}\`\`\``;
}

function quote(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

function between(text: string, name: string, content: string): string {
  const [start, end] = [`<!-- ${name}: generated -->`, `<!-- ${name}: end -->`];
  const [from, to] = [text.indexOf(start), text.indexOf(end)];
  if (from < 0 || to < from) {
    throw new Error(`expected the lines ${start} and ${end}`);
  }
  return `${text.slice(0, from + start.length)}\n${content}\n${text.slice(to)}`;
}

function read(path: string): string {
  return readFileSync(join(root, path), 'utf8');
}

function put(path: string, content: string): void {
  let before: string | undefined;
  try {
    before = read(path);
  } catch {
    before = undefined;
  }
  if (before === content) {
    return;
  }
  if (onlyCompare) {
    stale.push(path);
  } else {
    writeFileSync(join(root, path), content);
    process.stdout.write(`wrote ${path}\n`);
  }
}
