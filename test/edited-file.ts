/** A check whose fault is a word in a file, and whose repair edits that file. */
import type { AnyCheck, Check, Found, Plan } from '../src/check/types.ts';
import type { CheckEntry } from '../src/engine/inspect.ts';
import { type ConfigFile, configFile } from '../src/facts/config-file.ts';
import { fromByteString, type Name, toByteString } from '../src/names.ts';
import { editFile } from '../src/steps/editing.ts';

const SICK = 'sick';
const WELL = 'well';

/** `file-sick` for each line that holds the word; `file-missing` where there is no file. */
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
      const sick = new Set(file.content?.split('\n').filter((line) => line.includes(SICK)));
      const about = { severity: 'warning', data: null, confidence: 'certain', evidence: [{ ...file.seen, excerpt: '' }] } as const;
      const missing: Found = { ...about, evidence: [...about.evidence], code: 'file-missing', subject: { kind: 'file', name: path } };
      const findings = [...sick].map(
        (line): Found => ({ ...missing, code: 'file-sick', subject: { kind: 'line', name: fromByteString(line) } }),
      );
      return { examined: 1, findings: file.content === undefined ? [missing] : findings, unjudged: [] };
    },
    plan: ({ subject }: Found, { file }: { file: ConfigFile }): Plan => {
      if (file.fixed !== undefined) {
        return { refused: file.fixed };
      }
      const line = toByteString(subject.name);
      const lines = file.content?.split('\n').map((each) => (each === line ? each.replaceAll(SICK, WELL) : each));
      const about = { path: file.path, before: file.content, after: lines?.join('\n') ?? `${WELL}\n` };
      return { steps: [editFile({ ...about, title: 'Heal the file', why: 'It is sick.', ...(verify !== undefined && { verify }) })] };
    },
  };
  return { id: meta.id, title: '', load: async () => check };
}
