import type { Evidence, Found, Severity, Subject } from '../../../src/check/types.ts';
import { isPseudo } from '../../../src/facts/mount-kinds.ts';
import { type Mount, topAt } from '../../../src/facts/mountinfo.ts';
import { type Unit, wasNeverStarted } from '../../../src/facts/units.ts';
import { fromByteString, type Name, sameName, showName, toByteString } from '../../../src/names.ts';
import { lineOf, quote, type Sought } from '../data.ts';
import type { ZombieFacts } from '../facts.ts';
import { describeUnit, type Idle, isBind, type Missing, type UnusedSwap, wantedBy } from './facts.ts';

type ConfiguredCode = 'configured-not-mounted' | 'mount-missed-late-device' | 'unit-failed' | 'automount-target-gone' | 'moved';

interface ConfiguredData {
  /** Mount point, or `none` for swap. */
  target: Name;
  /** `mounted`, `used as swap`: what it is not. */
  use: string;
  source: Name;
  fstype: string;
  /** Number of the line in /etc/fstab, or null. */
  line: number | null;
  unit: string | null;
  /** systemd's word for how the unit ended, or null. */
  result: string | null;
  /** Of its block device; `none` where the source is none. */
  device: 'there' | 'missing' | 'unknown' | 'none';
  /** Where the same file system is mounted instead. */
  elsewhere: Name | null;
}

export type ConfiguredFound = Found<ConfiguredCode, ConfiguredData>;

export function seekConfigured(facts: ZombieFacts): Sought {
  const { fstab, units, mounted, missing, idle, unusedSwaps, unjudged } = facts.configured;
  const sought = {
    examined: mounted.length + missing.length + idle.length + unusedSwaps.length,
    findings: [] as ConfiguredFound[],
    unjudged: [...unjudged],
  };
  if ('why' in fstab) {
    sought.unjudged.push({ subject: { kind: 'file', name: '/etc/fstab' }, why: fstab.why });
  } else {
    for (const { number, text } of fstab.strange) {
      const why = `no line of the known format: ${showName(fromByteString(text)).slice(0, 80)}`;
      sought.unjudged.push({ subject: { kind: 'file', name: '/etc/fstab', key: `line ${number}` }, why });
    }
  }
  if (units.state === 'unknown') {
    sought.unjudged.push({ subject: { kind: 'service', name: 'systemd' }, why: units.why });
  }
  for (const each of missing) {
    const judged = judgeMissing(each, facts);
    if (judged === undefined) {
      continue;
    }
    if ('why' in judged) {
      sought.unjudged.push({ subject: at(each.target), why: judged.why });
    } else {
      sought.findings.push(judged);
    }
  }
  for (const each of idle) {
    if (each.device?.state === 'missing') {
      sought.findings.push(automountTargetGone(each, facts));
    } else if (each.device?.state === 'unknown') {
      sought.unjudged.push({ subject: at(each.target), why: `whether its device is there: ${each.device.why}` });
    }
  }
  for (const each of unusedSwaps) {
    const judged = judgeSwap(each, facts);
    if (judged !== undefined) {
      sought.findings.push(judged);
    }
  }
  const told = new Set(sought.findings.map(({ data }) => toByteString(data.target)));
  const failed = (units.state === 'known' ? units.units : []).filter(
    ({ kind, activeState, where }) => kind !== 'swap' && activeState === 'failed' && where !== undefined && !told.has(toByteString(where)),
  );
  sought.findings.push(...failed.map((unit) => failedUnit(unit, facts)));
  return sought;
}

function at(target: Name): Subject {
  return { kind: 'mount', name: target };
}

function judgeMissing(missing: Missing, facts: ZombieFacts): ConfiguredFound | { why: string } | undefined {
  const { unit, place } = missing;
  if (facts.configured.units.state === 'no-systemd' && !facts.self.seesAllProcesses) {
    return { why: 'it is not mounted, and in a container nothing tells whether anybody mounts what /etc/fstab names' };
  }
  if (place.state === 'not-looked') {
    return { why: place.why };
  }
  if (unit !== undefined && isBusy(unit)) {
    return { why: `systemd is at it just now: ${unit.subState}` };
  }
  if (unit?.activeState === 'active') {
    return { why: 'systemd says it is mounted: it was just now, or this is another mount namespace than its own' };
  }
  const other = sameElsewhere(missing, facts);
  if (unit?.activeState === 'failed') {
    return notMounted('unit-failed', missing, facts, other);
  }
  if (other !== undefined) {
    return notMounted('moved', missing, facts, other);
  }
  const isLate = !missing.byAutomount && unit !== undefined && wasNeverStarted(unit);
  return notMounted(isLate && missing.device?.state === 'there' ? 'mount-missed-late-device' : 'configured-not-mounted', missing, facts);
}

/** A job of it waits or runs: at boot, on behalf of somebody, or in a mount helper that hangs. */
function isBusy({ activeState, hasJob }: Unit): boolean {
  return hasJob || activeState === 'activating' || activeState === 'deactivating';
}

function notMounted(code: ConfiguredCode, missing: Missing, facts: ZombieFacts, other?: Mount): ConfiguredFound {
  const { target, source, options, unit, device, byAutomount } = missing;
  const wanted = wantedBy(missing, facts.configured);
  const systemd = facts.configured.units;
  const gone = device?.state === 'missing';
  return {
    code,
    severity: code === 'moved' ? 'warning' : severityOf(options.includes('nofail') || byAutomount, options.includes('nofail') && gone),
    subject: at(target),
    data: dataOf(missing, other),
    confidence: code === 'unit-failed' ? 'certain' : 'high',
    evidence: [
      quote(wanted.seen, fromLine(wanted.text)),
      quote(facts.table.seen, `no mount at ${showName(target)}`),
      ...(unit !== undefined && systemd.state === 'known' && missing.line !== undefined ? [quote(systemd.seen, describeUnit(unit))] : []),
      ...deviceEvidence(missing),
      ...(other === undefined ? [] : [lineOf(other, facts)]),
    ],
    ...((gone || isOfVolume(code, source)) && { cause: { kind: 'device', name: source } }),
  };
}

/** It was late, and who knows why tells that of the device: a volume, by its path. */
function isOfVolume(code: ConfiguredCode, source: Name): boolean {
  return code === 'mount-missed-late-device' && /^\/dev\/(?!disk\/)[^/]+\/[^/]+$/.test(toByteString(source));
}

/** Without `nofail` the system was meant not to start without it. */
function severityOf(isOptional: boolean, isAway: boolean): Severity {
  return isAway ? 'info' : isOptional ? 'warning' : 'critical';
}

function dataOf({ target, source, fstype, line, unit, device }: Missing, other?: Mount): ConfiguredData {
  return {
    target,
    use: 'mounted',
    source,
    fstype,
    line: line?.number ?? null,
    unit: unit?.id ?? null,
    result: unit?.result ?? null,
    device: device?.state ?? 'none',
    elsewhere: other?.point ?? null,
  };
}

function deviceEvidence({ source, device }: Pick<Missing, 'source' | 'device'>): Evidence[] {
  if (device === undefined || device.state === 'unknown') {
    return [];
  }
  const found = device.state === 'there' ? `is ${showName(device.path)}, block device ${device.device}` : 'is not there';
  return [quote({ ...device.seen, source: 'stat' }, `${showName(source)} ${found}`)];
}

function fromLine(text: string): string {
  return showName(fromByteString(text));
}

/** The same file system at a place that nothing wants. A subvolume or directory of it is another thing. */
function sameElsewhere({ source, fstype, device, options }: Missing, { table, configured }: ZombieFacts): Mount | undefined {
  if (isBind({ options })) {
    return undefined;
  }
  const wanted = new Set([...configured.mounted, ...configured.missing].map(({ target }) => toByteString(target)));
  return table.mounts.find((mount) => {
    if (!table.visible.has(mount.id) || isPseudo(mount) || wanted.has(toByteString(mount.point)) || !sameName(mount.root, '/')) {
      return false;
    }
    return device?.state === 'there'
      ? mount.device === device.device || configured.devices.get(mount.id) === device.device
      : isKind(mount, fstype) && sameName(mount.source, source);
  });
}

/** `nfs` in fstab(5) may be mounted as `nfs4`. */
function isKind(mount: Mount, fstype: string): boolean {
  return mount.fstype === fstype || mount.fstype === `${fstype}4`;
}

function automountTargetGone({ target, source, unit, nofail, device }: Idle, facts: ZombieFacts): ConfiguredFound {
  const systemd = facts.configured.units;
  const autofs = topAt(facts.table, target);
  return {
    code: 'automount-target-gone',
    severity: severityOf(true, nofail),
    subject: at(target),
    data: {
      target,
      use: 'mounted',
      source,
      fstype: unit.fstype,
      line: null,
      unit: unit.id,
      result: unit.result,
      device: 'missing',
      elsewhere: null,
    },
    confidence: 'high',
    evidence: [
      ...(systemd.state === 'known' ? [quote(systemd.seen, describeUnit(unit))] : []),
      ...(autofs === undefined ? [] : [lineOf(autofs, facts)]),
      ...deviceEvidence({ source, device }),
    ],
    cause: { kind: 'device', name: source },
  };
}

/** Where only the line speaks for it, it may have been turned off on purpose. */
function judgeSwap({ line, unit, device }: UnusedSwap, facts: ZombieFacts): ConfiguredFound | undefined {
  const { units } = facts.configured;
  const seesMachine = units.state !== 'no-systemd' || facts.self.seesAllProcesses;
  if (!seesMachine || (unit !== undefined && (unit.activeState === 'active' || isBusy(unit)))) {
    return undefined;
  }
  const { source, target, fstype, options } = line;
  const isLate = unit !== undefined && wasNeverStarted(unit) && device?.state === 'there';
  const isNeeded = (isLate || unit?.activeState === 'failed' || device?.state === 'missing') && !options.includes('nofail');
  return {
    code: unit?.activeState === 'failed' ? 'unit-failed' : isLate ? 'mount-missed-late-device' : 'configured-not-mounted',
    severity: isLate || isNeeded ? 'warning' : 'info',
    subject: { kind: 'swap', name: source },
    data: {
      target,
      use: 'used as swap',
      source,
      fstype,
      line: line.number,
      unit: unit?.id ?? null,
      result: unit?.result ?? null,
      device: device?.state ?? 'none',
      elsewhere: null,
    },
    confidence: 'high',
    evidence: [
      quote(wantedBy({ line, unit }, facts.configured).seen, fromLine(`line ${line.number}: ${line.text}`)),
      quote(facts.swaps.seen, `${showName(source)} is not among them`),
      ...(unit !== undefined && units.state === 'known' ? [quote(units.seen, describeUnit(unit))] : []),
      ...deviceEvidence({ source, device }),
    ],
    ...(device?.state === 'missing' && { cause: { kind: 'device', name: source } }),
  };
}

/** Of a unit that nothing wants, of an automount, or of one whose place is mounted all the same. */
function failedUnit(unit: Unit, facts: ZombieFacts): ConfiguredFound {
  const { units, mounted } = facts.configured;
  const target = unit.where ?? fromByteString('');
  const top = topAt(facts.table, target);
  const isThere = top !== undefined && top.fstype !== 'autofs';
  const isRelic = unit.loadState === 'not-found' || unit.loadState === 'masked';
  const wanted = mounted.find((each) => sameName(each.target, target));
  return {
    code: 'unit-failed',
    severity: isThere || isRelic ? 'info' : 'warning',
    subject: at(target),
    data: {
      target,
      use: 'mounted',
      source: unit.what,
      fstype: unit.fstype,
      line: wanted?.line?.number ?? null,
      unit: unit.id,
      result: unit.result,
      device: 'unknown',
      elsewhere: null,
    },
    confidence: 'certain',
    evidence: [
      ...(units.state === 'known' ? [quote(units.seen, describeUnit(unit))] : []),
      ...(isThere ? [lineOf(top, facts)] : [quote(facts.table.seen, `no mount at ${showName(target)}`)]),
    ],
  };
}
