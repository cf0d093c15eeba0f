/**
 * Loaded into the program before anything else (NODE_OPTIONS=--import): ends or stops it at a line of its journal, as
 * STDOCTOR_CRASH says: `kill before 3`, `kill after 3`, `kill torn 3` (half of the line written), `stop before 3`.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

const [how, where, nth] = (process.env['STDOCTOR_CRASH'] ?? '').split(' ');
const { writeSync, fsyncSync, readlinkSync } = fs;
let line = 0;

function isJournal(file) {
  try {
    return readlinkSync(`/proc/self/fd/${file}`).endsWith('/journal.jsonl');
  } catch {
    return false;
  }
}

function crash() {
  process.kill(process.pid, how === 'stop' ? 'SIGSTOP' : 'SIGKILL');
}

fs.writeSync = (file, data, ...rest) => {
  if (!isJournal(file)) {
    return writeSync(file, data, ...rest);
  }
  line++;
  if (line === Number(nth) && where === 'before') {
    crash();
  }
  if (line === Number(nth) && where === 'torn') {
    writeSync(file, data.subarray(0, data.length >> 1));
    crash();
  }
  return writeSync(file, data, ...rest);
};

fs.fsyncSync = (file) => {
  fsyncSync(file);
  if (line === Number(nth) && where === 'after' && isJournal(file)) {
    crash();
  }
};

syncBuiltinESMExports();
