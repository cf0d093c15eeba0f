/** The program in real shells: `ssh` is a script that starts one here. */
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { scratch } from '../../../test/scratch.ts';
import type { Name } from '../../names.ts';
import { familyOf } from './answer.ts';
import { parseDestination } from './destination.ts';
import type { Refusal } from './failures.ts';
import { Session } from './session.ts';

const SHELLS = ['dash', 'bash', 'busybox sh'].filter((shell) => existsSync(`/bin/${shell.split(' ')[0]}`));
/** By what a question is started, and how `ssh` comes to that. */
const ENGINES: [engine: string, script: string][] = [
  ['perl', 'exec setsid -w sh'],
  ...SHELLS.map((shell): [string, string] => [shell, withoutPerl(`exec ${shell}`)]),
];
const USUAL = '/usr/bin:/bin:/usr/sbin:/sbin';

/** `script` stands for ssh; a session of its own, for the program kills its group. */
async function open(script: string, limitMs = 5000, lifeMs = 60_000): Promise<Session | Refusal> {
  const bin = scratch();
  writeFileSync(join(bin, 'ssh'), `#!/bin/sh\n${script}\n`);
  chmodSync(join(bin, 'ssh'), 0o755);
  const opened = await Session.open({
    destination: parseDestination('h'),
    sudo: false,
    searchPath: `${bin}:${USUAL}`,
    until: Date.now() + limitMs,
    lifeMs,
  });
  if (opened instanceof Session) {
    onTestFinished(() => opened.close());
  }
  return opened;
}

function withoutPerl(shell: string): string {
  return `exec setsid -w sh -c 'sed -u "s/have perl/false/" | ${shell}'`;
}

async function session(script = 'exec setsid -w sh', lifeMs?: number): Promise<Session> {
  const opened = await open(script, 5000, lifeMs);
  expect(opened).toBeInstanceOf(Session);
  return opened as Session;
}

/** Processes whose command line holds the word. */
function processesWith(word: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0').includes(word);
      } catch {
        return false;
      }
    });
}

const ALL_BYTES = Buffer.from(Array.from({ length: 256 }, (_, index) => index));

describe.each(ENGINES)('with %s', (engine, script) => {
  it('that is what a question is started by', async () => {
    const at = await session(script);
    const { out } = await at.ask(['sh', '-c', 'cat /proc/$PPID/comm'], 5000, 100);
    expect(out.toString()).toBe(`${engine.split(' ')[0]}\n`);
  });

  it('every byte comes through, as output and as an argument', async () => {
    const at = await session(script);
    const file = join(scratch(), 'all');
    writeFileSync(file, Buffer.concat(Array.from({ length: 400 }, () => ALL_BYTES)));
    const read = await Promise.all([1, 2, 3, 4].map(() => at.ask(['cat', file], 5000, 1 << 20)));
    for (const end of read) {
      expect(end).toMatchObject({ state: 'exited', code: 0, err: '' });
      expect(end.out.equals(readFileSync(file))).toBe(true);
    }
    const words: Name[] = ["it's", '', '$(id)', '`id`', 'a\nb', '*', '!', { base64: ALL_BYTES.subarray(1).toString('base64') }];
    const said = await at.ask(['printf', '%s|', ...words], 5000, 4096);
    const expected = Buffer.concat(
      words.flatMap((word) => [typeof word === 'string' ? Buffer.from(word) : ALL_BYTES.subarray(1), Buffer.from('|')]),
    );
    expect(said.out.equals(expected)).toBe(true);
  });

  it('exit codes, complaints, what is not there and what may not be run', async () => {
    const at = await session(script);
    expect(await at.ask(['sh', '-c', 'echo out; echo err >&2; exit 7'], 5000, 100)).toMatchObject({
      state: 'exited',
      code: 7,
      err: 'err\n',
    });
    expect(await at.ask(['sh', '-c', 'exit 255'], 5000, 100)).toMatchObject({ state: 'exited', code: 255 });
    expect(await at.ask(['nonesuch', '-x'], 5000, 100)).toMatchObject({ state: 'not-started', errno: 'ENOENT' });
    expect(await at.ask(['/etc/passwd'], 5000, 100)).toMatchObject({ state: 'not-started', errno: 'EACCES' });
    expect(await at.ask([], 5000, 100)).toMatchObject({ state: 'not-started' });
    expect(await at.ask(['a\0b'], 5000, 100)).toMatchObject({ state: 'not-started' });
    expect(await at.ask(['-x'], 5000, 100)).toMatchObject({ state: 'not-started' });
  });

  it('more than was asked for is not kept, and others are answered meanwhile', async () => {
    const at = await session(script);
    const endless = at.ask(['cat', '/dev/zero'], 5000, 100_000);
    expect(await at.ask(['echo', 'hi'], 5000, 100)).toMatchObject({ state: 'exited', out: Buffer.from('hi\n') });
    expect((await endless).state).toBe('too-much');
  });

  it('no more complaints are kept than that', async () => {
    const at = await session(script);
    const { state, err } = await at.ask(['sh', '-c', 'yes >&2'], 5000, 100_000);
    expect([state, err.length]).toEqual(['exited', 100_001]);
  });

  it('one that closes its output and runs on has ended when it ends', async () => {
    const at = await session(script);
    const end = await at.ask(['sh', '-c', 'echo hi; exec >&- 2>&-; sleep 0.3; exit 5'], 5000, 100);
    expect(end).toMatchObject({ state: 'exited', code: 5, out: Buffer.from('hi\n') });
  });

  it('thousands of words', async () => {
    const at = await session(script);
    const words = Array.from({ length: 5000 }, (_, index) => `/some/where/it's ${index}`);
    const { out } = await at.ask(['sh', '-c', 'printf "%s\n" "$@"', 'sh', ...words], 10_000, 1 << 20);
    expect(out.toString()).toBe(words.map((word) => `${word}\n`).join(''));
  });

  it('input, if it wants any, is at its end', async () => {
    const at = await session(script);
    expect(await at.ask(['cat'], 5000, 100)).toMatchObject({ state: 'exited', code: 0, out: Buffer.alloc(0) });
  });

  it('ends itself at the end of its life, and what was asked with it, whatever became of the connection', async () => {
    const word = `${518_000 + Math.floor(Math.random() * 999)}.5`;
    const at = await session(script, 1000);
    const asked = await at.ask(['sh', '-c', `trap '' TERM; sleep ${word}; sleep ${word}`], 10_000, 100);
    expect(asked.state).toBe('lost');
    await expect.poll(() => processesWith(word), { timeout: 5000 }).toEqual([]);
  });

  it('at its limit a question is ended with all it started, and what it said is kept', async () => {
    const at = await session(script);
    const word = `${314_000 + Math.floor(Math.random() * 999)}.5`;
    const end = await at.ask(['sh', '-c', `echo begun; trap '' TERM; sleep ${word} & sleep ${word}`], 300, 100);
    expect(end).toMatchObject({ state: 'given-up', out: Buffer.from('begun\n') });
    expect(end).not.toHaveProperty('leaked');
    await expect.poll(() => processesWith(word)).toEqual([]);
    expect(await at.ask(['echo', 'hi'], 5000, 100)).toMatchObject({ state: 'exited' });
  });

  it('of one that may hang for good, what it said until then is told though its pipes stay open', async () => {
    const at = await session(script);
    const word = `${415_000 + Math.floor(Math.random() * 999)}.5`;
    // What a child in D state is to us: it holds the pipes, and no signal of ours reaches it.
    const holder = `setsid sleep ${word} & printf 'a\\0b'; echo c >&2; sleep ${word}`;
    const started = Date.now();
    const end = await at.ask(['sh', '-c', holder], 500, 100, { suspect: true, graceMs: 10_000 });
    expect(end).toMatchObject({ state: 'given-up', out: Buffer.from('a\0b'), err: 'c\n' });
    // Nobody waits for what cannot come.
    expect(Date.now() - started).toBeLessThan(8000);
    for (const pid of processesWith(word)) {
      process.kill(pid, 'SIGKILL');
    }
    expect(await at.ask(['sh', '-c', 'printf x; printf y >&2; exit 3'], 5000, 100, { suspect: true })).toMatchObject({
      state: 'exited',
      code: 3,
      out: Buffer.from('x'),
      err: 'y',
    });
  });

  it('the end of the connection ends what was asked, and not what was done', async () => {
    const at = await session(script);
    const [asked, deaf, done] = [271_000, 372_000, 161_000].map((from) => `${from + Math.floor(Math.random() * 999)}.5`) as [
      string,
      string,
      string,
    ];
    void at.ask(['sleep', asked], 60_000, 100);
    void at.ask(['sh', '-c', `trap '' TERM; sleep ${deaf}; sleep ${deaf}`], 60_000, 100);
    const acted = new Promise<number>((started) => void at.act(['sleep', done], started));
    const pid = await acted;
    await expect.poll(() => [...processesWith(asked), ...processesWith(deaf)]).toHaveLength(2);
    await at.close();
    await expect.poll(() => [...processesWith(asked), ...processesWith(deaf)], { timeout: 5000 }).toEqual([]);
    expect(processesWith(done)).toEqual([pid]);
    process.kill(pid, 'SIGKILL');
  });

  it('leaves no process behind when it goes', async () => {
    const before = new Set(processesWith('60'));
    const at = await session(script);
    await at.ask(['true'], 5000, 100);
    await at.close();
    await expect.poll(() => processesWith('60').filter((pid) => !before.has(pid))).toEqual([]);
  });
});

it.each(SHELLS)('perl is started by %s', async (shell) => {
  const at = await session(`exec setsid -w ${shell}`);
  expect((await at.ask(['sh', '-c', 'cat /proc/$PPID/comm'], 5000, 100)).out.toString()).toBe('perl\n');
});

it('goes on without a perl that does not work', async () => {
  const bin = scratch();
  writeFileSync(join(bin, 'perl'), '#!/bin/sh\nexit 2\n', { mode: 0o755 });
  const at = await session(`exec setsid -w sh -c 'sed -u "s|^PATH=|PATH=${bin}:|" | exec dash'`);
  expect((await at.ask(['sh', '-c', 'cat /proc/$PPID/comm'], 5000, 100)).out.toString()).toBe('dash\n');
});

it.skipIf(!existsSync('/usr/bin/script')).each(ENGINES)('with %s nothing that is asked finds a terminal', async (_, script) => {
  const inTerminal = `exec script -qefc ${JSON.stringify(`( ${script.replace('exec setsid -w ', 'exec ')} ) <&3 >&4`).replaceAll('$', '\\$')} /dev/null 3<&0 4>&1 </dev/null >/dev/null`;
  const at = await session(inTerminal);
  expect(await at.ask(['sh', '-c', ': </dev/tty'], 5000, 1000)).toMatchObject({ state: 'exited', code: 2 });
});

it('answers in hexadecimal where there is no base64', async () => {
  const bin = join(scratch(), 'bin');
  mkdirSync(bin);
  for (const tool of ['sh', 'od', 'tr', 'fold', 'head', 'setsid', 'id', 'cat', 'sleep']) {
    symlinkSync(`/usr/bin/${tool}`, join(bin, tool));
  }
  const at = await session(`exec setsid -w sh -c 'sed -u "s|^PATH=[^;]*|PATH=${bin}|" | sh'`);
  const file = join(scratch(), 'all');
  writeFileSync(file, ALL_BYTES);
  expect((await at.ask(['cat', file], 5000, 1000)).out.equals(ALL_BYTES)).toBe(true);
});

describe('no session', () => {
  it.each([
    ['echo "ssh: connect to host h port 22: Connection refused" >&2; exit 255', 'unreachable: nothing listens there'],
    ['echo "This account is currently not available."; exit 1', 'denied: there is no shell for us, but: This account is currently'],
    ['exit 0', 'denied: there is no shell for us: the connection was closed without a word'],
    ['yes', 'denied: there is no shell for us, but output without end: y'],
    ['cat >/dev/null; sleep 60', 'unreachable: no answer within 1 s'],
    [`exec setsid -w sh -c 'sed -u "s|^PATH=[^;]*|PATH=/nonesuch|" | sh'`, 'denied: the host lacks the tools to answer in'],
  ])('%s', async (script, reason) => {
    const { state, why } = (await open(script, 1000)) as Refusal;
    expect(`${state}: ${why}`).toContain(reason);
  });

  it('tries again, once, where the connection is dropped', async () => {
    const mark = join(scratch(), 'tried');
    const script = `[ -e ${mark} ] && exec setsid -w sh; touch ${mark}; echo "kex_exchange_identification: Connection closed by remote host" >&2; exit 255`;
    expect(await open(script, 10_000)).toBeInstanceOf(Session);
  });
});

describe('a connection that ends or lies', () => {
  it('what was under way is lost, with the reason; what comes after it too', async () => {
    const file = join(scratch(), 'pid');
    const at = await session(`exec setsid -w sh -c 'echo $$ >${file}; exec sh'`);
    const under = at.ask(['sh', '-c', 'sleep 3'], 20_000, 100);
    await sleep(300);
    process.kill(-Number(readFileSync(file, 'utf8')), 'SIGKILL');
    expect(await under).toMatchObject({ state: 'lost', why: 'the connection was lost' });
    expect(await at.ask(['true'], 1000, 10)).toMatchObject({ state: 'lost', why: 'the connection was lost' });
    expect(at.gone).toEqual({ state: 'unreachable', why: 'the connection was lost' });
  });

  it('what is ended by a signal from elsewhere is no answer', async () => {
    const at = await session();
    expect(await at.ask(['sh', '-c', 'kill -TERM $$; sleep 5'], 5000, 10)).toMatchObject({
      state: 'lost',
      why: 'its command was ended by signal 15',
    });
  });

  it.each(['999 X 0', '1 O ????', 'garbage'])('%s in the middle of the answers ends it', async (line) => {
    const at = await session(`exec setsid -w sh -c 'sh | sed -u "s/^1 P .*/${line}/"'`);
    const end = await at.ask(['sleep', '1'], 3000, 100);
    expect([end.state, at.gone?.why]).toEqual(['lost', expect.stringMatching(/what our program does not send|what was not asked/)]);
  });
});

describe('familyOf', () => {
  it('the deepest that sleeps, and the last that lives on', () => {
    const stat = (pid: number, state: string) => `${pid} (x) ${state} 1 ${pid} ${pid} 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 ${pid}00 0 0\n`;
    const text = `7 do_wait\n8 request_wait_answer\n9 0\n--\n${stat(7, 'Z')}${stat(8, 'D')}`;
    expect(familyOf(text)).toEqual({ wchan: 'request_wait_answer', leaked: { pid: 8, startTime: '800' } });
    expect(familyOf('7 \n--\n')).toEqual({});
    expect(familyOf('')).toEqual({});
  });
});
