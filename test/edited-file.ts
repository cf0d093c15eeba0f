/** A check whose fault is a word in a file, and whose repair edits that file. */
import type { AnyCheck, Check, Found, Plan } from '../src/check/types.ts';
import type { CheckEntry } from '../src/engine/inspect.ts';
import { type ConfigFile, configFile } from '../src/facts/config-file.ts';
import type { Name } from '../src/names.ts';
import { editFile } from '../src/steps/editing.ts';

export const SICK = 'sick';
export const WELL = 'well';

/** `file-sick` while the file holds the word; `file-missing` where there is none. */
export function fileCheck(path: Name, verify?: readonly Name[]): CheckEntry {
  const meta: Check['meta'] = {
    id: 'edited-file',
    title: '',
    area: '',
    scope: 'host',
    summary: '',
    references: [],
    codes: { 'file-sick': '{subject} is sick', 'file-missing': '{subject} is missing' },
  };
  const check: AnyCheck = {
    meta,
    needs: { file: () => configFile(path) },
    detect: ({ file }: { file: ConfigFile }) => {
      const code = file.content === undefined ? 'file-missing' : 'file-sick';
      const evidence = [{ ...file.seen, excerpt: '' }];
      const found: Found = {
        code,
        severity: 'warning',
        subject: { kind: 'file', name: path },
        data: null,
        confidence: 'certain',
        evidence,
      };
      return { examined: 1, findings: file.content?.includes(SICK) === false ? [] : [found], unjudged: [] };
    },
    plan: (_finding: unknown, { file }: { file: ConfigFile }): Plan => {
      if (file.fixed !== undefined) {
        return { refused: file.fixed };
      }
      const after = file.content?.replaceAll(SICK, WELL) ?? `${WELL}\n`;
      const about = { path: file.path, before: file.content, after, title: 'Heal the file', why: 'It is sick.' };
      return { steps: [editFile({ ...about, ...(verify !== undefined && { verify }) })] };
    },
  };
  return { id: meta.id, title: '', load: async () => check };
}
