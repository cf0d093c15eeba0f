/** npm test: everything that must hold. Prepares what the tests against real faults need, or says why they are skipped. */
import { spawn, spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const SYSTEM = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];
process.env['PATH'] = [join(ROOT, 'node_modules/.bin'), process.env['PATH'], ...SYSTEM].filter(Boolean).join(delimiter);

/** Debian packages, and a file of each by which it is known to be there: a name is looked up in PATH. */
const PACKAGES: Readonly<Record<string, string>> = {
  sshfs: 'sshfs',
  fuse3: 'fusermount3',
  xfsprogs: 'xfs_io',
  e2fsprogs: 'mkfs.ext4',
  'openssh-sftp-server': '/usr/lib/openssh/sftp-server',
  procps: 'ps',
  python3: 'python3',
  tmux: 'tmux',
  sudo: 'sudo',
  'openssh-server': '/usr/sbin/sshd',
  'qemu-utils': 'qemu-img',
};
/** Those that the lab needs on top of them. */
const LAB_PACKAGES: Readonly<Record<string, string>> = {
  'qemu-system-x86': 'qemu-system-x86_64',
  mmdebstrap: 'mmdebstrap',
  'openssh-client': 'ssh-keygen',
};

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

const strict = process.env['STDOCTOR_TEST_STRICT'] === '1' || (process.env['CI'] ?? 'false') !== 'false';
const failedStages: string[] = [];
const total: Counts = { passed: 0, failed: 0, skipped: 0 };
const scratch = mkdtempSync(join(tmpdir(), 'stdoctor-run-'));

try {
  const why = await whyNoRealFaults();
  await stage('typecheck', ['tsc']);
  await stage('lint', ['biome', 'check', '.']);
  await stage('knip', ['knip']);
  const built = await stage('build', ['npm', 'run', '--silent', 'build']);
  if (!built) {
    console.log('not run: the tests, since they need the build');
  } else {
    await tests('unit');
    if (why === undefined) {
      await tests('real');
    } else {
      skip('real', 'tests against real faults', why);
    }
    const whyNoLab = why ?? (await whyNoGuests());
    if (whyNoLab !== undefined) {
      skip('lab', 'tests in hosts of the lab', whyNoLab);
    } else if (await labImage()) {
      await tests('lab');
    }
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

if (strict && total.skipped > 0) {
  failedStages.push('skipping (CI or STDOCTOR_TEST_STRICT is set)');
}
if (failedStages.length > 0) {
  console.log(`failed: ${failedStages.join(', ')}`);
  process.exitCode = 1;
}
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);

/** Runs a stage, shows what it says only where it fails, and one line in any case. */
async function stage(name: string, argv: readonly string[]): Promise<boolean> {
  const started = Date.now();
  const { code, output } = await run(argv, 'pipe');
  if (code !== 0) {
    process.stdout.write(output);
  }
  end(name, code === 0, started);
  return code === 0;
}

/** Says how far it is, for it takes minutes the first time. */
async function labImage(): Promise<boolean> {
  const started = Date.now();
  const { code } = await run(['node', 'test/lab/build.ts'], 'inherit');
  end('lab image', code === 0, started);
  return code === 0;
}

async function tests(project: string): Promise<void> {
  const started = Date.now();
  const file = join(scratch, `${project}.json`);
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`];
  const { code } = await run(['vitest', 'run', '--project', project, ...reporters], 'inherit');
  const counts = countsIn(file);
  total.passed += counts?.passed ?? 0;
  total.failed += counts?.failed ?? 0;
  total.skipped += counts?.skipped ?? 0;
  end(`tests: ${project}`, code === 0 && counts !== undefined, started);
}

function end(name: string, ok: boolean, started: number): void {
  console.log(`${ok ? 'ok      ' : 'FAILED  '}${name.padEnd(14)}${((Date.now() - started) / 1000).toFixed(1)} s`);
  if (!ok) {
    failedStages.push(name);
  }
}

function run(
  argv: readonly string[],
  output: 'pipe' | 'inherit',
  env: Record<string, string> = {},
): Promise<{ code: number; output: string }> {
  const [file, ...rest] = argv as [string, ...string[]];
  const child = spawn(file, rest, { cwd: ROOT, env: { ...process.env, ...env }, stdio: ['ignore', output, output] });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
  }
  return new Promise((done) => {
    child.on('error', (error) => done({ code: -1, output: `${error.message}\n` }));
    child.on('close', (code) => done({ code: code ?? -1, output: text }));
  });
}

interface VitestReport {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  numTodoTests: number;
  testResults: { status: string; assertionResults: unknown[] }[];
}

/** undefined: vitest ended without a report. A file that could not be loaded counts as one failed test. */
function countsIn(file: string): Counts | undefined {
  if (!existsSync(file)) {
    return undefined;
  }
  const report = JSON.parse(readFileSync(file, 'utf8')) as VitestReport;
  const notLoaded = report.testResults.filter(({ status, assertionResults }) => status === 'failed' && assertionResults.length === 0);
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests + notLoaded.length,
    skipped: report.numPendingTests + report.numTodoTests,
  };
}

function skip(project: string, what: string, why: string): void {
  const listed = spawnSync('vitest', ['list', '--project', project, '--json'], { cwd: ROOT, encoding: 'utf8', timeout: 60_000 });
  const start = listed.stdout?.indexOf('[') ?? -1;
  const count = start < 0 ? 1 : (JSON.parse(listed.stdout.slice(start)) as unknown[]).length;
  total.skipped += count;
  console.log(`skipped ${count} ${what}: ${why}`);
}

/** Why the tests against real faults cannot run here, after what is missing was installed where that is allowed. */
async function whyNoRealFaults(): Promise<string | undefined> {
  if (process.platform !== 'linux') {
    return `they need Linux, and this is ${process.platform}`;
  }
  if (process.getuid?.() !== 0) {
    return 'they mount and unmount, which needs root';
  }
  for (const device of ['/dev/fuse', '/dev/loop-control']) {
    if (!existsSync(device)) {
      return `there is no ${device} here`;
    }
  }
  if (spawnSync('unshare', ['-m', '--propagation', 'private', 'true']).status !== 0) {
    return 'this root may not make a mount namespace';
  }
  return whyWithout(PACKAGES);
}

async function whyNoGuests(): Promise<string | undefined> {
  if (process.arch !== 'x64') {
    return `their hosts are x64, with the Node that runs here, and this is ${process.arch}`;
  }
  return whyWithout(LAB_PACKAGES);
}

async function whyWithout(packages: Readonly<Record<string, string>>): Promise<string | undefined> {
  const missing = missingOf(packages);
  if (missing.length === 0) {
    return undefined;
  }
  if (!existsSync('/etc/debian_version') || pathOf('apt-get') === undefined) {
    return `they need ${missing.map((name) => packages[name]).join(', ')}, and this is no Debian, where npm test could install them`;
  }
  if (process.env['STDOCTOR_TEST_INSTALL'] === '0') {
    return `they need the packages ${missing.join(' ')}, and STDOCTOR_TEST_INSTALL=0 forbids to install them`;
  }
  return install(missing, packages);
}

async function install(missing: readonly string[], packages: Readonly<Record<string, string>>): Promise<string | undefined> {
  const started = Date.now();
  const lists = existsSync('/var/lib/apt/lists') ? readdirSync('/var/lib/apt/lists') : [];
  let updated = false;
  if (!lists.some((name) => /_(In)?Release$|_Packages/.test(name))) {
    await shown(['apt-get', 'update']);
    updated = true;
  }
  const argv = ['apt-get', 'install', '--yes', '--no-install-recommends', ...missing];
  if (!(await shown(argv)) && !updated) {
    // The lists may name versions that the mirrors no longer have.
    await shown(['apt-get', 'update']);
    await shown(argv);
  }
  const still = missingOf(packages);
  end('packages', still.length === 0, started);
  return still.length === 0 ? undefined : `the packages ${still.join(' ')} could not be installed`;
}

/** Prints the line it runs, and what it says only where it fails. */
async function shown(argv: readonly string[]): Promise<boolean> {
  console.log(`+ DEBIAN_FRONTEND=noninteractive ${argv.join(' ')}`);
  const { code, output } = await run(argv, 'pipe', { DEBIAN_FRONTEND: 'noninteractive' });
  if (code !== 0) {
    process.stdout.write(output);
  }
  return code === 0;
}

function missingOf(packages: Readonly<Record<string, string>>): string[] {
  return Object.entries(packages)
    .filter(([, file]) => pathOf(file) === undefined)
    .map(([name]) => name);
}

function pathOf(file: string): string | undefined {
  const candidates = file.startsWith('/') ? [file] : (process.env['PATH'] ?? '').split(delimiter).map((directory) => join(directory, file));
  return candidates.find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
