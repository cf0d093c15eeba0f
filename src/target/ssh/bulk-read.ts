/** Many small files by one command: `head -v`, each under a name that nobody can foresee. */
import { type Name, showName, toByteString, toName } from '../../names.ts';
import { failedHead, type Outcome } from '../host-target.ts';

const NONCE_BITS = 24;

/** The same file by another name: as many blocks of `/.` or `/` as the nonce has bits. */
export function disguised(path: Name, random: () => number = Math.random): Name {
  const prefix = Array.from({ length: NONCE_BITS }, () => (random() < 0.5 ? '/.' : '/')).join('');
  return toName(Buffer.from(`${prefix}${toByteString(path)}`, 'latin1'));
}

/** `-v` tells each file by its name, even a single one. */
export function bulkRead(names: readonly Name[], maxBytes: number): Name[] {
  return ['head', '-v', '-c', String(maxBytes), '--', ...names];
}

/** An outcome for each, in their order. */
export function parseBulk(paths: readonly Name[], names: readonly Name[], out: Buffer, err: string): Outcome[] {
  const text = out.toString('latin1');
  const complaints = err.split('\n');
  // ==> /proc/stat <==
  const heads = names.map((name) => `==> ${toByteString(name)} <==\n`);
  const starts = heads.map((head) => text.indexOf(head));
  return paths.map((path, index) => {
    const complaint = complaints.find((line) => line.includes(toByteString(names[index] as Name)));
    const start = starts[index] as number;
    if (complaint !== undefined || start < 0) {
      return failedHead(showName(path), complaint ?? `no answer: ${err.trim()}`);
    }
    const from = start + (heads[index] as string).length;
    const next = starts.slice(index + 1).find((each) => each >= 0);
    // An empty line stands before each head but the first.
    return { state: 'ok', code: 0, out: out.subarray(from, next === undefined ? undefined : next - 1), err: '' };
  });
}
