import type { Part } from '../data.ts';
import { seekConfigured } from './detect.ts';
import { planConfigured } from './plan.ts';

export const configured: Part = {
  codes: {
    'configured-not-mounted': '{subject}: should be {use}, from {source}, and is not',
    'mount-missed-late-device':
      '{subject}: is not {use}: {source} is there now, but was not when systemd would have started it (or the line is newer than the boot), and systemd does not try again',
    'unit-failed': '{subject}: {unit} failed: {result}',
    'automount-target-gone': '{subject}: the next access will fail, because {source} is not there',
    moved: '{subject}: what should be mounted here is mounted at {elsewhere}',
  },
  many: {
    'configured-not-mounted': 'are configured and not there',
    'mount-missed-late-device': 'were left out at boot',
    'unit-failed': 'have a unit that failed',
    'automount-target-gone': 'wait for a device that is not there',
    moved: 'are mounted at another place than they should be',
  },
  seek: seekConfigured,
  plan: (finding, facts) => planConfigured(finding as Parameters<typeof planConfigured>[0], facts),
};
