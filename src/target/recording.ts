/** Recordings on disk: one manifest and the longer outputs as files, in a directory or a .tar.gz of it. Untrusted when read. */
import { chmodSync, lstatSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { create, list, type ReadEntry } from 'tar';
import * as v from 'valibot';
import type { Answer, Probe } from '../check/types.ts';
import { makeDirectory } from '../directory.ts';
import { messageOf, StdoctorError } from '../errors.ts';
import { probeKey } from './probe-key.ts';

const RECORDING_SCHEMA = 'stdoctor.recording/1';
const MANIFEST = 'manifest.json';
const BYTES_AT_MOST = 256 * 1024 * 1024;
const INLINE_AT_MOST = 160;

export interface RecordingHead {
  version: string;
  takenAt: string;
  target: { name: string; kind: 'host' | 'array' | 'cluster'; identity: string };
}

export interface Recording extends RecordingHead {
  entries: { probe: Probe; answer: Answer }[];
}

const name = v.union([v.string(), v.strictObject({ base64: v.string() })]);
const common = { take: v.optional(v.string()) };
const probe = v.variant('kind', [
  v.object({ ...common, kind: v.literal('run'), argv: v.pipe(v.array(name), v.minLength(1)) }),
  v.object({ ...common, kind: v.literal('read'), path: name, maxBytes: v.optional(v.number()) }),
  v.object({ ...common, kind: v.literal('inventory'), topic: v.picklist(['os', 'system']) }),
  v.object({ ...common, kind: v.literal('left-behind') }),
  v.object({ ...common, kind: v.literal('journal') }),
]);
const output = v.optional(
  v.union([
    v.string(),
    v.strictObject({ base64: v.string() }),
    v.strictObject({ file: v.pipe(v.string(), v.regex(/^answers\/[\w.-]+$/)) }),
  ]),
  '',
);
const time = { at: v.pipe(v.string(), v.isoTimestamp()), ms: v.number() };
const answer = v.variant('state', [
  v.object({ ...time, state: v.literal('ok'), code: v.number(), out: output, err: v.optional(v.string(), '') }),
  v.object({ ...time, state: v.literal('errno'), errno: v.number() }),
  v.object({
    ...time,
    state: v.literal('timed-out'),
    limitMs: v.number(),
    out: output,
    err: v.optional(v.string(), ''),
    wchan: v.exactOptional(v.string()),
    leaked: v.exactOptional(v.object({ pid: v.number(), startTime: v.string() })),
  }),
  ...(['absent', 'denied', 'unreachable', 'cut', 'not-held'] as const).map((state) =>
    v.object({ ...time, state: v.literal(state), why: v.string() }),
  ),
]);
const manifest = v.object({
  schema: v.literal(RECORDING_SCHEMA),
  version: v.string(),
  takenAt: v.pipe(v.string(), v.isoTimestamp()),
  target: v.object({ name: v.string(), kind: v.picklist(['host', 'array', 'cluster']), identity: v.string() }),
  entries: v.pipe(v.array(v.object({ probe, answer })), v.maxLength(1_000_000)),
});

/** Writes a recording to a directory, or to a file where the name ends in .tar.gz or .tgz. Nothing is left half-written. */
export async function saveRecording(recording: Recording, path: string): Promise<void> {
  const packed = /\.(tar\.gz|tgz)$/.test(path);
  const partial = join(dirname(path), `.${basename(path)}.partial`);
  try {
    if (!packed && readdirIfThere(path).length > 0) {
      throw new StdoctorError('STD_OUTPUT', `${path} is there already and is not empty; a recording is written to a new directory or file`);
    }
    rmSync(partial, { recursive: true, force: true });
    writeDirectory(recording, partial);
    if (packed) {
      await create({ gzip: true, file: `${partial}.tgz`, cwd: partial, portable: true }, [MANIFEST, 'answers']);
      chmodSync(`${partial}.tgz`, 0o600);
      renameSync(`${partial}.tgz`, path);
    } else {
      rmSync(path, { recursive: true, force: true });
      renameSync(partial, path);
    }
  } catch (error) {
    throw error instanceof StdoctorError
      ? error
      : new StdoctorError('STD_OUTPUT', `the recording could not be written to ${path}: ${messageOf(error)}`, { cause: error });
  } finally {
    removeIfThere(partial);
    removeIfThere(`${partial}.tgz`);
  }
}

/** What cannot be removed was not made: why the recording failed says more. */
function removeIfThere(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true });
  } catch {
    // Said by the error that is on its way.
  }
}

function readdirIfThere(path: string): string[] {
  try {
    return readdirSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      return [];
    }
    throw error;
  }
}

function writeDirectory(recording: Recording, directory: string): void {
  // What it tells of a host is for its owner to hand on.
  makeDirectory(join(directory, 'answers'));
  const entries = recording.entries.map(({ probe, answer }, index) => {
    if (answer.state !== 'ok' && answer.state !== 'timed-out') {
      return { probe: JSON.parse(probeKey(probe)), answer };
    }
    const { out, err, ...rest } = answer;
    return {
      probe: JSON.parse(probeKey(probe)),
      answer: { ...rest, ...(err !== '' && { err }), ...storeOutput(Buffer.from(out), directory, index, probe) },
    };
  });
  const { version, takenAt, target } = recording;
  writeFileSync(join(directory, MANIFEST), `${JSON.stringify({ schema: RECORDING_SCHEMA, version, takenAt, target, entries }, null, 1)}\n`);
}

function storeOutput(
  out: Buffer,
  directory: string,
  index: number,
  probe: Probe,
): { out?: string | { base64: string } | { file: string } } {
  if (out.length === 0) {
    return {};
  }
  const text = out.toString('utf8');
  const isText = Buffer.from(text, 'utf8').equals(out);
  if (out.length <= INLINE_AT_MOST) {
    return { out: isText ? text : { base64: out.toString('base64') } };
  }
  const file = `answers/${String(index + 1).padStart(4, '0')}-${slugOf(probe)}.${isText ? 'txt' : 'bin'}`;
  writeFileSync(join(directory, file), out);
  return { out: { file } };
}

function slugOf(probe: Probe): string {
  const words = probe.kind === 'run' ? probe.argv : probe.kind === 'read' ? [probe.path] : [probe.kind];
  const text = words.map((word) => (typeof word === 'string' ? word : 'bytes')).join(' ');
  return (
    text
      .replace(/[^\w-]+/g, '_')
      .replace(/^_+/, '')
      .slice(0, 40) || 'probe'
  );
}

/** Reads a recording, trusting nothing in it: sizes are bounded, no path leaves it, no link is followed. */
export async function loadRecording(path: string): Promise<Recording> {
  const files = await readFiles(path);
  const text = files.get(MANIFEST);
  if (text === undefined) {
    throw new StdoctorError('STD_BAD_RECORDING', `${path} is no recording: expected a file ${MANIFEST} in it, found none`);
  }
  let parsed: unknown;
  try {
    parsed = JSON.parse(text.toString('utf8'));
  } catch (error) {
    throw new StdoctorError('STD_BAD_RECORDING', `${path}/${MANIFEST} is not JSON: ${messageOf(error)}`, { cause: error });
  }
  const checked = v.safeParse(manifest, parsed);
  if (!checked.success) {
    const issue = checked.issues[0];
    const place = v.getDotPath(issue) ?? 'the document';
    throw new StdoctorError(
      'STD_BAD_RECORDING',
      `${path}/${MANIFEST}, at ${place}: expected ${issue.expected ?? issue.message}, found ${issue.received}`,
    );
  }
  const entries = checked.output.entries.map((entry) => {
    const { answer } = entry;
    return {
      probe: entry.probe as Probe,
      answer: (answer.state === 'ok' || answer.state === 'timed-out'
        ? { ...answer, out: outputBytes(answer.out, files, path) }
        : answer) as Answer,
    };
  });
  const { version, takenAt, target } = checked.output;
  return { version, takenAt, target, entries };
}

function outputBytes(out: v.InferOutput<typeof output>, files: ReadonlyMap<string, Buffer>, path: string): Uint8Array {
  if (typeof out === 'string') {
    return Buffer.from(out, 'utf8');
  }
  if ('base64' in out) {
    return Buffer.from(out.base64, 'base64');
  }
  const found = files.get(out.file);
  if (found === undefined) {
    throw new StdoctorError('STD_BAD_RECORDING', `${path} is damaged: its manifest names ${out.file}, which is not in it`);
  }
  return found;
}

async function readFiles(path: string): Promise<Map<string, Buffer>> {
  try {
    return statSync(path).isDirectory() ? readDirectory(path) : await readArchive(path);
  } catch (error) {
    if (error instanceof StdoctorError) {
      throw error;
    }
    throw new StdoctorError('STD_BAD_RECORDING', `${path} cannot be read as a recording: ${messageOf(error)}`, { cause: error });
  }
}

function readDirectory(path: string): Map<string, Buffer> {
  const files = new Map<string, Buffer>();
  let bytes = 0;
  const add = (name: string) => {
    const stat = lstatSync(join(path, name), { throwIfNoEntry: false });
    if (stat?.isFile()) {
      bytes = bounded(bytes + stat.size, path);
      files.set(name, readFileSync(join(path, name)));
    }
  };
  add(MANIFEST);
  if (lstatSync(join(path, 'answers'), { throwIfNoEntry: false })?.isDirectory()) {
    for (const name of readdirSync(join(path, 'answers'))) {
      add(`answers/${name}`);
    }
  }
  return files;
}

async function readArchive(path: string): Promise<Map<string, Buffer>> {
  const files = new Map<string, Buffer>();
  let bytes = 0;
  let tooLarge: StdoctorError | undefined;
  const onReadEntry = (entry: ReadEntry) => {
    const name = entry.path.replace(/^\.\//, '');
    if (entry.type !== 'File' || tooLarge !== undefined || !/^(manifest\.json|answers\/[\w.-]+)$/.test(name)) {
      entry.resume();
      return;
    }
    const parts: Buffer[] = [];
    entry.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= BYTES_AT_MOST) {
        parts.push(chunk);
      } else {
        tooLarge ??= oversized(path);
      }
    });
    entry.on('end', () => files.set(name, Buffer.concat(parts)));
  };
  await list({ file: path, strict: true, onReadEntry, maxDecompressionRatio: 1000 } as Parameters<typeof list>[0] & { file: string });
  if (tooLarge !== undefined) {
    throw tooLarge;
  }
  return files;
}

function bounded(bytes: number, path: string): number {
  if (bytes > BYTES_AT_MOST) {
    throw oversized(path);
  }
  return bytes;
}

function oversized(path: string): StdoctorError {
  return new StdoctorError('STD_BAD_RECORDING', `${path} holds more than ${BYTES_AT_MOST} bytes, which no recording needs`);
}
