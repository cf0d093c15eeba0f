import { expect, it } from 'vitest';
import { hungKey, probeKey } from './probe-key.ts';

const ask = (take?: string) => ({ kind: 'run', argv: ['stat', '/mnt'], limitMs: 5, ...(take !== undefined && { take }) }) as const;

it('a child that hangs on a second try speaks for the first, and for no other look', () => {
  expect(hungKey(ask('device 0:39, retry 2'))).toBe(hungKey(ask('device 0:39')));
  expect(hungKey(ask('device 0:40'))).not.toBe(hungKey(ask('device 0:39')));
  expect(hungKey(ask('again'))).not.toBe(hungKey(ask()));
  expect(probeKey(ask('device 0:39, retry 2'))).not.toBe(probeKey(ask('device 0:39')));
});
