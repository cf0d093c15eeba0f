/** What runs and holds images that no manager of guests has described. */
import { defineFact } from '../../check/asking.ts';
import type { Asking } from '../../check/types.ts';
import { fromByteString, showName } from '../../names.ts';
import { commandLines } from '../command-lines.ts';
import { attempt, type Guest, type Guests } from './consumer.ts';
import { disksOfQemu, isQemu, nameOfQemu } from './qemu-words.ts';

export const qemuProcesses = defineFact('consumers.qemu', function* (): Asking<Guests & { pids: number[] }> {
  const known = yield* attempt(commandLines());
  if ('why' in known) {
    return { guests: [], pids: [], unjudged: [{ subject: { kind: 'processes', name: '/proc' }, why: known.why }] };
  }
  // find itself is one of them.
  const gaps = known.lines.length === 0 ? ['none is listed', ...known.gaps] : known.gaps;
  const processes = known.lines.filter(({ words }) => isQemu(words));
  return {
    guests: processes.map(({ pid, words }): Guest => {
      const disks = disksOfQemu(words);
      const paths = disks.flatMap(({ images }) => images.map(({ path }) => showName(path)));
      return {
        kind: 'process',
        name: nameOfQemu(words) ?? `pid ${pid}`,
        atBoot: false,
        isUp: true,
        disks,
        evidence: {
          source: `/proc/${pid}/cmdline`,
          at: known.seen.at,
          excerpt: `${showName(fromByteString(words[0] ?? ''))} … ${paths.join(' … ')}`,
        },
        unit: null,
        nofail: false,
      };
    }),
    pids: processes.map(({ pid }) => pid),
    unjudged: gaps
      .slice(0, 1)
      .map((gap) => ({ subject: { kind: 'processes', name: '/proc' }, why: `not every process could be looked at: ${gap}` })),
  };
});
