#!/usr/bin/env node
// Plain JavaScript that the oldest Node understands: it finds a Node that is new enough, then starts the program.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import * as nodeModule from 'node:module';
import { fileURLToPath } from 'node:url';

const NODE_NEEDED = [24, 15];
const root = fileURLToPath(new URL('..', import.meta.url));
const [major, minor] = process.versions.node.split('.').map(Number);

if (process.argv.length === 3 && process.argv[2] === '--version') {
  console.log(`stdoctor/${version()}`);
} else if (major > NODE_NEEDED[0] || (major === NODE_NEEDED[0] && minor >= NODE_NEEDED[1])) {
  // Beside the program: where that can be read, so can its cache.
  nodeModule.enableCompileCache(`${root}node_modules/.cache/stdoctor`);
  const { launch } = await import('../dist/src/cli/launch.js');
  await launch({ root, version: version(), commands: new URL('../dist/commands/', import.meta.url), extension: '.js' });
} else {
  startWithNewer();
}

function version() {
  return JSON.parse(readFileSync(`${root}package.json`, 'utf8')).version;
}

function startWithNewer() {
  const newer = `${root}node_modules/.bin/node`;
  if (!existsSync(newer)) {
    console.error(`stdoctor needs Node ${NODE_NEEDED.join('.')} or newer, and this is ${process.version}. npm ci brings one along.`);
    process.exit(70);
  }
  const child = spawn(newer, process.argv.slice(1), { stdio: 'inherit' });
  // The child decides how to end; a Ctrl-C reaches both.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => child.kill(signal));
  }
  child.on('exit', (code, signal) => process.exit(code ?? (signal === 'SIGINT' ? 130 : 70)));
}
