/** What LVM is told to activate: lvm.conf(5), and whom a group belongs to, lvmsystemid(7). */
import { defineFact, outputOf, run, seenAt, whyNot } from '../../check/asking.ts';
import type { Asking, Probe, Seen } from '../../check/types.ts';
import type { Group, Volume } from './index.ts';

export interface LvmConfig {
  seen: Seen;
  /** What is activated at boot; undefined: all. */
  autoActivationList: string[] | undefined;
  /** What may be activated at all; undefined: all. */
  volumeList: string[] | undefined;
  eventActivation: boolean;
  usesDevicesFile: boolean;
}

const LIMIT = 10_000;
const CONFIG: Probe & { kind: 'run' } = {
  kind: 'run',
  argv: [
    ...['lvmconfig', '--typeconfig', 'full', 'activation/auto_activation_volume_list', 'activation/volume_list'],
    ...['global/event_activation', 'devices/use_devicesfile', 'devices/scan_lvs', 'global/system_id_source', 'global/use_lvmlockd'],
    'activation/thin_pool_autoextend_threshold',
  ],
};

/** `why`: it could not be told. */
export const lvmConfig = defineFact('lvm-config', function* (): Asking<LvmConfig | { why: string }> {
  const answer = yield* run(CONFIG.argv, { limitMs: LIMIT });
  if (answer.state !== 'ok' || (answer.code !== 0 && answer.code !== 5)) {
    return { why: `lvmconfig: ${whyNot(answer)}` };
  }
  const config = parseConfig(outputOf(answer));
  return config === undefined
    ? { why: 'lvmconfig: unknown format' }
    : { ...config, seen: { ...seenAt(CONFIG, answer), source: 'lvmconfig' } };
});

/** `event_activation=1`, one setting a line; those that are neither set nor have a default are left out. */
export function parseConfig(text: string): Omit<LvmConfig, 'seen'> | undefined {
  const settings = new Map<string, string>();
  for (const line of text.split('\n').filter(Boolean)) {
    const [, name, value] = /^\s*(\w+)=(.*)$/.exec(line) ?? [];
    if (name === undefined || value === undefined) {
      return undefined;
    }
    settings.set(name, value);
  }
  // Of the last one asked for, with a default since 2.02.89: it came whole.
  if (!text.endsWith('\n') || !settings.has('thin_pool_autoextend_threshold')) {
    return undefined;
  }
  return {
    autoActivationList: parseList(settings.get('auto_activation_volume_list')),
    volumeList: parseList(settings.get('volume_list')),
    eventActivation: settings.get('event_activation') !== '0',
    usesDevicesFile: settings.get('use_devicesfile') === '1',
  };
}

/** `["vg0","@tag"]`, or one of them alone: `"vg0"`. */
function parseList(value: string | undefined): string[] | undefined {
  return value === undefined ? undefined : [...value.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, entry]) => entry as string);
}

/** Whether an entry names it; undefined: `@*` and host tags, which are not asked for here. */
export function isListed(entries: readonly string[], volume: Volume, group: Group): boolean | undefined {
  const names = new Set([group.name, volume.fullName, ...[...volume.tags, ...group.tags].map((tag) => `@${tag}`)]);
  if (entries.some((entry) => names.has(entry))) {
    return true;
  }
  return entries.includes('@*') ? undefined : false;
}

/** This host's name for groups of its own; empty where it has none. undefined: it could not be told. */
export const systemId = defineFact('lvm-system-id', function* (): Asking<string | undefined> {
  const answer = yield* run(['lvm', 'systemid'], { limitMs: LIMIT });
  return answer.state === 'ok' && answer.code === 0 ? /^\s*system ID:[ \t]*(.*)\n$/.exec(outputOf(answer))?.[1]?.trim() : undefined;
});

const GENERATORS: Probe & { kind: 'run' } = {
  kind: 'run',
  argv: ['find', '/usr/lib/systemd/system-generators', '/lib/systemd/system-generators', '-maxdepth', '1', '-printf', '%f\\n'],
};

export interface BootActivation {
  /** LVM's events are off, and nothing at boot takes their place. undefined: could not tell. */
  isOff: boolean | undefined;
  seen: Seen;
}

/** Whether volumes are activated at boot at all. */
export const bootActivation = defineFact('lvm-boot-activation', function* (): Asking<BootActivation | undefined> {
  const config = yield* lvmConfig();
  if ('why' in config || config.eventActivation) {
    return undefined;
  }
  const answer = yield* run(GENERATORS.argv);
  const names = outputOf(answer).split('\n');
  const isThere = names.includes('lvm2-activation-generator');
  const isListed = answer.state === 'ok' && names.includes('system-generators');
  return { isOff: isThere ? false : isListed ? true : undefined, seen: seenAt(GENERATORS, answer) };
});
