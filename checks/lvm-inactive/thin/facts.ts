import { defineCondition } from '../../../src/check/condition.ts';
import type { Asking, Holds } from '../../../src/check/types.ts';
import { lvm } from '../../../src/facts/lvm/index.ts';

/** The metadata of a thin pool is full, or has room and may be written; its size in bytes. */
export const poolMetadata = defineCondition(
  'pool-metadata',
  function* (args: { pool: string; uuid: string; full: boolean; size: number }): Asking<Holds> {
    const { volumes } = yield* lvm();
    const pool = volumes.find(({ uuid, fullName }) => uuid === args.uuid && fullName === args.pool);
    const expected = `metadata of ${args.pool} ${args.full ? `full, of ${args.size} bytes` : `with room, of more than ${args.size} bytes`}`;
    const not = (found: string): Holds => ({ holds: false, expected, found });
    // The pool may be up while it is not active by itself: its volumes are.
    if (pool === undefined || pool.metadataPercent === undefined) {
      return not(pool === undefined ? 'LVM knows no such pool' : 'LVM does not tell');
    }
    if (pool.needsCheck || pool.isSuspended) {
      return not(pool.needsCheck ? 'it needs a check' : 'it is suspended');
    }
    const isFull = pool.health === 'metadata_read_only' || pool.metadataPercent === 100;
    const isSized = args.full ? pool.metadataSize === args.size : pool.metadataSize > args.size;
    return isFull === args.full && isSized
      ? { holds: true }
      : not(`${pool.metadataPercent} % of ${pool.metadataSize} bytes${pool.health === '' ? '' : `, ${pool.health}`}`);
  },
);

/** The group has this many bytes to give. */
export const groupHasRoom = defineCondition('group-has-room', function* (args: { group: string; bytes: number }): Asking<Holds> {
  const { groups } = yield* lvm();
  const group = groups.find(({ name }) => name === args.group);
  return group !== undefined && group.free >= args.bytes
    ? { holds: true }
    : {
        holds: false,
        expected: `${args.bytes} bytes free in ${args.group}`,
        found: group === undefined ? 'LVM knows no such group' : `${group.free}`,
      };
});
