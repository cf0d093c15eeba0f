/** What every day has no time for: npm run test:full. */
import { it } from 'vitest';

export const FULL = process.env['STDOCTOR_TEST_FULL'] === '1';

/** A test of npm run test:full, and of no other run. */
export function itInFull(name: string, work: () => Promise<void>): void {
  if (FULL) {
    it(name, work);
  }
}
