/** Mounts that somebody made by hand, and what will miss them after a boot. */
import type { Evidence } from '../../../src/check/types.ts';
import { isFuse, isNetwork } from '../../../src/facts/mount-kinds.ts';
import { type Mount, optionList } from '../../../src/facts/mountinfo.ts';
import { isAbsolute, overlayLayers } from '../../../src/facts/overlay.ts';
import { fromByteString, type Name, sameName, showName, toByteString } from '../../../src/names.ts';
import { escaped, type FileEdit } from '../../../src/steps/file-edits.ts';
import { type BootFound, FSTAB, type Part, quote, quoteLine, quoteMount, type Sought } from '../data.ts';
import type { BootFacts } from '../facts.ts';
import { isBind } from '../lines-of-fstab.ts';
import { stableSource } from '../names/devices.ts';
import { isAtOrBelow, type User, usersOf } from '../ordering/users.ts';

export const missingLine: Part = {
  codes: {
    'line-missing': '{subject}: was mounted by hand, and nothing mounts it at the next boot{users}',
  },
  byHand: {
    'line-missing': 'how it would be mounted at boot is not known well enough to write a line',
  },
  seek,
};

interface Dependent {
  /** `the guest web` */
  says: string;
  evidence: Evidence;
}

function seek(facts: BootFacts): Sought {
  const { byHand, exported, users, order } = facts;
  const unjudged: NonNullable<Sought['unjudged']> = [];
  const question = { kind: 'file', name: FSTAB, key: 'missing' };
  if (byHand.why !== undefined) {
    unjudged.push({ subject: question, why: `what was mounted by hand: ${byHand.why}` });
  }
  if (exported?.why !== undefined) {
    unjudged.push({ subject: { kind: 'file', name: '/etc/exports' }, why: exported.why });
  }
  if (byHand.mounts.length > 0 && users.why !== undefined) {
    unjudged.push({ subject: { kind: 'processes', name: '/proc' }, why: users.why });
  }
  const findings = byHand.mounts.flatMap((mount): BootFound[] => {
    const dependents = dependentsOf(mount, facts);
    const isByService = startedBy(mount, facts);
    // What a program serves, and a second view of what is mounted elsewhere, matter only to who depends on it.
    const isStorage =
      (!/^0:/.test(mount.device) || mount.fstype === 'btrfs' || isNetwork(mount)) && !isFuse(mount) && sameName(mount.root, '/');
    if (dependents.length === 0 && (!isStorage || isByService !== undefined)) {
      return [];
    }
    return [
      {
        code: 'line-missing',
        severity: dependents.length > 0 && isByService === undefined && order?.state !== 'unknown' ? 'warning' : 'info',
        subject: { kind: 'mount', name: mount.point },
        data: {
          file: FSTAB,
          line: null,
          edit: editOf(mount, usersOf(toByteString(mount.point), facts), facts),
          users:
            dependents.length === 0
              ? ''
              : `; ${dependents.map(({ says }) => says).join(' and ')} depend${dependents.length > 1 ? '' : 's'} on it`,
        },
        confidence: 'medium',
        evidence: [
          quoteMount(mount, facts),
          quote(facts.lines.seen, `no line for ${showName(mount.point)}`),
          ...dependents.map(({ evidence }) => evidence),
          ...(isByService === undefined ? [] : [isByService]),
        ],
      },
    ];
  });
  return { examined: byHand.mounts.length, findings, unjudged };
}

/** A service whose command mounts it. */
function startedBy({ point }: Mount, { order }: BootFacts): Evidence | undefined {
  if (order?.state !== 'known') {
    return undefined;
  }
  const path = toByteString(point);
  const unit = [...order.units.values()].find(
    ({ execStart }) => /mount/.test(execStart) && execStart.split(/[ ;]+/).some((word) => word.replace(/\/$/, '') === path),
  );
  return unit === undefined ? undefined : quote(order.seen, `${unit.id} mounts it`);
}

function dependentsOf(mount: Mount, facts: BootFacts): Dependent[] {
  const { exported, lines, table } = facts;
  const point = toByteString(mount.point);
  const isOnIt = (path: Name) => isAtOrBelow(toByteString(path), point);
  return [
    ...usersOf(point, facts).map(({ kind, name, evidence }) => ({ says: `the ${kind} ${showName(name)}`, evidence })),
    ...(exported?.exports ?? [])
      .filter(({ path }) => isAtOrBelow(path, point))
      .map((each) => ({
        says: `the export ${showName(fromByteString(each.path))}`,
        evidence: quoteLine(exported?.seen ?? lines.seen, each),
      })),
    ...lines.lines
      .filter(
        ({ line, isWanted }) =>
          isWanted && toByteString(line.source).startsWith('/') && isOnIt(line.source) && isLocalPath(line.options, line.source),
      )
      .map(({ line }) => ({ says: `line ${line.number} of ${FSTAB}`, evidence: quoteLine(lines.seen, line) })),
    ...table.mounts
      .filter(
        (each) =>
          each.fstype === 'overlay' &&
          table.visible.has(each.id) &&
          lines.lines.some(({ point: wanted }) => wanted === toByteString(each.point)) &&
          overlayLayers(each).some((layer) => isAbsolute(layer) && isOnIt(layer.path)),
      )
      .map((each) => ({ says: `the overlay ${showName(each.point)}`, evidence: quoteMount(each, facts) })),
  ];
}

function isLocalPath(options: readonly string[], source: Name): boolean {
  const path = toByteString(source);
  return isBind(options) || (!path.startsWith('//') && !path.startsWith('/dev/'));
}

/** Options of the kernel's own making, or of whoever mounted it, that no line needs. */
const NOT_WRITTEN =
  /^(rw|relatime|seclabel|attr2|inode64|logbufs=.*|logbsize=.*|noquota|stripe=.*|data=ordered|addr=.*|clientaddr=.*|mountaddr=.*|mountvers=.*|mountport=.*|mountproto=.*|local_lock=none|space_cache.*|discard=async|ssd|subvolid=.*)$/;
const NFS = /^nfs4?$/;

/**
 * `nofail`: a line that somebody did not write must not keep the host from coming up. Then nobody waits for it either, but
 * for those who are known to use it.
 */
function editOf(mount: Mount, users: readonly User[], facts: BootFacts): FileEdit | null {
  const { fstype, point, source, device, options, superOptions } = mount;
  const isOnDevice = !/^(0|31):/.test(device) && !/^7:/.test(device) && sameName(mount.root, '/');
  const written = isOnDevice ? stableSource(device, facts) : NFS.test(fstype) ? toByteString(source) : undefined;
  const isReadOnly = optionList(options).includes('ro') || optionList(superOptions).includes('ro');
  if (written === undefined) {
    return null;
  }
  const kept = NFS.test(fstype)
    ? optionList(superOptions).filter((option) => /^(vers|proto|sec|soft|hard|timeo|retrans|nolock)(=|$)/.test(option))
    : optionList(options).filter((option) => !NOT_WRITTEN.test(option) && option !== 'ro');
  const all = [...(isReadOnly ? ['ro'] : []), ...kept, 'nofail', ...(NFS.test(fstype) ? ['_netdev'] : [])];
  all.push(...new Set(users.flatMap(({ unit }) => (unit === undefined ? [] : [`x-systemd.before=${unit.id}`]))));
  const content = [escaped(written), escaped(toByteString(point)), fstype, all.join(','), '0', /^ext/.test(fstype) ? '2' : '0'].join(' ');
  return { kind: 'append', path: FSTAB, content };
}
