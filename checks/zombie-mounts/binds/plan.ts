import type { Claim, Plan, Step, Word } from '../../../src/check/types.ts';
import { ERRNO } from '../../../src/facts/errno.ts';
import { listHolders, nobodySeenHolding } from '../../../src/facts/holders.ts';
import { emptyDirectory, pathIs } from '../../../src/facts/look.ts';
import { sameBytes } from '../../../src/facts/loop.ts';
import { claimMount, claimPathOn, type Mount, mountedAt, rootBeforeDeletion } from '../../../src/facts/mountinfo.ts';
import { fileNameOf, fromByteString, type Name, showName, toByteString } from '../../../src/names.ts';
import type { ZombieFacts } from '../facts.ts';
import { type MountFinding, mountOfFinding, refuseTakingAway, run, unmount } from '../steps.ts';
import type { BindFound } from './detect.ts';

export function planBind(finding: MountFinding<BindFound>, facts: ZombieFacts): Plan {
  const mount = mountOfFinding(finding, facts);
  if ('refused' in mount) {
    return mount;
  }
  const { data } = finding;
  const refused = refuseTakingAway(mount, facts);
  if (refused !== undefined) {
    return refused;
  }
  const found = facts.bindSources.get(mount.id);
  const shown = found?.mount;
  if (found?.path === undefined) {
    return { refused: 'the file system that its source was on is mounted nowhere, so that the source has no path to be made again at' };
  }
  if (shown?.state !== 'found' || !isKind(shown.type)) {
    return { refused: 'what the mount still shows could not be looked at' };
  }
  const { path, source } = found;
  const missing = source?.state === 'errno' && source.errno === ERRNO.ENOENT;
  if (!missing && source?.state !== 'found') {
    return { refused: `${showName(path)}, where its source was, could not be looked at` };
  }
  if (source.state === 'found' && source.type !== shown.type) {
    return { refused: `${showName(path)} is there again, but of another kind than what was mounted` };
  }
  if (data.holders.length > 0) {
    return { refused: `${listHolders(data.holders)} would keep it busy: stop them first` };
  }
  const bind: Bind = { mount, path, type: shown.type, bytes: shown.size, place: claimPathOn(facts.table, path) };
  const there = [bind.place, pathIs({ path, type: shown.type })];
  const free = claimPathOn(facts.table, mount.point, mount);
  const copy: Word = missing ? path : { join: [{ ref: 'rescue' }, '/', fileNameOf(path)] };
  const { point, fstype, device, options } = mount;
  return {
    steps: [
      ...(missing ? makeAgain(bind) : shown.type === 'f' ? [keepOldContent(bind, copy)] : []),
      unmount(
        mount,
        'disruptive',
        'The mount can never see what is at its source again.',
        [claimMount(mount), ...there, ...showsSame(bind, copy), nobodySeenHolding({ point })],
        'what was deleted cannot be mounted again',
      ),
      {
        title: `Bind ${showName(path)} to ${showName(point)}`,
        why: 'With the options it had.',
        risk: 'disruptive',
        action: run('mount', '--bind', '-o', options, path, point),
        guards: [free, ...there],
        proof: [mountedAt({ point, fstype, device, root: rootBeforeDeletion(mount), options })],
        undo: { action: run('umount', '-c', point), proof: [free] },
      },
    ],
  };
}

/** A bind mount whose source is gone. */
interface Bind {
  mount: Mount;
  /** Where the source was, and `place`, that this still leads onto the same file system. */
  path: Name;
  place: Claim;
  type: 'd' | 'f';
  bytes: number;
}

function isKind(type: string): type is Bind['type'] {
  return type === 'd' || type === 'f';
}

/** A deleted directory is empty for ever: only a file has something to compare. */
function showsSame({ mount, type, bytes }: Bind, copy: Word): Claim[] {
  return type === 'f' ? [sameBytes({ a: mount.point, b: copy, bytes })] : [];
}

/** Under a name of its own first: what a crash leaves in the middle must not pass for the source. */
function makeAgain(bind: Bind): Step[] {
  const { mount, path, place, type } = bind;
  const partial: Word = { join: [fromByteString(toByteString(path).replace(/[^/]*$/, '')), '.stdoctor-', { ref: 'run' }] };
  const absent = (at: Word) => pathIs({ path: at, type: 'absent' });
  // Part of the proofs, and so of what an undo rests on: while the mount is there, so is what it shows.
  const made = (at: Word) => [
    claimMount(mount),
    type === 'd' ? emptyDirectory({ path: at }) : pathIs({ path: at, type }),
    ...showsSame(bind, at),
  ];
  return [
    {
      title: `Copy what ${showName(mount.point)} shows to a new name beside ${showName(path)}`,
      why:
        type === 'd'
          ? 'With the owner, mode and attributes that the deleted directory still shows.'
          : 'With the content and attributes that the mount still serves.',
      risk: 'safe',
      action: { kind: 'run', argv: ['cp', '-a', '-T', '--', mount.point, partial] },
      guards: [claimMount(mount), place, absent(path), absent(partial)],
      proof: made(partial),
      undo: { action: { kind: 'run', argv: [type === 'd' ? 'rmdir' : 'rm', '--', partial] }, proof: [absent(partial)] },
    },
    {
      title: `Make ${showName(path)} again`,
      why: 'By the name of the copy, now that it is whole. Nothing that came there meanwhile is replaced.',
      risk: 'safe',
      action: { kind: 'run', argv: ['mv', '-n', '-T', '--', partial, path] },
      guards: [place, absent(path), ...made(partial)],
      proof: [absent(partial), ...made(path)],
      undo: { action: { kind: 'run', argv: ['mv', '-n', '-T', '--', path, partial] }, proof: [absent(path), ...made(partial)] },
    },
  ];
}

function keepOldContent(bind: Bind, copy: Word): Step {
  const { mount, path, place } = bind;
  return {
    title: 'Keep the old content',
    why: `${showName(path)} was replaced; what the mount still serves is the only copy of the file before.`,
    risk: 'safe',
    action: { kind: 'run', argv: ['cp', '-a', '-T', '--', mount.point, copy] },
    guards: [claimMount(mount), place, pathIs({ path: copy, type: 'absent' })],
    proof: showsSame(bind, copy),
    undo: { none: 'a copy harms nobody' },
  };
}
