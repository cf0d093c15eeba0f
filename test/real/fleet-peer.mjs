/**
 * The hosts of a fleet that are no SSH servers, in a process of their own: peers that refuse to be what they should be, and
 * relays that can be cut. Told what to do over a Unix socket, a line of JSON each. When whoever told it is gone, however
 * that came, it ends every process of its mount namespace, and so the namespace.
 */
import { fork } from 'node:child_process';
import { readdirSync, readlinkSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

const [socketPath, deafAt, deafPort] = process.argv.slice(2);
const FLOOD = Buffer.alloc(64 * 1024, 'x');
const FLOOD_OF_LINES = Buffer.from('nothing of interest\r\n'.repeat(3000));
const DEAF_BACKLOG = 1;

const greets = (text) => (socket) => socket.write(text);

function floods(chunk, first = '') {
  return (socket) => {
    const pump = () => {
      while (!socket.destroyed && socket.write(chunk));
    };
    socket.write(first);
    socket.on('drain', pump);
    pump();
  };
}

/** What each does with a new connection. */
const KINDS = {
  silent: () => {},
  'banner-then-silent': greets('SSH-2.0-Fleet_1\r\n'),
  garbage: greets('HTTP/1.1 400 Bad Request\r\n'),
  'garbage-then-end': (socket) => socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n<html>\r\n'),
  endless: floods(FLOOD),
  'endless-lines': floods(FLOOD_OF_LINES),
  'banner-then-garbage': floods(Buffer.alloc(64 * 1024, 0xa5), 'SSH-2.0-Fleet_1\r\n'),
  'old-protocol': greets('SSH-1.5-Fleet_1\r\n'),
  drops: (socket) => socket.end(),
  resets: (socket) => socket.once('data', () => socket.resetAndDestroy()),
};

/** By port. */
const relays = new Map();

class Relay {
  connections = 0;
  #pairs = new Set();
  #frozen = false;
  /** So many new connections are closed at once. */
  #closes = 0;
  #target;

  constructor(target) {
    this.#target = target;
  }

  take(client) {
    this.connections++;
    if (this.#closes > 0) {
      this.#closes--;
      client.end();
      return;
    }
    const host = connect(this.#target);
    const pair = [client, host];
    this.#pairs.add(pair);
    for (const [from, to] of [pair, pair.toReversed()]) {
      from.setNoDelay(true);
      from.on('data', (chunk) => {
        if (!to.write(chunk)) {
          from.pause();
        }
      });
      to.on('drain', () => this.#frozen || from.resume());
      from.on('error', () => {});
      // Who is frozen passes no end on either.
      from.on('end', () => this.#frozen || to.end());
      from.on('close', () => {
        if (!this.#frozen) {
          to.destroy();
          this.#pairs.delete(pair);
        }
      });
    }
    if (this.#frozen) {
      this.freeze();
    }
  }

  cut() {
    for (const socket of [...this.#pairs].flat()) {
      socket.destroy();
    }
    this.#pairs.clear();
  }

  down(connections) {
    this.#closes = connections;
    this.cut();
  }

  freeze() {
    this.#frozen = true;
    for (const socket of [...this.#pairs].flat()) {
      socket.pause();
    }
  }
}

function listen(address, take) {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    take(socket);
  });
  return new Promise((done, failed) => {
    server.on('error', failed);
    server.listen({ host: address, port: 0 }, () => done(server.address().port));
  });
}

/** One that nobody listens on, on any address. */
function freePort() {
  const server = createServer();
  return new Promise((done, failed) => {
    server.on('error', failed);
    server.listen(0, '0.0.0.0', () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });
}

/** Connections to it are not even made: its queue is full, and it takes none out. */
async function deaf(address) {
  const port = await freePort();
  fork(new URL(import.meta.url).pathname, [socketPath, address, String(port)], { stdio: 'ignore' });
  for (let state = 'none'; state !== 'waiting'; ) {
    const socket = connect({ host: address, port });
    state = await Promise.race([
      new Promise((done) => socket.on('connect', () => done('made')).on('error', () => done('none'))),
      sleep(300, 'waiting'),
    ]);
    await (state === 'none' && sleep(20));
  }
  return port;
}

async function serve({ kind, address, target, port, connections }) {
  switch (kind) {
    case 'relay': {
      const relay = new Relay(target);
      const own = await listen(address, (socket) => relay.take(socket));
      relays.set(own, relay);
      return own;
    }
    case 'free-port':
      return freePort();
    case 'deaf':
      return deaf(address);
    case 'cut':
    case 'freeze':
      return relays.get(port)[kind]();
    case 'down':
      return relays.get(port).down(connections);
    case 'connections':
      return relays.get(port).connections;
    default:
      return listen(address, KINDS[kind]);
  }
}

function namespaceOf(pid) {
  try {
    return readlinkSync(`/proc/${pid}/ns/mnt`);
  } catch {
    return undefined;
  }
}

function endNamespace() {
  const own = namespaceOf('self');
  for (const pid of readdirSync('/proc').map(Number)) {
    if (pid > 1 && pid !== process.pid && namespaceOf(pid) === own) {
      process.kill(pid, 'SIGKILL');
    }
  }
  process.exit();
}

if (deafAt === undefined) {
  createServer((control) => {
    control.on('error', () => {});
    control.on('close', endNamespace);
    createInterface({ input: control }).on('line', async (line) => {
      const { id, ...order } = JSON.parse(line);
      const said = await serve(order).then(
        (value) => ({ value }),
        (error) => ({ error: error.message }),
      );
      control.write(`${JSON.stringify({ id, ...said })}\n`);
    });
  }).listen(socketPath);
} else {
  createServer().listen({ host: deafAt, port: Number(deafPort), backlog: DEAF_BACKLOG }, () => {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  });
}
