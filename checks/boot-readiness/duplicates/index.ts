/** Two devices that answer to one name, and two lines for one place. */

import type { Tag } from '../../../src/facts/device-tags.ts';
import { fromByteString, showName, toByteString } from '../../../src/names.ts';
import { type BootFound, CRYPTTAB, editSource, FSTAB, type Part, quote, quoteLine, type Sought } from '../data.ts';
import type { BootFacts } from '../facts.ts';
import { type BootLine, targetOf } from '../lines-of-fstab.ts';
import { carriersOf, stableNode } from '../names/devices.ts';

export const duplicates: Part = {
  codes: {
    'tag-twice': '{subject}: {count} devices answer to this name, which {where} uses: {devices}; the next boot takes either',
    'line-twice': '{subject}: lines {line} and {other} of /etc/fstab both mount something here, and systemd takes only the first',
  },
  byHand: {
    'tag-twice': 'give one of them another UUID or label (xfs_admin -U generate, tune2fs -U random, swaplabel), or detach the copy',
    'line-twice': 'which of the two is meant only a person can say',
  },
  seek,
};

function seek(facts: BootFacts): Sought {
  const { tags, stack } = facts;
  const named = tagsInUse(facts);
  const why = tags.why ?? stack.why;
  if (why !== undefined) {
    const unjudged =
      named.size === 0 ? [] : [{ subject: { kind: 'directory', name: '/dev/disk' }, why: `whether two devices have one name: ${why}` }];
    return { findings: twice(facts), unjudged };
  }
  const findings = [...named].flatMap(([name, users]): BootFound[] => {
    const [tag = '', value = ''] = split(name);
    const carriers = carriersOf(tag as Tag, value, facts);
    if (carriers.length < 2) {
      return [];
    }
    const line = users.find((user) => user.boot !== undefined);
    const mounted = carriers.find(({ device }) => device === line?.boot?.mounted?.device);
    const wanted = mounted === undefined ? undefined : stableNode(mounted.device, facts);
    return [
      {
        code: 'tag-twice',
        severity: 'warning',
        subject: { kind: 'tag', name: fromByteString(name) },
        data: {
          file: users[0]?.file ?? null,
          line: users[0]?.number ?? null,
          edit: line?.boot === undefined ? null : editSource(line.boot, wanted),
          count: carriers.length,
          where: users.map(({ file, number }) => `line ${number} of ${file}`).join(' and '),
          devices: carriers.map(({ node }) => node).join(', '),
        },
        confidence: 'high',
        evidence: [
          ...users.map(({ seen, number, text }) => quoteLine(seen, { number, text })),
          ...carriers.map((each) => quote(tags.seen, each.line)),
        ],
      },
    ];
  });
  return { examined: named.size, findings: [...findings, ...twice(facts)] };
}

interface User {
  file: string;
  seen: BootFacts['lines']['seen'];
  number: number;
  text: string;
  boot: BootLine | undefined;
}

/** By tag, spelled as udev has it. */
function tagsInUse({ lines, crypt }: BootFacts): Map<string, User[]> {
  const users = new Map<string, User[]>();
  const add = (source: string, user: User) => {
    const [tag, value] = split(source);
    if (tag !== undefined && value !== undefined) {
      const key = `${tag}=${value}`;
      users.set(key, [...(users.get(key) ?? []), user]);
    }
  };
  for (const boot of lines.lines.filter(({ device, isWanted }) => device !== undefined && isWanted)) {
    add(toByteString(boot.line.source), { file: FSTAB, seen: lines.seen, number: boot.line.number, text: boot.line.text, boot });
  }
  for (const { source, number, text, options } of crypt.lines) {
    if (!options.includes('noauto')) {
      add(toByteString(source), { file: CRYPTTAB, seen: crypt.seen, number, text, boot: undefined });
    }
  }
  return users;
}

function split(source: string): [tag: string | undefined, value: string | undefined] {
  const byTag = /^(UUID|LABEL|PARTUUID|PARTLABEL)=(.+)$/s.exec(source);
  const byLink = /^\/dev\/disk\/by-(uuid|label|partuuid|partlabel)\/(.+)$/s.exec(source);
  return [byTag?.[1] ?? byLink?.[1]?.toUpperCase(), byTag?.[2] ?? byLink?.[2]];
}

/** systemd's generator makes one unit for each place, and reports the second line to the journal alone. */
function twice({ lines }: BootFacts): BootFound[] {
  const first = new Map<string, BootLine>();
  return lines.lines.flatMap((line): BootFound[] => {
    if (line.use === 'swap' || !(line.isWanted || line.isSecond)) {
      return [];
    }
    const earlier = first.get(line.point);
    if (earlier === undefined) {
      first.set(line.point, line);
      return [];
    }
    const { number, text, source } = line.line;
    const isSame = toByteString(source) === toByteString(earlier.line.source);
    return [
      {
        code: 'line-twice',
        severity: isSame ? 'info' : 'warning',
        subject: { ...targetOf(line), key: `line ${showName(source)}` },
        data: {
          file: FSTAB,
          line: earlier.line.number,
          edit: isSame ? { kind: 'comment-out', path: FSTAB, line: number, text } : null,
          other: number,
        },
        confidence: 'high',
        evidence: [quoteLine(lines.seen, earlier.line), quoteLine(lines.seen, line.line)],
      },
    ];
  });
}
