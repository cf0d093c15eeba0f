import { describe, expect, it } from 'vitest';
import { absent, fakeTarget, said, timedOut, wordsOf } from '../../../test/fake-target.ts';
import type { Answer, Probe } from '../../check/types.ts';
import { Round } from '../../engine/round.ts';
import { consumers } from './index.ts';

const BLOCKS = '/sys/devices/virtual/block';
const SERVERS = '/opt/cloud/workspace/servers';
const MISSING = (path: string) => `find: '${path}': No such file or directory\n`;
const END = '/dev/null\0c\x000\0\0';

interface Host {
  fstab?: string;
  crypttab?: string;
  mountinfo?: string;
  /** Path → what a link there reads; of all else empty. Only these are there. */
  nodes?: Record<string, string>;
  /** Path of an image → path and format below it. */
  below?: Record<string, string>;
  /** Guests of Cloudpods: uuid → paths of disks. */
  servers?: Record<string, string[]>;
  format?: string;
  suspended?: string[];
  qemuImg?: boolean;
  cmdlines?: string;
}

/** Whole hosts, as far as the fact asks about them. */
function host(options: Host) {
  const { nodes = {}, below = {}, servers = {}, suspended = [], qemuImg = true, format = 'qcow2' } = options;
  const mountinfo = `21 1 254:0 / / rw - ext4 /dev/root rw\n22 21 0:20 / /sys rw - sysfs sysfs rw\n${options.mountinfo ?? ''}`;
  return fakeTarget((probe) => {
    const words = wordsOf(probe);
    const argv = probe.kind === 'run' ? probe.argv.map(String) : [];
    const starts = argv.slice(
      1,
      argv.findIndex((word, index) => index > 0 && /^[-(]/.test(word)),
    );
    const isThere = (path: string) => nodes[path] !== undefined || path === SERVERS || path === '/';
    switch (true) {
      case words === '/proc/self/mountinfo':
        return said(mountinfo);
      case words.includes('/etc/fstab'):
        return said(`${options.fstab ?? ''}\0`);
      case words.includes('/etc/crypttab'):
        return said(`${options.crypttab ?? ''}\0`);
      case words.includes('host.conf'):
        return said('', 1, MISSING('/etc/yunion/host.conf'));
      case words.includes('/run/systemd/system'):
        return said('', 1, MISSING('/run/systemd/system') + MISSING('/run/systemd/container'));
      case words.includes('/config/target'):
        return said('/dev/null\0\n', 1, MISSING('/sys/kernel/config/target/core'));
      case words.includes('cmdline'):
        return said(`/proc/1/cmdline\0/sbin/init\0\n${options.cmdlines ?? ''}`);
      case words.includes(BLOCKS):
        return said(
          `${suspended.map((name) => `${BLOCKS}/${name}/dm/suspended\0listed\n`).join('')}/dev/null\0\n${suspended.map((name) => `${BLOCKS}/${name}/dm/suspended\x001\n`).join('')}`,
        );
      case words.startsWith('stat -L'): {
        const asked = argv.slice(argv.indexOf('--') + 1);
        const there = asked.filter((path) => nodes[path] !== undefined || path === '/dev/disk');
        const errors = asked.filter((path) => !there.includes(path)).map((path) => `stat: '${path}': No such file or directory\n`);
        return said(there.map((path) => `${path}\0block special file fd:2\0`).join(''), 1, errors.join(''));
      }
      case words.includes(`sed -s`):
        return said(
          starts[0] === SERVERS
            ? Object.entries(servers)
                .map(
                  ([uuid, disks]) =>
                    `${SERVERS}/${uuid}/desc\0${JSON.stringify({ uuid, name: uuid, disks: disks.map((path) => ({ path, format })) })}`,
                )
                .join('\0')
            : '',
        );
      case words.includes('/dev/null -maxdepth'):
        return starts[0] === SERVERS
          ? said(
              `${SERVERS}\0d\x001\0\0${Object.keys(servers)
                .map((uuid) => `${SERVERS}/${uuid}/desc\0f\x009\0\0`)
                .join('')}${END}`,
            )
          : said(END, 1, starts.slice(0, -1).map(MISSING).join(''));
      case words.includes('-printf %p\\0%y\\0%l\\0'): {
        const found = starts.filter((path) => isThere(path) || Object.keys(nodes).some((node) => node.startsWith(`${path}/`)));
        const out = found.map((path) => `${path}\0${nodes[path] ? 'l' : 'b'}\0${nodes[path] ?? ''}\0`).join('');
        return said(
          out,
          1,
          starts
            .filter((path) => !found.includes(path))
            .map(MISSING)
            .join(''),
        );
      }
      case words.includes('qemu-img'): {
        if (starts.includes('/dev/hung')) {
          return timedOut(starts[0] === '/dev/hung' ? '/dev/hung\0' : '');
        }
        const info = (path: string) => {
          const [name, kind] =
            below[Object.keys(nodes).find((node) => (nodes[node] || node) === path && below[node]) ?? '']?.split(' ') ?? [];
          return JSON.stringify({ format: 'qcow2', ...(name && { 'backing-filename': name, 'backing-filename-format': kind ?? 'qcow2' }) });
        };
        const there = starts.filter(isThere);
        const gone = starts.filter((path) => !isThere(path)).map(MISSING);
        return qemuImg
          ? said(there.map((path) => `${path}\0${info(path)}\0done\0`).join(''), 0, gone.join(''))
          : said(there.map((path) => `${path}\0\0failed\0`).join(''), 1, MISSING('qemu-img') + gone.join(''));
      }
      case words.includes('head -c 4096'):
        return said('', 1, 'head: Permission denied\n');
      default:
        return absent();
    }
  });
}

const gather = (options: Host) => new Round(host(options), Number.MAX_SAFE_INTEGER).gather(consumers());
const CHAIN: Host = {
  servers: { web: ['/dev/vg0/web'] },
  nodes: { '/dev/vg0/web': '/dev/dm-3', '/dev/dm-3': '', '/dev/vg0/snap': '/dev/dm-2', '/dev/dm-2': '' },
  below: { '/dev/vg0/web': '/dev/vg0/snap', '/dev/vg0/snap': '/dev/vg0/imagecache' },
};

describe('guests', () => {
  it('need their whole chain, base first, and what hides the rest is told', async () => {
    const { consumers, unjudged } = await gather(CHAIN);
    expect(consumers).toMatchObject([
      { kind: 'guest', name: 'web', needs: ['/dev/vg0/imagecache', '/dev/vg0/snap', '/dev/vg0/web'], certainty: 'proven' },
    ]);
    expect(consumers[0]?.evidence.excerpt).toBe('web: /dev/vg0/web (/dev/vg0/web on /dev/vg0/snap on /dev/vg0/imagecache)');
    expect(unjudged).toEqual([
      { subject: { kind: 'guest', name: 'web' }, why: '/dev/vg0/imagecache is not there: what it stands on can be told only when it is' },
    ]);
  });

  it('whose top is off need at least that', async () => {
    const { consumers, unjudged } = await gather({ servers: { web: ['/dev/vg0/web'] } });
    expect(consumers).toMatchObject([{ needs: ['/dev/vg0/web'] }]);
    expect(unjudged).toMatchObject([{ subject: { name: 'web' }, why: expect.stringContaining('/dev/vg0/web is not there') }]);
  });

  it('of raw images stand on nothing, and are not asked about', async () => {
    const target = host({ ...CHAIN, format: 'raw' });
    const found = await new Round(target, Number.MAX_SAFE_INTEGER).gather(consumers());
    expect(found).toMatchObject({ consumers: [{ needs: ['/dev/vg0/web'] }], unjudged: [] });
    expect(target.asked.filter((probe) => wordsOf(probe).includes('qemu-img'))).toEqual([]);
  });

  it('on a suspended device are never opened', async () => {
    const target = host({ ...CHAIN, suspended: ['dm-3'] });
    const { unjudged } = await new Round(target, Number.MAX_SAFE_INTEGER).gather(consumers());
    expect(unjudged).toMatchObject([{ why: expect.stringContaining('suspended') }]);
    expect(target.asked.filter((probe) => /qemu-img|head -c/.test(wordsOf(probe)))).toEqual([]);
  });

  it('on a mount that may hang are never opened', async () => {
    const mountinfo = '30 21 0:50 / /net rw - nfs4 s:/x rw\n31 21 0:51 / /pool rw - fuse.mergerfs pool rw\n';
    const target = host({ servers: { a: ['/net/a.qcow2'], b: ['/pool/b.qcow2'] }, mountinfo });
    const { unjudged } = await new Round(target, Number.MAX_SAFE_INTEGER).gather(consumers());
    // What another machine serves does not stand on a volume of this one.
    expect(unjudged).toEqual([
      { subject: { kind: 'guest', name: 'b' }, why: '/pool/b.qcow2: it lies on /pool (fuse.mergerfs), which may hang' },
    ]);
    expect(target.asked.filter((probe) => /qemu-img|head -c/.test(wordsOf(probe)))).toEqual([]);
  });

  it('are told of, where another image hangs', async () => {
    const { consumers, unjudged } = await gather({
      servers: { bad: ['/dev/hung'], ...CHAIN.servers },
      nodes: { ...CHAIN.nodes, '/dev/hung': '', '/dev/vg0/imagecache': '' },
      below: CHAIN.below ?? {},
    });
    expect(unjudged).toEqual([{ subject: { kind: 'guest', name: 'bad' }, why: '/dev/hung: no answer within 2 s' }]);
    expect(consumers.find(({ name }) => name === 'web')?.needs).toHaveLength(3);
  });

  it('are not known to stand on nothing where neither tool nor head tells', async () => {
    const { unjudged } = await gather({ ...CHAIN, qemuImg: false });
    expect(unjudged).toMatchObject([{ subject: { name: 'web' } }]);
  });

  it('that run without a description are named by their process', async () => {
    const cmdlines =
      '/proc/7/cmdline\0qemu-system-x86_64\0-name\0guest=lone\0-drive\0file=/dev/vg0/lone,format=raw\0\n/proc/8/cmdline\0qemu-system-x86_64\0-uuid\0web\0-drive\0file=/dev/vg0/web,format=qcow2\0\n';
    const { consumers } = await gather({ ...CHAIN, cmdlines });
    expect(consumers.map(({ kind, name, isUp }) => [kind, name, isUp])).toEqual([
      ['guest', 'web', true],
      ['process', 'lone', true],
    ]);
  });

  it('are many, and asked about by few children', async () => {
    const names = Array.from({ length: 1000 }, (_, index) => `vm${index}`);
    const target = host({
      servers: Object.fromEntries(names.map((name) => [name, [`/dev/vg0/${name}`]])),
      nodes: { '/dev/vg0/base': '', ...Object.fromEntries(names.map((name) => [`/dev/vg0/${name}`, ''])) },
      below: Object.fromEntries(names.map((name) => [`/dev/vg0/${name}`, '/dev/vg0/base raw'])),
    });
    const found = await new Round(target, Number.MAX_SAFE_INTEGER).gather(consumers());
    expect(found.unjudged).toEqual([]);
    expect(found.consumers).toHaveLength(1000);
    expect(found.consumers[999]?.needs).toEqual(['/dev/vg0/base', '/dev/vg0/vm999']);
    expect(target.asked.length).toBeLessThan(75);
  });
});

describe('what lies on something else', () => {
  it('needs that too: files their mount, mounts their encrypted volume', async () => {
    const { consumers, unjudged } = await gather({
      fstab: '/dev/mapper/data /data xfs\n/data/bound /srv none bind\n/data/swap none swap sw\ntmpfs /tmp tmpfs\n/dev/vg0/root / ext4\n',
      crypttab: 'data /dev/vg0/luks none luks\n',
      servers: { a: ['/srv/a.qcow2'], b: ['/home/b.qcow2'] },
    });
    expect(consumers.map(({ kind, name, needs }) => [kind, name, needs])).toEqual([
      ['mount', '/data', ['/dev/vg0/luks', '/dev/mapper/data']],
      ['mount', '/srv', ['/dev/vg0/luks', '/dev/mapper/data']],
      ['swap', '/data/swap', ['/dev/vg0/luks', '/dev/mapper/data']],
      ['mount', '/', ['/dev/vg0/root']],
      ['crypt', 'data', ['/dev/vg0/luks']],
      ['guest', 'a', ['/dev/vg0/luks', '/dev/mapper/data']],
    ]);
    // A file that is nowhere, on a file system that is there, is of no concern.
    expect(unjudged.map(({ subject }) => subject.name)).toEqual(['/proc/swaps', 'a']);
  });

  it('is only possible where the ground is', async () => {
    const { consumers } = await gather({ fstab: 'UUID=1 /data xfs\n', servers: { a: ['/data/a.img'] }, format: 'raw' });
    expect(consumers.map(({ name, needs, certainty }) => [name, needs, certainty])).toEqual([
      ['/data', ['UUID=1'], 'possible'],
      ['a', ['UUID=1'], 'possible'],
    ]);
  });

  it('may go round in a circle', async () => {
    const { consumers } = await gather({ fstab: '/b/x /a none bind\n/a/x /b none bind\n', crypttab: 'c /dev/mapper/c\n' });
    expect(consumers).toMatchObject([{ kind: 'crypt', needs: ['/dev/mapper/c'] }]);
  });
});

it('nothing can be told where nothing is answered', async () => {
  for (const answer of [absent(), said(''), said('\x07%!@\n'), timedOut('/etc')]) {
    const found = await new Round(
      fakeTarget(() => answer),
      Number.MAX_SAFE_INTEGER,
    ).gather(consumers());
    expect(found.consumers).toEqual([]);
    const names = found.unjudged.map(({ subject }) => subject.name);
    expect(names).toEqual(expect.arrayContaining(['/etc/fstab', '/etc/crypttab', '/etc/libvirt', '/etc/target', '/etc/yunion/host.conf']));
  }
});

describe('one answer harmed', () => {
  const options: Host = {
    ...CHAIN,
    fstab: '/dev/vg0/data /data xfs\nUUID=1 /b xfs\n/dev/vg0/swap none swap\n',
    crypttab: 'c /dev/vg0/luks\n',
    cmdlines: '/proc/7/cmdline\0qemu-system-x86_64\0-drive\0file=/dev/vg0/lone,format=raw\0\n',
  };
  const harms: Record<string, (answer: Answer) => Answer> = {
    empty: (answer) => (answer.state === 'ok' ? { ...answer, code: 0, out: Buffer.alloc(0), err: '' } : answer),
    // The command lines of processes have no end by which it could be told: whoever is lost there runs.
    'cut off': (answer) =>
      answer.state === 'ok' && !Buffer.from(answer.out).includes('cmdline')
        ? { ...answer, out: answer.out.subarray(0, Math.floor(answer.out.length * 0.6)) }
        : answer,
    garbled: () => said('\x07%!@\n'),
    denied: ({ at, ms }) => ({ state: 'denied', why: 'no', at, ms }),
    late: () => timedOut(),
    'not held': ({ at, ms }) => ({ state: 'not-held', why: 'x', at, ms }),
  };

  it.each(Object.entries(harms))('%s: nobody is lost without a word', async (_, harm) => {
    const whole = host(options);
    const before = await new Round(whole, Number.MAX_SAFE_INTEGER).gather(consumers());
    const probes = whole.asked.map(wordsOf);
    for (const harmed of probes) {
      const target = host(options);
      const ask = target.ask.bind(target);
      const worse = {
        ...target,
        ask: async (probe: Probe, until: number) => (wordsOf(probe) === harmed ? harm(await ask(probe, until)) : ask(probe, until)),
      };
      const after = await new Round(worse, Number.MAX_SAFE_INTEGER).gather(consumers());
      const lost = before.consumers.filter(
        ({ name, needs }) => !after.consumers.some((each) => each.name === name && needs.every((need) => each.needs.includes(need))),
      );
      const isSaid = after.unjudged.some(({ why }) => !before.unjudged.some((each) => each.why === why));
      const invented = after.consumers
        .flatMap(({ needs }) => needs)
        .filter((need) => !before.consumers.some(({ needs }) => needs.includes(need)));
      expect({ harmed, lost: lost.length > 0 && !isSaid ? lost : [], invented }).toEqual({
        harmed,
        lost: [],
        invented: [],
      });
    }
  });
});
