import { describe, expect, it } from 'vitest';
import type { Step } from '../../src/check/types.ts';
import type { Looked } from '../../src/facts/look.ts';
import { type Mount, parseMountinfo, visibleMounts } from '../../src/facts/mountinfo.ts';
import type { Unit } from '../../src/facts/units.ts';
import type { Wanted } from './configured/facts.ts';
import type { ZombieFacts } from './facts.ts';
import { mountAsConfigured, mountOptions } from './steps.ts';

const SEEN = { source: 'somewhere', at: '2026-11-03T09:00:00.000Z' };
const ROOT = '1 0 254:0 / / rw - ext4 /dev/vda rw';
const UNIT = { id: 'm.mount', loadState: 'loaded', needsReload: false } as Unit;
const COVERED: Looked = { state: 'found', type: 'd', size: 1, inode: 1, device: 1, links: 1, empty: true, seen: SEEN };

interface Host {
  lines?: string[];
  wanted?: Partial<Wanted>;
  units?: 'no-systemd' | 'known' | 'unknown';
  covered?: Looked;
  mayMount?: boolean;
}

/** The last line is the mount that goes. */
function remount({ lines = ['40 1 0:50 / /m rw - fuse.sshfs nas:/x rw'], wanted, units = 'no-systemd', covered, mayMount = true }: Host) {
  const mounts = parseMountinfo([ROOT, ...lines].map((line) => `${line}\n`).join(''));
  const mount = mounts.at(-1) as Mount;
  const all = { target: '/m', source: 'nas:/x', fstype: 'fuse.sshfs', options: [], line: undefined, unit: undefined, byAutomount: false };
  return mountAsConfigured(mount, {
    table: { seen: SEEN, mounts, visible: visibleMounts(mounts) },
    configured: { mounted: [{ ...all, ...wanted }], units: { state: units } },
    covered: { looked: new Map(covered === undefined ? [] : [[mount.id, covered]]), needsRoot: false },
    self: { mayMount },
  } as unknown as ZombieFacts);
}

const commandOf = ([step]: Step[]) => (step?.action.kind === 'run' ? step.action.argv.join(' ') : undefined);

describe('mountAsConfigured', () => {
  it('mounts by the path in /etc/fstab, safely, where the bare directory shows by then', () => {
    const steps = remount({ wanted: { line: { target: '/link/m' } as Wanted['line'] }, covered: COVERED });
    expect(commandOf(steps)).toBe('mount /link/m');
    const free = {
      is: 'path-on',
      args: { path: '/m', on: { point: '/', fstype: 'ext4', source: '/dev/vda', root: '/', device: '254:0' }, layers: 0 },
    };
    expect(steps).toMatchObject([
      {
        risk: 'safe',
        guards: [free, { is: 'empty-directory', args: { path: '/m' } }],
        proof: [{ is: 'mount-answers', args: { point: '/m' } }],
        undo: { action: { argv: ['umount', '-c', '/m'] }, proof: [free] },
      },
    ]);
  });

  it('restarts the unit of systemd, which may interrupt who requires it', () => {
    const steps = remount({ wanted: { unit: UNIT }, units: 'known' });
    expect(commandOf(steps)).toBe('systemctl restart m.mount');
    expect(steps).toMatchObject([
      { risk: 'disruptive', proof: [{ is: 'mount-answers' }, { is: 'unit-is', args: { unit: 'm.mount', states: ['active'] } }] },
    ]);
  });

  it.each([
    ['another type of FUSE by its helper', 'fuse.rclone remote:', 'rclone'],
    ['the old way of writing it', 'fuse.sshfs nas:/x', 'fuse'],
    ['ntfs-3g', 'fuseblk /dev/sdb1', 'ntfs-3g'],
    ['a disk', 'xfs /dev/sdb1', 'xfs'],
    ['whatever it is', 'ext4 /dev/sdb1', 'auto'],
    ['NFS of any version', 'nfs4 nas:/x', 'nfs'],
  ])('knows %s', (_, mounted, fstype) => {
    expect(commandOf(remount({ lines: [`40 1 0:50 / /m rw - ${mounted} rw`], wanted: { fstype } }))).toBe('mount /m');
  });

  it.each<[string, Host]>([
    ['not wanted', { wanted: { target: '/n' } }],
    ['of another type', { wanted: { fstype: 'ext4' } }],
    ['a bind', { wanted: { options: ['bind'] } }],
    ['mounted on the first access', { wanted: { byAutomount: true } }],
    ['on an autofs', { lines: ['39 1 0:49 / /m rw - autofs systemd-1 rw', '40 39 0:50 / /m rw - fuse.sshfs nas:/x rw'] }],
    ['below an indirect autofs', { lines: ['39 1 0:49 / /auto rw - autofs map rw', '40 39 0:50 / /m rw - fuse.sshfs nas:/x rw'] }],
    ['over another mount', { lines: ['39 1 8:1 / /m rw - ext4 /dev/sda1 rw', '40 39 0:50 / /m rw - fuse.sshfs nas:/x rw'] }],
    ['over files', { covered: { ...COVERED, empty: false } }],
    ['for somebody who may not mount', { mayMount: false }],
    ['unknown to systemd', { units: 'known' }],
    ['changed since systemd read it', { units: 'known', wanted: { unit: { ...UNIT, needsReload: true } } }],
    ['of a unit that cannot be used', { units: 'known', wanted: { unit: { ...UNIT, loadState: 'error' } } }],
    ['with a systemd that does not tell', { units: 'unknown', wanted: { unit: UNIT } }],
  ])('leaves away what is %s', (_, host) => {
    expect(remount(host)).toEqual([]);
  });
});

describe('mountOptions', () => {
  it('leaves out what the kernel alone says, and the addresses of NFS', () => {
    const [nfs, other] = parseMountinfo(
      '40 1 0:50 / /m rw,noatime - nfs4 nas:/x rw,vers=4.2,clientaddr=10.0.0.1,addr=10.0.0.2\n41 1 0:51 / /n ro - cifs //nas/x rw,addr=10.0.0.2\n',
    );
    expect(mountOptions(nfs as Mount)).toBe('rw,noatime,vers=4.2');
    expect(mountOptions(other as Mount)).toBe('ro,addr=10.0.0.2');
  });
});
