/**
 * systemctl as far as stdoctor calls it, for hosts without systemd: `systemctl.mjs STATE-FILE ARGUMENT…`. STATE-FILE holds
 * units as JSON: name → properties as `systemctl show` prints them. Mount units mirror mountinfo, as those of systemd do.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';

const [file, verb, ...rest] = process.argv.slice(2);
const units = JSON.parse(readFileSync(file, 'utf8'));
const words = rest.filter((word) => !word.startsWith('--'));

switch (verb) {
  case 'show': {
    const wanted = rest
      .find((word) => word.startsWith('--property='))
      .slice('--property='.length)
      .split(',');
    // Patterns leave out what is inactive, and has nothing to do.
    const isShown = ({ ActiveState, Job }) => rest.includes('--all') || ActiveState !== 'inactive' || (Job ?? '0') !== '0';
    const known = Object.entries(units).filter(([id, unit]) =>
      words.some((word) => (word.startsWith('*') ? id.endsWith(word.slice(1)) && isShown(unit) : id === word)),
    );
    const missing = words.filter((word) => !word.startsWith('*') && units[word] === undefined);
    const blocks = [
      ...known.map(([id, unit]) => mirrored(id, unit)),
      ...missing.map((id) => ({ Id: id, LoadState: 'not-found', ActiveState: 'inactive', SubState: 'dead', Result: 'success' })),
    ];
    const lines = (unit) => wanted.filter((name) => name in unit).map((name) => `${name}=${unit[name]}\n`);
    process.stdout.write(blocks.map((unit) => lines(unit).join('')).join('\n'));
    break;
  }
  case 'start': {
    const [id] = words;
    const unit = units[id];
    if (unit === undefined) {
      fail(`Failed to start ${id}: Unit ${id} not found.`, 5);
    }
    spawnSync('mkdir', ['-p', unit.Where]);
    const mounted = spawnSync('mount', ['-t', unit.Type, unit.What, unit.Where], { encoding: 'utf8' });
    if (mounted.status === 0) {
      set(id, { ActiveState: 'inactive', SubState: 'dead', Result: 'success' });
    } else {
      set(id, { ActiveState: 'failed', SubState: 'failed', Result: 'exit-code' });
      fail(`Job for ${id} failed.\nSee "systemctl status ${id}" and "journalctl -xeu ${id}" for details.`, 1);
    }
    break;
  }
  case 'reset-failed':
    set(words[0], { ActiveState: 'inactive', SubState: 'dead', Result: 'success' });
    break;
  default:
    fail(`Unknown command verb ${verb}.`, 1);
}

function mirrored(id, unit) {
  const points = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => !line.includes(' - autofs '))
    .map((line) => line.split(' ')[4]);
  const isThere = id.endsWith('.mount') && points.includes(unit.Where);
  return { Id: id, ...unit, ...(isThere && { ActiveState: 'active', SubState: 'mounted', Result: 'success' }) };
}

function set(id, properties) {
  units[id] = { ...units[id], ...properties };
  writeFileSync(file, JSON.stringify(units));
}

function fail(text, code) {
  process.stderr.write(`${text}\n`);
  process.exit(code);
}
