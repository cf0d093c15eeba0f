import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROOT, stdoctor } from './cli.ts';
import { journalledState, RUN } from './journalled-state.ts';
import { scratch } from './scratch.ts';
import { makeSick } from './sick-recording.ts';

const RECORDED = join(ROOT, 'fixtures/hosts/hv1-after-reboot');
const VERSION = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).version;

interface Parameter {
  type?: string;
  helpValue?: string;
  options?: string[];
  multiple?: boolean;
  required?: boolean;
  exclusive?: string[];
}

describe('the commands and their flags', () => {
  // A change here is a change for everybody who calls them from a script.
  it('are these', async () => {
    const lines: string[] = [];
    for (const file of readdirSync(join(ROOT, 'commands')).toSorted()) {
      const id = file.replace(/\.ts$/, '');
      const { default: command } = await import(/* @vite-ignore */ join(ROOT, 'commands', file));
      const args = Object.entries<Parameter>(command.args ?? {}).map(([name, { required }]) => (required ? name : `[${name}]`));
      lines.push([id, ...(command.strict === false ? ['[…]'] : args)].join(' '));
      for (const [name, flag] of Object.entries<Parameter>(command.flags ?? {})) {
        const value = flag.type === 'boolean' ? '' : ` ${flag.options?.join('|') ?? flag.helpValue}`;
        const notes = [flag.multiple && 'repeatable', flag.required && 'required', flag.exclusive && `not with --${flag.exclusive}`];
        lines.push(`  --${name}${value}${notes.map((note) => (note ? ` (${note})` : '')).join('')}`);
      }
    }
    expect(lines.join('\n')).toMatchInlineSnapshot(`
      "check […]
        --deadline DURATION
        --from RECORDING
        --host NAME (repeatable) (not with --from)
        --sudo
        --format pretty|json
        --json
        --output [FORMAT:]FILE (repeatable)
        --state-dir DIR
        --config FILE
        --evidence
        --verbose
        --quiet (not with --evidence,verbose)
      checks
        --json
      explain what
      fix […]
        --plan FILE
        --dry-run
        --auto safe|disruptive (not with --dry-run)
        --yes
        --rescue-dir DIR
        --deadline DURATION
        --from RECORDING
        --host NAME (not with --from)
        --sudo
        --format pretty|json
        --json
        --output [FORMAT:]FILE (repeatable)
        --state-dir DIR
        --config FILE
        --evidence
      history
        --repairs
        --format pretty|json
        --json
        --output [FORMAT:]FILE (repeatable)
        --state-dir DIR
        --config FILE
      plan […]
        --valid-for DURATION
        --deadline DURATION
        --from RECORDING
        --host NAME (not with --from)
        --sudo
        --format pretty|json
        --json
        --output [FORMAT:]FILE (repeatable)
        --state-dir DIR
        --config FILE
      record […]
        --deadline DURATION
        --from RECORDING
        --host NAME (not with --from)
        --sudo
        --format pretty|json
        --json
        --state-dir DIR
        --config FILE
        --output DIR|FILE.tar.gz (required)
      resume
        --forward (not with --rollback)
        --rollback
        --yes
        --rescue-dir DIR
        --deadline DURATION
        --format pretty|json
        --json
        --output [FORMAT:]FILE (repeatable)
        --state-dir DIR
        --config FILE
      undo [run]
        --yes
        --deadline DURATION
        --format pretty|json
        --json
        --output [FORMAT:]FILE (repeatable)
        --state-dir DIR
        --config FILE"
    `);
  });
});

describe('help and version', () => {
  it('--version prints one line', async () => {
    expect(await stdoctor(['--version'])).toEqual({ code: 0, stdout: `stdoctor/${VERSION}\n`, stderr: '' });
  });

  it.each([['--help'], ['-h'], ['help'], []])('%s lists the commands', async (...argv) => {
    const { code, stdout, stderr } = await stdoctor(argv);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/COMMANDS\n {2}check +Look for storage faults/);
  });

  it.each(['check', 'checks', 'explain', 'fix', 'history', 'plan', 'record', 'resume', 'undo'])(
    '%s --help tells how it is used',
    async (command) => {
      const { code, stdout, stderr } = await stdoctor([command, '--help']);
      expect([code, stderr]).toEqual([0, '']);
      expect(stdout).toContain(`$ stdoctor ${command}`);
      expect((await stdoctor(['help', command])).stdout).toBe(stdout);
    },
  );
});

describe('wrong usage ends with 64 and a sentence that says what was expected', () => {
  it.each([
    [['nonsense'], 'nonsense is no command: expected one of check, checks, explain, fix, history, plan, record, resume, undo'],
    [[''], "'' is no command: expected one of check, checks, explain, fix, history, plan, record, resume, undo"],
    [['--nonsense'], '--nonsense is no command: expected one of check, checks, explain, fix, history, plan, record, resume, undo'],
    [
      ['../commands/check'],
      '../commands/check is no command: expected one of check, checks, explain, fix, history, plan, record, resume, undo',
    ],
    [['\u001b[31mred'], '\\e[31mred is no command: expected one of check, checks, explain, fix, history, plan, record, resume, undo'],
    [['check', 'nonsense'], 'nonsense is no check: expected one of '],
    [['check', ''], "'' is no check: expected one of "],
    [['check', 'zombie-mounts', '\u001b[31m'], '\\e[31m is no check: expected one of '],
    [['check', '--nonsense'], 'check has no flag --nonsense: expected one of --deadline, --from, '],
    [['checks', '--nonsense'], 'checks has no flag --nonsense: expected one of --json'],
    [['checks', 'nonsense'], 'checks: expected no argument, found nonsense'],
    [['check', '--deadline'], 'check --deadline: expected DURATION, found nothing'],
    [['check', '--deadline', '1s', '--deadline', '2s'], 'check --deadline: expected once, found more often'],
    [['check', '--deadline', '5'], '--deadline 5: expected a duration such as 500ms, 30s, 5m, 2h or 7d'],
    [['check', '--deadline', '0s'], '--deadline 0s: expected a duration such as 500ms, 30s, 5m, 2h or 7d'],
    [['check', '--deadline=-5s'], '--deadline -5s: expected a duration such as 500ms, 30s, 5m, 2h or 7d'],
    [['check', '--deadline', ''], '--deadline : expected a duration such as 500ms, 30s, 5m, 2h or 7d'],
    [['check', '--format', 'xml'], 'check --format: expected one of pretty, json, found xml'],
    [['check', '--json', '--format', 'pretty'], '--json and --format pretty: expected one of them, found both'],
    [['check', '--output', ''], "--output '': expected FILE or FORMAT:FILE, found no name of a file"],
    [['check', '--output', 'json:'], "--output 'json:': expected FILE or FORMAT:FILE, found no name of a file"],
    [['check', '--from', ''], "--from '': expected the name of a file or directory, found an empty one"],
    [['check', '--config', ''], "--config '': expected the name of a file or directory, found an empty one"],
    [['check', '--state-dir', ''], "--state-dir '': expected the name of a file or directory, found an empty one"],
    [['explain'], 'explain: expected a check, a code, or the id of a finding, found nothing'],
    [['explain', 'fuse-dead', 'fuse-hung'], 'explain: expected one argument, found fuse-hung beside it'],
    [['explain', 'nonsense'], 'nonsense is no check, code or finding: expected one of '],
    [['explain', 'constructor'], 'constructor is no check, code or finding: expected one of '],
    [['explain', 'constructor-12345678'], 'constructor-12345678 is no check, code or finding: expected one of '],
    [['explain', 'fuse-dead-1234567'], 'fuse-dead-1234567 is no check, code or finding: expected one of '],
    [['fix', 'nonsense'], 'nonsense is no check and no finding: expected one of '],
    [['fix', '--auto'], 'fix --auto: expected one of safe, disruptive, found nothing'],
    [['fix', '--auto', 'data-loss'], 'fix --auto: expected one of safe, disruptive, found data-loss'],
    [['fix', '--dry-run', '--auto', 'safe'], 'fix: --dry-run and --auto exclude each other'],
    [['plan', 'nonsense'], 'nonsense is no check and no finding: expected one of '],
    [['plan', '--valid-for', '5'], '--valid-for 5: expected a duration such as 500ms, 30s, 5m, 2h or 7d'],
    [['plan', '--valid-for', 'soon'], '--valid-for soon: expected a duration such as 500ms, 30s, 5m, 2h or 7d'],
    [['plan', '--valid-for', '0s'], '--valid-for 0s: expected a duration such as 500ms, 30s, 5m, 2h or 7d'],
    [['resume', '--forward', '--rollback'], 'resume: --rollback and --forward exclude each other'],
    [['resume', 'run'], 'resume: expected no argument, found run'],
    [['undo', 'NOSUCHRUN'], 'NOSUCHRUN: expected a run in the journal, which is empty'],
    [['undo', 'one', 'two'], 'undo: expected one argument, found two beside it'],
    [['history', 'more'], 'history: expected no argument, found more'],
    [['history', '--state-dir', ''], "--state-dir '': expected the name of a file or directory, found an empty one"],
    [['record'], 'record: expected --output DIR|FILE.tar.gz, found none'],
    [['record', '--output', ''], "record --output '': expected a directory or a .tar.gz file, found an empty name"],
  ])('%j', async (argv, sentence) => {
    const { code, stdout, stderr } = await stdoctor(argv);
    expect([code, stdout]).toEqual([64, '']);
    expect(stderr).toContain(`stdoctor: ${sentence}`);
    expect(stderr.split('\n')[1]).toMatch(/^stdoctor --help lists the commands/);
  });
});

describe('a recording that is none ends with 64', () => {
  const manifest = { schema: 'stdoctor.recording/1', version: '1', takenAt: '2026-11-21T00:00:00Z' };

  it.each([
    ['missing', undefined, 'ENOENT'],
    ['a directory without a manifest', {}, 'is no recording: expected a file manifest.json in it, found none'],
    ['broken JSON', { 'manifest.json': '{' }, 'manifest.json is not JSON: '],
    ['another schema', { 'manifest.json': '{"schema":"x/1"}' }, 'at schema: expected "stdoctor.recording/1", found "x/1"'],
    ['a field missing', { 'manifest.json': JSON.stringify(manifest) }, 'at target: expected "target", found undefined'],
    [
      'a path out of it',
      {
        'manifest.json': JSON.stringify({
          ...manifest,
          target: { name: 'h', kind: 'host', identity: 'i' },
          entries: [
            {
              probe: { kind: 'run', argv: ['cat'] },
              answer: { at: manifest.takenAt, ms: 1, state: 'ok', code: 0, out: { file: 'answers/../../x' } },
            },
          ],
        }),
      },
      'at entries.0.answer.out',
    ],
  ])('%s', async (_, files, sentence) => {
    const directory = join(scratch(), 'recording');
    for (const [name, content] of Object.entries(files ?? {})) {
      mkdirSync(directory, { recursive: true });
      writeFileSync(join(directory, name), content as string);
    }
    if (files !== undefined) {
      mkdirSync(directory, { recursive: true });
    }
    for (const command of ['check', 'fix']) {
      const { code, stdout, stderr } = await stdoctor([command, '--from', directory]);
      expect([code, stdout]).toEqual([64, '']);
      expect(stderr).toContain(`stdoctor: ${directory}`);
      expect(stderr).toContain(sentence);
      expect(stderr).toContain('A recording is a directory or a .tar.gz file that stdoctor record wrote.');
    }
  });

  it('a file that is no archive', async () => {
    const file = join(scratch(), 'host.tar.gz');
    writeFileSync(file, 'hello');
    const { code, stdout, stderr } = await stdoctor(['check', '--from', file]);
    expect([code, stdout]).toEqual([64, '']);
    expect(stderr).toContain(`stdoctor: ${file} cannot be read as a recording: `);
  });
});

describe('wrong configuration ends with 78, file and line', () => {
  it.each([
    ['deadline: [\n', ':2:1: not valid YAML: '],
    ['deadline: 5s\ndeadline: 6s\n', ':2:1: not valid YAML: Map keys must be unique'],
    ['# usual\n\ndeadlines: 5s\n', ':3: deadlines: expected one of the keys deadline, skip, found "deadlines"'],
    ['skip: []\nmore:\n  a: 1\n', ':2: more: expected one of the keys deadline, skip, found "more"'],
    ['deadline: 5\n', ':1: deadline: expected a duration such as 500ms, 30s, 5m, 2h or 7d, found 5'],
    ['deadline: 5 parsecs\n', ':1: deadline: expected a duration such as 500ms, 30s, 5m, 2h or 7d, found "5 parsecs"'],
    ['skip: zombie-mounts\n', ':1: skip: expected a list of checks, found "zombie-mounts"'],
    ['skip:\n  - zombie-mounts\n  - nonsense\n', ':3: skip.1: expected one of the checks '],
    ['- deadline\n', ':1: expected the keys deadline and skip, each with a value, found a list'],
    ['hello\n', ':1: expected the keys deadline and skip, each with a value, found "hello"'],
  ])('%j', async (text, sentence) => {
    const file = join(scratch(), 'config.yaml');
    writeFileSync(file, text);
    const { code, stdout, stderr } = await stdoctor(['check', '--config', file]);
    expect([code, stdout]).toEqual([78, '']);
    expect(stderr).toContain(`stdoctor: ${file}${sentence}`);
    expect(stderr).toContain('docs/configuration.md');
  });

  it('a file that was named and is not there', async () => {
    const { code, stdout, stderr } = await stdoctor(['check', '--config', 'missing.yaml'], { cwd: scratch() });
    expect([code, stdout]).toEqual([78, '']);
    expect(stderr).toMatch(/missing\.yaml cannot be read: ENOENT/);
  });

  it('a file of the user, found by itself', async () => {
    const home = scratch();
    mkdirSync(join(home, 'stdoctor'));
    writeFileSync(join(home, 'stdoctor/config.yaml'), 'deadline: soon\n');
    const { code, stderr } = await stdoctor(['check'], { env: { XDG_CONFIG_HOME: home } });
    expect(code).toBe(78);
    expect(stderr).toContain(`${home}/stdoctor/config.yaml:1: deadline: expected a duration`);
  });
});

describe('configuration', () => {
  it('skips checks that are not named', async () => {
    const file = join(scratch(), 'config.yaml');
    writeFileSync(file, 'deadline: 30s\nskip: [zombie-mounts]\n');
    const idsOf = async (...argv: string[]) =>
      JSON.parse((await stdoctor(['check', '--json', '--config', file, ...argv])).stdout).targets[0].checks.map(
        ({ id }: { id: string }) => id,
      );
    expect(await idsOf()).not.toContain('zombie-mounts');
    expect(await idsOf('zombie-mounts')).toContain('zombie-mounts');
  });

  it('may be an empty file', async () => {
    const file = join(scratch(), 'config.yaml');
    writeFileSync(file, '');
    expect((await stdoctor(['checks'])).code).toBe(0);
    expect((await stdoctor(['check', '--config', file])).code).toBeLessThan(4);
  });
});

describe('checks and explain', () => {
  it('checks lists every check with its codes', async () => {
    const { code, stdout, stderr } = await stdoctor(['checks']);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^zombie-mounts {2}Mounts that do not answer/m);
    expect(stdout).toMatch(/^ {4}fuse-dead +\S/m);
  });

  it('checks --json is a document', async () => {
    const { code, stdout } = await stdoctor(['checks', '--json']);
    expect(code).toBe(0);
    const { schema, checks } = JSON.parse(stdout);
    expect(schema).toBe('stdoctor.checks/1');
    expect(checks.find(({ id }: { id: string }) => id === 'zombie-mounts')).toMatchObject({
      scope: 'host',
      codes: { 'fuse-dead': expect.any(String) },
    });
  });

  it('explain CODE and explain FINDING print the section of the code', async () => {
    const { code, stdout, stderr } = await stdoctor(['explain', 'fuse-dead']);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^### `fuse-dead`\n/);
    expect(stdout).not.toContain('### `fuse-aborted`');
    expect((await stdoctor(['explain', 'fuse-dead-12345678'])).stdout).toBe(stdout);
  });

  it('explain CHECK prints its page, without the marks of the generator', async () => {
    const { code, stdout } = await stdoctor(['explain', 'zombie-mounts']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^# zombie-mounts: /);
    expect(stdout).not.toContain('<!--');
  });

  it('every code has a section of its own', async () => {
    const { checks } = JSON.parse((await stdoctor(['checks', '--json'])).stdout);
    for (const code of checks.flatMap(({ codes }: { codes: object }) => Object.keys(codes))) {
      const { stdout } = await stdoctor(['explain', code]);
      expect(stdout.split('\n')[0]).toContain(`\`${code}\``);
    }
  });
});

describe('reports', () => {
  it('--json prints one document and nothing else', async () => {
    const { code, stdout, stderr } = await stdoctor(['check', '--json']);
    const report = JSON.parse(stdout);
    expect(stdout).toMatch(/^\{\n/);
    expect(stdout).toMatch(/\n\}\n$/);
    expect(stderr).toBe('');
    expect(report.exitCode).toBe(code);
    expect((await stdoctor(['check', '--format', 'json'])).code).toBe(code);
  });

  it('--output FORMAT:FILE writes each and leaves standard output empty', async () => {
    const directory = scratch();
    const { stdout, stderr } = await stdoctor(['check', '--output', 'json:report:1.json', '--output', 'pretty:report.txt'], {
      cwd: directory,
    });
    expect([stdout, stderr]).toEqual(['', '']);
    expect(JSON.parse(readFileSync(join(directory, 'report:1.json'), 'utf8')).schema).toBe('stdoctor.report/1');
    expect(readFileSync(join(directory, 'report.txt'), 'utf8')).toContain('zombie-mounts');
  });

  it('--output FILE takes the format of the run, and only a known one before the colon', async () => {
    const directory = scratch();
    await stdoctor(['check', '--json', '--output', 'xml:report'], { cwd: directory });
    expect(JSON.parse(readFileSync(join(directory, 'xml:report'), 'utf8')).schema).toBe('stdoctor.report/1');
  });

  it('tells where it cannot write', async () => {
    const { code, stdout, stderr } = await stdoctor(['check', '--output', 'missing/report'], { cwd: scratch() });
    expect([code, stdout]).toEqual([64, '']);
    expect(stderr).toMatch(/^stdoctor: the report could not be written to \/.*\/missing\/report: ENOENT/);
  });

  it.each([
    [{ FORCE_COLOR: undefined, NO_COLOR: undefined, TERM: 'xterm-256color' }],
    [{ FORCE_COLOR: undefined, NO_COLOR: '1', TERM: 'xterm-256color' }],
    [{ FORCE_COLOR: undefined, NO_COLOR: undefined, TERM: 'dumb' }],
  ])('hold no escape sequences outside a terminal: %j', async (env) => {
    const directory = await sickRecording();
    for (const argv of [
      ['check', '--from', directory],
      ['fix', '--from', directory],
      ['--help'],
      ['checks'],
      ['explain', 'zombie-mounts'],
      ['nonsense'],
    ]) {
      const { stdout, stderr } = await stdoctor(argv, { env });
      expect(stdout + stderr).not.toContain('\u001b');
    }
  });

  it('work without HOME and without XDG directories', async () => {
    const env = { HOME: undefined, XDG_CONFIG_HOME: undefined, XDG_STATE_HOME: undefined, STDOCTOR_STATE_DIR: undefined };
    const { code, stdout, stderr } = await stdoctor(['check', '--json'], { env });
    expect(stderr).toBe('');
    expect(JSON.parse(stdout).exitCode).toBe(code);
  });

  it('name only what was not known when the deadline is too short for anything', async () => {
    const { code, stdout } = await stdoctor(['check', '--json', '--deadline', '1ms']);
    const report = JSON.parse(stdout);
    expect(report.targets[0].findings).toEqual([]);
    expect([code, report.targets[0].checks[0].outcome]).toEqual([3, 'unknown']);
  });
});

describe('record', () => {
  it.each(['recording', 'recording.tar.gz', 'recording.tgz'])('to %s gives the same report without the host', async (name) => {
    const directory = scratch();
    const recorded = await stdoctor(['record', '--json', '--output', name], { cwd: directory });
    expect(recorded.stderr).toMatch(new RegExp(`^stdoctor: \\d+ answers recorded in ${join(directory, name)}\n$`));
    const replayed = await stdoctor(['check', '--json', '--from', name], { cwd: directory });
    expect(replayed.code).toBe(recorded.code);
    expect(judgementOf(replayed.stdout)).toEqual(judgementOf(recorded.stdout));
    expect(JSON.parse(replayed.stdout).targets[0].via).toBe('recording');
    // Nothing half-written stays beside it.
    expect(readdirSync(directory)).toEqual([name]);
  });

  it('refuses a directory that is not empty, and leaves it alone', async () => {
    const directory = scratch();
    writeFileSync(join(directory, 'mine'), 'mine');
    const { code, stdout, stderr } = await stdoctor(['record', '--output', directory]);
    expect([code, stdout]).toEqual([64, '']);
    expect(stderr).toContain(`${directory} is there already and is not empty`);
    expect(readdirSync(directory)).toEqual(['mine']);
  });

  it('writes into an empty directory', async () => {
    const directory = scratch();
    await stdoctor(['record', '--output', directory]);
    expect(readdirSync(directory).toSorted()).toEqual(['answers', 'manifest.json']);
  });

  it('of a recording is the same recording', async () => {
    const first = await sickRecording();
    const again = join(scratch(), 'again');
    const { code } = await stdoctor(['record', '--from', first, '--output', again]);
    expect(code).toBe(2);
    const [one, other] = [first, again].map((path) => stdoctor(['check', '--json', '--from', path]));
    expect(judgementOf((await other)?.stdout ?? '')).toEqual(judgementOf((await one)?.stdout ?? ''));
  });
});

describe('fix', () => {
  it('without a terminal shows the plans of a recording and changes nothing', async () => {
    const directory = await sickRecording();
    const state = join(scratch(), 'state');
    for (const more of [[], ['--dry-run'], ['--auto', 'disruptive'], ['--yes']]) {
      const { code, stdout } = await stdoctor(['fix', '--from', directory, '--json', ...more], { env: { STDOCTOR_STATE_DIR: state } });
      expect(code).toBe(1);
      const { repairs } = JSON.parse(stdout);
      expect(repairs.map(({ outcome, steps }: { outcome: string; steps: unknown[] }) => [outcome, steps])).toEqual([['refused', []]]);
    }
    expect(existsSync(state)).toBe(false);
  });

  it('takes the id of a finding, and tells where it is not found', async () => {
    const directory = await sickRecording();
    const { targets } = JSON.parse((await stdoctor(['check', '--json', '--from', directory])).stdout);
    const id = targets[0].findings[0].id;
    expect(JSON.parse((await stdoctor(['fix', id, '--json', '--from', directory])).stdout).repairs).toHaveLength(1);
    const { stdout, stderr } = await stdoctor(['fix', 'fuse-dead-12345678', '--json', '--from', directory]);
    expect(JSON.parse(stdout).repairs).toEqual([]);
    expect(stderr).toBe('stdoctor: fuse-dead-12345678 is not found (any more)\n');
  });

  it('--output leaves standard output empty', async () => {
    const directory = scratch();
    const { stdout } = await stdoctor(['fix', '--dry-run', '--output', 'json:fix.json', '--output', 'fix.txt'], { cwd: directory });
    expect(stdout).toBe('');
    expect(JSON.parse(readFileSync(join(directory, 'fix.json'), 'utf8')).schema).toBe('stdoctor.repair/1');
    expect(existsSync(join(directory, 'fix.txt'))).toBe(true);
  });
});

describe('plan', () => {
  it('prints the plans of a recording, and exits as fix would', async () => {
    const directory = await sickRecording();
    const { code, stdout } = await stdoctor(['plan', '--from', directory]);
    expect(code).toBe(1);
    expect(stdout).toContain('Not repaired by stdoctor fix: ');
    expect(stdout).toMatch(/^1 refused$/m);
  });

  it('--output FILE writes JSON and says so on standard error', async () => {
    const directory = scratch();
    const { stdout, stderr } = await stdoctor(['plan', '--from', RECORDED, '--output', 'plan.json'], { cwd: directory });
    expect(stdout).toBe('');
    const { schema, plans, expiresAt } = JSON.parse(readFileSync(join(directory, 'plan.json'), 'utf8'));
    const count = plans.filter(({ state }: { state: string }) => state === 'available').length;
    expect([schema, count > 1]).toEqual(['stdoctor.plan/1', true]);
    expect(stderr).toBe(`stdoctor: ${count} plans written to ${directory}/plan.json, to be applied until ${expiresAt}\n`);
  });

  it('--json prints one document and nothing else; --valid-for says until when', async () => {
    const { code, stdout, stderr } = await stdoctor(['plan', '--json', '--from', RECORDED, '--valid-for', '2h']);
    expect([code, stderr]).toEqual([1, '']);
    const { madeAt, expiresAt } = JSON.parse(stdout);
    expect(Date.parse(expiresAt) - Date.parse(madeAt)).toBe(2 * 3600 * 1000);
  });

  it('takes the id of a finding, and tells where it is not found', async () => {
    const { stdout, stderr } = await stdoctor(['plan', 'fuse-dead-12345678', '--json', '--from', RECORDED]);
    expect([JSON.parse(stdout).plans, stderr]).toEqual([[], 'stdoctor: fuse-dead-12345678 is not found (any more)\n']);
  });
});

describe('fix --plan', () => {
  const planned = async (...more: string[]) => {
    const file = join(scratch(), 'plan.json');
    await stdoctor(['plan', '--from', RECORDED, '--output', file, ...more]);
    return file;
  };

  it('of another machine: exit code 4, nothing is done, and the sentence names both', async () => {
    const state = join(scratch(), 'state');
    const file = await planned();
    const { code, stdout } = await stdoctor(['fix', '--plan', file, '--auto', 'disruptive', '--json'], {
      env: { STDOCTOR_STATE_DIR: state },
    });
    const { target, repairs } = JSON.parse(stdout);
    const { target: made, plans } = JSON.parse(readFileSync(file, 'utf8'));
    expect([code, repairs.length]).toEqual([4, plans.length]);
    for (const { outcome, reason, run } of repairs) {
      expect([outcome, run]).toEqual(['stale', null]);
      expect(reason).toBe(
        `expected the host that it was made for (${made.name}, ${made.identity}), found ${target.identity}; nothing was done`,
      );
    }
    expect(readFileSync(join(state, 'journal.jsonl'), 'utf8')).toBe('');
  });

  it('staleness is told before nobody can be asked', async () => {
    expect((await stdoctor(['fix', '--plan', await planned()])).code).toBe(4);
  });

  it('takes findings of that file only', async () => {
    const { code, stderr } = await stdoctor(['fix', 'fuse-dead-12345678', '--plan', await planned()]);
    expect(code).toBe(64);
    expect(stderr).toContain('fuse-dead-12345678 is no finding of this plan file: expected ');
  });

  it('without plans: nothing is to be repaired', async () => {
    const file = join(scratch(), 'plan.json');
    await stdoctor(['plan', 'fuse-dead-12345678', '--from', RECORDED, '--output', file]);
    const { stdout } = await stdoctor(['fix', '--plan', file]);
    expect(stdout).toContain('Nothing to repair was found.');
  });

  it.each([
    ['missing', undefined, 'ENOENT'],
    ['garbage', 'hello', 'is not valid JSON'],
    ['another document', '{"schema":"stdoctor.report/1"}', 'schema: expected "stdoctor.plan/1", found "stdoctor.report/1"'],
  ])('that is no plan file (%s): 64', async (_, text, sentence) => {
    const file = join(scratch(), 'plan.json');
    if (text !== undefined) {
      writeFileSync(file, text);
    }
    const { code, stdout, stderr } = await stdoctor(['fix', '--plan', file]);
    expect([code, stdout]).toEqual([64, '']);
    expect(stderr).toContain(`stdoctor: ${file} is no plan file: `);
    expect(stderr).toContain(sentence);
    expect(stderr).toContain('A plan file is what stdoctor plan --output FILE wrote.');
  });
});

describe('the journal of repairs', () => {
  const withState = (stateDir: string) => ({ env: { STDOCTOR_STATE_DIR: stateDir } });

  it.each([
    [['resume'], 'No repair was interrupted.\n'],
    [['resume', '--forward', '--yes'], 'No repair was interrupted.\n'],
    [['undo', '--yes'], 'There is nothing to take back.\n'],
    [['history', '--repairs'], 'No repair was made yet.\n'],
    [['history'], 'No repair was made yet.\n'],
  ])('%j where nothing was repaired', async (argv, sentence) => {
    expect(await stdoctor(argv)).toEqual({ code: 0, stdout: sentence, stderr: '' });
  });

  it.each(['resume', 'undo', 'history', 'plan', 'fix'])('%s --json prints one document and nothing else', async (command) => {
    const { code, stdout, stderr } = await stdoctor([command, '--json']);
    expect([stderr, stdout.startsWith('{\n'), stdout.endsWith('\n}\n')]).toEqual(['', true, true]);
    const { schema, exitCode } = JSON.parse(stdout);
    expect(schema).toBe(`stdoctor.${{ history: 'history', plan: 'plan' }[command] ?? 'repair'}/1`);
    expect(code).toBe(exitCode ?? code);
  });

  it('is made by fix, and not by history, check or plan', async () => {
    const state = join(scratch(), 'state');
    for (const argv of [['history'], ['check'], ['plan'], ['fix']]) {
      await stdoctor(argv, withState(state));
    }
    expect(existsSync(join(state, 'journal.jsonl'))).toBe(false);
  });

  it('check mentions an interrupted repair before anything else', async () => {
    const { stateDir } = journalledState(await machineOfThis(), 'act');
    const { code, stdout } = await stdoctor(['check', '--json'], withState(stateDir));
    expect(code).toBe(2);
    expect(JSON.parse(stdout).targets[0].findings[0]).toMatchObject({
      check: 'interrupted-repairs',
      code: 'repair-interrupted',
      severity: 'critical',
      data: { run: RUN, by: 'alice' },
      evidence: [{ source: 'journal', excerpt: expect.stringContaining('step 1 (Make a file) begun, its end is not known') }],
      fix: { state: 'refused', reason: expect.stringContaining('stdoctor resume') },
    });
    const pretty = await stdoctor(['check'], withState(stateDir));
    expect(pretty.stdout).toMatch(/^[^\n]*\n\nCRITICAL \/mnt\/caf\\xe9: a repair was begun at /);
  });

  it('check of one check, and with that one skipped, still mentions it', async () => {
    const { stateDir } = journalledState(await machineOfThis(), 'act');
    const config = join(scratch(), 'config.yaml');
    writeFileSync(config, 'skip: [interrupted-repairs]\n');
    for (const argv of [
      ['check', 'zombie-mounts'],
      ['check', '--config', config],
    ]) {
      const { code, stdout } = await stdoctor([...argv, '--json'], withState(stateDir));
      expect([code, JSON.parse(stdout).targets[0].findings[0].code]).toEqual([2, 'repair-interrupted']);
    }
  });

  it('that is corrupt is could-not-tell for check, and refused by everything else, which says where', async () => {
    const { stateDir } = journalledState(await machineOfThis(), 'closed');
    const file = join(stateDir, 'journal.jsonl');
    appendFileSync(file, 'garbage\n');
    const before = readFileSync(file);
    const where = 'line 6: expected an event of a repair, found garbage';
    const checked = await stdoctor(['check', 'interrupted-repairs', '--json'], withState(stateDir));
    const [check] = JSON.parse(checked.stdout).targets[0].checks;
    expect([checked.code, check]).toMatchObject([
      3,
      { id: 'interrupted-repairs', outcome: 'unknown', reason: `the journal of repairs could not be read: denied: ${where}` },
    ]);
    for (const argv of [['fix', '--auto', 'safe'], ['resume', '--forward', '--yes'], ['undo', '--yes'], ['history']]) {
      const { code, stdout, stderr } = await stdoctor(argv, withState(stateDir));
      expect([code, stdout]).toEqual([1, '']);
      expect(stderr).toContain(`${file} cannot be `);
      expect(stderr).toContain(where);
      expect(stderr).toContain('Nothing was touched.');
    }
    expect(readFileSync(file)).toEqual(before);
  });

  it('history --repairs tells who, what and how it ended', async () => {
    const { stateDir, file } = journalledState(await machineOfThis(), 'closed');
    const { code, stdout, stderr } = await stdoctor(['history', '--repairs'], withState(stateDir));
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toContain(`repaired  /mnt/caf\\xe9: its FUSE daemon is gone`);
    expect(stdout).toContain(`run ${RUN}, fuse-dead-12345678, called for by uid 0 (root), by sudo from alice`);
    expect(stdout).toContain(`touch -- ${file}: exit code 0`);
    expect(stdout).toContain(`proven: path-is (path ${file}, type f)`);
  });

  it('undo without a terminal needs --yes, takes it back and proves it, once', async () => {
    const { stateDir, file } = journalledState(await machineOfThis(), 'closed');
    const asked = await stdoctor(['undo'], withState(stateDir));
    expect([asked.code, existsSync(file)]).toEqual([1, true]);
    expect(asked.stdout).toContain(`To take it back: rm -- ${file}`);
    expect(asked.stdout).toContain('say --yes where there is no terminal to ask at');
    const undone = await stdoctor(['undo', RUN, '--yes', '--json'], withState(stateDir));
    expect([undone.code, existsSync(file)]).toEqual([0, false]);
    expect(JSON.parse(undone.stdout).repairs).toMatchObject([{ run: RUN, outcome: 'undone', steps: [{ outcome: 'undone', exitCode: 0 }] }]);
    expect((await stdoctor(['undo', '--yes'], withState(stateDir))).stdout).toBe('There is nothing to take back.\n');
    const again = await stdoctor(['undo', RUN, '--yes'], withState(stateDir));
    expect(again.code).toBe(1);
    expect(again.stdout).toContain('it was taken back at 20');
    expect((await stdoctor(['history'], withState(stateDir))).stdout).toContain(`rm -- ${file} (taking back): exit code 0`);
  });

  it('undo of what is no longer as it was left: exit code 4, and nothing is done', async () => {
    const { stateDir, file } = journalledState(await machineOfThis(), 'closed');
    rmSync(file);
    mkdirSync(file);
    const { code, stdout } = await stdoctor(['undo', '--yes'], withState(stateDir));
    expect(code).toBe(4);
    expect(stdout).toContain(`expected a file at ${file}, found a directory; nothing was done`);
    expect(existsSync(file)).toBe(true);
  });

  it('undo of what is interrupted, and what was begun elsewhere: refused', async () => {
    const open = journalledState(await machineOfThis(), 'proven');
    const refused = await stdoctor(['undo', '--yes'], withState(open.stateDir));
    expect(refused.code).toBe(1);
    expect(refused.stdout).toContain('it was interrupted: stdoctor resume goes on with it, or takes it back');
    const foreign = journalledState('0123456789abcdef0123456789abcdef', 'closed');
    const elsewhere = await stdoctor(['undo', '--yes'], withState(foreign.stateDir));
    expect(elsewhere.code).toBe(1);
    expect(elsewhere.stdout).toContain('expected the machine it was made on (0123456789abcdef0123456789abcdef), found ');
    expect([existsSync(open.file), existsSync(foreign.file)]).toEqual([true, true]);
  });

  it('resume without a terminal needs a way and --yes, and says what it knows of each step', async () => {
    const { stateDir, file } = journalledState(await machineOfThis(), 'acted');
    for (const argv of [['resume'], ['resume', '--forward'], ['resume', '--yes']]) {
      const { code, stdout } = await stdoctor(argv, withState(stateDir));
      expect(code).toBe(1);
      expect(stdout).toContain('1. Make a file: done');
      expect(stdout).toContain('what it was to bring about holds now');
      expect(stdout).toContain('choose with --forward or --rollback, and say --yes');
    }
    const { code, stdout } = await stdoctor(['resume', '--rollback', '--yes', '--json'], withState(stateDir));
    expect([code, existsSync(file)]).toEqual([0, false]);
    expect(JSON.parse(stdout).repairs).toMatchObject([{ run: RUN, outcome: 'undone' }]);
    expect((await stdoctor(['resume'], withState(stateDir))).stdout).toBe('No repair was interrupted.\n');
  });

  it('resume --rollback of what was begun and did nothing', async () => {
    const { stateDir } = journalledState(await machineOfThis(), 'act');
    const { code, stdout } = await stdoctor(['resume', '--rollback', '--yes'], withState(stateDir));
    expect([code, stdout]).toEqual([0, expect.stringContaining('nothing had been done')]);
    expect((await stdoctor(['check', 'interrupted-repairs'], withState(stateDir))).code).toBe(0);
  });
});

/** As a journal of this host names it. */
async function machineOfThis(): Promise<string> {
  return JSON.parse((await stdoctor(['check', 'interrupted-repairs', '--json'])).stdout).targets[0].identity;
}

async function sickRecording(): Promise<string> {
  const directory = join(scratch(), 'recording');
  await stdoctor(['record', '--output', directory]);
  makeSick(directory);
  return directory;
}

/** What a report says, without when and from where. */
function judgementOf(text: string): unknown {
  const { targets, summary, exitCode } = JSON.parse(text, (key, value) =>
    ['at', 'durationMs', 'via', 'name'].includes(key) && typeof value !== 'object' ? undefined : value,
  );
  return { targets, summary, exitCode };
}
