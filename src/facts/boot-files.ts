/** The kernels in /boot and what starts with them. */
import { defineFact, outputOf, run, seenAt, whyNot } from '../check/asking.ts';
import type { Asking, Probe, Seen } from '../check/types.ts';

export interface BootFiles {
  seen: Seen;
  /** Versions, the newest first. */
  kernels: string[];
  /** Version → its initramfs. */
  images: ReadonlyMap<string, { path: string; size: number }>;
  why?: string;
}

/** Comes last: a listing without it is cut off. */
const END = '/dev/null';
/** Copies that package managers and `make install` leave behind. No boot loader takes one for the newest. */
const PUT_ASIDE = /(\.old|\.bak|~|\.dpkg-\w+|\.rpm\w+)$/;
const LIST: Probe & { kind: 'run' } = {
  kind: 'run',
  argv: ['find', '/boot', END, '-maxdepth', '1', '(', '-type', 'f', '-o', '-path', END, ')', '-printf', '%p\\0%s\\0'],
};

export const bootFiles = defineFact('boot-files', function* (): Asking<BootFiles> {
  const answer = yield* run(LIST.argv, { suspect: true });
  const seen = { ...seenAt(LIST, answer), source: 'find /boot' };
  const fields = outputOf(answer).split('\0');
  if (answer.state !== 'ok' || fields.at(-3) !== END || fields.length % 2 === 0) {
    const why = answer.state === 'ok' ? 'the listing of /boot did not come whole' : whyNot(answer);
    return { seen, kernels: [], images: new Map(), why };
  }
  const kernels: string[] = [];
  const images = new Map<string, { path: string; size: number }>();
  for (let at = 0; at + 3 < fields.length; at += 2) {
    const path = fields[at] as string;
    // Of Debian and Fedora: /boot/vmlinuz-6.1.0-18-amd64, /boot/initrd.img-…, /boot/initramfs-….img
    const kernel = /^\/boot\/vmlinuz-(\d[^/]*)$/.exec(path)?.[1];
    const image = /^\/boot\/(?:initrd\.img-(\d[^/]*)|(?:initramfs|initrd)-(\d[^/]*?)(?:\.img)?)$/.exec(path);
    const version = image?.[1] ?? image?.[2];
    if (kernel !== undefined && !PUT_ASIDE.test(kernel)) {
      kernels.push(kernel);
    } else if (version !== undefined) {
      images.set(version, { path, size: Number(fields[at + 1]) });
    }
  }
  return { seen, kernels: kernels.sort(compareVersions).reverse(), images };
});

/** Numbers by value, all else by letter. */
export function compareVersions(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true });
}

export interface ImageContents {
  seen: Seen;
  /** Paths in it, without a slash at their beginning. */
  paths: string[];
  why?: string;
}

const LISTERS = [['lsinitramfs'], ['lsinitrd']];
/** Unpacking takes seconds. */
const LIMIT = 30_000;

/** What an initramfs holds, by the tool of Debian or of Fedora. Costly: to be asked only where it matters. */
export const imageContents = defineFact('image-contents', function* (image: string): Asking<ImageContents> {
  let why = '';
  for (const [tool = '', ...words] of LISTERS) {
    const probe: Probe & { kind: 'run' } = { kind: 'run', argv: [tool, ...words, image] };
    const answer = yield* run(probe.argv, { limitMs: LIMIT });
    const seen = seenAt(probe, answer);
    if (answer.state === 'absent') {
      why = 'neither lsinitramfs nor lsinitrd is here';
      continue;
    }
    if (answer.state !== 'ok' || answer.code !== 0) {
      return { seen, paths: [], why: `${tool}: ${whyNot(answer)}` };
    }
    // -rwxr-xr-x 1 root root 123 Jan 1 00:00 usr/sbin/lvm   or the path alone
    const paths = outputOf(answer)
      .split('\n')
      .map((line) =>
        /^[-dlcbps][rwxsStT-]{9}/.test(line)
          ? (line
              .replace(/ -> .*$/, '')
              .split(/ +/)
              .at(-1) ?? '')
          : line,
      );
    const isWhole =
      outputOf(answer).endsWith('\n') &&
      paths.some((path) => /^(\.\/)?(usr\/)?bin(\/|$)/.test(path)) &&
      paths.some((path) => /^(\.\/)?init$/.test(path));
    return isWhole ? { seen, paths } : { seen, paths: [], why: `${tool} answered in an unknown format` };
  }
  return { seen: { source: 'lsinitramfs', at: '' }, paths: [], why };
});
