import type { RunResult } from '../engine/result.ts';
import type { View } from '../report/report.ts';
import type { Format } from './flags.ts';

/** stream: where it will be read; undefined for a file. */
export async function renderReport(
  run: RunResult,
  format: Format,
  stream: NodeJS.WriteStream | undefined,
  view: View = {},
): Promise<string> {
  if (format === 'json') {
    const { reportToJson } = await import('../report/json.ts');
    return reportToJson(run);
  }
  const [{ reportToText }, { paintFor, plain }] = await Promise.all([import('../report/report.ts'), import('../report/style.ts')]);
  return reportToText(run, stream === undefined ? plain : paintFor(stream), view);
}
