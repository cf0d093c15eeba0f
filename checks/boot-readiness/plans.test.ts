import { describe, expect, it } from 'vitest';
import type { Action } from '../../src/check/types.ts';
import { actionText } from '../../src/check/wording.ts';
import { sha256Of } from '../../src/facts/config-file.ts';
import { showName, toByteString } from '../../src/names.ts';
import { type BootHost, type FakeDevice, judgeBoot } from '../../test/fake-boot.ts';
import { said } from '../../test/fake-target.ts';
import { check } from './index.ts';

const DATA: FakeDevice[] = [
  { name: 'sdb', number: '8:16', type: 'disk', transport: 'sata' },
  { name: 'sdb1', number: '8:17', type: 'part', signature: 'ext4', uuid: 'bbbb-data', on: ['sdb'] },
];
const ROOT_LINE = 'UUID=aaaa-root / ext4 errors=remount-ro 0 1';
const FSTAB = `# static\t\n\n${ROOT_LINE}\n  /dev/sdb1\t/srv \text4\tdefaults,noatime  0 2 \r\n# tail caf\xe9`;
const RELOAD = 'systemctl daemon-reload';

/** What a file that may be edited holds. */
const HELD = (path: string, text: string): [string, ReturnType<typeof said>] => [
  `find -P ${path} -maxdepth 0 -printf %y %s`,
  said(`f ${text.length}\0${text}`),
];

async function plansOf(host: BootHost) {
  const { findings } = await judgeBoot(check, host);
  return findings.map(({ finding, plan }) => {
    const steps = plan === null || 'refused' in plan ? [] : plan.steps;
    return {
      finding,
      plan,
      refused: plan !== null && 'refused' in plan ? plan.refused : undefined,
      steps,
      texts: steps.map(({ action }) => (action.kind === 'run' ? actionText(action) : action.kind)),
      edit: steps.map(({ action }) => action).find((action) => action.kind === 'edit') as Extract<Action, { kind: 'edit' }>,
    };
  });
}

/** What comes of the file. */
function applied(before: string, edit: Extract<Action, { kind: 'edit' }>): string {
  let [after, at] = ['', 0];
  for (const change of 'changes' in edit.content ? edit.content.changes : []) {
    after += before.slice(at, change.at) + toByteString(change.insert);
    at = change.at + change.remove;
  }
  return after + before.slice(at);
}

describe('the plan of an edit', () => {
  it('shows the difference, changes nothing else, and lets systemd read it, on the way back too', async () => {
    const [found, ...more] = await plansOf({ fstab: FSTAB, devices: DATA });
    expect(more).toEqual([]);
    expect(found).toMatchObject({ finding: { code: 'name-unstable', subject: { kind: 'mount', name: '/srv' } } });
    expect(found?.texts).toEqual([RELOAD, 'edit', RELOAD]);
    expect(found?.steps.map(({ risk }) => risk)).toEqual(['safe', 'safe', 'safe']);
    expect(found?.edit).toMatchObject({
      path: '/etc/fstab',
      verify: ['findmnt', '--nocanonicalize', '--mountpoint', '/srv', '--tab-file'],
    });
    expect(found?.edit.diff.map(showName)).toEqual([
      '@@ -1,5 +1,5 @@',
      ' # static\\t',
      ' ',
      ` ${ROOT_LINE}`,
      '-  /dev/sdb1\\t/srv \\text4\\tdefaults,noatime  0 2 \\r',
      '+  UUID=bbbb-data\\t/srv \\text4\\tdefaults,noatime  0 2 \\r',
      ' # tail caf\\xe9',
      '\\ No newline at end of file',
    ]);
    expect(applied(FSTAB, found?.edit as never)).toBe(FSTAB.replace('/dev/sdb1', 'UUID=bbbb-data'));
    expect(found?.steps.map(({ undo }) => ('none' in undo ? undo.none : undo.action.kind))).toEqual(['run', 'edit', 'run']);
  });

  it('rests on all of the file, other lines too', async () => {
    const changed = FSTAB.replace('static', 'dynamic');
    for (const text of [FSTAB, changed]) {
      const [found] = await plansOf({ fstab: text, devices: DATA });
      expect(found?.steps[1]?.guards).toContainEqual({ is: 'file-holds', args: { path: '/etc/fstab', sha256: sha256Of(text) } });
    }
    const [read] = await plansOf({ fstab: FSTAB, devices: DATA, instead: [HELD('/etc/fstab', changed.replace('/dev/sdb1', '/dev/sdc1'))] });
    expect(read?.refused).toMatch(/does not hold what was found/);
  });

  it('keeps secrets in the file, and shows none', async () => {
    const text = `${ROOT_LINE}\n//nas/c /srv cifs nofial,password=g3h31m,uid=1 0 0\nnas:/x /x nfs secret=v3r7r4u7 0 0\n`;
    const [found] = await plansOf({ fstab: text });
    expect(found?.finding.code).toBe('line-misread');
    expect(JSON.stringify(found)).not.toMatch(/g3h31m|v3r7r4u7/);
    expect(applied(text, found?.edit as never)).toBe(text.replace('nofial,password=g3h31m,uid=1', 'password=g3h31m,uid=1,nofail'));
  });

  it('repairs two faults of one line together, and leaves other lines alone', async () => {
    const devices = DATA.map((each) => (each.name === 'sdb' ? { ...each, transport: 'iscsi' } : each));
    const text = `${ROOT_LINE}\n/dev/sdb1 /srv ext4 defaults 0 2\n/dev/sdb1 /other ext4 _netdev 0 0\n`;
    const found = await plansOf({ fstab: text, devices });
    expect(found.map(({ finding, edit }) => [finding.code, finding.subject.name, applied(text, edit)])).toEqual([
      ['netdev-missing', '/srv', text.replace('/dev/sdb1 /srv ext4 defaults', 'UUID=bbbb-data /srv ext4 defaults,_netdev')],
      ['name-unstable', '/srv', text.replace('/dev/sdb1 /srv ext4 defaults', 'UUID=bbbb-data /srv ext4 defaults,_netdev')],
      ['name-unstable', '/other', text.replace('/dev/sdb1 /other', 'UUID=bbbb-data /other')],
    ]);
  });

  it('is none where the file cannot be replaced or read', async () => {
    const [fixed] = await plansOf({ fstab: FSTAB, devices: DATA, attributes: '----i---------e-------' });
    expect(fixed?.refused).toBe('/etc/fstab is immutable (chattr +i)');
    const [unread] = await plansOf({
      fstab: FSTAB,
      devices: DATA,
      instead: [['find -P /etc/fstab -maxdepth 0 -printf %y %s', said('', 1)]],
    });
    expect(unread?.refused).toMatch(/^\/etc\/fstab: exit code 1; by hand: in line 4 of \/etc\/fstab write UUID=bbbb-data as field 1$/);
  });

  it('asks nothing about files where nothing would be edited', async () => {
    const { asked } = await judgeBoot(check, {});
    expect(asked.filter((probe) => probe.kind === 'run' && probe.argv[0] === 'lsattr')).toEqual([]);
  });

  it('is the edit alone without systemd', async () => {
    expect(await plansOf({ fstab: FSTAB, devices: DATA, systemd: false })).toMatchObject([{ texts: ['edit'] }]);
  });

  it('is left to a person where it is only good to know', async () => {
    const [found] = await plansOf({ devices: DATA, mounts: '48 21 8:17 / /srv rw,relatime - ext4 /dev/sdb1 rw\n' });
    expect(found).toMatchObject({
      finding: { code: 'line-missing', severity: 'info' },
      refused: 'by hand: add to /etc/fstab: UUID=bbbb-data /srv ext4 nofail 0 2',
    });
  });

  it('of /etc/crypttab changes its field', async () => {
    const devices: FakeDevice[] = [
      { name: 'sdb', number: '8:16', type: 'disk' },
      { name: 'sdc', number: '8:32', type: 'disk', signature: 'crypto_LUKS', uuid: 'luks' },
    ];
    const crypttab = '# vaults\nvault\t/dev/sdc  none\tluks\n';
    const [found] = await plansOf({ devices, crypttab });
    expect(found?.edit).toMatchObject({ path: '/etc/crypttab' });
    expect(found?.edit.verify).toBeUndefined();
    expect(applied(crypttab, found?.edit as never)).toBe(crypttab.replace('/dev/sdc', 'UUID=luks'));
  });

  it('adds a line at the end, and findmnt has to find it', async () => {
    const mounts = '48 21 8:17 / /srv/a\\040b rw,noatime - ext4 /dev/sdb1 rw\n';
    const [found] = await plansOf({ devices: DATA, mounts, exports: '"/srv/a b" *(rw)\n' });
    expect(found?.edit.diff.map(showName).filter((line) => /^[-+]/.test(line))).toEqual([
      '+UUID=bbbb-data /srv/a\\040b ext4 noatime,nofail 0 2',
    ]);
    expect(found?.edit.verify?.map(showName)).toContain('/srv/a b');
  });
});

describe('the plan of a drop-in', () => {
  const host: BootHost = {
    fstab: `${ROOT_LINE}\nnas:/srv /srv nfs defaults 0 0\n`,
    mounts: '50 21 0:51 / /srv rw - nfs4 nas:/srv rw\n',
    open: [[7, '/srv/x', 'app.service']],
    services: { 'app.service': {} },
  };
  const directory = '/etc/systemd/system/app.service.d';

  it('makes its directory where that is not there, and takes it back', async () => {
    const [found] = await plansOf(host);
    expect(found?.texts).toEqual([`mkdir -m 755 -- ${directory}`, RELOAD, 'edit', RELOAD]);
    expect(found?.steps[0]).toMatchObject({
      guards: [{ is: 'path-is', args: { path: directory, type: 'absent' } }],
      proof: [{ is: 'empty-directory' }],
      undo: { action: { argv: ['rmdir', '--', directory] } },
    });
    expect(found?.edit).toMatchObject({ path: `${directory}/50-stdoctor-srv.mount.conf`, was: null });
    expect(found?.edit.diff.map(showName)).toEqual(['@@ -0,0 +1,2 @@', '+[Unit]', '+RequiresMountsFor=/srv']);
  });

  it('does not where it is', async () => {
    expect(await plansOf({ ...host, files: [directory] })).toMatchObject([{ texts: [RELOAD, 'edit', RELOAD] }]);
  });

  it('is none where there is a file of its name', async () => {
    const held = [HELD(`${directory}/50-stdoctor-srv.mount.conf`, 'x')];
    expect(await plansOf({ ...host, files: [directory], instead: held })).toMatchObject([
      { refused: expect.stringMatching(/does not hold what was found/) },
    ]);
  });
});

it("a guest's definition is edited by virsh alone", async () => {
  const xml = `<domain><name>web</name><devices><disk type='block'><source dev='/dev/sdb1'/><target dev='vda'/></disk></devices></domain>`;
  const devices = DATA.map((each) => (each.name === 'sdb1' ? { ...each, links: ['disk/by-id/ata-B-part1'] } : each));
  expect(await plansOf({ devices, libvirt: { 'qemu/web.xml': xml } })).toMatchObject([
    { refused: expect.stringMatching(/^by hand: .*by virsh edit$/) },
  ]);
});
