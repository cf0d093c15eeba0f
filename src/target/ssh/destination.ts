/** What `--host` names: an ssh_config name, or user@host[:port]. */
import { StdoctorError } from '../../errors.ts';
import { printable } from '../../names.ts';

export interface Destination {
  /** As it was given. */
  name: string;
  host: string;
  user?: string;
  port?: number;
}

// The name reaches ProxyCommand as %h, and so a shell: nothing that one could take for more than a name. Not a port
// without a user: `a::1` would be read in two ways.
const SHAPE =
  /^(?:([A-Za-z0-9_][A-Za-z0-9_.-]*)@)?(\[[0-9A-Fa-f:.%A-Za-z0-9]+\]|[A-Za-z0-9_][A-Za-z0-9_.-]*|[0-9A-Fa-f]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)(?::([0-9]{1,5}))?$/;

/** Throws STD_USAGE where it is no such name. */
export function parseDestination(given: string): Destination {
  const [, user, host, port] = SHAPE.exec(given) ?? [];
  if (host === undefined || (port !== undefined && (Number(port) < 1 || Number(port) > 65535))) {
    throw new StdoctorError(
      'STD_USAGE',
      `--host ${given === '' ? "''" : printable(given)}: expected a name of ssh_config or user@host[:port], with letters, digits, '.', '-' and '_', not beginning with '-'`,
    );
  }
  return {
    name: given,
    host: host.replace(/^\[(.*)\]$/, '$1'),
    ...(user !== undefined && { user }),
    ...(port !== undefined && { port: Number(port) }),
  };
}

/**
 * The command line of one session. What the user configured for the host (keys, jump hosts, known hosts) stays in
 * force; what could ask, wait for ever or lead somewhere else is off.
 */
export function sshArguments({ host, user, port }: Destination, connectS: number): string[] {
  const options = {
    BatchMode: 'yes',
    ConnectTimeout: connectS,
    ConnectionAttempts: 1,
    ServerAliveInterval: 5,
    ServerAliveCountMax: 3,
    // At ERROR, several fatal ends print nothing.
    LogLevel: 'INFO',
    ClearAllForwardings: 'yes',
    ForwardAgent: 'no',
    ForwardX11: 'no',
    RemoteCommand: 'none',
    PermitLocalCommand: 'no',
  };
  return [
    '-T',
    ...['-e', 'none'],
    ...Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`]),
    // A connection of our own: a shared one would leave a master of ours behind, or refuse us for its limits.
    ...['-S', 'none'],
    ...(user === undefined ? [] : ['-l', user]),
    ...(port === undefined ? [] : ['-p', String(port)]),
    '--',
    host,
    'sh',
  ];
}
