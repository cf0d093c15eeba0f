/** Other hosts over ssh: the same verdicts as on the spot, a sentence for each that cannot be asked, and nothing left there. */
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FULL } from '../full.ts';
import { found, outcomes } from './compare.ts';
import { Fleet, type RelayedHost } from './fleet.ts';
import { actsOf, deletedSource, journalOf, said } from './midway.ts';
import { type Ran, type Report, ROOT, stateOf, until, World } from './world.ts';

const FIX = ['fix', 'zombie-mounts', '--json'] as const;
/** What questions are started by there: as most hosts would, or as those without Perl. */
const ENGINES = ['perl', 'sh'] as const;
/** Of what takes long, once is enough for every day. */
const LONG = FULL ? ENGINES : (['perl'] as const);
type Engine = (typeof ENGINES)[number];
/** How long a host may take to end what nobody waits for any more. */
const GONE_WITHIN = 5000;

function inFleet(work: (fleet: Fleet, world: World) => Promise<void>, engine: Engine = 'perl'): () => Promise<void> {
  return async () => {
    const world = await World.open();
    try {
      const fleet = await Fleet.open(world, engine);
      try {
        await work(fleet, world);
      } finally {
        await fleet.close();
      }
    } finally {
      await world.close();
    }
  };
}

/** Looks seldom: each look goes through all processes of the machine. */
async function eventually(holds: () => boolean, limitMs = 10_000): Promise<boolean> {
  for (const end = Date.now() + limitMs; !holds(); await sleep(150)) {
    if (Date.now() > end) {
      return false;
    }
  }
  return true;
}

function to(hosts: readonly string[]): string[] {
  return hosts.flatMap((host) => ['--host', host]);
}

async function check(
  world: World,
  hosts: readonly string[],
  ...args: string[]
): Promise<{ code: number; report: Report; targets: Report[]; ms: number }> {
  const { code, report, ms } = await world.check(...to(hosts), ...args);
  expect(report.targets.map(({ name }: Report) => name)).toEqual(hosts);
  return { code, report, targets: report.targets, ms };
}

function checkOf(target: Report): Report {
  return target.checks.find(({ id }: Report) => id === 'zombie-mounts');
}

/** What would have to be asked there is unknown, for the same reason; what is known here of earlier repairs stands. */
function expectUnasked(target: Report, reason: RegExp): void {
  expect(target).toMatchObject({ kind: 'host', via: 'ssh', findings: [], reason: expect.stringMatching(reason) });
  expect(checkOf(target)).toMatchObject({ outcome: 'unknown', reason: target.reason, unjudged: [] });
}

/** Nothing is found and nothing left open; what is about the whole machine, and so about other worlds, aside. */
function expectWell(target: Report): void {
  expect(target).toMatchObject({ kind: 'host', via: 'ssh', reason: null, findings: [] });
  expect(checkOf(target).unjudged).toEqual([]);
}

function expectValid(schema: 'report-1' | 'repair-1' | 'history-1' | 'plan-1', document: Report): void {
  const validate = new Ajv2020({ allErrors: true, strict: true, allowUnionTypes: true }).compile(
    JSON.parse(readFileSync(join(ROOT, 'docs/schema', `${schema}.schema.json`), 'utf8')),
  );
  validate(document);
  expect(validate.errors ?? []).toEqual([]);
}

/** What a finding is, without when it was seen. */
function timeless(finding: Report): Report {
  return JSON.parse(JSON.stringify(finding, (key, value) => (key === 'at' ? undefined : value)));
}

/** Fails where more than this is left of what ran on the hosts. */
async function expectNothingLeft(fleet: Fleet, but: readonly number[] = []): Promise<void> {
  const left = () => fleet.sessions().filter((pid) => !but.includes(pid));
  if (!(await eventually(() => left().length === 0, GONE_WITHIN))) {
    expect(left().map(Fleet.describe)).toEqual([]);
  }
}

/** The command of this name takes its time on the hosts of this world. */
async function slowly(world: World, command: string, seconds: number): Promise<void> {
  const path = (await world.run(['sh', '-c', `realpath "$(command -v ${command})"`])).stdout.trim();
  const [real, slow] = [world.path(`${command}.real`), world.path(`${command}.slow`)];
  copyFileSync(path, real);
  chmodSync(real, 0o755);
  writeFileSync(slow, `#!/bin/sh\nsleep ${seconds}\nexec ${real} "$@"\n`, { mode: 0o755 });
  await world.run(['mount', '--bind', slow, path]);
}

/** Until the act of this step has begun. */
function begun(world: World, step: number): Promise<void> {
  return until(() => journalOf(world).some((line) => line.event === 'started' && line.step === step), 20_000);
}

/** The program, and the most memory that it or one of its children ever had, in bytes. */
async function measured(world: World, args: readonly string[]): Promise<Ran & { rss: number }> {
  const file = world.path('rss');
  const script = [
    'import resource, subprocess, sys',
    'code = subprocess.call(sys.argv[2:])',
    'open(sys.argv[1], "w").write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))',
    'sys.exit(code)',
  ].join('\n');
  const ran = await world.stdoctor(args, { prefix: ['python3', '-c', script, file] });
  return { ...ran, rss: Number(readFileSync(file, 'utf8')) * 1024 };
}

describe.concurrent.each(ENGINES)('hosts of every kind, asked at once, with %s', (engine) => {
  let world: World;
  let fleet: Fleet;
  let relay: RelayedHost;
  let targets: Map<string, Report>;
  let ran: { code: number; report: Report; ms: number };
  const asked: string[] = [];
  /** By the name of the kind. */
  const reasons: Record<string, RegExp> = {
    refused: /^unreachable: .*refused/,
    unanswered: /^unreachable: .*(no answer|timed out)/,
    silent: /^unreachable: .*(does not answer|no answer|timed out)/,
    'banner-then-silent': /^unreachable: .*(does not answer|no answer|timed out)/,
    garbage: /^unreachable: .*(does not answer|no answer|timed out|no SSH server)/,
    'garbage-then-end': /^unreachable: .*(closed|no SSH server)/,
    endless: /^unreachable: .*no SSH server/,
    'endless-lines': /^unreachable: .*no SSH server/,
    'banner-then-garbage': /^unreachable: .*no SSH server/,
    'old-protocol': /^unreachable: .*no SSH server/,
    drops: /^unreachable: .*closed/,
    resets: /^unreachable: .*(closed|reset)/,
    'unknown-key': /^denied: .*host key is unknown/,
    'changed-key': /^denied: .*host key has CHANGED/,
    unauthorized: /^denied: .*permission denied/i,
    'lying-banner': /^denied: .*permission denied/i,
    'asks-password': /^denied: .*permission denied/i,
    unresolvable: /^unreachable: .*name cannot be resolved/,
    'no-login': /^denied: .*no shell.*This account is currently not available/,
    'no-shell': /^denied: .*no shell.*Only git is served here/,
    'no-shell, escapes': /^denied: .*no shell.*evil/,
    'sends-without-end': /^denied: .*no shell.*nothing of interest/,
    'stuck-shell': /^unreachable: .*no answer within/,
    'via refused': /^unreachable: .*refused/,
    'via unanswered': /^unreachable: .*(does not answer|no answer|timed out)/,
    'via banner-then-silent': /^unreachable: .*(does not answer|no answer|timed out)/,
    'via unknown-key': /^denied: .*host key is unknown/,
    'via changed-key': /^denied: .*host key has CHANGED/,
    'via unauthorized': /^denied: .*permission denied/i,
  };
  const wells = ['healthy', 'address', 'noisy', 'busy', 'via healthy', 'sudoer', 'relay', 'shells'];

  beforeAll(async () => {
    world = await World.open();
    fleet = await Fleet.open(world, engine);
    const kinds = new Map<string, string>();
    const bad: Record<string, () => string | Promise<string>> = {
      refused: () => fleet.refused(),
      unanswered: () => fleet.unanswered(),
      silent: () => fleet.silent(),
      'banner-then-silent': () => fleet.bannerThenSilent(),
      garbage: () => fleet.garbage(),
      'garbage-then-end': () => fleet.garbageThenEnd(),
      endless: () => fleet.endless(),
      'endless-lines': () => fleet.endlessLines(),
      'banner-then-garbage': () => fleet.bannerThenGarbage(),
      'old-protocol': () => fleet.oldProtocol(),
      drops: () => fleet.drops(),
      resets: () => fleet.resets(),
      'unknown-key': () => fleet.unknownKey(),
      'changed-key': () => fleet.changedKey(),
      unauthorized: () => fleet.unauthorized(),
      'lying-banner': () => fleet.lyingBanner(),
      'asks-password': () => fleet.asksPassword(),
      unresolvable: () => fleet.unresolvable(),
      'no-login': () => fleet.noLogin(),
      'no-shell': () => fleet.noShell(),
      'no-shell, escapes': () => fleet.noShell("printf '\\033[2J\\033[31mevil\\007\\302\\233m\\377\\n'"),
      'sends-without-end': () => fleet.sendsWithoutEnd(),
      'stuck-shell': () => fleet.stuckShell(),
    };
    for (const [kind, make] of Object.entries(bad)) {
      kinds.set(kind, await make());
    }
    for (const kind of Object.keys(reasons).filter((name) => name.startsWith('via '))) {
      kinds.set(kind, fleet.viaJump(kinds.get(kind.slice(4)) as string));
    }
    kinds.set('healthy', fleet.healthy());
    kinds.set('address', fleet.address());
    kinds.set('noisy', fleet.noisy());
    kinds.set('busy', await fleet.busy());
    kinds.set('via healthy', fleet.viaJump());
    kinds.set('sudoer', fleet.sudoer());
    relay = await fleet.relay();
    kinds.set('relay', relay.name);
    const shells = fleet.otherShells();
    expect(shells.length).toBeGreaterThan(0);

    asked.push(...kinds.values(), ...shells);
    const done = await check(world, asked, '--deadline', '12s');
    ran = done;
    const byName = new Map(done.targets.map((target) => [target.name, target]));
    targets = new Map([...kinds].map(([kind, name]) => [kind, byName.get(name)]));
    targets.set(
      'shells',
      shells.map((name) => byName.get(name)),
    );
  });
  afterAll(async () => {
    await fleet.close();
    await world.close();
  });

  it.each(Object.entries(reasons))('%s: could not be asked, and why', (kind, reason) => {
    expectUnasked(targets.get(kind), reason);
  });

  it.each(wells)('%s: is judged', (kind) => {
    for (const target of [targets.get(kind)].flat()) {
      expectWell(target);
      expect(target.host).toEqual(targets.get('healthy').host);
      expect(target.identity).toBe(readFileSync('/etc/machine-id', 'utf8').trim());
    }
  });

  it('one connection carries all that is asked of a host', async () => {
    expect(await relay.connections()).toBe(1);
  });

  it('ends within the deadline, with exit code 3 and a valid report', () => {
    expectValid('report-1', ran.report);
    expect(ran.code).toBe(3);
    expect(ran.ms).toBeLessThan(17_500);
  });

  it('leaves nothing there', async () => {
    // What never was ours, its own shell, ends with the connection, or when it writes.
    await expectNothingLeft(
      fleet,
      fleet.sessions().filter((pid) => /^sleep 1000/.test(Fleet.describe(pid))),
    );
  });

  it('leaves nothing here: no ssh, neither our own nor that of a jump, however little time there was', async () => {
    const hosts = [await fleet.silent(), await fleet.bannerThenSilent()];
    await check(world, [...hosts, ...hosts.map((host) => fleet.viaJump(host))], '--deadline', '1500ms');
    await eventually(() => fleet.clients().length === 0, GONE_WITHIN);
    expect(fleet.clients().map(Fleet.describe)).toEqual([]);
  });
});

describe.concurrent.each(LONG)('the same as on the spot, with %s', (engine) => {
  it(
    'a dead mount: found with the same evidence, recorded, repaired, and told in the history',
    inFleet(async (fleet, world) => {
      const host = fleet.healthy();
      const dead = await world.sshfs('dead');
      await world.sshfs('healthy');
      await dead.kill();
      const here = (await world.check()).report;
      const { code, targets, report } = await check(world, [host]);
      expect(code).toBe(2);
      expectValid('report-1', report);
      expect(found(report)).toEqual([`fuse-dead ${dead.point}`]);
      expect(targets[0].findings.map(timeless)).toEqual(here.targets[0].findings.map(timeless));
      expect(targets[0]).toMatchObject({ name: host, kind: 'host', via: 'ssh', reason: null, identity: here.targets[0].identity });
      expect(targets[0].host).toEqual(here.targets[0].host);

      const recording = world.path('recording');
      await world.stdoctor(['record', 'zombie-mounts', '--host', host, '--output', recording]);
      const replayed = await world.check('--from', recording);
      expect([replayed.code, replayed.report.targets[0].findings.map(timeless)]).toEqual([2, targets[0].findings.map(timeless)]);

      const fixed = await world.stdoctor([...FIX, '--host', host, '--auto', 'safe']);
      expect([fixed.code, outcomes(JSON.parse(fixed.stdout))], fixed.stderr).toEqual([0, ['fuse-dead repaired']]);
      expectValid('repair-1', JSON.parse(fixed.stdout));
      expect(JSON.parse(fixed.stdout).target).toEqual({ name: host, identity: here.targets[0].identity });
      expect(world.mountsAt(dead.point)).toEqual([]);
      expect(actsOf(world)).toEqual(['step 1']);
      const history = await world.stdoctor(['history', '--repairs']);
      expect(history.stdout).toContain(host);
      expect(history.stdout).toContain(`umount -c ${dead.point}`);
      const told = JSON.parse((await world.stdoctor(['history', '--repairs', '--json'])).stdout);
      expectValid('history-1', told);
      expect(told.repairs).toMatchObject([
        { outcome: 'repaired', finding: { id: targets[0].findings[0].id }, acts: [{ ok: true, proven: true }] },
      ]);
      expectWell((await check(world, [host])).targets[0]);
      await expectNothingLeft(fleet);
    }, engine),
  );

  it(
    'a plan of several steps: each is carried out there, and undone there',
    inFleet(async (fleet, world) => {
      const host = fleet.healthy();
      const { point } = await deletedSource(world);
      const fixed = await world.stdoctor([...FIX, '--host', host, '--auto', 'disruptive']);
      expect([fixed.code, outcomes(JSON.parse(fixed.stdout))], fixed.stderr).toEqual([0, ['bind-source-deleted repaired']]);
      expect(world.mountsAt(point)).toHaveLength(1);
      const undone = await world.stdoctor(['undo', '--yes', '--json']);
      expect(outcomes(JSON.parse(undone.stdout)), undone.stderr).toEqual(['bind-source-deleted undone']);
      expect(world.mountsAt(point)).toEqual([]);
      await expectNothingLeft(fleet);
    }, engine),
  );

  it(
    'a plan that was reviewed: carried out on the host it was made for',
    inFleet(async (fleet, world) => {
      const host = fleet.healthy();
      const dead = await world.sshfs('dead');
      await dead.kill();
      const plan = world.path('plan.json');
      const planned = await world.stdoctor(['plan', 'zombie-mounts', '--host', host, '--output', plan]);
      expect([planned.code, world.mountsAt(dead.point).length], planned.stderr).toEqual([1, 1]);
      expectValid('plan-1', JSON.parse(readFileSync(plan, 'utf8')));
      const fixed = await world.stdoctor(['fix', '--plan', plan, '--host', host, '--auto', 'safe', '--json']);
      expect([fixed.code, outcomes(JSON.parse(fixed.stdout))], fixed.stderr).toEqual([0, ['fuse-dead repaired']]);
      expect(world.mountsAt(dead.point)).toEqual([]);
    }, engine),
  );

  it(
    'an image that was deleted: its copy lies on the host, and what the commands printed here',
    inFleet(async (fleet, world) => {
      const host = fleet.healthy();
      await world.run(['mount', '-t', 'tmpfs', 'tmpfs', '/var/lib']);
      const image = await world.image('disk', 'ext4');
      rmSync(image.file);
      const fixed = await world.stdoctor([...FIX, '--host', host, '--auto', 'disruptive']);
      expect([fixed.code, said(fixed)], fixed.stderr).toEqual([
        1,
        [expect.stringMatching(/^unproven: The copy is \/var\/lib\/stdoctor\//)],
      ]);
      const [, copy] = /The copy is (\S+\.img)/.exec(said(fixed)[0] as string) ?? [];
      await world.run(['cmp', image.node, String(copy)]);
      expect((await world.run(['sh', '-c', 'stat -c %a /var/lib/stdoctor; ls /run | grep stdoctor'], { ok: false })).stdout).toBe('700\n');
      expect(existsSync(join(world.state, 'rescue'))).toBe(false);
    }, engine),
  );

  it(
    'hundreds of mounts',
    inFleet(async (fleet, world) => {
      const host = fleet.healthy();
      const script = `
        cd "$1" && mkdir source points && mount -t tmpfs t points
        i=0; while [ $i -lt 400 ]; do mkdir points/$i; echo "$1/source $1/points/$i none bind 0 0"; i=$((i+1)); done > fstab
        mount -a -T fstab`;
      await world.run(['sh', '-ec', script, 'sh', world.dir]);
      const dead = await world.sshfs('dead');
      await dead.kill();
      const { targets, ms } = await check(world, [host]);
      expect(found({ targets })).toEqual([`fuse-dead ${dead.point}`]);
      expect(checkOf(targets[0]).unjudged).toEqual([]);
      expect(checkOf(targets[0]).examined).toBeGreaterThan(400);
      expect(ms).toBeLessThan(15_000);
      await world.run(['sh', '-c', 'umount -R -l "$1"/points', 'sh', world.dir]);
    }, engine),
  );

  it(
    'a hung mount: ends by itself, names the child that cannot be killed, and a second run adds none',
    inFleet(async (fleet, world) => {
      const host = fleet.healthy();
      const hung = await world.sshfs('hung');
      const dead = await world.sshfs('dead');
      await dead.kill();
      hung.silence();
      const first = await check(world, [host], '--deadline', '20s');
      expect(first.ms).toBeLessThan(20_000);
      expect(found(first.report)).toEqual([`fuse-dead ${dead.point}`, `fuse-hung ${hung.point}`]);
      const left = world.childrenNaming(world.dir);
      expect(left).toHaveLength(1);
      expect(JSON.stringify(first.report)).toContain(`pid ${left[0]}`);
      await expectNothingLeft(fleet, left);
      expect(left.map(stateOf)).toEqual(['D']);

      const second = await check(world, [host], '--deadline', '20s');
      expect(found(second.report)).toEqual(found(first.report));
      expect(JSON.stringify(second.report)).toContain(`pid ${left[0]}`);
      expect(world.childrenNaming(world.dir)).toEqual(left);
      await expectNothingLeft(fleet, left);
    }, engine),
  );

  it(
    'who asks decides what is seen: with sudo all, without it what could not be told is said',
    inFleet(async (fleet, world) => {
      const [root, sudoer, plain] = [fleet.healthy(), fleet.sudoer(), fleet.plain()];
      const foreign = await world.sshfs('foreign');
      const all = await check(world, [root, sudoer, plain]);
      expectWell(all.targets[0]);
      expectWell(all.targets[1]);
      expect(checkOf(all.targets[2]).unjudged).toMatchObject([{ subject: { name: foreign.point } }]);
      const without = await check(world, [sudoer], '--no-sudo');
      expect(checkOf(without.targets[0]).unjudged).toMatchObject([{ subject: { name: foreign.point } }]);

      await foreign.kill();
      const [asRoot, asSudoer] = (await check(world, [root, sudoer, plain])).targets;
      expect(asRoot.findings).toHaveLength(1);
      expect(asSudoer.findings.map(timeless)).toEqual(asRoot.findings.map(timeless));
      const refused = await world.stdoctor([...FIX, '--host', plain, '--auto', 'disruptive']);
      expect(refused.code, refused.stdout).not.toBe(0);
      expect(world.mountsAt(foreign.point)).toHaveLength(1);
      const fixed = await world.stdoctor([...FIX, '--host', sudoer, '--auto', 'safe']);
      expect([fixed.code, outcomes(JSON.parse(fixed.stdout))], fixed.stderr).toEqual([0, ['fuse-dead repaired']]);
      await expectNothingLeft(fleet);
    }, engine),
  );

  it(
    'few tools there: other ways are taken, and where there is none left, that is said',
    inFleet(async (fleet, world) => {
      const host = fleet.healthy();
      const dead = await world.sshfs('dead');
      await dead.kill();
      const without = async (...tools: string[]) => {
        for (const tool of tools) {
          await world.run(['sh', '-c', `mount --bind /dev/null "$(realpath /usr/bin/${tool})"`]);
        }
        return (await check(world, [host])).targets[0];
      };
      expect(found({ targets: [await without('setsid', 'base64')] })).toEqual([`fuse-dead ${dead.point}`]);
      if (engine === 'perl') {
        expect(found({ targets: [await without('od')] })).toEqual([`fuse-dead ${dead.point}`]);
      } else {
        expectUnasked(await without('od'), /^denied: .*tools.*base64 or od/);
      }
      await world.run(['umount', '/usr/bin/setsid', '/usr/bin/base64', '/usr/bin/od']);
    }, engine),
  );

  it(
    'names from strangers are the same there',
    inFleet(async (fleet, world) => {
      const host = fleet.healthy();
      const names = ['with space', 'quote\'and"', '$(id)`', 'line\nbreak', 'back\\slash', '-rf', '!bang', 'ünïcode', '*?[x]'];
      const base = await world.sshfs('base');
      for (const name of names) {
        await world.run(['mount', '--bind', base.point, world.directory(`odd/${name}`)]);
      }
      await world.run([
        'sh',
        '-c',
        'd="$1/$(printf "raw\\377\\376")"; mkdir "$d" && mount --bind "$2" "$d"',
        'sh',
        world.path('odd'),
        base.point,
      ]);
      await base.kill();
      const here = (await world.check()).report;
      const { targets } = await check(world, [host]);
      expect(targets[0].findings).toHaveLength(names.length + 2);
      expect(targets[0].findings.map(timeless)).toEqual(here.targets[0].findings.map(timeless));
      const fixed = await world.stdoctor([...FIX, '--host', host, '--auto', 'safe']);
      expect([fixed.code, new Set(outcomes(JSON.parse(fixed.stdout)))], fixed.stderr).toEqual([0, new Set(['fuse-dead repaired'])]);
      expect(world.mounts().filter(({ fstype }) => fstype === 'fuse.sshfs')).toEqual([]);
    }, engine),
  );
});

describe.concurrent.each(LONG)('a connection that is lost, with %s', (engine) => {
  for (const [how, deadline] of [
    ['cut', '20s'],
    ['down', '20s'],
    ['freeze', '6s'],
  ] as const) {
    it(
      `${how} in the middle of a check: what was answered stands, the rest is unknown, and why`,
      inFleet(async (fleet, world) => {
        const host = await fleet.relay();
        const dead = await world.sshfs('dead');
        const slow = await world.sshfs('slow', { slow: true });
        await dead.kill();
        await world.run(['ls', slow.point]);
        slow.delay(4000);
        const running = check(world, [host.name], '--deadline', deadline);
        expect(await eventually(() => fleet.processesNaming(slow.point).length > 0)).toBe(true);
        await sleep(1000);
        await host[how]();
        const { code, report, targets } = await running;
        expect(report.run.durationMs).toBeLessThan(how === 'freeze' ? 8500 : 22_000);
        expect([code, found(report)]).toEqual([2, [`fuse-dead ${dead.point}`]]);
        const { unjudged } = checkOf(targets[0]);
        if (how !== 'cut') {
          expect(unjudged).toContainEqual({ subject: { kind: 'mount', name: slow.point }, why: expect.any(String) });
        }
        // Cut, the connection is made again, and what was not answered may be asked again.
        for (const { why } of unjudged) {
          expect(why).toMatch(how === 'freeze' ? /deadline|no answer within/ : /the connection was (lost|closed)/);
        }
        if (how !== 'freeze') {
          await expectNothingLeft(fleet);
        }
      }, engine),
    );
  }

  it(
    'in the middle of a step: the step goes on, the repair failed, and resume finds out and goes on',
    inFleet(async (fleet, world) => {
      const host = await fleet.relay();
      const { point } = await deletedSource(world);
      await slowly(world, 'umount', 3);
      const running = world.stdoctor([...FIX, '--host', host.name, '--auto', 'disruptive']);
      await begun(world, 2);
      await host.down();
      const ran = await running;
      expect([ran.code, said(ran)], ran.stderr).toEqual([2, [expect.stringMatching(/^failed: .*connection.*lost.*resume/)]]);
      expect(actsOf(world)).toEqual(['step 1', 'step 2', 'step 3']);
      expect(journalOf(world).at(-1).event).not.toBe('closed');

      const unreachable = await world.stdoctor(['resume', '--forward', '--yes', '--json']);
      expect([unreachable.code, actsOf(world)]).toEqual([expect.toBeOneOf([1, 2, 3]), ['step 1', 'step 2', 'step 3']]);
      const sick = await world.stdoctor(['check', '--json']);
      expect(sick.stdout).toContain('repair-interrupted');
      expect(sick.stdout).toContain(host.name);

      await host.up();
      await until(() => world.mountsAt(point).length === 0);
      const resumed = await world.stdoctor(['resume', '--forward', '--yes', '--json']);
      expect([resumed.code, said(resumed)], resumed.stderr).toEqual([0, [expect.stringMatching(/^repaired: /)]]);
      expect(actsOf(world)).toEqual(['step 1', 'step 2', 'step 3', 'step 4']);
      expect((await world.run(['sh', '-c', 'ls /run | grep stdoctor'], { ok: false })).stdout).toBe('');
      expect(world.mountsAt(point)).toHaveLength(1);
      expectWell((await check(world, [host.name])).targets[0]);
      await expectNothingLeft(fleet);
    }, engine),
  );

  it(
    'and back again while the step still runs: resume waits for it',
    inFleet(async (fleet, world) => {
      const host = await fleet.relay();
      const dead = await world.sshfs('dead');
      await dead.kill();
      await slowly(world, 'umount', 4);
      const running = world.stdoctor([...FIX, '--host', host.name, '--auto', 'safe']);
      await begun(world, 0);
      await host.down();
      expect((await running).code).toBe(2);
      await host.up();
      const resumed = await world.stdoctor(['resume', '--forward', '--yes', '--json']);
      expect([resumed.code, said(resumed)], resumed.stderr).toEqual([0, [expect.stringMatching(/^repaired: /)]]);
      expect(world.mountsAt(dead.point)).toEqual([]);
      expect(actsOf(world)).toEqual(['step 1']);
    }, engine),
  );

  it(
    '40, of which none ever answers: the deadline is that of the whole',
    inFleet(async (fleet, world) => {
      const silent = await fleet.silent();
      const stuck = await fleet.bannerThenSilent();
      const hosts = [silent, stuck, ...Array.from({ length: 37 }, () => fleet.alias(silent)), fleet.healthy()];
      const { code, targets, ms } = await check(world, hosts, '--deadline', '8s');
      expect(targets.slice(0, -1).filter(({ reason }) => /^unreachable: /.test(reason))).toHaveLength(39);
      expect(code).toBe(3);
      expect(ms).toBeLessThan(13_000);
      expectWell(targets.at(-1));
    }, engine),
  );

  for (const signal of ['SIGKILL', 'SIGINT'] as const) {
    it(
      `the program gets ${signal}: nothing is left on the host, and no ssh here`,
      inFleet(async (fleet, world) => {
        const host = fleet.healthy();
        const slow = await world.sshfs('slow', { slow: true });
        await world.run(['ls', slow.point]);
        slow.delay(20_000);
        const file = world.path('pid');
        const running = world.stdoctor(['check', '--host', host, '--json'], { shell: `echo $$ > ${file}` });
        expect(await eventually(() => fleet.processesNaming(slow.point).length > 0)).toBe(true);
        const asking = Number(readFileSync(file, 'utf8'));
        // It may have found a newer Node for itself.
        const own = world.processes().filter((pid) => pid === asking || Fleet.describe(pid).includes('bin/run.js'));
        const started = Date.now();
        for (const pid of signal === 'SIGKILL' ? own : own.slice(-1)) {
          process.kill(pid, signal);
        }
        const { code } = await running;
        expect(Date.now() - started).toBeLessThan(5000);
        expect(code).toBe(signal === 'SIGKILL' ? -1 : 130);
        const left = () => [...fleet.sessions(), ...fleet.clients()].filter((pid) => stateOf(pid) !== 'D');
        await eventually(() => left().length === 0, GONE_WITHIN);
        expect(left().map(Fleet.describe)).toEqual([]);
      }, engine),
    );
  }
});

describe.concurrent('nobody is asked', () => {
  it(
    'at a terminal: hosts that would ask for a password or a host key are denied, and nothing stands on the screen',
    inFleet(async (fleet, world) => {
      const [password, unknown] = [fleet.asksPassword(), fleet.unknownKey()];
      const hosts = [password, unknown, fleet.viaJump(password), fleet.viaJump(unknown)];
      const askpass = world.path('askpass');
      const asked = world.path('asked');
      writeFileSync(askpass, `#!/bin/sh\necho "$@" >> ${asked}\nexit 1\n`, { mode: 0o755 });
      const env = { SSH_ASKPASS: askpass, SSH_ASKPASS_REQUIRE: 'force', DISPLAY: ':0' };
      for (const more of [{}, env]) {
        const terminal = await world.terminal(['check', 'zombie-mounts', '--deadline', '10s', ...to(hosts)], { columns: 200, env: more });
        expect(await terminal.ended()).toBe(3);
        const screen = await terminal.screen();
        expect(screen).not.toMatch(/password:|yes\/no|passphrase|authenticity/i);
        for (const host of hosts) {
          expect(screen).toContain(host);
        }
      }
      expect(existsSync(asked) ? readFileSync(asked, 'utf8') : '').toBe('');
    }),
  );

  it(
    'names that are none: 64, before anything is run',
    inFleet(async (fleet, world) => {
      const ssh = world.path('ssh/ssh');
      const called = world.path('called');
      mkdirSync(world.path('ssh'));
      writeFileSync(ssh, `#!/bin/sh\necho "$@" >> ${called}\n`, { mode: 0o755 });
      await world.run(['mount', '--bind', ssh, '/usr/bin/ssh']);
      const healthy = fleet.healthy();
      const names = [
        '-oProxyCommand=x',
        'a b',
        '$(id)',
        'a;b',
        "a'b",
        '',
        'a\nb',
        'root@-b',
        'a@b@c',
        'a/b',
        'root@a:0',
        'root@a:65536',
        '`a`',
        'a|b',
      ];
      const runs = names.map((name) => world.stdoctor(['check', '--host', healthy, `--host=${name}`, '--json']));
      for (const [index, { code, stdout, stderr }] of (await Promise.all(runs)).entries()) {
        expect([names[index], code, stdout, stderr]).toEqual([names[index], 64, '', expect.stringMatching(/^stdoctor: .*--host/)]);
      }
      for (const args of [
        ['check', '--host', healthy, '--from', ROOT],
        ['fix', '--host', healthy, '--host', healthy],
        ['check', '--host'],
      ]) {
        expect((await world.stdoctor(args)).code, args.join(' ')).toBe(64);
      }
      expect(existsSync(called)).toBe(false);
    }),
  );

  it(
    'a host that cannot be reached is no host without faults: fix, plan and record say so',
    inFleet(async (fleet, world) => {
      const host = fleet.refused();
      const fixed = await world.stdoctor([...FIX, '--host', host, '--auto', 'safe']);
      expect([fixed.code, JSON.parse(fixed.stdout)], fixed.stderr).toMatchObject([
        3,
        { repairs: [], unknown: [expect.stringMatching(/unreachable: .*refused/)], exitCode: 3 },
      ]);
      const plan = await world.stdoctor(['plan', '--host', host, '--output', world.path('plan.json')]);
      expect(plan.code).toBe(3);
      expect((await world.stdoctor(['record', '--host', host, '--output', world.path('recording')])).code).toBe(3);
      const escapes = fleet.noShell("printf '\\033[2J\\033[31mevil\\007\\302\\233m\\377\\n'");
      const { code, stdout } = await world.stdoctor(['check', '--host', host, '--host', escapes]);
      expect([code, stdout]).toEqual([3, expect.stringMatching(new RegExp(`${host}[^]*refused[^]*${escapes}[^]*evil`))]);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: that there are none is what is tested
      expect(stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);

      await world.run(['mount', '--bind', '/dev/null', '/usr/bin/ssh']);
      const without = await world.stdoctor(['check', '--host', fleet.healthy(), '--json']);
      expect([without.code, JSON.parse(without.stdout).targets[0].reason]).toEqual([3, expect.stringMatching(/^unreachable: .*ssh/)]);
    }),
  );
});

/** For themselves: they take all the machine has. */
describe('many hosts', () => {
  it(
    '40, of which 9 are bad: 31 verdicts and 9 reasons in time, in little memory',
    inFleet(async (fleet, world) => {
      const dead = await world.sshfs('dead');
      await dead.kill();
      const bad = [
        ...Array.from({ length: 4 }, () => fleet.refused()),
        await fleet.silent(),
        await fleet.bannerThenSilent(),
        await fleet.garbage(),
        await fleet.endless(),
        fleet.sendsWithoutEnd(),
      ];
      const good = Array.from({ length: 31 }, () => fleet.healthy());
      // The bad ones first: they must not keep the others waiting.
      const hosts = [...bad, ...good];
      const ran = await measured(world, ['check', 'zombie-mounts', '--json', '--deadline', '15s', ...to(hosts)]);
      const { targets } = JSON.parse(ran.stdout);
      expect(targets.map(({ name }: Report) => name)).toEqual(hosts);
      expect(targets.map(({ reason }: Report) => reason !== null)).toEqual(hosts.map((host) => bad.includes(host)));
      const ids = targets.slice(bad.length).map(({ findings }: Report) => findings.map(({ id }: Report) => id));
      expect(new Set(ids.flat()).size).toBe(1);
      expect(ids.flat()).toHaveLength(good.length);
      expect(ran.code).toBe(2);
      expect(ran.ms).toBeLessThan(17_500);
      expect(ran.rss).toBeLessThan(250 * 1024 * 1024);
      await expectNothingLeft(fleet);
    }),
  );

  it(
    'one that writes for ever, wherever it does: in no more memory than others',
    inFleet(async (fleet, world) => {
      const unasked = [fleet.complainsWithoutEnd(), fleet.sendsWithoutEnd(), await fleet.endless()];
      const liars = ['yes 1 O AAAA', 'yes 1 P 1', 'yes 9999999 O AAAA', 'cat /dev/zero'].map((then) => fleet.pretends(`exec ${then}`));
      const well = fleet.healthy();
      const hosts = [...unasked, ...liars, well];
      const ran = await measured(world, ['check', 'zombie-mounts', '--json', '--deadline', '5s', ...to(hosts)]);
      const { targets } = JSON.parse(ran.stdout);
      expect(targets.map((target: Report) => checkOf(target).outcome !== 'unknown')).toEqual(hosts.map((host) => host === well));
      expect(targets.slice(0, unasked.length).map(({ reason }: Report) => reason)).not.toContain(null);
      expect(ran.rss).toBeLessThan(250 * 1024 * 1024);
      expect(ran.ms).toBeLessThan(10_000);
      await expectNothingLeft(fleet);
    }),
  );
});
