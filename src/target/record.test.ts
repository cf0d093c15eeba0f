import { describe, expect, it } from 'vitest';
import { absent, fakeTarget, said, timedOut } from '../../test/fake-target.ts';
import type { Answer, Probe } from '../check/types.ts';
import { RecordingTarget } from './record.ts';

async function recorded(out: string, err = ''): Promise<string> {
  const target = new RecordingTarget(fakeTarget(() => said(out, 0, err)));
  const answer = await target.ask({ kind: 'run', argv: ['x'] }, 0);
  expect(target.entries()).toEqual([{ probe: { kind: 'run', argv: ['x'] }, answer }]);
  return `${Buffer.from((answer as Answer & { state: 'ok' }).out).toString('latin1')}${(answer as Answer & { state: 'ok' }).err}`;
}

describe('RecordingTarget', () => {
  it('keeps each question once, in an order that does not depend on when it was asked', async () => {
    const probes: Probe[] = [
      { kind: 'read', path: '/b' },
      { kind: 'run', argv: ['a'] },
      { kind: 'read', path: '/a' },
      { kind: 'left-behind' },
    ];
    const order = async (given: Probe[]) => {
      const target = new RecordingTarget(fakeTarget(() => said('x')));
      for (const probe of given) {
        await target.ask(probe, 0);
      }
      return target.entries().map(({ probe }) => probe);
    };
    expect(await order(probes)).toHaveLength(4);
    expect(await order(probes)).toEqual(await order([...probes, ...probes].reverse()));
  });

  it('is the target it wraps, without its hands', () => {
    const inner = { ...fakeTarget(() => said('')), act: async () => ({ ok: true, code: 0 }) };
    const target = new RecordingTarget(inner);
    expect(target).toMatchObject({ name: 'fake', kind: 'host', via: 'local' });
    expect('act' in target).toBe(false);
  });

  it('passes on answers that hold no output', async () => {
    expect(await new RecordingTarget(fakeTarget(() => absent('gone'))).ask({ kind: 'left-behind' }, 0)).toMatchObject({
      state: 'absent',
      why: 'gone',
    });
  });
});

describe('secrets', () => {
  const SECRETS = ['hunter2', 'p@ss', 'a:b', 'x!$%&', 'caf\xc3\xa0s3cret', 'tab\x85s3cret'];

  it.each(SECRETS)('are masked in sources and options: %j', async (secret) => {
    for (const text of [
      `45 27 0:42 / /m rw - cifs //h/s rw,username=u,password=${secret},uid=0\n`,
      `45 27 0:42 / /m rw - fuse.x https://user:${secret}@host/dir rw,user_id=0\n`,
      `rclone\0mount\0--s3-secret=${secret}\0/m\0`,
      `sshfs\0-o\0ro,passwd=${secret},x\0`,
      `client_secret=${secret}\n`,
      `AccessToken=${secret}\nPASSWORD=${secret}\n`,
      `curlftpfs\0--password\0${secret}\0/m\0`,
    ]) {
      const kept = await recorded(text, `mount error: ${text}`);
      expect(kept).not.toContain(secret);
      expect(kept).not.toContain('s3cret');
      expect(kept).toContain('********');
    }
  });

  it('leave the rest as it was', async () => {
    expect(await recorded('45 27 0:42 / /m rw - cifs //h/s rw,username=u,password=p,uid=0\n')).toBe(
      '45 27 0:42 / /m rw - cifs //h/s rw,username=u,password=********,uid=0\n',
    );
    expect(await recorded('- fuse.x https://user:pw@host/dir rw,user_id=0\n')).toBe(
      '- fuse.x https://user:********@host/dir rw,user_id=0\n',
    );
    for (const harmless of [
      'https://host/a@b',
      'user@host:/src',
      'http://[fe80::1]:80/x',
      'rw,user_id=0,group_id=0',
      '\xff\xfe\0binary',
      'lowerdir=/a:/b@c',
    ]) {
      expect(await recorded(harmless)).toBe(harmless);
    }
  });

  it('leave the list of children readable', async () => {
    const list = JSON.stringify([{ pid: 7, startTime: '1', argv: ['stat', '/mnt/key=a'], out: '' }]);
    const target = new RecordingTarget(fakeTarget(() => said(list)));
    expect(
      JSON.parse(Buffer.from(((await target.ask({ kind: 'left-behind' }, 0)) as Answer & { state: 'ok' }).out).toString()),
    ).toHaveLength(1);
  });

  it('are masked in what a child had said before its limit', async () => {
    const target = new RecordingTarget(fakeTarget(() => timedOut('password=hunter2\n', 'token=hunter2\n')));
    const answer = await target.ask({ kind: 'run', argv: ['x'] }, 0);
    expect(JSON.stringify({ ...answer, out: Buffer.from((answer as Answer & { state: 'timed-out' }).out).toString() })).not.toContain(
      'hunter2',
    );
  });
});
