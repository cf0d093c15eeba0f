/**
 * What 5,000 volumes cost: their reports taken apart and judged, as a ratio to JSON.parse of the same text, and the memory
 * of it. Half of them are needed by guests, a tenth of those are down. Nothing is asserted.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { check } from '../checks/lvm-inactive/index.ts';
import { neededVolumes } from '../checks/lvm-inactive/needs.ts';
import type { Answer, Probe } from '../src/check/types.ts';
import { Round } from '../src/engine/round.ts';
import { lvm } from '../src/facts/lvm/index.ts';
import { DISK, GROUP, INACTIVE, reportText, VOLUME } from '../test/fake-lvm.ts';
import { fakeTarget, said } from '../test/fake-target.ts';
import { median } from './measure.ts';

const VOLUMES = 5000;
const RUNS = 15;

function volumes() {
  return Array.from({ length: VOLUMES }, (_, index) => ({
    ...VOLUME,
    ...(index % 20 === 0 ? { ...INACTIVE, lv_autoactivation: '' } : { lv_kernel_minor: String(index) }),
    lv_name: `vm${index}`,
    lv_full_name: `vg0/vm${index}`,
    lv_uuid: `${String(index).padStart(6, '0')}-CeID-cJws-tUEf-u2by-vND6-4gandz`,
    lv_path: `/dev/vg0/vm${index}`,
    lv_dm_path: `/dev/mapper/vg0-vm${index}`,
  }));
}

const file = process.argv[2];
const texts: Record<string, Buffer> = {
  lvs: file === undefined ? Buffer.from(reportText('lv', volumes()), 'latin1') : readFileSync(file),
  vgs: Buffer.from(reportText('vg', [GROUP])),
  pvs: Buffer.from(reportText('pv', [DISK])),
};
const seen = { source: 'bench', at: '' };
const consumers = Array.from({ length: VOLUMES / 2 }, (_, index) => {
  const path = `/dev/vg0/vm${index * 2}`;
  const how = { kind: 'guest', atBoot: true, isUp: false, certainty: 'proven', unit: null, nofail: false } as const;
  return { ...how, name: `vm${index * 2}`, needs: [path], evidence: { ...seen, excerpt: path } };
});

function answer(probe: Probe): Answer | undefined {
  const tool = probe.kind === 'run' ? String(probe.argv[0]) : '';
  return texts[tool] === undefined ? undefined : said(texts[tool]);
}

async function judged(): Promise<number> {
  const known = await new Round(fakeTarget(answer), Date.now() + 60_000).gather(lvm());
  const layers = { seen, devices: [] };
  const facts = {
    lvm: known,
    layers,
    arrays: { arrays: [] },
    needed: neededVolumes({ consumers, unjudged: [] }, known, new Map(), layers),
    places: new Map(),
    suspended: new Map(),
    locks: { held: new Map() },
    order: undefined,
    config: { seen, autoActivationList: ['vg0'], volumeList: undefined, eventActivation: true, usesDevicesFile: false },
    boot: undefined,
    ownSystemId: undefined,
    table: { seen, mounts: [], visible: new Set<number>() },
    self: { uid: 0, mayMount: true, seesAllProcesses: true },
  };
  return check.detect(facts).findings.length;
}

if (file === undefined) {
  await measure();
} else {
  // In a process of its own, which does nothing else.
  await judged();
  console.log(`memory at most ${(process.resourceUsage().maxRSS / 1024).toFixed(0)} MB`);
}

async function measure(): Promise<void> {
  const parsing: number[] = [];
  const judging: number[] = [];
  let found = 0;
  for (let run = 0; run < RUNS + 3; run++) {
    const first = performance.now();
    JSON.parse((texts['lvs'] as Buffer).toString('latin1'));
    const second = performance.now();
    found = await judged();
    const third = performance.now();
    if (run >= 3) {
      parsing.push(second - first);
      judging.push(third - second);
    }
  }
  const [parse, judge] = [median(parsing), median(judging)];
  console.log(`${VOLUMES} volumes, ${((texts['lvs'] as Buffer).length / 2 ** 20).toFixed(1)} MiB, ${found} findings`);
  console.log(`JSON.parse ${parse.toFixed(1)} ms, all of it ${judge.toFixed(1)} ms: ratio ${(judge / parse).toFixed(2)}`);
  const directory = mkdtempSync(join(tmpdir(), 'stdoctor-bench-'));
  writeFileSync(join(directory, 'lvs.json'), texts['lvs'] as Buffer);
  spawnSync(process.execPath, [fileURLToPath(import.meta.url), join(directory, 'lvs.json')], { stdio: 'inherit' });
  rmSync(directory, { recursive: true });
}
