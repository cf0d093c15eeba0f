import type { Plan, Step } from '../../../src/check/types.ts';
import { CONNECTIONS, connectionOf, fusectlThere, nobodyWaits, onlyFor, somebodyWaits } from '../../../src/facts/fuse.ts';
import { listHolders, nobodySeenHolding } from '../../../src/facts/holders.ts';
import { claimMount, type Mount } from '../../../src/facts/mountinfo.ts';
import { processIs } from '../../../src/facts/process.ts';
import { connectionDead, mountAnswers } from '../../../src/facts/reach-conditions.ts';
import { printable, shellLine, showName } from '../../../src/names.ts';
import type { ZombieFacts } from '../facts.ts';
import { gone, type MountFinding, mountAsConfigured, mountOfFinding, refuseTakingAway, run, unmount } from '../steps.ts';
import type { FuseFound } from './detect.ts';

type FuseFinding = MountFinding<FuseFound>;

const DAEMON_GONE = 'the daemon is gone: mount it again';

export function planFuse(finding: FuseFinding, facts: ZombieFacts): Plan {
  const mount = mountOfFinding(finding, facts);
  if ('refused' in mount) {
    return mount;
  }
  if (finding.code === 'fuse-stopped') {
    return planStopped(finding, mount, facts);
  }
  if (finding.code === 'sshfs-lost-ssh') {
    const unmounted = shellLine([...(facts.self.mayMount ? ['umount', '-c'] : ['fusermount3', '-u']), mount.point]);
    return {
      refused: `it heals by itself: sshfs tries again at each access, so make ${showName(mount.source)} reachable by ssh, with the same key and no question asked. If it is not needed any more: ${unmounted}`,
    };
  }
  // Who mounted it may unmount it, once it is dead.
  const own = finding.code !== 'fuse-hung' && onlyFor(mount)?.uid === facts.self.uid;
  const refused = refuseTakingAway(mount, facts, own);
  return refused ?? (finding.code === 'fuse-hung' ? planHung(finding, mount, facts) : planDead(finding, mount, facts));
}

function planDead({ data }: FuseFinding, mount: Mount, facts: ZombieFacts): Plan {
  const guards = [claimMount(mount), connectionDead({ point: mount.point })];
  const proof = [gone(mount)];
  const unheld = [...guards, nobodySeenHolding({ point: mount.point })];
  if (!facts.self.mayMount) {
    if (data.holders.length > 0) {
      return { refused: `${listHolders(data.holders)} would keep it busy: stop them first` };
    }
    const step = {
      title: `Unmount ${showName(mount.point)}`,
      why: 'You mounted it, so you may unmount it; nothing can be lost through a dead connection.',
    };
    return {
      steps: [{ ...step, risk: 'safe', action: run('fusermount3', '-u', mount.point), guards: unheld, proof, undo: { none: DAEMON_GONE } }],
    };
  }
  if (data.holders.length > 0) {
    const step: Step = {
      title: `Detach ${showName(mount.point)} from those who still hold it`,
      why: `${listHolders(data.holders)} would make a plain unmount fail as busy. They keep what they hold, which is dead; no write can reach anything through it. Stop them first, and the plain unmount is offered.`,
      risk: 'disruptive',
      action: run('umount', '-l', mount.point),
      guards,
      proof,
      undo: { none: DAEMON_GONE },
    };
    return { steps: [step, ...mountAsConfigured(mount, facts)] };
  }
  return {
    steps: [
      unmount(
        mount,
        'safe',
        'Nothing can be lost through a dead connection; where somebody holds it, umount says so and changes nothing.',
        unheld,
        DAEMON_GONE,
      ),
      ...mountAsConfigured(mount, facts),
    ],
  };
}

function planStopped({ data }: FuseFinding, mount: Mount, facts: ZombieFacts): Plan {
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

function planHung({ data, confidence }: FuseFinding, mount: Mount, facts: ZombieFacts): Plan {
  const connection = connectionOf(mount);
  if (data.waiting === 0 && confidence !== 'medium') {
    const why =
      'Its daemon does not answer and nobody waits for it now: an unmount succeeds at once. What the daemon had not yet stored may be missing at its end.';
    return {
      steps: [
        unmount(mount, 'disruptive', why, [claimMount(mount), nobodyWaits({ connection })], 'the daemon does not answer: mount it again'),
        ...mountAsConfigured(mount, facts),
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
    releaseRefuses: { says: 'not mounted.', while: [] },
    undo: { none: 'they are unmounted again when the plan ends' },
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
  return {
    steps: [...(data.waiting === null ? [offerControl] : []), abort, { ...after, patienceMs: 5000 }, ...mountAsConfigured(mount, facts)],
  };
}
