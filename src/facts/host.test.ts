import { describe, expect, it } from 'vitest';
import { absent, fakeTarget, said, wordsOf } from '../../test/fake-target.ts';
import type { Answer } from '../check/types.ts';
import { Round } from '../engine/round.ts';
import { host, machine } from './host.ts';

function round(files: Record<string, string | Answer>): Round {
  const target = fakeTarget((probe) => {
    const found = files[wordsOf(probe)];
    return typeof found === 'string' ? said(Buffer.from(found)) : found;
  });
  return new Round(target, Date.now() + 5000);
}

describe('host', () => {
  it('reads who the host is', async () => {
    const found = await round({
      'cat /etc/machine-id': '0123456789abcdef0123456789abcdef\n',
      '/proc/sys/kernel/hostname': 'hv1\n',
      'cat /etc/os-release': 'NAME="x"\nPRETTY_NAME="Débian GNU/Linux 12 (bookworm)"\nID=debian\n',
      '/proc/sys/kernel/osrelease': '6.1.0\n',
      '/proc/stat': 'cpu 1 2\nbtime 1700000000\nprocesses 7\n',
    }).gather(host());
    expect(found).toEqual({
      machineId: '0123456789abcdef0123456789abcdef',
      bootId: null,
      hostname: 'hv1',
      os: 'Débian GNU/Linux 12 (bookworm)',
      kernel: '6.1.0',
      bootedAt: '2023-11-14T22:13:20.000Z',
    });
  });

  it.each(['', 'garbage', 'btime x', 'btime 99999999999999999999'])('has nothing to say where nothing can be read (%j)', async (stat) => {
    const found = await round({ '/proc/stat': stat, 'cat /etc/machine-id': 'uninitialized\n' }).gather(host());
    expect(Object.values(found)).toEqual([null, null, null, null, null, null]);
  });
});

describe('machine', () => {
  it('reads the hardware', async () => {
    expect(await round({ inventory: '{"manufacturer":"Gerät","model":"","virtual":true}' }).gather(machine())).toEqual({
      manufacturer: 'Gerät',
      model: null,
      virtual: true,
    });
  });

  it.each(['', 'garbage', 'null', '[]', '7', '"x"', '{"manufacturer":7,"model":{},"virtual":"yes"}', absent()])(
    'takes anything: %j',
    async (text) => {
      expect(await round({ inventory: text }).gather(machine())).toMatchObject({ manufacturer: null, model: null, virtual: null });
    },
  );
});
