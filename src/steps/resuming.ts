import type { Claim, Step } from '../check/types.ts';
import { mappingForgotten, mappingSuspended } from '../facts/suspended.ts';
import { run } from './mounting.ts';

/** Resumes a device-mapper device (`major:minor`, and its name) that somebody suspended and seems to have forgotten. */
export function resumeMapping(device: string, name: string, guards: Claim[], proof: Claim[]): Step {
  return {
    title: `Let ${name} go on`,
    why: 'It was suspended, for a snapshot, pvmove or a migration as a rule, and nobody is at work on it now. Whoever waits for it goes on. If somebody holds it on purpose, ask first.',
    risk: 'disruptive',
    action: run('dmsetup', 'resume', name),
    guards: [...guards, mappingForgotten({ device, name })],
    proof: [mappingSuspended({ device, suspended: false }), ...proof],
    patienceMs: 10_000,
    undo: { action: run('dmsetup', 'suspend', name), proof: [mappingSuspended({ device, suspended: true })] },
  };
}
