/** Words of fstab(5) that are written wrongly often, and after which a mount fails. */

const KNOWN = [
  'defaults',
  'nofail',
  'noauto',
  '_netdev',
  'noatime',
  'nodiratime',
  'relatime',
  'nosuid',
  'noexec',
  'strictatime',
  'lazytime',
];
/** Options that are one letter away from those, and right. */
const RIGHT = new Set(['norelatime', 'noatime', 'diratime', 'nolazytime', 'noacl', 'suid', 'exec', 'auto']);
/** systemd and mount helpers keep these for others to read. */
const FOR_OTHERS = /^(x-|X-|comment=)/;

/** One letter is too many, missing, another one, or two are swapped: no option of any file system is so near to these. */
export function misspelt(options: readonly string[]): { written: string; meant: string } | undefined {
  for (const written of options) {
    if (KNOWN.includes(written) || RIGHT.has(written) || written.includes('=') || FOR_OTHERS.test(written)) {
      continue;
    }
    const meant = KNOWN.find((word) => isOneOff(written, word));
    if (meant !== undefined) {
      return { written, meant };
    }
  }
  return undefined;
}

function isOneOff(a: string, b: string): boolean {
  if (Math.abs(a.length - b.length) > 1) {
    return false;
  }
  let at = 0;
  while (at < a.length && a[at] === b[at]) {
    at++;
  }
  const [restA, restB] = [a.slice(at), b.slice(at)];
  const isSwapped = restA.length > 1 && restA[0] === restB[1] && restA[1] === restB[0] && restA.slice(2) === restB.slice(2);
  return isSwapped || restA.slice(1) === restB.slice(1) || restA.slice(1) === restB || restA === restB.slice(1);
}
