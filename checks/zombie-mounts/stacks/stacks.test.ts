import { describe, expect, it } from 'vitest';
import type { Finding, Plan } from '../../../src/check/types.ts';
import { claimText } from '../../../src/check/wording.ts';
// biome-ignore lint/style/noRestrictedImports: the test gathers the facts that the check is given
import { Round } from '../../../src/engine/round.ts';
import type { FuseDaemons } from '../../../src/facts/fuse.ts';
import type { Looked } from '../../../src/facts/look.ts';
import { parseMountinfo, visibleMounts } from '../../../src/facts/mountinfo.ts';
import { fakeTarget, said, wordsOf } from '../../../test/fake-target.ts';
import type { ZombieFacts } from '../facts.ts';
import { type StackFound, seekStacks } from './detect.ts';
import { type Covered, covered } from './facts.ts';
import { planStack } from './plan.ts';

type Steps = Exclude<Plan, { refused: string }>;

const SEEN = { source: 'find', at: '2026-11-03T09:00:00.000Z' };
const LOOKED: Looked = { state: 'found', type: 'd', size: 1, inode: 1, device: 1, links: 1, empty: false, seen: SEEN };

interface More extends Omit<Partial<ZombieFacts>, 'daemons' | 'covered'> {
  daemons?: Partial<FuseDaemons>;
  covered?: Covered;
}

function factsOf(lines: string[], more: More = {}): ZombieFacts {
  const mounts = parseMountinfo(['27 1 254:0 / / rw - ext4 /dev/vda rw', ...lines].map((line) => `${line}\n`).join(''));
  return {
    table: { seen: SEEN, mounts, visible: visibleMounts(mounts) },
    reach: new Map(mounts.map(({ id }) => [id, { state: 'answers', seen: SEEN }])),
    loops: { loops: [], unjudged: [] },
    kernelHolders: new Map(),
    goneDevices: { gone: new Map(), unjudged: new Map() },
    lostMappings: { lost: new Map(), unjudged: new Map() },
    suspendedMappings: { suspended: new Map(), unjudged: new Map() },
    ext4Stops: { stops: new Map() },
    self: { uid: 0, mayMount: true, seesAllProcesses: true },
    ...more,
    daemons: { seen: SEEN, complete: true, byConnection: new Map(), strangers: new Set(), unmapped: [], ...more.daemons },
    covered: more.covered ?? { looked: new Map(), needsRoot: false },
  } as unknown as ZombieFacts;
}

const told = (facts: ZombieFacts) => seekStacks(facts).findings.map(({ code, subject, severity }) => `${code} ${subject.name} ${severity}`);

describe('stacked', () => {
  const DEAD = '40 27 0:50 / /m rw - fuse.sshfs nas:/x rw';

  it('over a mount whose daemon is gone', () => {
    const facts = factsOf([DEAD, '41 40 8:17 / /m rw - ext4 /dev/sdb1 rw']);
    expect(told(facts)).toEqual(['stacked /m warning']);
    const [finding] = seekStacks(facts).findings;
    expect(finding).toMatchObject({ confidence: 'high', data: { layers: 2, below: 'dead' } });
  });

  const planOf = (facts: ZombieFacts) => planStack(seekStacks(facts).findings[0] as Finding<StackFound>, facts);
  const UPPER = '41 40 8:17 / /m rw,noatime - ext4 /dev/sdb1 rw,attr2';

  it('takes a disk off for a moment, to get at the dead one', () => {
    const plan = planOf(factsOf([DEAD, UPPER])) as Steps;
    const again = ['mount', '-t', 'ext4', '-o', 'rw,noatime', '/dev/sdb1', '/m'];
    expect(plan.steps).toMatchObject([
      { risk: 'disruptive', action: { argv: ['umount', '-c', '/m'] }, undo: { action: { argv: again } } },
      { risk: 'safe', action: { argv: ['umount', '-c', '/m'] } },
      { risk: 'disruptive', action: { argv: again } },
    ]);
    const [off, dead, on] = plan.steps.map(({ guards, proof }) => ({ guards: guards.map(claimText), proof: proof.map(claimText) }));
    expect(off?.guards).toEqual([
      expect.stringContaining('path-on (path /m, on {"point":"/m","fstype":"ext4"'),
      expect.stringContaining('mount-is (id 41'),
      'fuse-daemon-gone (device 0:50, point /m)',
      'mount-answers (point /m)',
      'node-is (node /dev/sdb1, device 8:17)',
      'nobody-seen-holding (point /m)',
    ]);
    expect(dead?.guards).toEqual([
      expect.stringContaining('mount-is (id 40'),
      'fuse-connection-dead (point /m)',
      'nobody-seen-holding (point /m)',
    ]);
    expect(on?.guards[0]).toMatch(/^path-on .*"point":"\/".*layers 0\)$/);
    expect(on?.proof).toEqual([expect.stringMatching(/^path-on .*"fstype":"ext4".*layers 1\)$/), 'mount-answers (point /m)']);
  });

  it('takes NFS off too, which has no node', () => {
    const plan = planOf(factsOf([DEAD, '41 40 0:60 / /m rw - nfs4 nas:/x rw,vers=4.2,addr=10.0.0.1'])) as Steps;
    expect(plan.steps.map(({ action }) => action)).toMatchObject([
      {},
      {},
      { argv: ['mount', '-t', 'nfs4', '-o', 'rw,vers=4.2', 'nas:/x', '/m'] },
    ]);
    expect(plan.steps[0]?.guards.map(({ is }) => is)).not.toContain('node-is');
  });

  const holders = {
    byPoint: new Map([['/m', [{ pid: 7, name: 'bash', user: 'root', by: ['cwd'], paths: ['/m'] }]]]),
    seen: SEEN,
    complete: true,
  };
  const loop = { device: '7:1', node: '/dev/loop1', autoclear: true };
  it.each<[string, string[], object, string]>([
    ['held', [DEAD, UPPER], { holders }, 'bash (pid 7 of root, cwd) would keep it busy'],
    [
      'used by the kernel',
      [DEAD, UPPER],
      { kernelHolders: new Map([['/m', [{ kind: 'overlay', name: '/o', path: '/m/a' }]]]) },
      'the overlay at /o',
    ],
    ['a FUSE', [DEAD, '41 40 0:51 / /m rw - fuse.x y rw'], {}, 'its daemon would end with it'],
    ['in memory', [DEAD, '41 40 0:51 / /m rw - tmpfs tmpfs rw'], {}, 'could not be mounted again'],
    ['a part of a disk', [DEAD, '41 40 8:17 /sub /m rw - ext4 /dev/sdb1 rw'], {}, '/sub of ext4 could not be mounted again'],
    [
      'on a loop device that goes with it',
      [DEAD, '41 40 7:1 / /m rw - ext4 /dev/loop1 rw'],
      { loops: { loops: [loop], unjudged: [] } },
      'frees /dev/loop1',
    ],
    ['ill itself', [DEAD, UPPER], { reach: new Map() }, 'not known to be well'],
    [
      'on a suspended device',
      [DEAD, UPPER],
      { suspendedMappings: { suspended: new Map([['8:17', {}]]), unjudged: new Map() } },
      'not known to be well',
    ],
    ['with a mount on it', [DEAD, UPPER, '42 41 0:60 / /m/in rw - tmpfs t rw'], {}, 'other mounts lie on it (/m/in)'],
    [
      'not right above',
      [DEAD, '41 40 8:18 / /m rw - xfs /dev/sdc rw', '42 41 8:17 / /m rw - ext4 /dev/sdb1 rw'],
      {},
      'does not lie right below',
    ],
    ['for root', [DEAD, UPPER], { self: { uid: 1000, mayMount: false } }, 'it needs root'],
  ])('leaves alone what is %s', (_, lines, more, why) => {
    const plan = planOf(factsOf(lines, more as More));
    expect(plan).toMatchObject({ refused: expect.stringContaining(why) });
    expect(plan).toMatchObject({ refused: expect.stringContaining('By hand, with its users stopped') });
  });

  it('the same source twice is left to a person, with both ways', () => {
    const process = { pid: 7, name: 'sshfs', state: 'S', startTime: '1', uid: 0, tracer: 0 };
    const byConnection = new Map([50, 51].map((connection) => [connection, [process]]));
    const plan = planOf(factsOf([DEAD, '41 40 0:51 / /m rw - fuse.sshfs nas:/x rw'], { daemons: { byConnection } }));
    expect(plan).toMatchObject({
      refused: expect.stringMatching(/umount -c \/m shows the lower one.*a new mount of nas:\/x brings one of them back/),
    });
  });

  it('the same source twice', () => {
    const process = { pid: 7, name: 'sshfs', state: 'S', startTime: '1', uid: 0, tracer: 0 };
    const byConnection = new Map([50, 51].map((connection) => [connection, [process]]));
    expect(told(factsOf([DEAD, '41 40 0:51 / /m rw - fuse.sshfs nas:/x rw'], { daemons: { byConnection } }))).toEqual([
      'stacked /m warning',
    ]);
  });

  it.each([
    ['over autofs', ['40 27 0:50 / /m rw - autofs systemd-1 rw', '41 40 8:17 / /m rw - ext4 /dev/sdb1 rw']],
    ['bound onto itself', ['40 27 8:17 / /m rw - ext4 /dev/sdb1 rw', '41 40 8:17 / /m ro - ext4 /dev/sdb1 rw']],
    ['a tmpfs on another', ['40 27 0:50 / /dev/shm rw - tmpfs tmpfs rw', '41 40 0:51 / /dev/shm rw - tmpfs tmpfs rw']],
    ['an overlay on another', ['40 27 0:50 / /m rw - overlay overlay rw', '41 40 0:51 / /m rw - overlay overlay rw']],
    ['another file system', ['40 27 8:1 / /m rw - ext4 /dev/sda1 rw', '41 40 8:17 / /m rw - xfs /dev/sdb1 rw']],
    ['of a runtime', ['40 27 0:50 / /snap/x rw - fuse.x s rw', '41 40 0:51 / /snap/x rw - fuse.x s rw']],
    ['side by side', ['40 27 0:50 / /m rw - nfs4 nas:/x rw', '41 27 0:51 / /n rw - nfs4 nas:/x rw']],
  ])('is not said of %s', (_, lines) => {
    expect(told(factsOf(lines, { daemons: { complete: false } }))).toEqual([]);
  });

  it('is not said of a daemon that may only be out of sight', () => {
    expect(told(factsOf([DEAD, '41 40 8:17 / /m rw - ext4 /dev/sdb1 rw'], { daemons: { complete: false } }))).toEqual([]);
  });
});

describe('mounted-over-data', () => {
  const LINE = '40 27 8:17 / /mnt/data rw - ext4 /dev/sdb1 rw';
  const sought = (looked: Looked) => seekStacks(factsOf([LINE], { covered: { looked: new Map([[40, looked]]), needsRoot: false } }));

  it('is info, and nothing where the directory below is empty or the mount is a file', () => {
    expect(sought(LOOKED).findings).toMatchObject([{ code: 'mounted-over-data', severity: 'info', confidence: 'medium' }]);
    expect(sought({ ...LOOKED, empty: true })).toMatchObject({ findings: [], unjudged: [] });
    expect(sought({ ...LOOKED, type: 'f' })).toMatchObject({ findings: [], unjudged: [] });
  });

  it('could not tell, or needs root', () => {
    expect(sought({ state: 'unknown', why: 'refused', seen: SEEN })).toMatchObject({
      findings: [],
      unjudged: [{ why: 'what lies below it: refused' }],
    });
    const user = seekStacks(factsOf([LINE], { covered: { looked: new Map(), needsRoot: true } }));
    expect(user).toMatchObject({ findings: [], unjudged: [], notes: [{ subject: { name: '/etc/fstab' } }] });
  });
});

describe('covered', () => {
  async function looked(fstab: string[], mounts: string[], uid = 0) {
    const target = fakeTarget((probe) => {
      const words = wordsOf(probe);
      const text = ['27 1 254:0 / / rw - ext4 /dev/vda rw', ...mounts].map((line) => `${line}\n`).join('');
      if (words.startsWith('stdbuf') || words.startsWith('unshare')) {
        const paths = words.replace(/^.*stdbuf -o0 find /, '').replace(/ -maxdepth.*$/s, '');
        return said(
          paths
            .split(' ')
            .map((path) => `${path}\0d 4096 2 3 4\0not\0`)
            .join(''),
        );
      }
      return words === '/proc/self/mountinfo'
        ? said(text)
        : words === '/proc/self/status'
          ? said(`Uid:\t${uid}\t0\t0\t0\nNSpid:\t300\nCapEff:\t${uid === 0 ? '000001ffffffffff' : '0'}\n`)
          : words.includes('/etc/fstab')
            ? said(`${fstab.join('\n')}\n\0`)
            : words.includes('/run/systemd/system')
              ? said('', 1, ['system', 'container'].map((name) => `find: '/run/systemd/${name}': No such file or directory\n`).join(''))
              : undefined;
    });
    const found = await new Round(target, Number.MAX_SAFE_INTEGER).gather(covered());
    return {
      ids: [...found.looked.keys()],
      needsRoot: found.needsRoot,
      rigs: target.asked.map(wordsOf).filter((words) => words.startsWith('unshare')),
    };
  }

  const MOUNTS = [
    '40 27 8:17 / /a rw - ext4 /dev/sdb1 rw',
    '41 27 8:18 / /b rw - ext4 /dev/sdb2 rw',
    '42 40 8:19 / /a/in rw - ext4 /dev/sdb3 rw',
    '43 27 8:20 / /unwanted rw - ext4 /dev/sdb4 rw',
    '44 27 0:50 / /nfs rw - nfs4 nas:/x rw',
    '45 44 8:21 / /nfs/in rw - ext4 /dev/sdb5 rw',
    '46 27 0:51 / /tmp rw - tmpfs tmpfs rw',
  ];
  const FSTAB = ['x /a ext4', 'x /b ext4', 'x /a/in ext4', 'nas:/x /nfs nfs', 'x /nfs/in ext4', 'tmpfs /tmp tmpfs'];

  it('one rig for each parent, and only below what is wanted on a local file system that answers', async () => {
    const { ids, rigs } = await looked(FSTAB, MOUNTS);
    expect(ids.toSorted()).toEqual([40, 41, 42, 44]);
    expect(rigs).toHaveLength(2);
    expect(rigs.join('\n')).not.toMatch(/unwanted|nfs\/in|tmp/);
  });

  it('none for an ordinary user, and none where nothing is wanted', async () => {
    expect(await looked(FSTAB, MOUNTS, 1000)).toMatchObject({ ids: [], needsRoot: true, rigs: [] });
    expect(await looked([], MOUNTS)).toMatchObject({ ids: [], needsRoot: false, rigs: [] });
  });
});
