/** A host with thousands of volumes: the rows, lines and blocks of one that was recorded, multiplied. */
import { join } from 'node:path';
import { outputOf } from '../src/check/asking.ts';
import type { Answer, Target } from '../src/check/types.ts';
import type { CheckEntry } from '../src/engine/inspect.ts';
import { recordTarget } from '../src/engine/record.ts';
import { loadRecording, type Recording } from '../src/target/recording.ts';
import { ReplayTarget } from '../src/target/replay.ts';
import { ROOT } from './cli.ts';
import { reportText } from './fake-lvm.ts';
import { said, wordsOf } from './fake-target.ts';

const CASES = join(ROOT, 'checks/lvm-inactive/cases');
/** Of each so many volumes one is down and needed, and one down that nobody needs. */
const EACH = 20;

interface Many {
  recording: Recording;
  /** Those that are down and needed. */
  down: string[];
  /** What lvs says. */
  lvs: string;
}

type Row = Record<string, string>;

interface Options {
  /** One of twenty is down and wanted by fstab. */
  missed: boolean;
  /** Every other one that is up is mounted. */
  mounted: boolean;
}

/** As `stdoctor record` would keep it. `total`: rows that lvs has for volumes, those of the recorded host among them. */
export async function manyVolumes(total: number, entry: CheckEntry, { missed, mounted: areMounted }: Options): Promise<Many> {
  const healthy = await loadRecording(join(CASES, 'healthy-lvm'));
  // What is asked only where something is down.
  const sick = await loadRecording(join(CASES, 'volume-inactive'));
  const known = [healthy, sick].map((recording) => new ReplayTarget(recording));
  const textOf = (matches: (words: string) => boolean) =>
    outputOf(healthy.entries.find(({ probe }) => matches(wordsOf(probe)))?.answer as Answer);

  const rows: Row[] = JSON.parse(textOf((words) => words.startsWith('lvs '))).report[0].lv;
  const rowOf = (name: string) => rows.find(({ lv_name }) => lv_name === name) as Row;
  const copies = Array.from({ length: total - rows.length }, (_, index) => {
    const name = `v${index}`;
    const isDown = index % EACH < 2;
    const isNeeded = (missed && index % EACH === 0) || (areMounted && index % 2 === 1 && !isDown);
    return { name, isDown, isNeeded, minor: 1000 + index };
  });
  const needed = copies.filter(({ isNeeded }) => isNeeded);
  const mounted = needed.filter(({ isDown }) => !isDown);
  const lvs = reportText('lv', [
    ...rows,
    ...copies.map(({ name, isDown, minor }): Row => {
      const row = rowOf(isDown ? 'admin' : 'data');
      const own = (text = '') => text.replace(/(admin|data)$/, name);
      return {
        ...row,
        lv_name: name,
        lv_full_name: own(row['lv_full_name']),
        lv_uuid: `${String(minor).padStart(6, '0')}${row['lv_uuid']?.slice(6)}`,
        lv_path: own(row['lv_path']),
        lv_dm_path: own(row['lv_dm_path']),
        lv_kernel_minor: isDown ? '-1' : String(minor),
      };
    }),
  ]);

  const fstab = textOf((words) => words.includes(' /etc/fstab '));
  const line = fstab.split('\n').find((each) => each.includes('/srv/data')) as string;
  const table = textOf((words) => words === '/proc/self/mountinfo');
  const mount = table.split('\n').find((each) => each.includes('/srv/data')) as string;
  const shown = textOf((words) => words.startsWith('systemctl show') && words.endsWith('*.swap'));
  const block = shown
    .trimEnd()
    .split('\n\n')
    .find((each) => each.includes('Id=srv-data.mount')) as string;
  const listed = textOf((words) => words.startsWith('lsblk '));
  const disk = listed.split('\n').find((each) => each.includes('NAME="vg0-data"')) as string;
  const as = (text: string, name: string) => text.replaceAll('data', name);
  const off = (text: string) =>
    text
      .replace('=active', '=inactive')
      .replace('=mounted', '=dead')
      .replace(/(ActiveEnter\w+)=\d+/, '$1=0');
  const up = copies.filter(({ isDown }) => !isDown);
  const texts: [matches: (words: string) => boolean, text: string][] = [
    [(words) => words.startsWith('lvs '), lvs],
    [
      (words) => words.startsWith('lsblk '),
      `${listed}${up.map(({ name, minor }) => `${as(disk, name).replace('dm-0', `dm-${minor}`).replace('253:0', `253:${minor}`)}\n`).join('')}`,
    ],
    [(words) => words.includes(' /etc/fstab '), fstab.replace(/\0$/, `${needed.map(({ name }) => `${as(line, name)}\n`).join('')}\0`)],
    [
      (words) => words === '/proc/self/mountinfo',
      `${table}${mounted.map(({ name, minor }) => `${as(mount, name).replace(/^\d+/, String(minor)).replace('253:0', `253:${minor}`)}\n`).join('')}`,
    ],
    [
      (words) => words.startsWith('systemctl show') && words.endsWith('*.swap'),
      [shown.trimEnd(), ...needed.map(({ name, isDown }) => (isDown ? off(as(block, name)) : as(block, name)))].join('\n\n').concat('\n'),
    ],
  ];
  const devices = new Map([
    ['/dev/disk', 'directory 0:0'],
    ['/dev/vda', 'block special file fe:0'],
    ['/dev/vg0/data', 'block special file fd:0'],
    ...mounted.map(({ name, minor }): [string, string] => [`/dev/vg0/${name}`, `block special file fd:${minor.toString(16)}`]),
  ]);
  const target: Target = {
    name: healthy.target.name,
    kind: 'host',
    via: 'local',
    async ask(probe) {
      const words = wordsOf(probe);
      const text = texts.find(([matches]) => matches(words))?.[1];
      const multiplied = text === undefined ? lookedAt(words, devices) : said(text);
      const recorded = await Promise.all(known.map((each) => each.ask(probe)));
      return multiplied ?? recorded.find(({ state }) => state !== 'not-held') ?? (recorded[0] as Answer);
    },
  };
  const { recording } = await recordTarget(target, [entry], { until: Number.MAX_SAFE_INTEGER }, healthy.version);
  return { recording, down: needed.filter(({ isDown }) => isDown).map(({ name }) => `/dev/vg0/${name}`), lvs };
}

/** Block devices by name, and empty directories: one question each about as many as there are. */
function lookedAt(words: string, devices: ReadonlyMap<string, string>): Answer | undefined {
  const argv = words.split(' ');
  if (words.startsWith('stat -L --printf')) {
    const paths = argv.slice(argv.indexOf('--') + 1);
    const there = paths.filter((path) => devices.has(path));
    const gone = paths.filter((path) => !devices.has(path));
    const errors = gone.map((path) => `stat: cannot statx '${path}': No such file or directory\n`);
    return said(there.map((path) => `${path}\0${devices.get(path)}\0`).join(''), gone.length > 0 ? 1 : 0, errors.join(''));
  }
  return words.startsWith('stdbuf -o0 find')
    ? said(
        argv
          .slice(3, argv.indexOf('-maxdepth'))
          .map((path, index) => `${path}\0d 4096 ${2 + index} 65024 2\0empty\0`)
          .join(''),
      )
    : undefined;
}
