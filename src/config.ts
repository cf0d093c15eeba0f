/** /etc/stdoctor/config.yaml, then the user's, then --config: later ones win. Absent is fine, wrong is not. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Document, LineCounter } from 'yaml';
import { parseDuration } from './durations.ts';
import { messageOf, StdoctorError } from './errors.ts';

export interface Config {
  /** Milliseconds. */
  deadlineMs: number;
  /** Ids of checks that do not run unless they are named. */
  skip: string[];
}

export const DEFAULTS: Config = { deadlineMs: 60_000, skip: [] };

/** The usual places, without one given by hand. */
export function usualConfigFiles(env: NodeJS.ProcessEnv): string[] {
  const base = env['XDG_CONFIG_HOME']?.startsWith('/')
    ? env['XDG_CONFIG_HOME']
    : env['HOME']?.startsWith('/')
      ? join(env['HOME'], '.config')
      : undefined;
  return ['/etc/stdoctor/config.yaml', ...(base === undefined ? [] : [join(base, 'stdoctor/config.yaml')])];
}

/** checkIds: what may stand under skip. */
export async function loadConfig(usual: readonly string[], named: string | undefined, checkIds: readonly string[]): Promise<Config> {
  const files = [...usual.filter((file) => existsSync(file)), ...(named === undefined ? [] : [named])];
  let config = DEFAULTS;
  for (const file of files) {
    config = { ...config, ...(await readConfig(file, checkIds)) };
  }
  return config;
}

async function readConfig(file: string, checkIds: readonly string[]): Promise<Partial<Config>> {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new StdoctorError('STD_BAD_CONFIG', `${file} cannot be read: ${messageOf(error)}`, { cause: error });
  }
  const [{ LineCounter, parseDocument }, v] = await Promise.all([import('yaml'), import('valibot')]);
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const broken = document.errors[0];
  if (broken !== undefined) {
    const { line, col } = lines.linePos(broken.pos[0]);
    throw new StdoctorError('STD_BAD_CONFIG', `${file}:${line}:${col}: not valid YAML: ${messageOf(broken).split('\n')[0]}`);
  }
  let given: unknown;
  try {
    given = document.toJS() ?? {};
  } catch (error) {
    // An alias of nothing, or more of them than anybody writes by hand.
    throw new StdoctorError('STD_BAD_CONFIG', `${file}: not valid YAML: ${messageOf(error)}`, { cause: error });
  }
  if (typeof given !== 'object' || Array.isArray(given)) {
    const found = Array.isArray(given) ? 'a list' : JSON.stringify(given);
    throw new StdoctorError('STD_BAD_CONFIG', `${file}:1: expected the keys deadline and skip, each with a value, found ${found}`);
  }
  const duration = 'a duration such as 500ms, 30s, 5m, 2h or 7d';
  const schema = v.strictObject({
    deadline: v.optional(
      v.pipe(
        v.string(duration),
        v.check((text) => parseDuration(text) !== undefined, duration),
      ),
    ),
    skip: v.optional(v.array(v.picklist(checkIds, `one of the checks ${checkIds.join(', ')}`), 'a list of checks')),
  });
  const checked = v.safeParse(schema, given);
  if (!checked.success) {
    const issue = checked.issues[0];
    const path = issue.path?.map(({ key }) => key) ?? [];
    const expected = issue.type === 'strict_object' ? 'one of the keys deadline, skip' : issue.message;
    throw new StdoctorError(
      'STD_BAD_CONFIG',
      `${file}:${lineOf(document, lines, path)}: ${path.join('.')}: expected ${expected}, found ${issue.received}`,
    );
  }
  const { deadline, skip } = checked.output;
  return { ...(deadline !== undefined && { deadlineMs: parseDuration(deadline) as number }), ...(skip !== undefined && { skip }) };
}

interface YamlNode {
  range?: [number] | null;
  /** Pairs of a mapping, values of a list. */
  items?: readonly (YamlNode & { key?: YamlNode & { value?: unknown }; value?: unknown })[];
}

/** Where a key or an element of a list stands; the first line where there is no such thing. */
function lineOf(document: Document, lines: LineCounter, path: readonly unknown[]): number {
  let node = document.contents as YamlNode | null;
  let offset = 0;
  for (const step of path) {
    const item = typeof step === 'number' ? node?.items?.[step] : node?.items?.find(({ key }) => String(key?.value) === step);
    offset = (item?.key ?? item)?.range?.[0] ?? offset;
    node = (item?.key === undefined ? item : (item.value as YamlNode | null)) ?? null;
  }
  return lines.linePos(offset).line;
}
