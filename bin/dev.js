#!/usr/bin/env node
// Runs the TypeScript sources as they are.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const pjson = JSON.parse(readFileSync(`${root}/package.json`, 'utf8'));
pjson.oclif.commands = './commands';
const { launch } = await import('../src/cli/launch.ts');
await launch({
  root,
  version: pjson.version,
  commands: new URL('../commands/', import.meta.url),
  extension: '.ts',
  oclif: { pjson, ignoreManifest: true },
});
