import { describe, expect, it } from 'vitest';
import { endlessNoise, lossOf, refusalOf } from './failures.ts';

const CHANGED = `@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!
Host key for [127.0.0.1]:4022 has changed and you have requested strict checking.
Host key verification failed.
`;

describe('refusalOf', () => {
  it.each([
    ['ssh: connect to host 127.0.0.1 port 4999: Connection refused\n', 'unreachable', 'nothing listens there'],
    ['ssh: connect to host 10.0.0.1 port 22: No route to host\n', 'unreachable', 'there is no way to it'],
    ['ssh: connect to host 10.0.0.1 port 22: Connection timed out\n', 'unreachable', 'no answer'],
    ['Connection timed out during banner exchange\n', 'unreachable', 'accepts connections there and does not answer'],
    ['Connection to 127.0.0.1 port 5 timed out\n', 'unreachable', 'no answer'],
    ['kex_exchange_identification: banner line too long\n', 'unreachable', 'no SSH server'],
    ['Bad packet length 1349676916.\nssh_dispatch_run_fatal: message authentication code incorrect\n', 'unreachable', 'no SSH server'],
    ['ssh: Could not resolve hostname nowhere: Name or service not known\n', 'unreachable', 'cannot be resolved'],
    [
      'No ED25519 host key is known for [127.0.0.1]:4022 and you have requested strict checking.\nHost key verification failed.\n',
      'denied',
      'unknown here',
    ],
    [CHANGED, 'denied', 'has CHANGED'],
    ['root@127.0.0.1: Permission denied (publickey,password).\n', 'denied', 'no key of ours is accepted'],
    ['/root/.ssh/config: line 3: Bad configuration option: foo\n', 'unreachable', 'the ssh configuration is wrong'],
    [`${CHANGED}root@h: Permission denied (publickey).\n`, 'denied', 'permission denied'],
    ['Connection refused\nroot@h: Permission denied (publickey).\n', 'denied', 'permission denied'],
    ['kex_exchange_identification: No SSH version received in first 1024 lines from server\n', 'unreachable', 'no SSH server'],
    ['Banner of the bank: no trespassing\nroot@h: Permission denied (publickey).\n', 'denied', 'permission denied'],
    [
      'ssh: connect to host jump port 22: Connection refused\nkex_exchange_identification: Connection closed by remote host\n',
      'unreachable',
      'nothing listens there: connection refused (ssh: connect to host jump port 22: Connection refused)',
    ],
  ])('%j', (said, state, meaning) => {
    const refusal = refusalOf(said, '');
    expect(refusal.state).toBe(state);
    expect(refusal.why).toContain(meaning);
    expect(refusal.dropped).toBeUndefined();
  });

  it.each([
    'kex_exchange_identification: Connection closed by remote host\nConnection closed by 127.0.0.1 port 5\n',
    'kex_exchange_identification: read: Connection reset by peer\n',
  ])('%j is worth another try', (said) => {
    expect(refusalOf(said, '')).toMatchObject({ state: 'unreachable', dropped: true });
  });

  it('quotes what came in place of a shell, harmless to a terminal', () => {
    expect(refusalOf('', '\nThis account is \u001b[31mnot available.\n')).toEqual({
      state: 'denied',
      why: 'there is no shell for us, but: This account is \\e[31mnot available.',
    });
    expect(refusalOf('', '', 0).why).toBe('there is no shell for us: the connection was closed without a word');
    expect(refusalOf('some new way to fail\n', '').why).toBe('ssh says: some new way to fail');
    expect(refusalOf('no entry\n', '', 1).why).toBe('there is no shell for us, but: no entry');
    expect(endlessNoise('y\ny\n').why).toBe('there is no shell for us, but output without end: y');
  });
});

describe('lossOf', () => {
  it.each([
    ['Connection to 127.0.0.1 closed by remote host.\n', 'the connection was lost (Connection to 127.0.0.1 closed by remote host.)'],
    ['Timeout, server 127.0.0.1 not responding.\n', 'the connection was lost (Timeout, server 127.0.0.1 not responding.)'],
    ['sudo: a password is required\n', 'the connection was lost'],
  ])('%j', (said, why) => {
    expect(lossOf(said)).toEqual({ state: 'unreachable', why });
  });
});
