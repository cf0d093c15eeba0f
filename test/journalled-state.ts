/** State directories for the built program: their journal tells of a repair that made a file, with claims that it knows. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Finding, Step } from '../src/check/types.ts';
import { pathIs } from '../src/facts/look.ts';
import type { Entry } from '../src/journal/entries.ts';
import { Journal } from '../src/journal/journal.ts';
import { acted, WHO } from './fake-host.ts';
import { scratch } from './scratch.ts';

export const RUN = '20261121T093000Z-1a2b3c';

export interface JournalledState {
  stateDir: string;
  /** What the repair made. */
  file: string;
}

/** How far it came; the file is there from `acted` on. */
export function journalledState(machine: string, came: 'opened' | 'act' | 'acted' | 'proven' | 'closed'): JournalledState {
  const directory = scratch();
  const file = join(directory, 'made');
  const step: Step = {
    title: 'Make a file',
    why: 'a test',
    risk: 'safe',
    action: { kind: 'run', argv: ['touch', '--', file] },
    guards: [pathIs({ path: file, type: 'absent' })],
    proof: [pathIs({ path: file, type: 'f' })],
    undo: { action: { kind: 'run', argv: ['rm', '--', file] }, proof: [pathIs({ path: file, type: 'absent' })] },
  };
  const finding: Finding = {
    id: 'fuse-dead-12345678',
    check: 'zombie-mounts',
    code: 'fuse-dead',
    severity: 'critical',
    subject: { kind: 'mount', name: { base64: Buffer.from('/mnt/caf\xe9', 'latin1').toString('base64') } },
    data: null,
    confidence: 'certain',
    evidence: [],
  };
  const opened: Entry = {
    event: 'opened',
    version: '0.1.0',
    who: { ...WHO, sudoUser: 'alice' },
    machine,
    boot: null,
    finding,
    summary: '/mnt/caf\\xe9: its FUSE daemon is gone',
    risk: 'safe',
    steps: [step],
    references: { run: RUN, state: directory, rescue: join(directory, 'rescue', RUN) },
  };
  const steps = came === 'opened' ? [] : acted(0, step, came === 'closed' ? 'proven' : came).filter(({ event }) => event !== 'started');
  const entries: Entry[] = [opened, ...steps, ...(came === 'closed' ? [{ event: 'closed', as: 'repaired' } as const] : [])];
  const journal = new Journal(directory);
  for (const entry of entries) {
    journal.write(RUN, finding.id, entry);
  }
  journal.close();
  if (came !== 'opened' && came !== 'act') {
    writeFileSync(file, '');
  }
  return { stateDir: directory, file };
}
