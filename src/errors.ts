/** What a user can run into, in one table: exit code and what to try. Everything else that is thrown is a bug (70). */
export const EXIT = {
  ok: 0,
  warning: 1,
  remains: 1,
  critical: 2,
  failed: 2,
  unknown: 3,
  stale: 4,
  usage: 64,
  bug: 70,
  locked: 75,
  config: 78,
  interrupted: 130,
} as const;

const TABLE = {
  STD_USAGE: { exitCode: EXIT.usage, hint: 'stdoctor --help lists the commands, stdoctor COMMAND --help their flags.' },
  STD_BAD_RECORDING: { exitCode: EXIT.usage, hint: 'A recording is a directory or a .tar.gz file that stdoctor record wrote.' },
  STD_UNREACHED: { exitCode: EXIT.unknown, hint: 'ssh -v to the same name tells more.' },
  STD_LOCK_HELD: { exitCode: EXIT.locked, hint: 'Wait for it to end, or look at what it does; checks need no lock.' },
  STD_BAD_CONFIG: { exitCode: EXIT.config, hint: 'The keys are described in docs/configuration.md.' },
  STD_STATE_DIR: { exitCode: EXIT.remains, hint: 'Name another place with --state-dir or STDOCTOR_STATE_DIR.' },
  STD_BAD_JOURNAL: {
    exitCode: EXIT.remains,
    hint: 'Nothing was touched. Mend that line, or move the file aside: what it tells can then be neither resumed nor undone.',
  },
  STD_BAD_PLAN: { exitCode: EXIT.usage, hint: 'A plan file is what stdoctor plan --output FILE wrote.' },
  STD_OUTPUT: { exitCode: EXIT.usage, hint: 'Name another file with --output.' },
  STD_INTERRUPTED: { exitCode: EXIT.interrupted, hint: '' },
} as const;

export type ErrorCode = keyof typeof TABLE;

export class StdoctorError extends Error {
  override name = 'StdoctorError';
  readonly code: ErrorCode;
  readonly exitCode: number;
  readonly hint: string;

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options);
    this.code = code;
    this.exitCode = TABLE[code].exitCode;
    this.hint = TABLE[code].hint;
  }
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
