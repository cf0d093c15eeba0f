/** Who uses what lies on a mount: services of systemd and guests. */
import type { Evidence } from '../../../src/check/types.ts';
import { isOrderedAfter, type OrderedUnit } from '../../../src/facts/start-order.ts';
import { fromByteString, type Name, showName, toByteString } from '../../../src/names.ts';
import { quote } from '../data.ts';
import type { BootFacts } from '../facts.ts';

export interface User {
  kind: 'service' | 'guest';
  name: Name;
  /** Of the service, or of what starts the guest at boot; undefined where that is not known. */
  unit: OrderedUnit | undefined;
  /** One character a byte. */
  path: string;
  evidence: Evidence;
}

/** They start what people ask them to: what is open in one of those is no need of the service. */
const FOR_PEOPLE = /^(ssh|sshd|sshd@.*|cron|crond|atd|getty@.*|serial-getty@.*|dbus.*|rescue|emergency|systemd-.*)\.service$/;
const STARTERS = ['virtqemud.service', 'libvirtd.service'];

/** Of one point, one character a byte. Only those that come up at boot. */
export function usersOf(point: string, facts: Pick<BootFacts, 'order' | 'users' | 'guests'>): User[] {
  return [...servicesOn(point, facts), ...guestsOn(point, facts)];
}

function servicesOn(point: string, { order, users }: Pick<BootFacts, 'order' | 'users'>): User[] {
  if (order?.state !== 'known') {
    return [];
  }
  const found = new Map<string, User>();
  const add = (unit: OrderedUnit | undefined, path: string, evidence: Evidence) => {
    if (unit !== undefined && isAtBoot(unit) && !FOR_PEOPLE.test(unit.id) && !found.has(unit.id)) {
      found.set(unit.id, { kind: 'service', name: unit.id, unit, path, evidence });
    }
  };
  for (const file of users.files.filter((each) => each.point === point)) {
    add(order.units.get(file.service), file.path, quote(file.seen, `pid ${file.pid} of ${file.service}: ${shown(file.path)}`));
  }
  for (const unit of order.units.values()) {
    const path = unit.id.endsWith('.service') ? unit.requiresMountsFor.find((each) => isAtOrBelow(each, point)) : undefined;
    if (path !== undefined) {
      add(unit, path, quote(order.seen, `${unit.id}: RequiresMountsFor=${shown(path)}`));
    }
  }
  return [...found.values()];
}

function isAtBoot({ unitFileState }: OrderedUnit): boolean {
  return unitFileState === 'enabled' || unitFileState === 'enabled-runtime';
}

function guestsOn(point: string, { order, guests }: Pick<BootFacts, 'order' | 'guests'>): User[] {
  const units = order?.state === 'known' ? order.units : new Map<string, OrderedUnit>();
  const starter = STARTERS.map((id) => units.get(id)).find(
    (unit) => unit !== undefined && (isAtBoot(unit) || unit.activeState === 'active'),
  );
  return guests.guests.flatMap(({ guest, chains }): User[] => {
    const paths = chains.flatMap(({ images }) => images.map(({ path }) => toByteString(path)));
    const path = guest.kind === 'guest' && guest.atBoot ? paths.find((each) => isAtOrBelow(each, point)) : undefined;
    const unit = guest.evidence.source.startsWith('/etc/libvirt/') ? starter : undefined;
    return path === undefined ? [] : [{ kind: 'guest', name: guest.name, unit, path, evidence: guest.evidence }];
  });
}

export function isAtOrBelow(path: string, point: string): boolean {
  return path === point || path.startsWith(point === '/' ? '/' : `${point}/`);
}

/**
 * For a mount that local-fs.target does not wait for at boot. That it is said to wait now is so where it was mounted by hand,
 * without the options of its line: systemd goes by the mount table too.
 */
export function isStartedAfter(user: User, mount: string, { order }: Pick<BootFacts, 'order'>): boolean | undefined {
  return user.unit === undefined || order?.state !== 'known'
    ? undefined
    : isOrderedAfter(order.units, user.unit.id, mount, 'local-fs.target');
}

function shown(path: string): string {
  return showName(fromByteString(path));
}
