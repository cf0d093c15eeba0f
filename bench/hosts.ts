/**
 * What questions over ssh cost beside ssh itself: `ssh host true`, with the same sshd on loopback. All hosts are this
 * machine, so it also does their work. Nothing is asserted. Needs sshd (openssh-server).
 */
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pLimit from 'p-limit';
import { SshTarget } from '../src/target/ssh.ts';
import { median } from './measure.ts';

const QUESTIONS = 30;
const HOSTS = 40;
const AT_ONCE = 20;
const ROUNDS = 7;
/** What is asked, of which hosts: those with Perl (h0, h1, …), or those without (s0, s1, …). */
const SHAPES = [
  { name: 'true', argv: ['true'], kind: 'h' },
  { name: 'cat /proc/uptime', argv: ['cat', '/proc/uptime'], kind: 'h' },
  { name: 'cat, without Perl there', argv: ['cat', '/proc/uptime'], kind: 's' },
] as const;

const scratch = mkdtempSync(join(tmpdir(), 'stdoctor-bench-'));
const ports = { h: await freePort(), s: await freePort() };
const servers = startServers();
// As our target finds it: by the search path.
process.env['PATH'] = `${join(scratch, 'bin')}:${process.env['PATH']}`;
try {
  await answers('h0');
  await answers('s0');
  console.log(`Node ${process.version}, medians of ${ROUNDS}; ${QUESTIONS} questions a host, against ssh host true\n`);
  await compare('1 host', 1, 2);
  await compare(`${HOSTS} hosts, ${AT_ONCE} at a time`, HOSTS, 1.5);
} finally {
  for (const server of servers) {
    server.kill('SIGTERM');
  }
  rmSync(scratch, { recursive: true, force: true });
}

async function compare(name: string, hosts: number, goal: number): Promise<void> {
  const bare: number[] = [];
  const own = SHAPES.map((): number[] => []);
  for (let round = 0; round < ROUNDS; round++) {
    bare.push(await timed(hosts, (nth) => bareSsh(`h${nth}`)));
    for (const [index, { argv, kind }] of SHAPES.entries()) {
      own[index]?.push(await timed(hosts, (nth) => questions(`${kind}${nth}`, argv)));
    }
  }
  console.log(`${name}: ssh host true takes ${median(bare).toFixed(0)} ms, goal x ${goal}`);
  SHAPES.forEach((shape, index) => {
    const taken = median(own[index] as number[]);
    console.log(`  ${shape.name.padEnd(26)} x ${(taken / median(bare)).toFixed(2)}   (${taken.toFixed(0)} ms)`);
  });
}

async function timed(hosts: number, work: (nth: number) => Promise<void>): Promise<number> {
  const limit = pLimit(AT_ONCE);
  const started = performance.now();
  await Promise.all(Array.from({ length: hosts }, (_, index) => limit(() => work(index))));
  return performance.now() - started;
}

function bareSsh(host: string): Promise<void> {
  return new Promise((done, failed) => {
    spawn('ssh', ['-o', 'BatchMode=yes', host, 'true'], { stdio: 'ignore' }).on('close', (code) =>
      code === 0 ? done() : failed(new Error(`ssh ${host} true: exit code ${code}`)),
    );
  });
}

async function questions(host: string, argv: readonly string[]): Promise<void> {
  const target = new SshTarget({ name: host, sudo: false, state: undefined, lifeMs: 60_000 });
  const until = Date.now() + 60_000;
  const asked = await Promise.all(
    Array.from({ length: QUESTIONS }, (_, index) => target.ask({ kind: 'run', argv, take: String(index) }, until)),
  );
  const failed = asked.find(({ state }) => state !== 'ok');
  if (failed !== undefined) {
    throw new Error(JSON.stringify(failed));
  }
  await target.close();
}

function startServers() {
  const at = (name: string) => join(scratch, name);
  for (const name of ['host', 'user']) {
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', at(name)]);
  }
  const serves = ['ListenAddress 0.0.0.0', `HostKey ${at('host')}`, `AuthorizedKeysFile ${at('user.pub')}`];
  writeFileSync(at('sshd_config'), [...serves, 'UsePAM no', 'PidFile none', 'StrictModes no', 'MaxStartups 1000', ''].join('\n'));
  const key = readFileSync(at('host.pub'), 'latin1').split(' ').slice(0, 2).join(' ');
  const hosts = Object.entries(ports).flatMap(([kind, port]) =>
    Array.from({ length: HOSTS }, (_, index) => ({ alias: `${kind}${index}`, address: `127.0.1.${index + 1}`, port })),
  );
  writeFileSync(at('known_hosts'), hosts.map(({ address, port }) => `[${address}]:${port} ${key}\n`).join(''));
  const sections = hosts.map(({ alias, address, port }) => `Host ${alias}\n  HostName ${address}\n  Port ${port}\n`);
  writeFileSync(at('ssh_config'), `${sections.join('')}Host *\n  IdentityFile ${at('user')}\n  UserKnownHostsFile ${at('known_hosts')}\n`);
  const ssh = execFileSync('sh', ['-c', 'command -v ssh'], { encoding: 'utf8' }).trim();
  mkdirSync(at('bin'));
  writeFileSync(at('bin/ssh'), `#!/bin/sh\nexec ${ssh} -F ${at('ssh_config')} "$@"\n`);
  chmodSync(at('bin/ssh'), 0o755);
  mkdirSync('/run/sshd', { recursive: true });
  const sshd = (port: number) => ['/usr/sbin/sshd', '-D', '-p', String(port), '-f', at('sshd_config')];
  const withoutPerl = 'while p=$(command -v perl); do mount --bind /dev/null "$(realpath "$p")" || exit; done; exec "$@"';
  return [
    ['env', ...sshd(ports.h)],
    ['unshare', '-m', '--propagation', 'private', 'sh', '-c', withoutPerl, 'sh', ...sshd(ports.s)],
  ].map(([file, ...args]) => spawn(file as string, args, { stdio: 'ignore' }));
}

async function answers(host: string): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      await bareSsh(host);
      return;
    } catch (error) {
      if (tries === 20) {
        throw error;
      }
      await sleep(100);
    }
  }
}

function freePort(): Promise<number> {
  return new Promise((done) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port: free } = server.address() as { port: number };
      server.close(() => done(free));
    });
  });
}
