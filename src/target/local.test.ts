import { appendFileSync, chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { acted, FakeHost, setting } from '../../test/fake-host.ts';
import { scratch } from '../../test/scratch.ts';
import { outputOf } from '../check/asking.ts';
import type { Answer, Child, Probe } from '../check/types.ts';
import { fromByteString } from '../names.ts';
import { takeLock } from '../state/lock.ts';
import { LocalTarget } from './local.ts';

const soon = () => Date.now() + 20_000;

function ask(probe: Probe, until = soon()): Promise<Answer> {
  return new LocalTarget(undefined).ask(probe, until);
}

function run(...argv: (Probe & { kind: 'run' })['argv'][number][]): Probe {
  return { kind: 'run', argv };
}

describe('run', () => {
  it('answers with output, code and time', async () => {
    const answer = await ask(run('sh', '-c', 'printf "a\\377"; echo e >&2; exit 3'));
    expect(answer).toEqual({
      state: 'ok',
      code: 3,
      out: Buffer.from('a\xff', 'latin1'),
      err: 'e\n',
      at: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
      ms: expect.any(Number),
    });
  });

  it('is absent where the tool is, also behind a wrapper', async () => {
    const no = 'stdoctor-no-such-tool';
    expect(await ask(run(no))).toMatchObject({ state: 'absent', why: `${no} is not installed` });
    expect(await ask(run('stdbuf', '-o0', no))).toMatchObject({ state: 'absent', why: expect.stringContaining(no) });
    expect(await ask(run('setpriv', '--reuid', String(process.getuid?.()), no))).toMatchObject({ state: 'absent' });
    expect(await ask(run(no, fromByteString('\xff')))).toMatchObject({ state: 'absent' });
    // 127 of a child that was there is an exit code.
    expect(await ask(run('sh', '-c', 'exit 127'))).toMatchObject({ state: 'ok', code: 127 });
  });

  it('is denied where the tool may not be run', async () => {
    expect(await ask(run('/etc/passwd'))).toMatchObject({ state: 'denied', why: '/etc/passwd may not be run' });
  });

  it('had its limit, or was cut by the deadline', async () => {
    const probe: Probe = { kind: 'run', argv: ['sh', '-c', 'echo so far; echo bad >&2; sleep 30'], limitMs: 400 };
    const late = await ask(probe);
    expect(late).toMatchObject({ state: 'timed-out', limitMs: 400, err: 'bad\n' });
    expect(Buffer.from((late as Answer & { state: 'timed-out' }).out).toString()).toBe('so far\n');
    expect(await ask({ ...probe, limitMs: 20_000 }, Date.now() + 300)).toMatchObject({ state: 'cut' });
    expect(await ask(probe, Date.now() - 1)).toMatchObject({ state: 'cut', ms: expect.any(Number) });
  });

  it('lets suspects keep nobody else waiting', async () => {
    const target = new LocalTarget(undefined);
    const started = Date.now();
    const slow = Array.from({ length: 8 }, (_, index) =>
      target.ask({ kind: 'run', argv: ['sleep', '30', `0.${index}`], suspect: true, limitMs: 3000 }, soon()),
    );
    expect(await target.ask(run('true'), soon())).toMatchObject({ state: 'ok' });
    expect(Date.now() - started).toBeLessThan(2900);
    await Promise.all(slow);
  });

  it('cuts those that waited for a slot until after the deadline', async () => {
    const target = new LocalTarget(undefined);
    const until = Date.now() + 400;
    const started = Date.now();
    const answers = await Promise.all(Array.from({ length: 20 }, (_, index) => target.ask(run('sleep', '30', `0.${index}`), until)));
    expect(answers.map(({ state }) => state)).toEqual(Array(20).fill('cut'));
    expect(Date.now() - started).toBeLessThan(6000);
  });

  it.each([[['']], [['a\0b']], [['x'.repeat(300_000)]], [['true', 'x'.repeat(300_000)]], [[fromByteString('\xff')]]])(
    'never rejects (%#)',
    async (argv) => {
      const answer = await ask(run(...argv));
      expect(answer.state).not.toBe('ok');
    },
  );
});

describe('read', () => {
  it('reads what the kernel offers', async () => {
    const answer = await ask({ kind: 'read', path: '/proc/sys/kernel/ostype' });
    expect(answer).toMatchObject({ state: 'ok', code: 0, err: '' });
    expect(Buffer.from((answer as Answer & { state: 'ok' }).out).toString()).toBe('Linux\n');
    expect(await ask({ kind: 'read', path: '/proc/999999999/stat' })).toMatchObject({ state: 'absent' });
    expect(await ask({ kind: 'read', path: '/proc/sys' })).toMatchObject({ state: 'errno', errno: 21 });
    expect(await ask({ kind: 'read', path: '/proc/a\0b' })).not.toMatchObject({ state: 'ok' });
  });

  it('reads other files by a child', async () => {
    const file = join(scratch(), 'x');
    writeFileSync(file, 'content');
    expect(await ask({ kind: 'read', path: file })).toMatchObject({ state: 'ok', code: 0, out: Buffer.from('content') });
    expect(await ask({ kind: 'read', path: file, maxBytes: 3 })).toMatchObject({ state: 'ok', out: Buffer.from('con') });
  });

  it('says that a file is absent, and does not take a failed read for an empty file', async () => {
    expect(await ask({ kind: 'read', path: join(scratch(), 'absent') })).toMatchObject({ state: 'absent' });
    expect(await ask({ kind: 'read', path: '/etc/hostname/x' })).toMatchObject({ state: 'absent' });
  });

  it('cuts at the size that was asked for', async () => {
    expect(await ask({ kind: 'read', path: '/proc/self/status', maxBytes: 5 })).toMatchObject({ out: Buffer.from('Name:') });
  });
});

describe('other questions', () => {
  it('remembers no children at first', async () => {
    expect(await ask({ kind: 'left-behind' })).toMatchObject({ state: 'ok', out: Buffer.from('[]') });
  });

  it('keeps serial numbers out of the inventory', async () => {
    const answer = await ask({ kind: 'inventory', topic: 'system', limitMs: 10_000 });
    expect(answer.state).toBe('ok');
    expect(JSON.parse(Buffer.from((answer as Answer & { state: 'ok' }).out).toString())).toMatchObject({ serial: '', uuid: '', sku: '' });
  });
});

describe('act', () => {
  it('runs with its output in a file, and tells of the child', async () => {
    const log = join(scratch(), 'log');
    const children: Child[] = [];
    const acted = await new LocalTarget(undefined).act({ kind: 'run', argv: ['sh', '-c', 'pwd; echo bad >&2; exit 5'] }, log, (child) => {
      children.push(child);
    });
    expect(acted).toEqual({ ok: false, code: 5 });
    expect(readFileSync(log, 'utf8')).toBe('/\nbad\n');
    expect(statSync(log).mode & 0o777).toBe(0o600);
    expect(children).toMatchObject([{ pid: expect.any(Number), startTime: expect.stringMatching(/^\d+$/) }]);
  });

  it('takes bytes that are not UTF-8', async () => {
    const directory = scratch();
    const log = join(directory, 'log');
    const argv = ['printf', '%s|', fromByteString('caf\xe9'), 'b'];
    expect(await new LocalTarget(undefined).act({ kind: 'run', argv }, log, () => {})).toMatchObject({ ok: true, code: 0 });
    expect(readFileSync(log, 'latin1')).toBe('caf\xe9|b|');
  });

  it('writes into a file', async () => {
    const directory = scratch();
    const path = join(directory, 'abort');
    writeFileSync(path, '');
    expect(await new LocalTarget(undefined).act({ kind: 'write', path, content: '1' }, join(directory, 'log'), () => {})).toMatchObject({
      ok: true,
    });
    expect(readFileSync(path, 'utf8')).toBe('1');
  });

  it('says what could not be started or was killed', async () => {
    const log = join(scratch(), 'log');
    const target = new LocalTarget(undefined);
    expect(await target.act({ kind: 'run', argv: ['stdoctor-no-such-tool'] }, log, () => {})).toMatchObject({
      ok: false,
      why: expect.stringContaining('ENOENT'),
    });
    expect(await target.act({ kind: 'run', argv: ['sh', '-c', 'kill -TERM $$'] }, log, () => {})).toMatchObject({
      ok: false,
      why: 'ended by SIGTERM',
    });
  });

  it('does not write where the file may not be written', async () => {
    const directory = scratch();
    const path = join(directory, 'none', 'abort');
    chmodSync(directory, 0o700);
    expect(await new LocalTarget(undefined).act({ kind: 'write', path, content: '1' }, join(directory, 'log'), () => {})).toMatchObject({
      ok: false,
    });
    expect(readFileSync(join(directory, 'log'), 'utf8')).toContain('No such file');
  });

  it('reads by a child what could lead out of the files of the kernel', async () => {
    const target = new LocalTarget(undefined);
    const ownName = async (path: string) => outputOf(await target.ask({ kind: 'read', path }, Date.now() + 5000)).trim();
    expect(await ownName('/proc/self/comm')).not.toBe('head');
    expect(await ownName('/proc/../proc/self/comm')).toBe('head');
    expect(await ownName('/proc/self/root/proc/self/comm')).toBe('head');
  });
});

describe('journal', () => {
  const journal = async (stateDir: ConstructorParameters<typeof LocalTarget>[0]) => {
    const answer = await new LocalTarget(stateDir).ask({ kind: 'journal' }, soon());
    return answer.state === 'ok' ? JSON.parse(Buffer.from(answer.out).toString()) : answer;
  };

  it('is empty where nothing was ever repaired', async () => {
    expect(await journal(undefined)).toEqual([]);
    expect(await journal(scratch())).toEqual([]);
    expect(await journal(join(scratch(), 'absent'))).toEqual([]);
  });

  it('tells of what was begun and never ended, and not of what another process carries out now', async () => {
    const step = setting('a', 'off', 'on');
    const stateDir = await new FakeHost([step], { a: 'off' }).journalled(...acted(0, step, 'started'));
    const open = {
      run: 'run-1',
      by: 'root',
      subject: { kind: 'thing', name: 'x' },
      goesBack: false,
      steps: [{ title: 'Set a', state: 'begun' }],
    };
    expect(await journal(stateDir)).toMatchObject([open]);
    const lock = takeLock(stateDir, 'run-1');
    expect(await journal(stateDir)).toEqual([]);
    lock.release();
    const other = takeLock(stateDir, 'run-2');
    expect(await journal(stateDir)).toMatchObject([open]);
    other.release();
    // The lock of a process that was killed.
    const dead = { pid: 1, startTime: 'never', since: '', run: 'run-1' };
    writeFileSync(join(stateDir, 'lock-holder.json'), JSON.stringify(dead));
    expect(await journal(stateDir)).toMatchObject([open]);
  });

  it('is denied where it cannot be read or understood, and is not touched', async () => {
    const stateDir = await new FakeHost([setting('a', 'off', 'on')], { a: 'off' }).journalled();
    const file = join(stateDir, 'journal.jsonl');
    appendFileSync(file, 'garbage\n{"torn');
    const before = readFileSync(file);
    expect(await journal(stateDir)).toMatchObject({
      state: 'denied',
      why: expect.stringContaining('line 2: expected an event of a repair, found garbage'),
    });
    expect(readFileSync(file)).toEqual(before);
    const isDirectory = scratch();
    mkdirSync(join(isDirectory, 'journal.jsonl'));
    expect(await journal(isDirectory)).toMatchObject({ state: 'denied' });
  });

  it('is not asked for where the state directory may hang', async () => {
    expect(await journal({ unusable: 'it lies on a network mount' })).toMatchObject({
      state: 'unreachable',
      why: 'it lies on a network mount',
    });
  });
});
