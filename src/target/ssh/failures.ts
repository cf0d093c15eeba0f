/** Why there is no session, from what ssh said. Its exit code 255 tells nothing. */
import { printable } from '../../names.ts';

/** `dropped`: the other side closed at once, as one does that has too many connections: worth another try. */
export interface Refusal {
  state: 'unreachable' | 'denied';
  why: string;
  dropped?: true;
}

const CHANGED = /REMOTE HOST IDENTIFICATION HAS CHANGED/;
const HAS_CHANGED = 'its host key has CHANGED: either it was installed anew, or somebody else answers in its place; nothing was asked';

const KNOWN: readonly [RegExp, Refusal['state'], string][] = [
  [
    /^Host key verification failed|^No \S+ host key is known for/,
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
    /banner line too long|No SSH version received|Bad packet length|Protocol major versions differ|Invalid SSH identification|padding error|message authentication code incorrect/,
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

/** `noise`: what stood on its standard output in place of our program. `code`: 255 where ssh itself failed. */
export function refusalOf(said: string, noise: string, code: number | null = 255): Refusal {
  // From the end: what stands before it may be a greeting of the server, which can be any text.
  for (const line of said.split('\n').toReversed()) {
    const [, state, meaning] = KNOWN.find(([pattern]) => pattern.test(line)) ?? [];
    if (state !== undefined) {
      const changed = line.startsWith('Host key verification failed') && CHANGED.test(said);
      return { state, why: `${changed ? HAS_CHANGED : meaning} (${quote(line)})` };
    }
  }
  const dropped = said.split('\n').find((each) => DROPPED.test(each));
  if (dropped !== undefined) {
    return { state: 'unreachable', why: `the connection was closed before anything was said (${quote(dropped)})`, dropped: true };
  }
  const last = said.trim().split('\n').at(-1) ?? '';
  return noise.trim() === '' && code === 255 && last !== ''
    ? { state: 'unreachable', why: `ssh says: ${quote(last)}` }
    : noShell(said, noise);
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
