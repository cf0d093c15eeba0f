import { type Name, showName } from '../names.ts';
import type { Found } from './types.ts';

/** Fills a code's sentence: `{subject}` and `{name}` for names in the finding's data. What is missing stays visible. */
export function sentence(template: string, finding: Pick<Found<string, unknown>, 'subject' | 'data'>): string {
  const data = (finding.data ?? {}) as Record<string, unknown>;
  return template.replace(/\{(\w+)\}/g, (whole, key: string) =>
    key === 'subject' ? showName(finding.subject.name) : toText(data[key], whole),
  );
}

function toText(value: unknown, otherwise: string): string {
  if (typeof value === 'string' || (typeof value === 'object' && value !== null && 'base64' in value)) {
    return showName(value as Name);
  }
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : otherwise;
}
