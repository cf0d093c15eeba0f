/** What a signal means: the end at once, or, while something is being repaired, the end of what is under way. */
let minding: AbortController | undefined;

/** Runs work that must not be cut in the middle. The reason of the abort is the signal: SIGHUP lets more be ended than the others. */
export async function minded<T>(work: (stop: AbortSignal) => Promise<T>): Promise<T> {
  minding = new AbortController();
  try {
    return await work(minding.signal);
  } finally {
    minding = undefined;
  }
}

/** True where the work under way was told, and ends by itself; a second signal is not put off, but the terminal ends only once. */
export function putOff(signal: NodeJS.Signals): boolean {
  if (minding === undefined || (minding.signal.aborted && signal !== 'SIGHUP')) {
    return false;
  }
  if (!minding.signal.aborted) {
    minding.abort(signal);
    if (signal !== 'SIGHUP') {
      process.stderr.write('\nstdoctor: interrupted; the step under way may end (again: leave at once)\n');
    }
  }
  return true;
}
