import { all, ask, defineFact, outputOf, read, run, whyNot } from '../check/asking.ts';
import type { Answer, Asking } from '../check/types.ts';

export interface Host {
  /** machine-id(5); null where the host has none. */
  machineId: string | null;
  bootId: string | null;
  hostname: string | null;
  os: string | null;
  kernel: string | null;
  bootedAt: string | null;
}

/** Who the host is. What cannot be read is null: no check depends on it. */
export const host = defineFact('host', function* (): Asking<Host> {
  const [machineId, bootId, hostname, release, kernel, stat] = (yield* all([
    run(['cat', '/etc/machine-id']),
    read('/proc/sys/kernel/random/boot_id'),
    read('/proc/sys/kernel/hostname'),
    run(['cat', '/etc/os-release']),
    read('/proc/sys/kernel/osrelease'),
    read('/proc/stat'),
  ])) as [Answer, Answer, Answer, Answer, Answer, Answer];
  // PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
  const pretty = /^PRETTY_NAME=(["']?)(.*)\1$/m.exec(textOf(release))?.[2];
  const booted = new Date(Number(/^btime (\d+)$/m.exec(outputOf(stat))?.[1]) * 1000);
  return {
    machineId: /^[0-9a-f]{32}$/.exec(outputOf(machineId).trim())?.[0] ?? null,
    bootId: outputOf(bootId).trim() || null,
    hostname: outputOf(hostname).trim() || null,
    os: pretty ?? null,
    kernel: outputOf(kernel).trim() || null,
    bootedAt: Number.isNaN(booted.getTime()) ? null : booted.toISOString(),
  };
});

export interface Machine {
  manufacturer: string | null;
  model: string | null;
  virtual: boolean | null;
  why?: string;
}

/** The hardware, or the hypervisor it pretends to be. For people: no check depends on it. */
export const machine = defineFact('machine', function* (): Asking<Machine> {
  const answer = yield* ask({ kind: 'inventory', topic: 'system', limitMs: 3000 });
  if (answer.state !== 'ok') {
    return { manufacturer: null, model: null, virtual: null, why: whyNot(answer) };
  }
  const { manufacturer, model, virtual } = parseObject(textOf(answer));
  return {
    manufacturer: typeof manufacturer === 'string' && manufacturer !== '' ? manufacturer : null,
    model: typeof model === 'string' && model !== '' ? model : null,
    virtual: typeof virtual === 'boolean' ? virtual : null,
  };
});

function textOf(answer: Answer): string {
  return Buffer.from(outputOf(answer), 'latin1').toString('utf8');
}

/** A recording may hold anything in its place. */
function parseObject(text: string): Record<string, unknown> {
  try {
    return (JSON.parse(text) ?? {}) as Record<string, unknown>;
  } catch {
    return {};
  }
}
