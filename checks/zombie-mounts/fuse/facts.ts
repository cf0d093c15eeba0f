import { all, defineFact, outputOf, run } from '../../../src/check/asking.ts';
import type { Asking, Seen } from '../../../src/check/types.ts';
import { ERRNO } from '../../../src/facts/errno.ts';
import { daemonsOf, fuseDaemons } from '../../../src/facts/fuse.ts';
import { mountTable } from '../../../src/facts/mountinfo.ts';
import { reach } from '../../../src/facts/reach.ts';

export interface SshfsDaemon {
  pid: number;
  seen: Seen;
  /** Among its options; undefined where its command line could not be read. */
  reconnects: boolean | undefined;
  /** Sockets by which it may talk to an ssh; undefined where they could not be listed. */
  channels: number | undefined;
}

/** By mount id: the daemons of sshfs mounts that say EIO. */
export const sshfsDaemons = defineFact('zombie-mounts.sshfs-daemons', function* (): Asking<ReadonlyMap<number, SshfsDaemon>> {
  const { mounts } = yield* mountTable();
  const reached = yield* reach();
  const failing = mounts.filter((mount) => {
    const found = reached.get(mount.id);
    return mount.fstype === 'fuse.sshfs' && found?.state === 'errno' && found.errno === ERRNO.EIO;
  });
  if (failing.length === 0) {
    return new Map();
  }
  const daemons = yield* fuseDaemons();
  const pids = failing.map((mount) => daemonsOf(mount, daemons).processes[0]?.pid);
  const found = yield* all([...new Set(pids.filter((pid) => pid !== undefined))].map(sshfsDaemon));
  return new Map(
    failing.flatMap((mount, index) => {
      const daemon = found.find(({ pid }) => pid === pids[index]);
      return daemon === undefined ? [] : [[mount.id, daemon] as const];
    }),
  );
});

function* sshfsDaemon(pid: number): Asking<SshfsDaemon> {
  // Reading a command line takes the lock of the process' memory, which a stuck process may hold: not read in-process.
  const words = outputOf(yield* run(['cat', `/proc/${pid}/cmdline`], { suspect: true, limitMs: 1000 }));
  const directory = `/proc/${pid}/fd`;
  const answer = yield* run(['find', directory, '-mindepth', '1', '-maxdepth', '1', '-printf', '%f %l\\n']);
  // 4 socket:[1074727]      0 to 2 are what it was started with: of a service, the journal's socket.
  const links = [...outputOf(answer).matchAll(/^(\d+) (.*)$/gm)];
  const listed = answer.state === 'ok' && answer.code === 0 && links.some(([, , to]) => to === '/dev/fuse');
  return {
    pid,
    seen: { source: directory, at: answer.at },
    reconnects: words.endsWith('\0') ? isReconnecting(words.split('\0')) : undefined,
    channels: listed ? links.filter(([, descriptor, to]) => Number(descriptor) > 2 && to?.startsWith('socket:')).length : undefined,
  };
}

/** `-o a,reconnect` or `-oreconnect` */
function isReconnecting(argv: readonly string[]): boolean {
  return argv.some((word, index) => {
    const options = argv[index - 1] === '-o' ? word : word.startsWith('-o') ? word.slice(2) : '';
    return options.split(',').includes('reconnect');
  });
}
