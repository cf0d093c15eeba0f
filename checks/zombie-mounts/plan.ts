import type { Claim, Finding, Plan, Step, Word } from '../../src/check/types.ts';
import { ERRNO } from '../../src/facts/errno.ts';
import { CONNECTIONS, connectionOf, fusectlThere, nobodyWaits, onlyFor, somebodyWaits } from '../../src/facts/fuse.ts';
import { pathIs } from '../../src/facts/look.ts';
import { type LoopDevice, loopAttached, loopIs, notOn, roomFor, sameBytes } from '../../src/facts/loop.ts';
import { claimMount, type Mount, mountedAt, mountGone, optionList } from '../../src/facts/mountinfo.ts';
import { notMountedElsewhere } from '../../src/facts/namespaces.ts';
import { processIs } from '../../src/facts/process.ts';
import { connectionDead, mountAnswers, mountFails } from '../../src/facts/reach.ts';
import { type Name, printable, showName, toByteString } from '../../src/names.ts';
import type { MountData, ZombieFound } from './detect.ts';
import type { ZombieFacts } from './facts.ts';

type ZombieFinding = Finding<ZombieFound>;

const NEEDS_ROOT = 'it needs root: run stdoctor fix as root';
const DAEMON_GONE = 'the daemon is gone: mount it again';

export function plan(finding: ZombieFinding, facts: ZombieFacts): Plan {
  const mount = facts.table.mounts.find(({ id }) => id === finding.data.mountId);
  if (mount === undefined) {
    return { refused: 'the mount is no longer listed' };
  }
  const refusal = refuse(finding, mount, facts);
  if (refusal !== undefined) {
    return { refused: refusal };
  }
  switch (finding.code) {
    case 'fuse-dead':
    case 'fuse-aborted':
      return planDead(finding, mount, facts);
    case 'fuse-stopped':
      return planStopped(finding, mount, facts);
    case 'fuse-hung':
      return planHung(finding, mount);
    case 'bind-source-deleted':
      return planBind(mount, facts);
    case 'loop-backing-deleted':
      return planRescue(finding, mount, facts);
    case 'loop-backing-short':
      return planNothing(finding);
    case 'fs-shutdown-xfs':
      return planXfs(finding, mount, facts);
  }
}

/** What stands against any repair of this mount. */
function refuse({ code, data }: ZombieFinding, mount: Mount, facts: ZombieFacts): string | undefined {
  if (data.runtime !== null) {
    return `${data.runtime} made this mount and minds it: repair it there`;
  }
  if (code === 'fuse-stopped' || code === 'loop-backing-short') {
    return undefined;
  }
  const below = facts.table.mounts.filter(({ parent }) => parent === mount.id).map(({ point }) => showName(point));
  if (below.length > 0 && code !== 'loop-backing-deleted') {
    return `other mounts lie on it (${below.join(', ')}): unmount those first`;
  }
  const ownFuse = code.startsWith('fuse-') && onlyFor(mount)?.uid === facts.self.uid;
  return facts.self.mayMount || (ownFuse && code !== 'fuse-hung') ? undefined : NEEDS_ROOT;
}

function planDead({ data }: ZombieFinding, mount: Mount, facts: ZombieFacts): Plan {
  const guards = [claimMount(mount), connectionDead({ point: mount.point })];
  const proof = [gone(mount)];
  if (!facts.self.mayMount) {
    const step = {
      title: `Unmount ${showName(mount.point)}`,
      why: 'You mounted it, so you may unmount it; nothing can be lost through a dead connection.',
    };
    return {
      steps: [{ ...step, risk: 'safe', action: run('fusermount3', '-u', mount.point), guards, proof, undo: { none: DAEMON_GONE } }],
    };
  }
  if (data.holders.length > 0) {
    const step: Step = {
      title: `Detach ${showName(mount.point)} from those who still hold it`,
      why: `${holderList(data)} would make a plain unmount fail as busy. They keep what they hold, which is dead; no write can reach anything through it. Stop them first, and the plain unmount is offered.`,
      risk: 'disruptive',
      action: run('umount', '-l', mount.point),
      guards,
      proof,
      undo: { none: DAEMON_GONE },
    };
    return { steps: [step] };
  }
  return {
    steps: [
      unmount(
        mount,
        'safe',
        'Nothing can be lost through a dead connection; where somebody holds it, umount says so and changes nothing.',
        guards,
        DAEMON_GONE,
      ),
    ],
  };
}

function planStopped({ data }: ZombieFinding, mount: Mount, facts: ZombieFacts): Plan {
  const daemons = [...(facts.daemons?.byConnection.values() ?? []), facts.daemons?.unmapped.map(({ process }) => process) ?? []].flat();
  const stopped = data.daemons.map((pid) => daemons.find((process) => process.pid === pid)).filter((process) => process !== undefined);
  const traced = stopped.find(({ state, tracer }) => state === 't' || tracer !== 0);
  if (traced !== undefined) {
    return {
      refused: `a debugger (pid ${traced.tracer ?? 'unknown'}) holds the daemon ${printable(traced.name)} (pid ${traced.pid}): let it go on there`,
    };
  }
  const steps = stopped.map((process, index): Step => {
    const { pid, startTime } = process;
    const running = processIs({ pid, startTime, states: 'RSDI' });
    return {
      title: `Let ${printable(process.name)} (pid ${pid}) go on`,
      why: 'It was stopped by a signal; nothing else is wrong with it. Its callers get their answers.',
      risk: 'safe',
      action: run('kill', '-CONT', String(pid)),
      guards: [claimMount(mount), processIs({ pid, startTime, states: 'T' })],
      proof: index === stopped.length - 1 ? [running, mountAnswers({ point: mount.point })] : [running],
      patienceMs: 10_000,
      undo: { action: run('kill', '-STOP', String(pid)), proof: [processIs({ pid, startTime, states: 'T' })] },
    };
  });
  return { steps };
}

function planHung({ data, confidence }: ZombieFinding, mount: Mount): Plan {
  const connection = connectionOf(mount);
  if (data.waiting === 0 && confidence !== 'medium') {
    const why =
      'Its daemon does not answer and nobody waits for it now: an unmount succeeds at once. What the daemon had not yet stored may be missing at its end.';
    return {
      steps: [
        unmount(mount, 'disruptive', why, [claimMount(mount), nobodyWaits({ connection })], 'the daemon does not answer: mount it again'),
      ],
    };
  }
  const control = `${CONNECTIONS}/${connection}`;
  const offerControl: Step = {
    title: 'Mount the control files of FUSE',
    why: 'Only through them a connection can be aborted.',
    risk: 'safe',
    action: run('mount', '-t', 'fusectl', 'fusectl', CONNECTIONS),
    guards: [claimMount(mount)],
    proof: [fusectlThere({ connection })],
    release: run('umount', CONNECTIONS),
    undo: { action: run('umount', CONNECTIONS), proof: [] },
  };
  const abort: Step = {
    title: `Abort the FUSE connection ${connection}`,
    why: `${data.waiting ?? 'Unknown'} callers wait for an answer that does not come. The abort sets them free with an error; writes that they had not flushed are lost.${data.alsoAt.length > 0 ? ` It ends ${data.alsoAt.map(showName).join(', ')} too.` : ''}`,
    risk: 'data-loss',
    action: { kind: 'write', path: `${control}/abort`, content: '1' },
    guards: [claimMount(mount), somebodyWaits({ connection })],
    proof: [connectionDead({ point: mount.point })],
    patienceMs: 10_000,
    undo: { none: 'a connection that was aborted stays dead: mount it again' },
  };
  const after = unmount(
    mount,
    'safe',
    'Nothing can be lost through a dead connection.',
    [claimMount(mount), connectionDead({ point: mount.point })],
    DAEMON_GONE,
  );
  return { steps: [...(data.waiting === null ? [offerControl] : []), abort, { ...after, patienceMs: 5000 }] };
}

function planBind(mount: Mount, facts: ZombieFacts): Plan {
  const found = facts.bindSources.get(mount.id);
  const shown = found?.mount;
  if (found?.path === undefined) {
    return { refused: 'the file system that its source was on is mounted nowhere, so that the source has no path to be made again at' };
  }
  if (shown?.state !== 'found' || !['d', 'f'].includes(shown.type)) {
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
  const there = pathIs({ path, type: shown.type });
  const guards = [claimMount(mount)];
  const steps: Step[] = [];
  if (missing) {
    steps.push({
      title: `Make ${showName(path)} again`,
      why:
        shown.type === 'd'
          ? 'With the owner, mode and attributes that the deleted directory still shows.'
          : 'With the content and attributes that the mount still serves.',
      risk: 'safe',
      action: run('cp', '-a', '-T', '--', mount.point, path),
      guards: [...guards, pathIs({ path, type: 'absent' })],
      proof: [there, ...(shown.type === 'f' ? [sameBytes({ a: mount.point, b: path, bytes: shown.size })] : [])],
      undo:
        shown.type === 'd'
          ? { action: run('rmdir', '--', path), proof: [pathIs({ path, type: 'absent' })] }
          : { none: 'it holds the only copy of the content' },
    });
  } else if (shown.type === 'f') {
    const copy: Word = { join: [{ ref: 'rescue' }, '/old-content'] };
    steps.push({
      title: 'Keep the old content',
      why: `${showName(path)} was replaced; what the mount still serves is the only copy of the file before.`,
      risk: 'safe',
      action: { kind: 'run', argv: ['cp', '-a', '-T', '--', mount.point, copy] },
      guards,
      proof: [sameBytes({ a: mount.point, b: copy, bytes: shown.size })],
      undo: { none: 'a copy harms nobody' },
    });
  }
  const none = 'what was deleted cannot be mounted again';
  steps.push(unmount(mount, 'disruptive', 'The mount can never see what is at its source again.', [...guards, there], none), {
    title: `Bind ${showName(path)} to ${showName(mount.point)}`,
    why: 'With the options it had.',
    risk: 'disruptive',
    action: run('mount', '--bind', '-o', mount.options, path, mount.point),
    guards: [gone(mount), there],
    proof: [mountedAt({ point: mount.point, fstype: mount.fstype, source: mount.source, deleted: false })],
    undo: { action: run('umount', '-c', mount.point), proof: [] },
  });
  return { steps };
}

function planRescue({ data }: ZombieFinding, mount: Mount, facts: ZombieFacts): Plan {
  const loop = facts.loops.loops.find(({ device }) => device === mount.device);
  if (loop === undefined) {
    return { refused: 'the loop device is no longer there' };
  }
  const copy: Word = { join: [{ ref: 'rescue' }, '/', imageName(loop)] };
  const guards: Claim[] = [
    claimMount(mount),
    loopIs({ device: loop.device, node: loop.node, backing: loop.backing, deleted: true, size: loop.size }),
  ];
  const room = roomFor({ directory: { ref: 'rescue' }, bytes: loop.size, notOn: mount.device });
  const freeze: Step = {
    title: `Hold back writes to ${showName(mount.point)}`,
    why: `${holderList(data)} may write while the copy is made, and the copy could then not be proven. Writers wait until it is done.`,
    risk: 'disruptive',
    action: run('fsfreeze', '-f', mount.point),
    // The journal is written while it is frozen.
    guards: [...guards, notOn({ directory: { ref: 'state' }, device: mount.device }), room],
    proof: [loopAttached({ node: loop.node })],
    release: run('fsfreeze', '-u', mount.point),
    undo: { action: run('fsfreeze', '-u', mount.point), proof: [] },
  };
  const flush: Step = {
    title: `Write out what ${showName(mount.point)} holds in memory`,
    why: 'The copy is made from the block device.',
    risk: 'safe',
    action: run('sync', '-f', mount.point),
    guards,
    proof: [loopAttached({ node: loop.node })],
    limitMs: 600_000,
    undo: { none: 'nothing to take back' },
  };
  const rescue: Step = {
    title: `Copy ${loop.node} to a new image file`,
    why: `${showName(loop.backing)} has no name any more: these blocks are the only copy, and the last unmount frees them. Read past the page cache, which may be older than the file system.`,
    risk: 'safe',
    action: {
      kind: 'run',
      argv: ['dd', `if=${loop.node}`, { join: ['of=', copy] }, 'bs=4M', 'iflag=direct', 'conv=sparse,fsync,excl', 'status=none'],
    },
    guards: [...guards, room],
    proof: [sameBytes({ a: loop.node, b: copy, bytes: loop.size })],
    patienceMs: 0,
    undo: { none: 'a copy harms nobody' },
  };
  return {
    steps: [data.holders.length > 0 ? freeze : flush, rescue],
    remains: `The copy is {rescue}/${imageName(loop)}. ${showName(mount.point)} still stands on the deleted file: leave it mounted until the copy has been put in its place.`,
  };
}

function imageName(loop: LoopDevice): string {
  const base = toByteString(loop.backing)
    .replace(/^.*\//, '')
    .replace(/[^\w.-]+/g, '_')
    .replace(/^[-.]+/, '');
  return base === '' ? 'image' : base;
}

function planNothing({ data }: ZombieFinding): Plan {
  return {
    refused: `no command brings the ${data.missing} missing bytes back: growing ${data.backing === null ? 'the file' : showName(data.backing)} to its old size would put zeros there, not data. Restore the file from a backup, with the mount stopped`,
  };
}

function planXfs({ data, cause }: ZombieFinding, mount: Mount, facts: ZombieFacts): Plan {
  const loop = facts.loops.loops.find(({ device }) => device === mount.device);
  if (loop?.deleted) {
    return {
      refused: `${loop.node} stands on a deleted file: unmounting would free its blocks, and the data with them. Make a rescue copy first`,
    };
  }
  if (cause !== undefined) {
    return { refused: `${showName(cause.name)} below it is at fault: a new mount would shut down again` };
  }
  if (data.alsoAt.length > 0) {
    return { refused: `it is mounted at ${data.alsoAt.map(showName).join(', ')} too, and heals only when all of them are unmounted` };
  }
  if (data.holders.length > 0) {
    return { refused: `${holderList(data)} would keep it busy: stop them first` };
  }
  const groups = new Set(mount.tags.filter((tag) => tag.startsWith('shared:')).map((tag) => tag.slice('shared:'.length)));
  const stays = facts.shutdownMounts
    .get(mount.device)
    ?.mounts.filter(({ tags }) => !tags.some((tag) => groups.has(tag.replace(/^(shared|master):/, ''))));
  if (stays !== undefined && stays.length > 0) {
    return {
      refused: `process ${stays.map(({ pid }) => pid).join(', ')} keeps it mounted in a mount namespace of its own: stop that first`,
    };
  }
  const remount = loop?.autoclear
    ? remountImage(mount, loop)
    : run('mount', '-t', 'xfs', '-o', mountOptions(mount), mount.source, mount.point);
  const fails = mountFails({ point: mount.point, errno: ERRNO.EIO });
  return {
    steps: [
      unmount(
        mount,
        'disruptive',
        'An XFS that shut itself down comes back only by a new mount, which replays its log.',
        [claimMount(mount), fails],
        'it is mounted again by the next step',
      ),
      {
        title: `Mount ${showName(mount.source)} at ${showName(mount.point)} again`,
        why: 'The kernel replays the log. If it refuses, nothing was changed on the disk: look with xfs_repair -n, and never use -L without a copy.',
        risk: 'disruptive',
        action: remount,
        guards: [gone(mount), notMountedElsewhere({ device: mount.device })],
        proof: [mountAnswers({ point: mount.point })],
        patienceMs: 5000,
        limitMs: 600_000,
        undo: { none: 'it would only be shut down again' },
      },
    ],
  };
}

/** The last unmount frees a loop device with autoclear: its image is mounted anew, with the same window. */
function remountImage(mount: Mount, loop: LoopDevice) {
  const cut = loop.file.state === 'found' && loop.file.size > loop.offset + loop.size;
  const window = [...(loop.offset > 0 ? [`offset=${loop.offset}`] : []), ...(cut ? [`sizelimit=${loop.size}`] : [])];
  return run('mount', '-t', 'xfs', '-o', ['loop', ...window, mountOptions(mount)].join(','), loop.backing, mount.point);
}

/** Per-mount and superblock options together, as mount(8) takes them. attr2 is the only format left and deprecated as an option. */
function mountOptions(mount: Mount): string {
  const options = [...new Set([...optionList(mount.options), ...optionList(mount.superOptions)])].filter(
    (option) => option !== 'attr2' && option !== 'rw',
  );
  return (options.includes('ro') ? options : ['rw', ...options]).join(',');
}

function unmount(mount: Mount, risk: Step['risk'], why: string, guards: Claim[], none: string): Step {
  // -c: without it umount asks the mount itself (fstatfs) and hangs with it.
  return {
    title: `Unmount ${showName(mount.point)}`,
    why,
    risk,
    action: run('umount', '-c', mount.point),
    guards,
    proof: [gone(mount)],
    limitMs: 60_000,
    undo: { none },
  };
}

function gone(mount: Mount): Claim {
  return mountGone({ id: mount.id, device: mount.device, point: mount.point });
}

function holderList({ holders }: MountData): string {
  return holders.map(({ pid, name, by }) => `${printable(name)} (pid ${pid}, ${by.join(', ')})`).join(', ');
}

function run(...argv: Name[]) {
  return { kind: 'run' as const, argv };
}
