/**
 * Records the host as this process sees it, for scripts/record-cases.ts: `record-stage.ts DIRECTORY CHECK|all [CLAIMS]`, claims as
 * JSON. Prints what was found and planned, as JSON. What other people's worlds on the same machine left in an answer is cut out.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { checks } from '../checks/index.ts';
import type { Answer, AnyCheck, Claim, Probe, Target } from '../src/check/types.ts';
import { recordTarget } from '../src/engine/record.ts';
import { CONNECTIONS, connectionOf } from '../src/facts/fuse.ts';
import { toByteString } from '../src/names.ts';
import { LocalTarget } from '../src/target/local.ts';
import { saveRecording } from '../src/target/recording.ts';

/** Mounts of other people's worlds, and of no interest. */
const FOREIGN = / (\/mnt\/sandboxing|\/tmp)\/| - (cgroup2?|tmpfs|devpts) /;

const [directory, wanted, claims] = process.argv.slice(2) as [string, string, string | undefined];
const since = Number(process.env['RECORD_SINCE'] ?? 0);
const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string };
const local = new LocalTarget(process.env['RECORD_STATE']);

const target: Target = {
  name: local.name,
  kind: local.kind,
  via: local.via,
  ask: async (probe, until) => neutral(probe, await local.ask(probe, until)),
};
const entries = wanted === 'all' ? checks : [await only(wanted)];
const more = claims === undefined ? [] : (JSON.parse(claims) as Claim[]);
const { result, recording } = await recordTarget(target, entries, { until: Date.now() + 60_000 }, version, more);
await saveRecording(recording, directory);
process.stdout.write(JSON.stringify({ checks: result.checks, findings: result.findings }));

/** Loaded by its folder: the template is in no list. */
async function only(folder: string) {
  const { check } = (await import(`../checks/${folder}/index.ts`)) as { check: AnyCheck };
  return { id: check.meta.id, title: check.meta.title, load: () => Promise.resolve(check) };
}

/** Lines are dropped and the kernel's build suffix; nothing is made up. */
function neutral(probe: Probe, answer: Answer): Answer {
  if (answer.state !== 'ok') {
    return answer;
  }
  const text = Buffer.from(answer.out).toString('latin1');
  const keep = (line: (line: string) => boolean) =>
    withText(
      answer,
      text
        .split(/(?<=\n)/)
        .filter(line)
        .join(''),
    );
  if (probe.kind === 'read') {
    const path = toByteString(probe.path);
    if (path === '/proc/sys/kernel/osrelease') {
      return withText(answer, text.replace(/^(\d+\.\d+\.\d+)\S*/, '$1'));
    }
    if (path === '/proc/stat') {
      return keep((line) => /^(btime|processes|procs_)/.test(line));
    }
    if (/^\/proc\/\d+\/mountinfo$/.test(path)) {
      return keep((line) => !FOREIGN.test(line));
    }
  }
  if (probe.kind === 'run' && probe.argv[0] === 'dmesg') {
    // [  954.5] XFS (loop0): …
    return keep((line) => Number(/^\[ *(\d+\.\d+)\]/.exec(line)?.[1] ?? 0) >= since && /XFS|EXT4|loop\d|fuse/.test(line));
  }
  if (probe.kind === 'run' && probe.argv[0] === 'find' && probe.argv[1] === CONNECTIONS) {
    // 1 1074722 47
    const others = foreignConnections();
    return keep((line) => !others.has(Number(line.split(' ')[2])));
  }
  if (probe.kind === 'run' && probe.argv[0] === 'losetup' && probe.argv.includes('NAME,BACK-FILE')) {
    const { loopdevices } = JSON.parse(text === '' ? '{"loopdevices":[]}' : text) as { loopdevices: { 'back-file': string }[] };
    const own = loopdevices.filter((device) => !device['back-file'].startsWith('/tmp/'));
    return own.length === loopdevices.length ? answer : withText(answer, own.length === 0 ? '' : JSON.stringify({ loopdevices: own }));
  }
  if (probe.kind === 'run' && probe.argv[0] === 'find' && probe.argv[1] === '/proc') {
    // One refusal says as much as a thousand.
    return { ...answer, err: answer.err.split(/(?<=\n)/)[0] ?? '' };
  }
  return answer;
}

/** Those of the mounts that are cut out of other tables. */
function foreignConnections(): Set<number> {
  const tables = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/mountinfo`, 'latin1');
      } catch {
        return '';
      }
    });
  const lines = tables.flatMap((table) => table.split('\n')).filter((line) => FOREIGN.test(line));
  return new Set(lines.map((line) => connectionOf({ device: line.split(' ')[2] as string })));
}

function withText(answer: Answer & { state: 'ok' }, text: string): Answer {
  return { ...answer, out: Buffer.from(text, 'latin1') };
}
