import { runtimeOf } from '../../../src/facts/mount-kinds.ts';
import { type Mount, rootBeforeDeletion } from '../../../src/facts/mountinfo.ts';
import { dataOf, lineOf, type MountFound, quote, type Sought, subjectOf } from '../data.ts';
import type { ZombieFacts } from '../facts.ts';
import { deletedBinds } from './facts.ts';

export type BindFound = MountFound<'bind-source-deleted'>;

export function seekDeletedBinds(facts: ZombieFacts): Sought {
  return { findings: deletedBinds(facts.table).map((mount) => bindSourceDeleted(mount, facts)) };
}

function bindSourceDeleted(mount: Mount, facts: ZombieFacts): BindFound {
  const runtime = runtimeOf(mount.point);
  const looked = facts.bindSources.get(mount.id)?.mount;
  const isFile = looked?.state === 'found' && looked.type !== 'd';
  const shows = isFile ? 'the mount still serves the old content' : 'the directory is empty for ever, and nothing can be created in it';
  return {
    code: 'bind-source-deleted',
    severity: runtime !== undefined ? 'info' : isFile ? 'warning' : 'critical',
    subject: subjectOf(mount),
    data: dataOf(mount, facts, { backing: rootBeforeDeletion(mount) }),
    confidence: 'certain',
    evidence: [
      lineOf(mount, facts),
      ...(looked?.state === 'found' ? [quote(looked.seen, `${looked.links} links left to it: ${shows}`)] : []),
    ],
  };
}
