import { describe, expect, it } from 'vitest';
import type { Finding } from '../../../src/check/types.ts';
import { claimText } from '../../../src/check/wording.ts';
import { parseMountinfo, visibleMounts } from '../../../src/facts/mountinfo.ts';
import { toByteString } from '../../../src/names.ts';
import type { ZombieFacts } from '../facts.ts';
import { type ForeignFound, seekForeigners } from './detect.ts';
import { unitOf } from './facts.ts';
import type { Place, Resident } from './places.ts';
import { planForeign } from './plan.ts';

it.each([
  ['0::/system.slice/nginx.service\n', 'nginx.service'],
  ['0::/system.slice/system-foo.slice/foo@1.service/worker\n', 'foo@1.service'],
  ['12:pids:/x\n1:name=systemd:/user.slice/user-1000.slice/session-3.scope\n', 'session-3.scope'],
  ['0::/lxc.payload.web\n', '/lxc.payload.web'],
  ['0::/\n', undefined],
  ['', undefined],
])('%j', (cgroup, unit) => {
  expect(unitOf(cgroup)).toBe(unit);
});

describe('foreign-ns-holder', () => {
  const seen = { source: '/proc/7/mountinfo', at: '2026-11-03T09:00:00.000Z' };
  const ROOT = '1 0 254:0 / / rw - ext4 /dev/vda rw\n';
  const OLD = '9 1 0:50 / /m rw - fuse.sshfs nas:/x rw\n';
  const NEW = '30 1 0:60 / /m rw - fuse.sshfs nas:/x rw\n';

  interface There {
    pid?: number;
    table?: string;
    residents?: Resident[];
    holders?: Place['holders'];
  }

  function factsOf(theres: There[], { ours = NEW, systemd = true, mayMount = true } = {}): ZombieFacts {
    const places = theres.map(({ pid = 7, table = OLD, residents, holders = [] }) => {
      const mounts = parseMountinfo(ROOT + table);
      const all = residents ?? [{ pid, startTime: '77', service: undefined }];
      return { pid, place: { residents: all, mounts, visible: visibleMounts(mounts), holders } };
    });
    const mounts = parseMountinfo(ROOT + ours);
    return {
      table: { seen, mounts, visible: visibleMounts(mounts) },
      foreigners: {
        mounts: places.flatMap(({ pid, place }) =>
          place.mounts
            .filter(({ device }) => device === '0:50')
            .map((mount) => ({ mount, seen, process: { pid, name: 'sleep', unit: place.residents[0]?.service ?? null } })),
        ),
        unjudged: [],
      },
      foreignPlaces: new Map(places.map(({ pid, place }) => [pid, place])),
      configured: { units: { state: systemd ? 'known' : 'no-systemd' } },
      self: { mayMount },
    } as unknown as ZombieFacts;
  }

  const found = (facts: ZombieFacts) => seekForeigners(facts).findings[0] as unknown as Finding<ForeignFound>;
  const planOf = (facts: ZombieFacts) => planForeign(found(facts), facts);
  function stepsOf(facts: ZombieFacts) {
    const plan = planOf(facts);
    return 'refused' in plan
      ? plan.refused
      : plan.steps.map(({ risk, action, guards, proof }) => ({
          risk,
          command: action.kind === 'run' ? action.argv.map((word) => toByteString(word as string)).join(' ') : '',
          guards: guards.map(claimText),
          proof: proof.map(claimText),
        }));
  }
  const service = (name: string | undefined, ...pids: number[]): Resident[] =>
    pids.map((pid) => ({ pid, startTime: String(pid), service: name }));

  it('is left alone where it is mounted nowhere here: that may be on purpose', () => {
    const facts = factsOf([{}], { ours: '' });
    expect(found(facts)).toMatchObject({ severity: 'info', data: { replaced: false } });
    expect(planOf(facts)).toMatchObject({ refused: expect.stringContaining('whether they need it there is for you to say') });
  });

  it('unmounts what was replaced in that namespace, by the process that was seen there', () => {
    expect(stepsOf(factsOf([{}]))).toEqual([
      {
        risk: 'disruptive',
        command: 'nsenter -t 7 -m -- umount -c /m',
        guards: [expect.stringMatching(/^sees-mounts \(process .*"pid":7,"startTime":"77".*"id":9,"device":"0:50","point":"\/m"/)],
        proof: [expect.stringMatching(/^sees-no-mounts \(processes .*"pid":7/)],
      },
    ]);
  });

  it('is judged by the place that was replaced, and unmounts its binds too, the newest first', () => {
    const facts = factsOf([
      { table: `8 1 0:50 /sub /first rw - fuse.sshfs nas:/x rw\n${OLD}10 1 0:50 / /last rw - fuse.sshfs nas:/x rw\n` },
    ]);
    expect(found(facts)).toMatchObject({ severity: 'warning', subject: { name: '/m' } });
    expect(stepsOf(facts)).toMatchObject(['/last', '/m', '/first'].map((point) => ({ command: `nsenter -t 7 -m -- umount -c ${point}` })));
  });

  it('restarts the service whose processes live there, once for all its namespaces', () => {
    const web = [
      { pid: 7, residents: service('web.service', 7, 8) },
      { pid: 9, residents: service('web.service', 9) },
    ];
    expect(stepsOf(factsOf(web))).toEqual([
      {
        risk: 'disruptive',
        command: 'systemctl restart web.service',
        guards: [
          'unit-is (unit web.service, states ["active"])',
          'runs-in (pid 7, service web.service)',
          'runs-in (pid 9, service web.service)',
          expect.stringContaining('"pid":7'),
          expect.stringContaining('"pid":9'),
        ],
        proof: [
          'unit-is (unit web.service, states ["active"])',
          expect.stringMatching(/"pid":7.*"pid":8/),
          expect.stringContaining('"pid":9'),
        ],
      },
    ]);
  });

  it.each([
    ['of several services', [{ residents: [...service('a.service', 7), ...service('b.service', 8)] }], true],
    ['a user may have started', [{ residents: [...service('a.service', 7), ...service(undefined, 8)] }], true],
    ['where systemd does not run', [{ residents: service('a.service', 7) }], false],
  ])('restarts nothing %s', (_, theres, systemd) => {
    expect(stepsOf(factsOf(theres, { systemd }))).toMatchObject([{ command: 'nsenter -t 7 -m -- umount -c /m' }]);
  });

  const holder = { pid: 7, name: 'bash', user: 'root', by: ['cwd'], paths: ['/m'] };
  it.each<[string, There, object, string]>([
    ['held there', { holders: [holder] }, {}, 'bash (pid 7 of root, cwd) would keep it busy'],
    [
      'below a mount there',
      { table: `${OLD}10 9 0:70 / /m/in rw - tmpfs t rw\n` },
      {},
      '/m/in lies on it in the namespace of sleep (pid 7)',
    ],
    ['of the whole machine', { residents: service(undefined, 1, 7) }, {}, 'it is the mount namespace of the whole machine'],
    ['for root', {}, { mayMount: false }, 'it needs root'],
  ])('leaves alone what is %s, and says the commands', (_, there, more, why) => {
    const plan = planOf(factsOf([there], more));
    expect(plan).toMatchObject({ refused: expect.stringContaining(why) });
    expect(plan).toMatchObject({ refused: expect.stringContaining('nsenter -t 7 -m -- umount -c /m') });
  });

  it('leaves alone what another mount lies over there: the path would lead to that', () => {
    const table = '9 1 0:50 / /a/m rw - fuse.sshfs nas:/x rw\n10 1 0:70 / /a rw - tmpfs t rw\n';
    const facts = factsOf([{ table }], { ours: '30 1 0:60 / /a/m rw - fuse.sshfs nas:/x rw\n' });
    expect(planOf(facts)).toMatchObject({
      refused: expect.stringContaining('another mount lies over it in the namespace of sleep (pid 7)'),
    });
  });

  it('leaves alone what could not be looked at', () => {
    const facts = factsOf([{}]);
    expect(planOf({ ...facts, foreignPlaces: new Map() } as ZombieFacts)).toMatchObject({
      refused: expect.stringContaining('who lives in the mount namespace of sleep (pid 7) could not be told'),
    });
  });
});
