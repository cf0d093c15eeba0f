/** Why there is no session, from what ssh said. Its exit code 255 tells nothing. */
import { printable } from '../../names.ts';

/** `dropped`: the other side closed at once, as one does that has too many connections: worth another try. */
export interface Refusal {
  state: 'unreachable' | 'denied';
  why: string;
  dropped?: true;
}

// In order: a line that says more stands before the one that follows from it.
const KNOWN: readonly [RegExp, Refusal['state'], string][] = [
  [
    /REMOTE HOST IDENTIFICATION HAS CHANGED/,
    'denied',
    'its host key has CHANGED: either it was installed anew, or somebody else answers in its place; nothing was asked',
  ],
  [
    /^Host key verification failed|^No \S+ host key is known for/m,
    'denied',
    'its host key is unknown here: connect once by hand and compare it',
  ],
  [
    /Bad configuration option|Can't open user config file|terminating, \d+ bad configuration/,
    'unreachable',
    'the ssh configuration is wrong',
  ],
  [/Could not resolve hostname/, 'unreachable', 'its name cannot be resolved'],
  [/Connection refused/, 'unreachable', 'nothing listens there: connection refused'],
  [/No route to host|Network is unreachable/, 'unreachable', 'there is no way to it'],
  [/Connection timed out during banner exchange/, 'unreachable', 'something accepts connections there and does not answer'],
  [/Connection timed out|^Connection to .* timed out|^Timeout, server .* not responding/m, 'unreachable', 'no answer'],
  [
    /banner line too long|Bad packet length|Protocol major versions differ|Invalid SSH identification|padding error|message authentication code incorrect/,
    'unreachable',
    'what answers there is no SSH server',
  ],
  [
    /Permission denied \(|Too many authentication failures|no more authentication methods/,
    'denied',
    'permission denied: no key of ours is accepted',
  ],
];

const DROPPED = /kex_exchange_identification: (Connection closed|read: Connection reset)|Connection reset by peer|Connection closed by/;

/** `noise`: what stood on its standard output in place of our program. */
export function refusalOf(said: string, noise: string): Refusal {
  for (const [pattern, state, meaning] of KNOWN) {
    const line = said.split('\n').find((each) => pattern.test(each));
    if (line !== undefined) {
      return { state, why: `${meaning} (${quote(line)})` };
    }
  }
  const dropped = said.split('\n').find((each) => DROPPED.test(each));
  if (dropped !== undefined) {
    return { state: 'unreachable', why: `the connection was closed before anything was said (${quote(dropped)})`, dropped: true };
  }
  return noShell(said, noise);
}

/** The login went well, or so it seems, but no shell of ours was started. */
function noShell(said: string, noise: string): Refusal {
  const first = firstLine(noise) ?? firstLine(said);
  return {
    state: 'denied',
    why: `there is no shell for us${first === undefined ? ': the connection was closed without a word' : `, but: ${first}`}`,
  };
}

export function endlessNoise(noise: string): Refusal {
  return { state: 'denied', why: `there is no shell for us, but output without end: ${firstLine(noise) ?? ''}` };
}

/** The connection stood, and is gone. */
export function lossOf(said: string): Refusal {
  const line = said
    .trim()
    .split('\n')
    .findLast((each) => /Connection to|Timeout, server|Broken pipe|closed by|reset by/.test(each));
  return { state: 'unreachable', why: `the connection was lost${line === undefined ? '' : ` (${quote(line)})`}` };
}

function firstLine(text: string): string | undefined {
  const line = text.split('\n').find((each) => each.trim() !== '');
  return line === undefined ? undefined : quote(line);
}

function quote(line: string): string {
  return printable(Buffer.from(line.trim(), 'latin1').toString('utf8')).slice(0, 200);
}
