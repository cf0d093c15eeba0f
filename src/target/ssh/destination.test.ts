import { describe, expect, it } from 'vitest';
import { parseDestination, sshArguments } from './destination.ts';

describe('parseDestination', () => {
  it.each([
    ['hv1', { host: 'hv1' }],
    ['hv-1.example.org', { host: 'hv-1.example.org' }],
    ['root@hv1', { host: 'hv1', user: 'root' }],
    ['root@hv1:2222', { host: 'hv1', user: 'root', port: 2222 }],
    ['hv1:22', { host: 'hv1', port: 22 }],
    ['127.0.0.1:4022', { host: '127.0.0.1', port: 4022 }],
    ['root@[2001:db8::1]:2222', { host: '2001:db8::1', user: 'root', port: 2222 }],
    ['[fe80::1%eth0]', { host: 'fe80::1%eth0' }],
    ['2001:db8::1', { host: '2001:db8::1' }],
  ])('%s', (name, expected) => {
    expect(parseDestination(name)).toEqual({ name, ...expected });
  });

  it.each([
    '',
    '-oProxyCommand=reboot',
    'a b',
    'a;b',
    '$(reboot)',
    '`reboot`',
    'a\nb',
    'user@',
    '@host',
    'a@b@c',
    'host:',
    'host:0',
    'host:65536',
    'root@-host',
    "a'b",
    'ssh://host',
    '%h',
  ])('refuses %j', (name) => {
    expect(() => parseDestination(name)).toThrow(/^--host .*: expected a name of ssh_config or user@host\[:port\]/);
  });
});

it('no option stands behind the name of the host, and nothing can ask or wait for ever', () => {
  const argv = sshArguments(parseDestination('root@hv1:2222'), 10);
  expect(argv.slice(argv.indexOf('--'))).toEqual(['--', 'hv1', 'sh']);
  expect(argv.join(' ')).toMatch(/-o BatchMode=yes .*-o ServerAliveInterval=5 .*-S none -l root -p 2222 -- /);
});
