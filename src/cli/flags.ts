import * as Flags from '@oclif/core/flags';
import { parseDuration } from '../durations.ts';
import { StdoctorError } from '../errors.ts';
import { printable } from '../names.ts';

export const FORMATS = ['pretty', 'json'] as const;
export type Format = (typeof FORMATS)[number];

export const stateFlags = {
  'state-dir': Flags.string({ description: 'where the journal, the lock and left-behind children are kept', helpValue: 'DIR' }),
  config: Flags.string({ description: 'a configuration file, read after the usual ones', helpValue: 'FILE' }),
};

export const deadlineFlag = {
  deadline: Flags.string({ description: 'after this, what is not known is unjudged (default 60s)', helpValue: 'DURATION' }),
};

export const formatFlags = {
  format: Flags.option({ options: FORMATS, description: 'how the report looks' })(),
  json: Flags.boolean({ description: 'short for --format json' }),
};

export const evidenceFlag = {
  evidence: Flags.boolean({ description: 'show all evidence, with source and time, not only the line that says most' }),
};

export const outputFlag = {
  output: Flags.string({ multiple: true, description: 'write to FILE, or to several as FORMAT:FILE', helpValue: '[FORMAT:]FILE' }),
};

export const rescueFlag = {
  'rescue-dir': Flags.string({ description: 'where copies of data in danger are put (default STATE-DIR/rescue)', helpValue: 'DIR' }),
};

export const fromFlag = {
  from: Flags.string({ description: 'judge a recording instead of this host', helpValue: 'RECORDING' }),
};

const HOST = { description: 'ask another host over ssh: a name of ssh_config, or user@host[:port]', helpValue: 'NAME' };
const sudoFlag = {
  sudo: Flags.boolean({ allowNo: true, default: true, description: 'on other hosts, go on as root with sudo -n where that is allowed' }),
};

export const hostFlag = { host: Flags.string({ ...HOST, exclusive: ['from'] }), ...sudoFlag };

export const hostsFlag = { host: Flags.string({ ...HOST, exclusive: ['from'], multiple: true, multipleNonGreedy: true }), ...sudoFlag };

/** The deadline in milliseconds: the flag's, else the configured one. */
export function deadlineOf(flag: string | undefined, configuredMs: number): number {
  return flag === undefined ? configuredMs : durationOf('deadline', flag);
}

/** A flag's duration in milliseconds. */
export function durationOf(name: string, given: string): number {
  const ms = parseDuration(given);
  if (ms === undefined) {
    throw new StdoctorError('STD_USAGE', `--${name} ${printable(given)}: expected a duration such as 500ms, 30s, 5m, 2h or 7d`);
  }
  return ms;
}
