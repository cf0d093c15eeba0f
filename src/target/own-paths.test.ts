import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { scratch } from '../../test/scratch.ts';
import { parseMountinfo, visibleMounts } from '../facts/mountinfo.ts';
import { assertAnswers, type OwnTable, riskOnTheWay, safeSearchPath } from './own-paths.ts';

/** A table with these mounts besides the root: `/net nfs4`. */
function tableOf(...mounts: string[]): OwnTable {
  const lines = mounts.map((mount, index) => {
    const [point, fstype] = mount.split(' ');
    return `${index + 2} 1 0:${index + 50} / ${point} rw - ${fstype} src rw\n`;
  });
  const parsed = parseMountinfo(`1 0 8:1 / / rw - ext4 /dev/sda1 rw\n${lines.join('')}`);
  return { mounts: parsed, visible: visibleMounts(parsed) };
}

describe('riskOnTheWay', () => {
  it.each([
    ['/net', '/net'],
    ['/net/', '/net'],
    ['/net/a/b', '/net'],
    ['/net/../etc', '/net'],
    ['/network', undefined],
    ['/', undefined],
    ['/etc/../net/x', '/net'],
    ['/fuse/x', '/fuse'],
    ['/auto/x', '/auto'],
    ['/disk/x', undefined],
  ])('%s: %s', (path, risk) => {
    expect(riskOnTheWay(path, tableOf('/net nfs4', '/fuse fuse.sshfs', '/auto autofs', '/disk xfs'))).toBe(risk);
  });

  it('minds what lies over what', () => {
    expect(riskOnTheWay('/a/b/c', tableOf('/a nfs4', '/a/b xfs'))).toBe('/a');
    const hidden = parseMountinfo('1 0 8:1 / / rw - ext4 a rw\n2 1 0:5 / /a rw - nfs4 b rw\n3 2 8:2 / /a rw - xfs c rw\n');
    expect(riskOnTheWay('/a/b', { mounts: hidden, visible: visibleMounts(hidden) })).toBeUndefined();
  });

  it('follows links, absolute, relative and one after another', () => {
    const root = scratch();
    mkdirSync(join(root, 'net'));
    mkdirSync(join(root, 'sub'));
    symlinkSync(join(root, 'net'), join(root, 'absolute'));
    symlinkSync('../net', join(root, 'sub', 'relative'));
    symlinkSync('sub/relative', join(root, 'twice'));
    symlinkSync('sub', join(root, 'harmless'));
    const table = tableOf(`${root}/net nfs4`);
    expect(riskOnTheWay(join(root, 'absolute', 'x'), table)).toBe(join(root, 'net'));
    expect(riskOnTheWay(join(root, 'sub', 'relative'), table)).toBe(join(root, 'net'));
    expect(riskOnTheWay(join(root, 'twice', 'x', 'y'), table)).toBe(join(root, 'net'));
    expect(riskOnTheWay(join(root, 'harmless', 'x'), table)).toBeUndefined();
    expect(riskOnTheWay(join(root, 'sub', 'absent', 'x'), table)).toBeUndefined();
  });

  it('goes up from where a link leads, not from where it stands', () => {
    const root = scratch();
    mkdirSync(join(root, 'deep', 'er', 'net'), { recursive: true });
    mkdirSync(join(root, 'deep', 'er', 'dir'), { recursive: true });
    symlinkSync('deep/er/dir', join(root, 'link'));
    symlinkSync('link/../net', join(root, 'through'));
    const table = tableOf(`${root}/deep/er/net nfs4`);
    expect(riskOnTheWay(`${root}/link/../net/x`, table)).toBe(join(root, 'deep', 'er', 'net'));
    expect(riskOnTheWay(`${root}/through/x`, table)).toBe(join(root, 'deep', 'er', 'net'));
  });

  it('ends where links go in a circle', () => {
    const root = scratch();
    symlinkSync('b', join(root, 'a'));
    symlinkSync('a', join(root, 'b'));
    symlinkSync('self/x', join(root, 'self'));
    expect(riskOnTheWay(join(root, 'a', 'x'), tableOf())).toBeUndefined();
    expect(riskOnTheWay(join(root, 'self'), tableOf())).toBeUndefined();
  });
});

describe('safeSearchPath', () => {
  it('leaves out what could hang, is relative or stands there twice', () => {
    const table = tableOf('/net nfs4', '/usr/local fuse.x');
    expect(safeSearchPath('/opt/bin:relative::.:/net/bin:/usr/bin:/opt/bin', table)).toBe('/opt/bin:/usr/bin:/usr/sbin:/sbin:/bin');
  });

  it('is the usual one where there is none', () => {
    expect(safeSearchPath(undefined, tableOf())).toBe('/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin');
    expect(safeSearchPath('', tableOf())).toBe('/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin');
  });
});

it('assertAnswers has nothing against local files', async () => {
  const file = join(scratch(), 'x');
  writeFileSync(file, '');
  await expect(assertAnswers(file, 'STD_OUTPUT')).resolves.toBeUndefined();
});
