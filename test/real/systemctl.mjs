/**
 * systemctl as far as stdoctor calls it, for hosts without systemd: `systemctl.mjs STATE-FILE ARGUMENT…`. STATE-FILE holds
 * units as JSON: name → properties as `systemctl show` prints them. Mount units mirror mountinfo, as those of systemd do.
 */
import { spawn, spawnSync } from 'node:child_process';
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
  case 'start':
  case 'restart': {
    const [id] = words;
    const unit = units[id];
    if (unit === undefined) {
      fail(`Failed to ${verb} ${id}: Unit ${id} not found.`, 5);
    }
    if (id.endsWith('.service')) {
      restartService(unit);
      break;
    }
    if (verb === 'restart' && mirrored(id, unit).ActiveState === 'active') {
      spawnSync('umount', [unit.Where], { stdio: 'ignore' });
    }
    spawnSync('mkdir', ['-p', unit.Where]);
    // What a FUSE daemon starts holds what it was given for as long as it lives.
    const options = unit.Options === undefined ? [] : ['-o', unit.Options];
    const mounted = spawnSync('mount', ['-t', unit.Type, ...options, unit.What, unit.Where], { stdio: 'ignore' });
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

/** One process, in the control group at `Group`, started by the shell line `Start`. */
function restartService({ Group, Start }) {
  const members = () => readFileSync(`${Group}/cgroup.procs`, 'utf8').split('\n').filter(Boolean);
  for (const pid of members()) {
    process.kill(Number(pid), 'SIGKILL');
  }
  while (members().length > 0) {
    spawnSync('sleep', ['0.02']);
  }
  const script = `echo $$ > ${Group}/cgroup.procs; ${Start}`;
  spawn('sh', ['-c', script], { stdio: 'ignore', detached: true, cwd: '/' }).unref();
  while (members().length === 0) {
    spawnSync('sleep', ['0.02']);
  }
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
