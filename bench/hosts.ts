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

const scratch = mkdtempSync(join(tmpdir(), 'stdoctor-bench-'));
const port = await freePort();
const sshd = startSshd();
// As our target finds it: by the search path.
process.env['PATH'] = `${join(scratch, 'bin')}:${process.env['PATH']}`;
try {
  await answers('h0');
  console.log(`Node ${process.version}, medians of ${ROUNDS}; ${QUESTIONS} questions a host\n`);
  await compare('1 host', 1, 2);
  await compare(`${HOSTS} hosts, ${AT_ONCE} at a time`, HOSTS, 1.5);
} finally {
  sshd.kill('SIGTERM');
  rmSync(scratch, { recursive: true, force: true });
}

async function compare(name: string, hosts: number, goal: number): Promise<void> {
  const bare: number[] = [];
  const own: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    bare.push(await timed(hosts, bareSsh));
    own.push(await timed(hosts, questions));
  }
  const ratio = (median(own) / median(bare)).toFixed(1);
  console.log(
    `${name.padEnd(28)} x ${ratio.padStart(4)}   (${median(own).toFixed(0)} ms against ${median(bare).toFixed(0)} ms for ssh host true, goal ${goal})`,
  );
}

async function timed(hosts: number, work: (host: string) => Promise<void>): Promise<number> {
  const limit = pLimit(AT_ONCE);
  const started = performance.now();
  await Promise.all(Array.from({ length: hosts }, (_, index) => limit(() => work(`h${index}`))));
  return performance.now() - started;
}

function bareSsh(host: string): Promise<void> {
  return new Promise((done, failed) => {
    spawn('ssh', ['-o', 'BatchMode=yes', host, 'true'], { stdio: 'ignore' }).on('close', (code) =>
      code === 0 ? done() : failed(new Error(`ssh ${host} true: exit code ${code}`)),
    );
  });
}

async function questions(host: string): Promise<void> {
  const target = new SshTarget({ name: host, sudo: false, state: undefined, lifeMs: 60_000 });
  const until = Date.now() + 60_000;
  const asked = await Promise.all(
    Array.from({ length: QUESTIONS }, (_, index) => target.ask({ kind: 'run', argv: ['true'], take: String(index) }, until)),
  );
  const failed = asked.find(({ state }) => state !== 'ok');
  if (failed !== undefined) {
    throw new Error(JSON.stringify(failed));
  }
  await target.close();
}

function startSshd() {
  const at = (name: string) => join(scratch, name);
  for (const name of ['host', 'user']) {
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', at(name)]);
  }
  const serves = [`Port ${port}`, 'ListenAddress 0.0.0.0', `HostKey ${at('host')}`, `AuthorizedKeysFile ${at('user.pub')}`];
  writeFileSync(at('sshd_config'), [...serves, 'UsePAM no', 'PidFile none', 'StrictModes no', 'MaxStartups 1000', ''].join('\n'));
  const key = readFileSync(at('host.pub'), 'latin1').split(' ').slice(0, 2).join(' ');
  const addresses = Array.from({ length: HOSTS }, (_, index) => `127.0.1.${index + 1}`);
  writeFileSync(at('known_hosts'), addresses.map((address) => `[${address}]:${port} ${key}\n`).join(''));
  const hosts = addresses.map((address, index) => `Host h${index}\n  HostName ${address}\n`);
  writeFileSync(
    at('ssh_config'),
    `${hosts.join('')}Host *\n  Port ${port}\n  IdentityFile ${at('user')}\n  UserKnownHostsFile ${at('known_hosts')}\n`,
  );
  const ssh = execFileSync('sh', ['-c', 'command -v ssh'], { encoding: 'utf8' }).trim();
  mkdirSync(at('bin'));
  writeFileSync(at('bin/ssh'), `#!/bin/sh\nexec ${ssh} -F ${at('ssh_config')} "$@"\n`);
  chmodSync(at('bin/ssh'), 0o755);
  mkdirSync('/run/sshd', { recursive: true });
  return spawn('/usr/sbin/sshd', ['-D', '-f', at('sshd_config')], { stdio: 'ignore' });
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
