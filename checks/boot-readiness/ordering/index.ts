/** Who is started at boot before what he uses is mounted. */
import { unitName } from '../../../src/facts/units.ts';
import { fromByteString, showName, toByteString } from '../../../src/names.ts';
import type { FileEdit } from '../../../src/steps/file-edits.ts';
import { type BootFound, type Part, quote, quoteLine, type Sought } from '../data.ts';
import type { BootFacts } from '../facts.ts';
import { type BootLine, isLate } from '../lines-of-fstab.ts';
import { disksBelow, isOnNetwork } from '../network/index.ts';
import { isStartedAfter, type User, usersOf } from './users.ts';

export const ordering: Part = {
  codes: {
    'service-before-storage': '{subject}: this service uses {path} and does not wait for {mount}, which is mounted {why}',
    'guest-before-storage':
      '{subject}: this guest starts at boot from {path}, and {unit} does not wait for {mount}, which is mounted {why}',
  },
  byHand: {},
  seek,
};

function seek(facts: BootFacts): Sought {
  const { order, lines, users, guests } = facts;
  const late = lines.lines.filter(isLate);
  const findings: BootFound[] = [];
  const unjudged: NonNullable<Sought['unjudged']> = [];
  if (order?.state === 'unknown') {
    unjudged.push({ subject: { kind: 'service', name: 'systemd' }, why: order.why });
  }
  if (late.length > 0 && users.why !== undefined) {
    unjudged.push({ subject: { kind: 'processes', name: '/proc' }, why: users.why });
  }
  unjudged.push(...guests.unjudged);
  const told = new Set<string>();
  for (const line of late) {
    for (const user of usersOf(line.point, facts)) {
      const mount = unitName(line.line.target, 'mount');
      // Above a mount that is waited for, another one may be that is not: each is told once.
      if (isStartedAfter(user, mount, facts) === false && !told.has(`${showName(user.name)} ${mount}`)) {
        told.add(`${showName(user.name)} ${mount}`);
        findings.push(early(line, user, mount, facts));
      }
    }
  }
  return { examined: late.length, findings, unjudged };
}

function early(line: BootLine, user: User, mount: string, facts: BootFacts): BootFound {
  const isAway = line.isNetwork || (line.device?.state === 'there' && disksBelow(line.device.device, facts).some(isOnNetwork));
  const { order } = facts;
  const unit = user.unit?.id ?? '';
  return {
    code: user.kind === 'guest' ? 'guest-before-storage' : 'service-before-storage',
    // A disk of this host is there before most services are; what comes over the network is not.
    severity: isAway ? 'warning' : 'info',
    subject: { kind: user.kind, name: user.name, key: mount },
    data: {
      file: dropIn(unit, mount),
      line: null,
      edit: editOrder(user, unit, mount, toByteString(line.line.target)),
      path: showName(fromByteString(user.path)),
      mount: showName(line.line.target),
      unit,
      why: isAway ? 'once the network is up' : 'without that anybody waits for it (nofail)',
    },
    confidence: 'medium',
    evidence: [
      user.evidence,
      quoteLine(facts.lines.seen, line.line),
      ...(order?.state === 'known' ? [quote(order.seen, `${unit}: nothing that it is started after waits for ${mount}`)] : []),
    ],
  };
}

/** One for each mount: a service may use several. */
function dropIn(unit: string, mount: string): string {
  return `/etc/systemd/system/${unit}.d/50-stdoctor-${mount}.conf`;
}

/** What starts guests comes up without its storage too, as it did; a service that uses it does not. Which file is open changes. */
function editOrder({ kind }: User, unit: string, mount: string, target: string): FileEdit {
  const lines = kind === 'guest' ? [`Wants=${mount}`, `After=${mount}`] : [`RequiresMountsFor=${asWord(target)}`];
  return { kind: 'create', path: dropIn(unit, mount), content: `[Unit]\n${lines.join('\n')}\n` };
}

/** As systemd.syntax(7) reads it. One character a byte. */
function asWord(path: string): string {
  const word = path.replaceAll('%', '%%');
  const escaped = word.replace(/[^\w@%+=:,./ \x80-\xff-]/g, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`);
  return escaped === word && !word.includes(' ') ? word : `"${escaped}"`;
}
