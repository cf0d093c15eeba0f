/** What LIO serves to other machines, now and after the next boot. */
import { defineFact, outputOf, run, Unknown, whyNot } from '../../check/asking.ts';
import type { Answer, Asking } from '../../check/types.ts';
import { fromByteString, type Name, sameName, showName, toByteString } from '../../names.ts';
import { parseErrors } from '../look.ts';
import { attempt, type Consumer, type Part, type Unjudged, unjudgedFile } from './consumer.ts';
import { decodeUtf8, JSON_SECRETS, readFiles } from './files.ts';

const LIVE = '/sys/kernel/config/target/core';
const END = '/dev/null';
const ARGV = [
  ...['find', LIVE, END, '-maxdepth', '3', '(', '-name', 'udev_path', '-exec', 'grep', '-HZ', '.', '{}', ';', ')'],
  ...['-o', '-path', END, '-printf', '%p\\0\\n'],
];
/** Of targetcli everywhere, and of Debian. */
const SAVED = ['/etc/target', '/etc/rtslib-fb-target'];
const RESTORERS = ['target.service', 'rtslib-fb-targetctl.service'];

/** A backstore that stands on a device or a file. */
export interface Backstore {
  name: Name;
  path: Name;
}

/** `Unknown` where it did not come whole. */
export function parseBackstores(answer: Answer): Backstore[] {
  if (answer.state !== 'ok') {
    throw new Unknown(whyNot(answer));
  }
  // /sys/kernel/config/target/core/iblock_0/lun0/udev_path NUL /dev/vg0/lun0 NEWLINE
  const records = [...outputOf(answer).matchAll(/([^\0\n]+)\0([^\n]*)\n/g)].map(([, path, value]) => [path, value] as [string, string]);
  const refused = [...parseErrors(answer.err).values()].find((line) => !line.endsWith(': No such file or directory'));
  if (refused !== undefined || records.at(-1)?.[0] !== END) {
    throw new Unknown(refused ?? 'the listing did not come whole');
  }
  return records
    .filter(([path, value]) => path.startsWith(`${LIVE}/`) && value.startsWith('/'))
    .map(([path, value]) => ({ name: fromByteString(path.split('/')[7] as string), path: fromByteString(value) }));
}

/** `Unknown` where it is none. */
export function parseSavedTargets(text: string): Backstore[] {
  let saved: unknown;
  try {
    saved = JSON.parse(text);
  } catch {
    throw new Unknown('it is not well-formed JSON');
  }
  const objects = (saved as { storage_objects?: unknown } | null)?.storage_objects;
  if (!Array.isArray(objects)) {
    throw new Unknown('it has no list of storage_objects');
  }
  return objects.flatMap((object: { name?: unknown; dev?: unknown } | null): Backstore[] => {
    const { name, dev } = object ?? {};
    return typeof name === 'string' && typeof dev === 'string' && dev.startsWith('/') ? [{ name, path: dev }] : [];
  });
}

export const exportConsumers = defineFact('consumers.exports', function* (): Asking<Part> {
  const unjudged: Unjudged[] = [];
  const answer = yield* run(ARGV);
  let live: Backstore[] = [];
  try {
    live = parseBackstores(answer);
  } catch (error) {
    if (!(error instanceof Unknown)) {
      throw error;
    }
    unjudged.push(unjudgedFile(LIVE, error.message));
  }
  const files = yield* attempt(readFiles({ directories: SAVED, pattern: 'saveconfig.json', depth: 1, script: JSON_SECRETS }));
  const saved: (Backstore & { file: string; at: string })[] = [];
  if ('why' in files) {
    unjudged.push(...SAVED.map((path) => unjudgedFile(path, files.why)));
  } else {
    unjudged.push(...files.unjudged);
    for (const [file, text] of files.texts) {
      try {
        saved.push(...parseSavedTargets(decodeUtf8(text)).map((each) => ({ ...each, file, at: files.at })));
      } catch (error) {
        if (!(error instanceof Unknown)) {
          throw error;
        }
        unjudged.push(unjudgedFile(fromByteString(file), error.message));
      }
    }
  }
  const unit = saved.length === 0 ? null : yield* restorer();
  const common = { kind: 'export', certainty: 'proven', nofail: false } as const;
  const ofSaved = saved.map(({ name, path, file, at }): Consumer => {
    const evidence = { source: file, at, excerpt: `${showName(name)}: ${showName(path)}` };
    const isUp = live.some((each) => sameName(each.path, path));
    return { ...common, name, atBoot: unit !== null, isUp, needs: [path], evidence, unit };
  });
  const ofKernel = live
    .filter(({ path }) => !saved.some((each) => sameName(each.path, path)))
    .map(({ name, path }): Consumer => {
      const evidence = { source: `${LIVE}/*/${showName(name)}/udev_path`, at: answer.at, excerpt: showName(path) };
      return { ...common, name, atBoot: false, isUp: true, needs: [path], evidence, unit: null };
    });
  return { consumers: [...ofSaved, ...ofKernel], unjudged };
});

/** The unit that restores what was saved, where one is enabled. */
function* restorer(): Asking<string | null> {
  const answer = yield* run(['systemctl', 'show', '--no-pager', '--property=Id,UnitFileState', '--', ...RESTORERS]);
  const blocks = outputOf(answer).split(/\n{2,}/);
  const enabled = blocks.find((block) => /^UnitFileState=(enabled|alias)/m.test(block));
  const id = enabled === undefined ? undefined : /^Id=(.+)$/m.exec(enabled)?.[1];
  return id === undefined ? null : toByteString(id);
}
