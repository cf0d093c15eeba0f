import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { scratch } from '../../test/scratch.ts';
import type { Json } from '../check/types.ts';
import { type Kept, openCostlyFacts } from './costly-facts.ts';

const KEPT: Kept = {
  stamp: '17 "a"\n\u2028',
  value: { blocks: [1, 2.5, null, true], name: { base64: '/w==' }, note: 'ä\n\ud800' },
};

/** What an earlier run kept, and another one finds. */
function found(stateDir: string, key = 'k', version = '1.0.0') {
  return openCostlyFacts(stateDir, version).get(key);
}

function keptIn(stateDir: string, kept: Kept = KEPT): string {
  openCostlyFacts(stateDir, '1.0.0').put('k', kept);
  return join(stateDir, 'facts', readdirSync(join(stateDir, 'facts'))[0] as string);
}

describe('what is kept', () => {
  it('comes back as it was, in this run and in a later one', () => {
    const stateDir = join(scratch(), 'not', 'made', 'yet');
    const costly = openCostlyFacts(stateDir, '1.0.0');
    expect(costly.get('k')).toBeUndefined();
    costly.put('k', KEPT);
    expect(costly.get('k')).toEqual(KEPT);
    expect(found(stateDir)).toEqual(KEPT);
    costly.put('k', { stamp: '18', value: null });
    expect(costly.get('k')).toEqual({ stamp: '18', value: null });
    expect(found(stateDir)).toEqual({ stamp: '18', value: null });
    expect(found(stateDir, 'l')).toBeUndefined();
  });

  it('is open to nobody else, says when it was gathered, and leaves nothing beside it', () => {
    const stateDir = join(scratch(), 'state');
    const file = keptIn(stateDir);
    const started = Date.now();
    keptIn(stateDir);
    expect(readdirSync(join(stateDir, 'facts'))).toHaveLength(1);
    expect([stateDir, join(stateDir, 'facts'), file].map((path) => statSync(path).mode & 0o777)).toEqual([0o700, 0o700, 0o600]);
    const { gatheredAt } = JSON.parse(readFileSync(file, 'utf8').split('\n')[1] as string) as { gatheredAt: string };
    expect(Date.parse(gatheredAt)).toBeGreaterThanOrEqual(started);
  });

  it('is of the version that gathered it', () => {
    const stateDir = scratch();
    keptIn(stateDir);
    expect(found(stateDir, 'k', '1.0.1')).toBeUndefined();
    expect(found(stateDir, 'k', '1.0.0')).toEqual(KEPT);
  });

  it('is not handed out to be changed', () => {
    const costly = openCostlyFacts(undefined, '1.0.0');
    costly.put('k', { stamp: 's', value: ['a'] });
    const { value } = costly.get('k') as Kept;
    (value as string[]).push('b');
    expect(costly.get('k')?.value).toEqual(['a']);
  });
});

describe('what is not kept', () => {
  it('is longer than 4 MiB', () => {
    const stateDir = scratch();
    const costly = openCostlyFacts(stateDir, '1.0.0');
    costly.put('k', { stamp: 's', value: 'ä'.repeat(2 * 1024 * 1024) });
    expect(costly.get('k')).toBeUndefined();
    expect(existsSync(join(stateDir, 'facts'))).toBe(false);
    costly.put('k', { stamp: 's', value: 'a'.repeat(2 * 1024 * 1024) });
    expect(found(stateDir)?.value).toHaveLength(2 * 1024 * 1024);
  });

  it.each([[Number.NaN], [{ a: undefined }], [new Map([['a', 1]])]])('would come back as another: %o', (value) => {
    const costly = openCostlyFacts(undefined, '1.0.0');
    costly.put('k', { stamp: 's', value: value as unknown as Json });
    expect(costly.get('k')).toBeUndefined();
  });

  it('is the oldest, beyond 200 files', () => {
    const stateDir = scratch();
    const first = keptIn(stateDir);
    utimesSync(first, 1000, 1000);
    // What a run that was killed left behind, older than all.
    writeFileSync(join(stateDir, 'facts', 'half-written'), '');
    utimesSync(join(stateDir, 'facts', 'half-written'), 500, 500);
    const costly = openCostlyFacts(stateDir, '1.0.0');
    for (let index = 0; index < 198; index++) {
      costly.put(String(index), KEPT);
    }
    expect(existsSync(join(stateDir, 'facts', 'half-written'))).toBe(true);
    costly.put('198', KEPT);
    expect(existsSync(join(stateDir, 'facts', 'half-written'))).toBe(false);
    expect(found(stateDir)).toEqual(KEPT);
    costly.put('199', KEPT);
    expect(found(stateDir)).toBeUndefined();
    expect(found(stateDir, '0')).toEqual(KEPT);
    expect(readdirSync(join(stateDir, 'facts'))).toHaveLength(200);
  });

  it('is the oldest, beyond 64 MiB in all', () => {
    const stateDir = scratch();
    const old = keptIn(stateDir);
    utimesSync(old, 1000, 1000);
    const large = join(stateDir, 'facts', 'large');
    writeFileSync(large, '');
    truncateSync(large, 64 * 1024 * 1024 - 1024);
    openCostlyFacts(stateDir, '1.0.0').put('l', { stamp: 's', value: 'a' });
    expect(existsSync(old)).toBe(true);
    openCostlyFacts(stateDir, '1.0.0').put('m', { stamp: 's', value: 'a'.repeat(1024) });
    expect(existsSync(old)).toBe(false);
    expect(existsSync(large)).toBe(false);
    expect(found(stateDir, 'm')?.value).toHaveLength(1024);
  });
});

describe('a damaged file', () => {
  it('is no value, wherever it is damaged, and is replaced', () => {
    const stateDir = scratch();
    const file = keptIn(stateDir, { stamp: '17', value: { clean: true, blocks: 12 } });
    const intact = readFileSync(file);
    for (let at = 0; at < intact.length; at++) {
      const damaged = Buffer.from(intact);
      damaged[at] = (damaged[at] as number) ^ 1;
      writeFileSync(file, damaged);
      expect(found(stateDir), `bit flipped at ${at}`).toBeUndefined();
      writeFileSync(file, intact.subarray(0, at));
      expect(found(stateDir), `cut at ${at}`).toBeUndefined();
    }
    keptIn(stateDir);
    expect(found(stateDir)).toEqual(KEPT);
  });

  it.each<[string, (head: Record<string, unknown>) => object]>([
    ['in a format to come', (head) => ({ ...head, format: 2 })],
    ['longer than any of ours', (head) => ({ ...head, value: 'a'.repeat(4 * 1024 * 1024) })],
  ])('is no value %s, though its checksum is right', (_, change) => {
    const stateDir = scratch();
    const file = keptIn(stateDir);
    const write = (body: string) => writeFileSync(file, `${createHash('sha256').update(body).digest('hex')}\n${body}`);
    const head = JSON.parse(readFileSync(file, 'utf8').split('\n')[1] as string);
    write(JSON.stringify(head));
    expect(found(stateDir)).toEqual(KEPT);
    write(JSON.stringify(change(head)));
    expect(found(stateDir)).toBeUndefined();
  });

  it('is no value under the name of another', () => {
    const stateDir = scratch();
    const file = keptIn(stateDir);
    openCostlyFacts(stateDir, '1.0.0').put('l', KEPT);
    const other = readdirSync(join(stateDir, 'facts')).find((name) => !file.endsWith(name)) as string;
    renameSync(file, join(stateDir, 'facts', other));
    expect(found(stateDir, 'l')).toBeUndefined();
  });

  it('may be no file at all', () => {
    const stateDir = scratch();
    const file = keptIn(stateDir);
    renameSync(file, join(stateDir, 'elsewhere'));
    symlinkSync(join(stateDir, 'elsewhere'), file);
    expect(found(stateDir), 'a link').toBeUndefined();
    execFileSync('rm', [file]);
    execFileSync('env', ['mkfifo', '-m', '600', file]);
    expect(found(stateDir), 'a pipe').toBeUndefined();
    execFileSync('rm', [file]);
    mkdirSync(file, { mode: 0o700 });
    expect(found(stateDir), 'a directory').toBeUndefined();
    openCostlyFacts(stateDir, '1.0.0').put('k', KEPT);
    expect(readdirSync(join(stateDir, 'facts')), 'nothing half-written').toHaveLength(1);
  });
});

describe('a place that is not our own', () => {
  it.each<[string, (paths: { stateDir: string; file: string }) => void]>([
    ['a file that others may write', ({ file }) => chmodSync(file, 0o620)],
    ['a directory that others may write', ({ stateDir }) => chmodSync(join(stateDir, 'facts'), 0o707)],
    ['a state directory that others may write', ({ stateDir }) => chmodSync(stateDir, 0o770)],
    [
      'a link to a directory',
      ({ stateDir }) => {
        renameSync(join(stateDir, 'facts'), join(stateDir, 'elsewhere'));
        symlinkSync('elsewhere', join(stateDir, 'facts'));
      },
    ],
  ])('%s', (_, open) => {
    const stateDir = scratch();
    const file = keptIn(stateDir);
    expect(found(stateDir)).toEqual(KEPT);
    open({ stateDir, file });
    expect(found(stateDir)).toBeUndefined();
  });

  it.runIf(process.getuid?.() === 0)('nor is what belongs to somebody else read or written', () => {
    const stateDir = scratch();
    const file = keptIn(stateDir);
    for (const path of [file, join(stateDir, 'facts'), stateDir]) {
      chownSync(path, 1, 1);
      expect(found(stateDir), path).toBeUndefined();
      chownSync(path, 0, 0);
      expect(found(stateDir), path).toEqual(KEPT);
    }
    chownSync(stateDir, 1, 1);
    openCostlyFacts(stateDir, '1.0.0').put('l', KEPT);
    expect(readdirSync(join(stateDir, 'facts'))).toHaveLength(1);
  });
});

it('keeps for this run what it cannot write', () => {
  const root = scratch();
  writeFileSync(join(root, 'file'), '');
  for (const place of [join(root, 'file', 'state'), '/proc/nonesuch', undefined]) {
    const costly = openCostlyFacts(place, '1.0.0');
    costly.put('k', KEPT);
    expect(costly.get('k'), String(place)).toEqual(KEPT);
  }
});

describe('two processes', () => {
  const source = (path: string) => JSON.stringify(new URL(path, import.meta.url).href);

  /** A check in a process of its own. Its fact says which process gathered it; the finding's evidence, when. */
  function check(stateDir: string, written: string): { pid: number; gatheredBy: string; evidence: { at: string }; at: string } {
    const code = `
      const { fakeTarget, said } = await import(${source('../../test/fake-target.ts')});
      const { ask, defineFact, outputOf, run, seenAt } = await import(${source('../check/asking.ts')});
      const { inspect } = await import(${source('../engine/inspect.ts')});
      const { openCostlyFacts } = await import(${source('./costly-facts.ts')});
      const [stateDir, written] = process.argv.slice(1);
      const at = new Date().toISOString();
      const target = fakeTarget((probe) => {
        const words = probe.argv?.join(' ');
        const out = { 'verify v': 'by ' + process.pid, 'written v': written, 'cat /etc/machine-id': '0'.repeat(32) }[words];
        return out === undefined ? undefined : { ...said(out), at };
      });
      const verified = defineFact('verified', function* (name) {
        const probe = { kind: 'run', argv: ['verify', name] };
        const answer = yield* ask(probe);
        return { by: outputOf(answer), evidence: { ...seenAt(probe, answer), excerpt: outputOf(answer) } };
      }, function* (name) { return outputOf(yield* run(['written', name])); });
      const check = {
        meta: { id: 'c', title: 'C', codes: { damaged: '{by}' } },
        needs: { verified: () => verified('v') },
        detect: ({ verified: { by, evidence } }) => ({ examined: 1, unjudged: [], findings: [
          { code: 'damaged', severity: 'warning', subject: { kind: 'volume', name: 'v' }, data: { by }, confidence: 'certain', evidence: [evidence] },
        ] }),
      };
      const costly = openCostlyFacts(stateDir, '1.0.0');
      const { target: { findings } } = await inspect(target, [{ id: 'c', title: 'C', load: async () => check }], { until: Date.now() + 10_000, costly });
      const [{ finding }] = findings;
      console.log(JSON.stringify({ pid: process.pid, gatheredBy: finding.data.by, evidence: finding.evidence[0], at }));`;
    return JSON.parse(execFileSync(process.execPath, ['--input-type=module', '-e', code, stateDir, written], { encoding: 'utf8' }));
  }

  it('share a value, with the time at which it was seen, until the stamp changes', () => {
    const stateDir = join(scratch(), 'state');
    const first = check(stateDir, '17');
    expect(first.gatheredBy).toBe(`by ${first.pid}`);
    const second = check(stateDir, '17');
    expect(second.gatheredBy).toBe(`by ${first.pid}`);
    expect(second.evidence.at).toBe(first.at);
    expect(second.at > first.at).toBe(true);
    const third = check(stateDir, '18');
    expect(third.gatheredBy).toBe(`by ${third.pid}`);
    expect(third.evidence.at).toBe(third.at);
  });
});
