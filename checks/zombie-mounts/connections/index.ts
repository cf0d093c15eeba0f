import { CONNECTIONS } from '../../../src/facts/fuse.ts';
import { listHolders } from '../../../src/facts/holders.ts';
import { printable } from '../../../src/names.ts';
import type { Part } from '../data.ts';
import type { OrphanFound } from './detect.ts';
import { seekOrphans } from './detect.ts';

export const connections: Part = {
  codes: {
    'orphan-fuse-conn': 'FUSE connection {subject} is mounted nowhere any more, and still in use',
  },
  many: {
    'orphan-fuse-conn': 'are FUSE connections that are mounted nowhere',
  },
  seek: seekOrphans,
  plan: (finding) => ({ refused: whatEndsIt((finding as unknown as OrphanFound).data) }),
};

function whatEndsIt({ connection, holders }: OrphanFound['data']): string {
  const stop =
    holders.length > 0
      ? `it goes with the last of ${printable(listHolders(holders))}: stop them`
      : 'it goes with the last that uses it: an open file, a working directory, an overlay with a layer there';
  return `${stop}. Those that wait and are deaf to every signal are set free by: echo 1 > ${CONNECTIONS}/${connection}/abort. What they had not flushed is lost then`;
}
