import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { create, Header } from 'tar';
import { describe, expect, it } from 'vitest';
import { fakeTarget, said, timedOut } from '../../test/fake-target.ts';
import { randomBytes, randomFrom, scratch } from '../../test/scratch.ts';
import type { Answer, Probe } from '../check/types.ts';
import { StdoctorError } from '../errors.ts';
import { fromByteString } from '../names.ts';
import { RecordingTarget } from './record.ts';
import { loadRecording, type Recording, saveRecording } from './recording.ts';
import { ReplayTarget } from './replay.ts';

const AT = '2026-11-03T09:00:00.000Z';
const HEAD = { version: '0.1.0', takenAt: AT, target: { name: 'hv1', kind: 'host' as const, identity: 'abc' } };
const EVERY_BYTE = Buffer.from(Array.from({ length: 256 }, (_, index) => index));

const PAIRS: [Probe, Answer][] = [
  [{ kind: 'read', path: '/proc/self/mountinfo', maxBytes: 5 }, said('short text\n')],
  [{ kind: 'run', argv: ['stat', '--', fromByteString('/caf\xe9')] }, said('binary \xff\0', 1, 'stat: \xe9\n')],
  [{ kind: 'run', argv: ['cat', '../../etc/passwd', 'é\n'], take: 'retry 1' }, said(EVERY_BYTE)],
  [{ kind: 'run', argv: ['long'] }, said('text é'.repeat(100))],
  [{ kind: 'run', argv: ['utf8'] }, said(Buffer.from('日本é'.repeat(100)))],
  [{ kind: 'run', argv: ['hung'] }, timedOut('so far', 'e', { wchan: 'request_wait_answer', leaked: { pid: 7, startTime: '1' } })],
  [{ kind: 'inventory', topic: 'system' }, said('{}')],
  [{ kind: 'left-behind' }, said('')],
  [
    { kind: 'read', path: '/a' },
    { state: 'errno', errno: 5, at: AT, ms: 0 },
  ],
  [
    { kind: 'read', path: '/b' },
    { state: 'denied', why: 'may not', at: AT, ms: 0 },
  ],
  [
    { kind: 'read', path: '/c' },
    { state: 'cut', why: 'late', at: AT, ms: 0 },
  ],
  [
    { kind: 'read', path: '/d' },
    { state: 'absent', why: 'gone', at: AT, ms: 0 },
  ],
];

function recording(): Recording {
  return { ...HEAD, entries: PAIRS.map(([probe, answer]) => ({ probe, answer })) };
}

/** A recording on disk whose manifest is this. */
function onDisk(manifest: unknown, files: Record<string, string> = {}): string {
  const directory = join(scratch(), 'recording');
  mkdirSync(join(directory, 'answers'), { recursive: true });
  writeFileSync(join(directory, 'manifest.json'), typeof manifest === 'string' ? manifest : JSON.stringify(manifest));
  for (const [name, content] of Object.entries(files)) {
    writeFileSync(join(directory, name), content);
  }
  return directory;
}

function manifestWith(...entries: unknown[]) {
  return { schema: 'stdoctor.recording/1', ...HEAD, entries };
}

function entryFrom(file: string) {
  return { probe: { kind: 'run', argv: ['x'] }, answer: { state: 'ok', code: 0, out: { file }, at: AT, ms: 1 } };
}

async function packed(directory: string): Promise<string> {
  const file = `${directory}.tar.gz`;
  await create({ gzip: true, file, cwd: directory, portable: true }, readdirSync(directory));
  return file;
}

async function refusal(path: string): Promise<string> {
  const error = await loadRecording(path).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(StdoctorError);
  expect(error).toMatchObject({ code: 'STD_BAD_RECORDING', exitCode: 64 });
  expect((error as Error).message).toContain(path);
  return (error as Error).message;
}

describe.each(['recording', 'recording.tar.gz', 'recording.tgz'])('a round trip through %s', (name) => {
  it('brings every answer back, byte for byte', async () => {
    const path = join(scratch(), name);
    await saveRecording(recording(), path);
    expect(readdirSync(dirname(path))).toEqual([name]);
    const loaded = await loadRecording(path);
    expect(loaded).toMatchObject(HEAD);
    const target = new ReplayTarget(loaded);
    expect(target).toMatchObject({ name: 'hv1', kind: 'host', via: 'recording' });
    for (const [probe, answer] of PAIRS) {
      const found = await target.ask({ ...probe, limitMs: 9, suspect: true });
      expect(found).toEqual('out' in answer ? { ...answer, out: Buffer.from(answer.out) } : answer);
    }
  });

  it('brings back what was asked of a target', async () => {
    const path = join(scratch(), name);
    const random = randomFrom(9);
    const outputs = new Map<string, string>();
    const recorder = new RecordingTarget(fakeTarget((probe) => said(outputs.get(JSON.stringify(probe)) ?? '')));
    const probes: Probe[] = Array.from({ length: 60 }, () => ({ kind: 'run', argv: ['x', fromByteString(randomBytes(random, 20))] }));
    for (const probe of probes) {
      outputs.set(JSON.stringify(probe), randomBytes(random, 400).replace(/[=/]/g, ''));
      await recorder.ask(probe, 0);
    }
    await saveRecording({ ...HEAD, entries: recorder.entries() }, path);
    const target = new ReplayTarget(await loadRecording(path));
    for (const probe of probes) {
      const found = (await target.ask(probe)) as Answer & { state: 'ok' };
      expect(Buffer.from(found.out).toString('latin1')).toBe(outputs.get(JSON.stringify(probe)));
    }
  });
});

describe('ReplayTarget', () => {
  it('says what it does not hold', async () => {
    const answer = await new ReplayTarget(recording()).ask({ kind: 'run', argv: ['stat', '/a b'] });
    expect(answer).toEqual({ state: 'not-held', why: "stat '/a b'", at: AT, ms: 0 });
    expect('act' in new ReplayTarget(recording())).toBe(false);
  });
});

describe('saveRecording', () => {
  const leftIn = (path: string) => readdirSync(dirname(path)).filter((name) => name !== basename(path));

  it('writes the same bytes for the same recording', async () => {
    const [a, b] = [join(scratch(), 'a.tar.gz'), join(scratch(), 'a.tar.gz')];
    await saveRecording(recording(), a);
    await saveRecording(recording(), b);
    expect(readFileSync(a).equals(readFileSync(b))).toBe(true);
  });

  it('writes into an empty directory, and over an older file', async () => {
    const directory = scratch();
    mkdirSync(join(directory, 'empty'));
    await saveRecording(recording(), join(directory, 'empty'));
    expect(readdirSync(join(directory, 'empty')).sort()).toEqual(['answers', 'manifest.json']);
    writeFileSync(join(directory, 'r.tgz'), 'old');
    await saveRecording(recording(), join(directory, 'r.tgz'));
    expect((await loadRecording(join(directory, 'r.tgz'))).entries).toHaveLength(PAIRS.length);
  });

  it('touches nothing of a directory that is not empty, nor a file of that name', async () => {
    const directory = scratch();
    writeFileSync(join(directory, 'mine'), 'x');
    await expect(saveRecording(recording(), directory)).rejects.toMatchObject({ code: 'STD_OUTPUT' });
    await expect(saveRecording(recording(), join(directory, 'mine'))).rejects.toMatchObject({ code: 'STD_OUTPUT' });
    expect(readFileSync(join(directory, 'mine'), 'utf8')).toBe('x');
    expect(leftIn(directory).filter((name) => name.includes('partial'))).toEqual([]);
    expect(readdirSync(directory)).toEqual(['mine']);
  });

  it('leaves nothing half-written where it fails', async () => {
    const directory = scratch();
    writeFileSync(join(directory, 'file'), '');
    for (const name of ['r', 'r.tar.gz']) {
      const broken = { ...recording(), takenAt: 7n as unknown as string };
      await expect(saveRecording(broken, join(directory, name))).rejects.toMatchObject({ code: 'STD_OUTPUT' });
      await expect(saveRecording(recording(), join(directory, 'file', name))).rejects.toMatchObject({ code: 'STD_OUTPUT' });
    }
    mkdirSync(join(directory, 'd.tar.gz', 'full'), { recursive: true });
    await expect(saveRecording(recording(), join(directory, 'd.tar.gz'))).rejects.toMatchObject({ code: 'STD_OUTPUT' });
    expect(readdirSync(directory)).toEqual(['d.tar.gz', 'file']);
    expect(readdirSync(join(directory, 'd.tar.gz'))).toEqual(['full']);
  });

  it('keeps names of files harmless, whatever was asked', async () => {
    const random = randomFrom(10);
    const path = join(scratch(), 'r');
    const entries = Array.from({ length: 50 }, (): Recording['entries'][number] => ({
      probe: { kind: 'read', path: fromByteString(`/../${randomBytes(random, 30)}`) },
      answer: said('x'.repeat(500)),
    }));
    await saveRecording({ ...HEAD, entries }, path);
    expect(readdirSync(join(path, 'answers')).filter((name) => !/^\d{4}-[\w-]{1,40}\.(txt|bin)$/.test(name))).toEqual([]);
    expect((await loadRecording(path)).entries).toHaveLength(50);
  });
});

describe('loadRecording trusts nothing', () => {
  it('says where there is nothing, or something else', async () => {
    const directory = scratch();
    await refusal(join(directory, 'absent'));
    expect(await refusal(directory)).toContain('expected a file manifest.json');
    for (const content of ['', 'text', '{"schema":"stdoctor.recording/1"}', '\x1f\x8b\x08\x00garbage', '\0'.repeat(2048)]) {
      writeFileSync(join(directory, 'file'), Buffer.from(content, 'latin1'));
      await refusal(join(directory, 'file'));
    }
  });

  it.each([
    ['', 'not JSON'],
    ['{', 'not JSON'],
    ['\0', 'not JSON'],
    [null, 'at the document: expected Object'],
    [[], 'manifest.json'],
    [{}, 'at schema: expected'],
    [{ ...manifestWith(), schema: 'stdoctor.recording/2' }, 'at schema: expected "stdoctor.recording/1", found "stdoctor.recording/2"'],
    [{ ...manifestWith(), takenAt: 'yesterday' }, 'at takenAt'],
    [{ ...manifestWith(), target: { ...HEAD.target, kind: 'toaster' } }, 'at target.kind'],
    [{ ...manifestWith(), entries: {} }, 'at entries: expected Array'],
    [manifestWith({ probe: { kind: 'eval', code: 'x' }, answer: { state: 'ok', code: 0, at: AT, ms: 1 } }), 'at entries.0.probe.kind'],
    [manifestWith({ probe: { kind: 'run', argv: [] }, answer: { state: 'ok', code: 0, at: AT, ms: 1 } }), 'at entries.0.probe.argv'],
    [manifestWith({ probe: { kind: 'run', argv: [7] }, answer: { state: 'ok', code: 0, at: AT, ms: 1 } }), 'at entries.0.probe.argv.0'],
    [manifestWith({ probe: { kind: 'left-behind' }, answer: { state: 'fine', at: AT, ms: 1 } }), 'at entries.0.answer.state'],
    [manifestWith({ probe: { kind: 'left-behind' }, answer: { state: 'ok', code: '0', at: AT, ms: 1 } }), 'at entries.0.answer.code'],
    [manifestWith({ probe: { kind: 'left-behind' }, answer: { state: 'ok', code: 0, at: 'now', ms: 1 } }), 'at entries.0.answer.at'],
  ])('refuses the manifest %j', async (manifest, message) => {
    const directory = onDisk(manifest);
    expect(await refusal(directory)).toContain(message);
    expect(await refusal(await packed(directory))).toContain(message);
  });

  it.each([
    '../secret',
    'answers/../../secret',
    '/etc/passwd',
    'answers/a/b',
    'answers/',
    'answers\\..\\secret',
    'manifest.json',
    'secret',
    './answers/a',
    'answers/a\0',
    'answers/a\n',
  ])('reads no file %j', async (file) => {
    const directory = onDisk(manifestWith(entryFrom(file)), { secret: 'x', 'answers/a': 'x' });
    writeFileSync(join(dirname(directory), 'secret'), 'x');
    expect(await refusal(directory)).toContain('at entries.0.answer.out');
    expect(await refusal(await packed(directory))).toContain('at entries.0.answer.out');
  });

  it.each(['answers/..', 'answers/.', 'answers/missing'])('says that %s is not in it', async (file) => {
    const directory = onDisk(manifestWith(entryFrom(file)));
    expect(await refusal(directory)).toContain(`its manifest names ${file}, which is not in it`);
    expect(await refusal(await packed(directory))).toContain(`its manifest names ${file}, which is not in it`);
  });

  it('follows no link out of a directory or an archive', async () => {
    const directory = onDisk(manifestWith(entryFrom('answers/link')));
    writeFileSync(join(dirname(directory), 'secret'), 'secret');
    symlinkSync('../../secret', join(directory, 'answers', 'link'));
    expect(await refusal(directory)).toContain('which is not in it');
    expect(await refusal(await packed(directory))).toContain('which is not in it');

    const linked = onDisk(manifestWith(entryFrom('answers/a')));
    rmSync(join(linked, 'answers'), { recursive: true });
    mkdirSync(join(dirname(linked), 'elsewhere'));
    writeFileSync(join(dirname(linked), 'elsewhere', 'a'), 'secret');
    symlinkSync('../elsewhere', join(linked, 'answers'));
    expect(await refusal(linked)).toContain('which is not in it');
    expect(await refusal(await packed(linked))).toContain('which is not in it');

    const manifest = onDisk(manifestWith());
    rmSync(join(manifest, 'manifest.json'));
    writeFileSync(join(dirname(manifest), 'm.json'), JSON.stringify(manifestWith()));
    symlinkSync('../m.json', join(manifest, 'manifest.json'));
    expect(await refusal(manifest)).toContain('expected a file manifest.json');
    expect(await refusal(await packed(manifest))).toContain('expected a file manifest.json');
  });

  it('writes nothing anywhere, whatever paths an archive holds', async () => {
    const directory = scratch();
    const file = join(directory, 'r.tar');
    const manifest = Buffer.from(JSON.stringify(manifestWith()));
    writeFileSync(
      file,
      Buffer.concat([
        entry('../escaped', 'x'),
        entry(`${directory}/absolute`, 'x'),
        entry('answers/../../escaped', 'x'),
        entry('manifest.json', manifest),
        Buffer.alloc(1024),
      ]),
    );
    expect((await loadRecording(file)).entries).toEqual([]);
    expect(readdirSync(directory)).toEqual(['r.tar']);
    expect(existsSync(join(dirname(directory), 'escaped'))).toBe(false);
  });

  it('passes over devices, pipes, directories and hard links in an archive', async () => {
    const file = join(scratch(), 'r.tar');
    const kinds = (['CharacterDevice', 'FIFO', 'Link', 'SymbolicLink', 'Directory'] as const).map((type) =>
      entry('manifest.json', '', type),
    );
    writeFileSync(file, Buffer.concat([...kinds, Buffer.alloc(1024)]));
    expect(await refusal(file)).toContain('expected a file manifest.json');
  });

  it('refuses what is too large, before it reads it', async () => {
    const directory = onDisk(manifestWith(), { 'answers/big': '' });
    truncateSync(join(directory, 'answers', 'big'), 300 * 1024 * 1024);
    expect(await refusal(directory)).toContain('more than 268435456 bytes');

    const file = join(scratch(), 'r.tar');
    writeFileSync(file, entry('answers/big', '', 'File', 300 * 1024 * 1024));
    truncateSync(file, 301 * 1024 * 1024);
    expect(await refusal(file)).toContain('more than 268435456 bytes');
  });

  it('refuses an archive that was cut off, anywhere', async () => {
    const path = join(scratch(), 'r.tar.gz');
    await saveRecording(recording(), path);
    const whole = readFileSync(path);
    for (const part of [0.1, 0.3, 0.5, 0.7, 0.9, 0.99]) {
      writeFileSync(path, whole.subarray(0, Math.floor(whole.length * part)));
      await refusal(path);
    }
  });

  it('refuses a plain archive that ends within a file', async () => {
    const file = join(scratch(), 'r.tar');
    const manifest = JSON.stringify(manifestWith(entryFrom('answers/a')));
    writeFileSync(file, Buffer.concat([entry('manifest.json', manifest), entry('answers/a', 'x'.repeat(5000)).subarray(0, 3000)]));
    await refusal(file);
  });

  it('loads or refuses whatever a few wrong bytes make of it', async () => {
    const path = join(scratch(), 'r.tar.gz');
    await saveRecording(recording(), path);
    const whole = readFileSync(path);
    const random = randomFrom(11);
    for (let round = 0; round < 60; round++) {
      const damaged = Buffer.from(whole);
      damaged[random(damaged.length)] = random(256);
      writeFileSync(path, damaged);
      const result = await loadRecording(path).catch((thrown: unknown) => thrown);
      expect(result instanceof StdoctorError ? result.code : 'STD_BAD_RECORDING').toBe('STD_BAD_RECORDING');
      expect(result instanceof Error && !(result instanceof StdoctorError)).toBe(false);
    }
  });
});

/** One entry of a tar archive. */
function entry(
  path: string,
  content: string | Buffer,
  type: 'File' | 'CharacterDevice' | 'FIFO' | 'Link' | 'SymbolicLink' | 'Directory' = 'File',
  size?: number,
): Buffer {
  const body = Buffer.from(content);
  const header = new Header({
    path,
    type,
    mode: 0o644,
    size: size ?? body.length,
    mtime: new Date(0),
    ...(type.endsWith('Link') && { linkpath: '/etc/passwd' }),
  });
  header.encode();
  return Buffer.concat([header.block as Buffer, body, Buffer.alloc((512 - (body.length % 512)) % 512)]);
}
