import { describe, expect, it } from 'vitest';
import { check } from '../checks/zombie-mounts/index.ts';
import type { Answer, Plan } from '../src/check/types.ts';
import { inspect } from '../src/engine/inspect.ts';
import { fakeTarget, said, timedOut, wordsOf } from './fake-target.ts';

const NFS = '40 1 0:40 / /mnt/nas rw,nosuid - nfs4 nas:/export rw,vers=4.2,hard,timeo=600,retrans=2,clientaddr=10.0.0.2,addr=10.0.0.5';
const XPRT = (received: number) =>
  `device /dev/vda mounted on / with fstype ext4\ndevice nas:/export mounted on /mnt/nas with fstype nfs4 statvers=1.1\n\txprt:\ttcp 0 1 2 0 11 5086 ${received} 0 5086 0 2 0 0\n`;
const REFUSES = '[ 4711.0] nfs: server nas not responding, still trying\n';
const FINE = '[ 4890.2] nfs: server nas OK\n';
/** What root sees in the first pid namespace. */
const ROOT: Record<string, string> = {
  '/proc/self/status': 'Name:\tnode\nUid:\t0\t0\t0\t0\nNSpid:\t300\nCapEff:\t000001ffffffffff\n',
  '/proc/2/comm': 'kthreadd\n',
  'readlink /proc/self/ns/mnt': 'mnt:[1]\n',
};

interface World {
  line: string;
  /** Of statfs and listing. */
  answer: Answer;
  more?: Record<string, string | string[]>;
}

async function judged({ line, answer, more = {} }: World) {
  const asked = new Map<string, number>();
  const target = fakeTarget((probe) => {
    const words = wordsOf(probe);
    if (words === '/proc/self/mountinfo') {
      return said(`1 0 254:0 / / rw - ext4 /dev/vda rw\n${line}\n`);
    }
    if (words.endsWith('-- /mnt/nas') || words.startsWith('find /mnt/nas ')) {
      return answer;
    }
    if (words.startsWith('find /proc ') && words.includes('/ns(')) {
      return said('/proc/5/ns/mnt mnt:[1]\n');
    }
    const known = more[words] ?? ROOT[words];
    const turn = asked.get(words) ?? 0;
    asked.set(words, turn + 1);
    return known === undefined ? undefined : said(typeof known === 'string' ? known : (known[turn] ?? ''));
  }, 'recording');
  const entry = { id: check.meta.id, title: check.meta.title, load: () => Promise.resolve(check) };
  const { target: result } = await inspect(target, [entry], { until: Date.now() + 5000 });
  const findings = result.findings.filter(({ finding }) => finding.subject.name === '/mnt/nas');
  const unjudged = result.checks[0]?.unjudged.filter(({ subject }) => subject.name === '/mnt/nas') ?? [];
  return { finding: findings[0]?.finding, plan: findings[0]?.plan, why: unjudged[0]?.why };
}

function commandsOf(plan: Plan | null | undefined): string[] {
  return plan && 'steps' in plan ? plan.steps.map(({ action }) => (action.kind === 'run' ? action.argv.join(' ') : action.kind)) : [];
}

const fails = (sentence: string) => said('', 1, `stat: cannot read file system information for '/mnt/nas': ${sentence}\n`);

describe('nfs-stale', () => {
  it('is certain, and told how to be mounted again with the options it had', async () => {
    const { finding, plan } = await judged({ line: NFS, answer: fails('Stale file handle') });
    expect(finding).toMatchObject({ code: 'nfs-stale', severity: 'critical', confidence: 'certain' });
    expect(commandsOf(plan)).toEqual([
      'umount -c /mnt/nas',
      'mount -t nfs4 -o rw,nosuid,vers=4.2,hard,timeo=600,retrans=2 nas:/export /mnt/nas',
    ]);
  });

  it('is left alone where somebody holds it, and where the kernel mounted it by itself', async () => {
    const find =
      'find /proc -mindepth 1 -maxdepth 3 -regextype posix-egrep ! -regex /proc/[0-9]+(/fd(/[0-9]+)?|/cwd|/root|/exe)? -prune -o -type l ( -lname /mnt/nas -o -lname /mnt/nas/* ) -printf %p %l\\0';
    const held = await judged({
      line: NFS,
      answer: fails('Stale file handle'),
      more: { [find]: '/proc/12/cwd /mnt/nas\0', '/proc/12/comm': 'bash\n' },
    });
    expect(held.plan).toMatchObject({ refused: 'bash (pid 12, cwd) would keep it busy: stop them first' });
    const below = NFS.replace('40 1', '41 40')
      .replace('0:40', '0:41')
      .replace('/mnt/nas', '/mnt/nas/sub')
      .replace('/export', '/export/sub');
    const walked = await judged({ line: `${NFS}\n${below}`, answer: fails('Stale file handle') });
    expect(walked.plan).toMatchObject({ refused: expect.stringContaining('/mnt/nas/sub') });
  });

  it('is not what ESTALE means elsewhere', async () => {
    const { finding, why } = await judged({ line: NFS.replace('nfs4', 'ceph'), answer: fails('Stale file handle') });
    expect([finding, why]).toEqual([undefined, expect.stringContaining('ESTALE')]);
  });
});

describe('nfs-server-gone', () => {
  const silent = timedOut('', '', { wchan: 'rpc_wait_bit_killable' });
  const stats = 'cat /proc/self/mountstats';
  const log = 'dmesg --kernel --color=never';

  it.each([
    ['nothing else is known', {}, 'medium'],
    ['no reply comes for anybody', { [stats]: [XPRT(5080), XPRT(5080)] }, 'medium'],
    ['the kernel says so', { [log]: REFUSES }, 'high'],
    ['the kernel said so of its address', { [log]: REFUSES.replace('nas', '10.0.0.5') }, 'high'],
    ['the kernel said so and it came back before', { [log]: REFUSES + FINE }, 'medium'],
  ])('where it is silent and %s', async (_, more, confidence) => {
    const { finding, plan } = await judged({ line: NFS, answer: silent, more });
    expect(finding).toMatchObject({ code: 'nfs-server-gone', severity: 'critical', confidence });
    expect(commandsOf(plan)).toEqual(['umount -c -i -f -l /mnt/nas']);
    expect(plan).toMatchObject({ steps: [{ risk: 'data-loss', why: expect.stringContaining('bring the server or the network back') }] });
  });

  it('is not claimed where its child was not seen to wait for the server, and the kernel says nothing', async () => {
    const { finding, why } = await judged({ line: NFS, answer: timedOut() });
    expect([finding, why]).toEqual([undefined, expect.stringContaining('could not be seen')]);
    expect((await judged({ line: NFS, answer: timedOut(), more: { [log]: REFUSES } })).finding).toMatchObject({ confidence: 'high' });
  });

  it('is slow where replies come in', async () => {
    const { finding, why } = await judged({ line: NFS, answer: silent, more: { [stats]: [XPRT(5080), XPRT(5081)] } });
    expect([finding, why]).toEqual([undefined, expect.stringContaining('slow')]);
  });

  it.each(['Input/output error', 'Connection timed out'])('of a soft mount says %s', async (sentence) => {
    expect((await judged({ line: NFS.replace('hard', 'soft'), answer: fails(sentence) })).finding).toMatchObject({
      code: 'nfs-server-gone',
      confidence: 'medium',
    });
  });

  it('is not for want of rights', async () => {
    const { finding, why } = await judged({ line: NFS, answer: fails('Permission denied') });
    expect([finding, why]).toEqual([undefined, expect.stringContaining('EACCES')]);
  });
});

const CIFS = '40 1 0:40 / /mnt/nas rw - cifs //nas/share rw,vers=3.1.1,soft,echo_interval=60';
const NINE = '40 1 0:40 / /mnt/nas rw - 9p tag0 rw,trans=virtio';
const VIRTIOFS = '40 1 0:40 / /mnt/nas rw - virtiofs tag0 rw';

describe.each([
  ['cifs-gone', CIFS, ['Host is down', 'Resource temporarily unavailable', 'Input/output error']],
  ['9p-gone', NINE, ['Input/output error']],
  ['virtiofs-gone', VIRTIOFS, ['Input/output error', 'Transport endpoint is not connected']],
] as const)('%s', (code, line, sentences) => {
  it.each(sentences)('%s', async (sentence) => {
    const { finding, plan } = await judged({ line, answer: fails(sentence) });
    expect(finding).toMatchObject({ code, severity: 'critical', confidence: 'medium' });
    expect(plan).toHaveProperty(code === 'cifs-gone' ? 'steps' : 'refused');
  });

  it('answers', async () => {
    const { finding, why } = await judged({ line, answer: said('6969 100 50\n') });
    expect([finding, why]).toEqual([undefined, undefined]);
  });
});

describe('what is silent', () => {
  it.each([
    ['cifs-gone', CIFS, 'smb2_reconnect'],
    ['9p-gone', NINE, 'p9_client_rpc'],
    ['virtiofs-gone', VIRTIOFS, 'request_wait_answer'],
  ])('is %s where its child waits for the other side', async (code, line, wchan) => {
    const late = await judged({ line, answer: timedOut() });
    expect([late.finding, late.why]).toEqual([undefined, expect.stringContaining('could not be seen')]);
    const { finding, plan } = await judged({ line, answer: timedOut('', '', { wchan }) });
    expect(finding).toMatchObject({ code, confidence: 'medium' });
    // By force it frees who waits for CIFS, and not who waits for 9p.
    expect(plan).toMatchObject(
      code === 'cifs-gone' ? { steps: [{ risk: 'data-loss' }] } : { refused: expect.stringContaining('umount -c -i -f -l /mnt/nas') },
    );
  });
});
