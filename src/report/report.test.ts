import { stripVTControlCharacters, styleText } from 'node:util';
import { describe, expect, it } from 'vitest';
import type { Finding, Plan } from '../check/types.ts';
import { type CheckResult, type FindingResult, type RunResult, riskOf } from '../engine/result.ts';
import { type Name, showName } from '../names.ts';
import { reportToText } from './report.ts';
import { type Paint, plain, plainAt } from './style.ts';

const AT = '2026-11-03T09:00:00.000Z';
const TABLE = { source: '/proc/self/mountinfo', at: AT, excerpt: '85 81 0:42 / /mnt/x rw - fuse.sshfs nas:/x rw' };

function check(more: Partial<CheckResult> = {}): CheckResult {
  const nothing = { reason: null, examined: 12, unjudged: [], notes: [], tooMany: null, durationMs: 35 };
  return { id: 'zombie-mounts', title: 'Mounts', outcome: 'healthy', ...nothing, ...more };
}

function unmounting(name: Name): Plan {
  const action = { kind: 'run', argv: ['umount', '-c', name] } as const;
  return { steps: [{ title: 'Unmount', why: 'It is dead.', risk: 'safe', action, guards: [], proof: [], undo: { none: 'it is dead' } }] };
}

function dead(name: string, more: Partial<Finding> = {}, plan: Plan | null = unmounting(name)): FindingResult {
  const finding: Finding = {
    id: 'fuse-dead-1a2b3c4d',
    check: 'zombie-mounts',
    code: 'fuse-dead',
    severity: 'critical',
    subject: { kind: 'mount', name },
    data: null,
    confidence: 'certain',
    evidence: [TABLE, { source: 'stat -f -- /mnt/x', at: AT, excerpt: 'stat: Transport endpoint is not connected' }],
    ...more,
  };
  return { finding, summary: `${showName(name)}: its FUSE daemon is gone; every access fails`, plan, risk: riskOf(plan) };
}

function run(findings: FindingResult[], checks = [check({ outcome: findings.length > 0 ? 'findings' : 'healthy' })]): RunResult {
  const host = { hostname: 'hv1', os: 'Debian GNU/Linux 12 (bookworm)', kernel: '6.1.0-28-amd64', bootedAt: null, hardware: 'Dell R740' };
  const target = { name: 'local', kind: 'host', via: 'local', identity: 'id', reason: null, host, checks, findings } as const;
  return { id: 'r', version: '0', startedAt: AT, durationMs: 400, targets: [{ ...target, checks, findings }] };
}

const interrupted = check({ id: 'interrupted-repairs', examined: 0 });
const mount = (name: string) => ({ kind: 'mount', name });

describe('a healthy host', () => {
  const healthy = run([], [check(), interrupted, check({ id: 'lvm-inactive', outcome: 'not-applicable', examined: 0, reason: 'no LVM' })]);

  it('is told in a few lines', () => {
    expect(reportToText(healthy, plainAt(80))).toMatchInlineSnapshot(`
      "hv1 Debian GNU/Linux 12 (bookworm), kernel 6.1.0-28-amd64, Dell R740

      Summary: nothing wrong was found
      Healthy: zombie-mounts (12 examined), interrupted-repairs
      Not applicable: lvm-inactive
      "
    `);
  });

  it('is not told at all where it is quiet', () => {
    expect(reportToText(healthy, plainAt(80), { quiet: true })).toBe('');
  });

  it('is told with times where it is verbose', () => {
    const noted = run([], [check({ notes: [{ subject: mount('/mnt/slow'), text: 'answered only after 4 s' }] })]);
    expect(reportToText(noted, plainAt(80))).toContain('More: --verbose shows a note\n');
    const asked = { commands: 12, slowest: [{ source: 'stat -- /mnt/slow', ms: 4012 }] };
    expect(reportToText(noted, plainAt(80), { verbose: true, asked })).toMatchInlineSnapshot(`
      "hv1 Debian GNU/Linux 12 (bookworm), kernel 6.1.0-28-amd64, Dell R740

      Note: mount /mnt/slow: answered only after 4 s

      Check zombie-mounts: healthy, 12 examined, 35 ms

      Asked by 12 commands, the slowest:
          4012 ms  stat -- /mnt/slow

      Summary: nothing wrong was found
      Healthy: zombie-mounts (12 examined)
      "
    `);
  });
});

describe('what could not be told', () => {
  const unjudged = [
    { subject: mount('/mnt/a'), why: 'permission denied' },
    { subject: mount('/mnt/b'), why: 'no answer within 2 s' },
    { subject: mount('/mnt/two words'), why: 'permission denied' },
  ];
  const checks = [
    check({ outcome: 'unknown', unjudged, reason: '3 could not be judged' }),
    check({ id: 'lvm-inactive', outcome: 'unknown', examined: 0, reason: 'lvs is not installed' }),
  ];

  it('is grouped by its reason, and each subject is named', () => {
    expect(reportToText(run([], checks), plainAt(60))).toMatchInlineSnapshot(`
      "hv1 Debian GNU/Linux 12 (bookworm), kernel 6.1.0-28-amd64,
        Dell R740

      COULD NOT TELL about 2 (zombie-mounts): permission denied
          mount /mnt/a
          mount /mnt/two words
      COULD NOT TELL mount /mnt/b (zombie-mounts): no answer
        within 2 s

      COULD NOT TELL lvm-inactive: lvs is not installed

      Summary: 4 could not tell
      "
    `);
  });

  it('is told where it is quiet, too', () => {
    expect(reportToText(run([], checks), plainAt(80), { quiet: true })).toMatchInlineSnapshot(`
      "COULD NOT TELL about 2 (zombie-mounts): permission denied
          mount /mnt/a
          mount /mnt/two words
      COULD NOT TELL mount /mnt/b (zombie-mounts): no answer within 2 s
      COULD NOT TELL lvm-inactive: lvs is not installed
      "
    `);
  });
});

describe('findings', () => {
  const loop: Finding['subject'] = { kind: 'loop', name: '/dev/loop0' };
  const refused = { refused: '/dev/loop0 below it is at fault: a new mount would shut down again' };
  const sick = run([
    dead('/mnt/x'),
    dead('/dev/loop0', { code: 'loop-backing-deleted', subject: loop, severity: 'critical' }),
    dead('/mnt/y', { code: 'fs-shutdown-xfs', cause: loop, confidence: 'high' }, refused),
    dead('/mnt/z', { severity: 'info' }, null),
  ]);

  it('stand below what brought them about, each with its next command', () => {
    expect(reportToText(sick, plainAt(80))).toMatchInlineSnapshot(`
      "hv1 Debian GNU/Linux 12 (bookworm), kernel 6.1.0-28-amd64, Dell R740

      CRITICAL /mnt/x: its FUSE daemon is gone; every access fails
          How we know: stat: Transport endpoint is not connected
          Repair (safe: nothing can be lost and nobody is interrupted):
              umount -c /mnt/x
          Next: stdoctor fix fuse-dead-1a2b3c4d
                stdoctor explain fuse-dead

      CRITICAL /dev/loop0: its FUSE daemon is gone; every access fails
          How we know: stat: Transport endpoint is not connected
          Repair (safe: nothing can be lost and nobody is interrupted):
              umount -c /dev/loop0
          Next: stdoctor fix fuse-dead-1a2b3c4d
                stdoctor explain loop-backing-deleted
          It brought about:
          CRITICAL /mnt/y: its FUSE daemon is gone; every access fails
              How we know (confidence: high): stat: Transport endpoint is not
                connected
              Caused by loop /dev/loop0
              Not repaired by stdoctor fix: /dev/loop0 below it is at fault: a new
                mount would shut down again
              Next: stdoctor explain fs-shutdown-xfs

      INFO /mnt/z: its FUSE daemon is gone; every access fails
          How we know: stat: Transport endpoint is not connected
          Next: stdoctor explain fuse-dead

      Summary: 3 critical, 1 info
      More: --evidence shows all that was seen
      Next: stdoctor fix
      "
    `);
  });

  it('that share a cause which is no finding stand together', () => {
    const cause = { kind: 'server', name: 'nas' };
    const text = reportToText(run([dead('/mnt/x', { cause }), dead('/mnt/y', { cause })]), plainAt(60));
    expect(text).toContain('ONE CAUSE of 2 findings: server nas\n\n    CRITICAL /mnt/x:');
  });

  it('are shown with all evidence on demand', () => {
    expect(reportToText(run([dead('/mnt/x')]), plainAt(60), { evidence: true })).toMatchInlineSnapshot(`
      "hv1 Debian GNU/Linux 12 (bookworm), kernel 6.1.0-28-amd64,
        Dell R740

      CRITICAL /mnt/x: its FUSE daemon is gone; every access fails
          How we know (confidence: certain):
            2026-11-03T09:00:00.000Z  /proc/self/mountinfo
              85 81 0:42 / /mnt/x rw - fuse.sshfs nas:/x rw
            2026-11-03T09:00:00.000Z  stat -f -- /mnt/x
              stat: Transport endpoint is not connected
          Repair (safe: nothing can be lost and nobody is
            interrupted):
              umount -c /mnt/x
          Next: stdoctor fix fuse-dead-1a2b3c4d
                stdoctor explain fuse-dead

      Summary: 1 critical
      "
    `);
  });

  it('name who holds the subject, whatever else is left out', () => {
    const held = { source: '/proc/*/fd, cwd, root, exe', at: AT, excerpt: 'held by bash (pid 7, cwd)' };
    expect(reportToText(run([dead('/mnt/x', { evidence: [TABLE, held] })]), plain)).toContain('held by bash (pid 7, cwd)\n');
    const both = reportToText(run([dead('/mnt/x', { evidence: [...dead('').finding.evidence, held] })]), plain);
    expect(both).toContain('    How we know: stat: Transport endpoint is not connected\n    Also seen: held by bash (pid 7, cwd)\n');
  });

  it('are a sentence each where it is quiet', () => {
    expect(reportToText(sick, plain, { quiet: true }).split('\n')[0]).toBe(
      'CRITICAL /mnt/x: its FUSE daemon is gone; every access fails (fuse-dead-1a2b3c4d)',
    );
  });

  it('tell why so many are not repaired without a person', () => {
    const many = run([dead('/mnt/x')], [check({ outcome: 'findings', tooMany: '9 of 10 mounts are dead' })]);
    expect(reportToText(many, plain)).toContain('So many at once: 9 of 10 mounts are dead\n');
  });

  it('of a recording are repaired by no command on this host', () => {
    const recorded = run([dead('/mnt/x'), dead('/mnt/y')]);
    const targets = recorded.targets.map((target) => ({ ...target, via: 'recording' as const }));
    expect(reportToText({ ...recorded, targets }, plain)).not.toContain('stdoctor fix');
  });
});

describe('hostile names', () => {
  const long = `/mnt/${'long '.repeat(59)}end`;
  const names = ['/mnt/esc\u001b[31m\u001b]0;title\u0007', '/mnt/\u202egnp.exe', '/mnt/line\nCRITICAL forged', '/mnt/two  spaces', long];

  it.each([60, 80, 200])('are whole, visible and harmless at %i columns', (columns) => {
    const unjudged = names.map((name) => ({ subject: mount(name), why: `no answer from ${name}` }));
    const findings = names.map((name) => dead(name));
    const text = reportToText(run(findings, [check({ outcome: 'findings', unjudged })]), plainAt(columns));
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that there are none is what is tested
    expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
    expect(text).not.toMatch(/^CRITICAL forged/m);
    expect(text).toContain(`umount -c '${long}'\n`);
    expect(text).toContain(`${long}:`);
    expect(text).toContain('/mnt/esc\\e[31m\\e]0;title\\x07');
    expect(tooLong(text, columns, ['umount', long])).toEqual([]);
  });

  it('do not pass for the commands of a source of thousands of words', () => {
    const source = `find ${'/mnt/x '.repeat(20_000)}`;
    const text = reportToText(run([dead('/mnt/x', { evidence: [{ ...TABLE, source }] })]), plainAt(80), { evidence: true });
    expect(text.length).toBeLessThan(2000);
    expect(text).toContain(`(${source.length} characters, all of them with --json)`);
  });
});

it('says by colours nothing that it does not say in words', () => {
  const colours: Paint = Object.assign((format: Parameters<Paint>[0], text: string) => styleText(format, text, { validateStream: false }), {
    columns: 60,
  });
  const sick = run([dead('/mnt/x')], [check({ outcome: 'findings', unjudged: [{ subject: mount('/mnt/y'), why: 'denied' }] })]);
  const painted = reportToText(sick, colours);
  expect(painted).toContain('\u001b[');
  expect(stripVTControlCharacters(painted)).toBe(reportToText(sick, plainAt(60)));
});

/** Lines wider than the terminal, but for those that hold what must not be broken. */
function tooLong(text: string, columns: number, unbroken: readonly string[]): string[] {
  return text.split('\n').filter((line) => line.length > columns && !unbroken.some((words) => line.includes(words)));
}
