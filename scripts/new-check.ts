/** npm run new-check -- ID: copies checks/_template, gives it its names, and updates the generated files. */
import { cpSync, existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';

const root = fileURLToPath(new URL('..', import.meta.url));
const id = process.argv[2] ?? '';

if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)+$/.test(id)) {
  process.stderr.write(
    `npm run new-check -- ID: expected an id such as mdraid-degraded (noun, then state), found ${id === '' ? 'none' : id}\n`,
  );
  process.exit(64);
}
const folder = join(root, 'checks', id);
if (existsSync(folder)) {
  process.stderr.write(`checks/${id} is there already\n`);
  process.exit(64);
}

cpSync(join(root, 'checks/_template'), folder, { recursive: true });
renameSync(join(folder, 'template.test.ts'), join(folder, `${id}.test.ts`));
const typeName = id.replace(/(^|-)([a-z0-9])/g, (_, _dash, letter: string) => letter.toUpperCase());
for (const file of readdirSync(folder, { recursive: true, withFileTypes: true })) {
  const path = join(file.parentPath, file.name);
  if (/\.(ts|md|json)$/.test(file.name) && file.name !== 'manifest.json') {
    const text = readFileSync(path, 'utf8').replaceAll('TemplateFound', `${typeName}Found`);
    writeFileSync(path, text.replaceAll(/\btemplate\b/g, id));
  }
}
await execa({ stdio: 'inherit' })`${process.execPath} ${join(root, 'scripts/generate.ts')}`;
process.stdout.write(`checks/${id} is there. Next: edit index.ts, record cases, npm run check.\n`);
