import { describe, expect, it } from 'vitest';
import { applyEdit, type FileEdit } from './file-edits.ts';

const FSTAB = [
  '# a comment\twith /dev/sdb1',
  '',
  'UUID=a / ext4 errors=remount-ro 0 1',
  '  /dev/sdb1\t/srv/a\\040b   ext4  defaults,password=x\t0  2  \r',
  '/dev/sdb1 /srv/short xfs',
  '/dev/sdc1 /srv/cut xfs defaults, nofail 0 0',
  '\xff\xfe no line at all',
  '/dev/sdd1 /last xfs noatime',
].join('\n');

function textAfter(edit: Partial<FileEdit>, text = FSTAB): string | undefined {
  const bytes = applyEdit(Buffer.from(text, 'latin1'), { path: '/etc/fstab', ...edit } as FileEdit);
  return bytes === undefined ? undefined : Buffer.from(bytes).toString('latin1');
}

const line = (number: number, text: string) => ({ line: number, text });
const FOURTH = line(4, '/dev/sdb1\t/srv/a\\040b   ext4  defaults,password=********\t0  2');

describe('an edit', () => {
  it.each<[string, Partial<FileEdit>, string, string]>([
    ['replaces one field', { kind: 'field', field: 0, to: 'UUID=b', ...FOURTH }, '  /dev/sdb1', '  UUID=b'],
    ['escapes it', { kind: 'field', field: 0, to: '/dev/disk/by-label/a b', ...FOURTH }, '  /dev/sdb1', '  /dev/disk/by-label/a\\040b'],
    [
      'adds an option, and keeps the secret among the others',
      { kind: 'options', field: 3, filler: '-', add: ['nofail', 'defaults'], remove: [], ...FOURTH },
      'defaults,password=x',
      'defaults,password=x,nofail',
    ],
    [
      'replaces an option',
      { kind: 'options', field: 3, filler: '-', add: ['nofail'], remove: ['defaults'], ...FOURTH },
      'defaults,password=x',
      'password=x,nofail',
    ],
    [
      'adds the options that a line lacks',
      { kind: 'options', field: 3, filler: '-', add: ['_netdev'], remove: [], ...line(5, '/dev/sdb1 /srv/short xfs') },
      '/srv/short xfs',
      '/srv/short xfs _netdev',
    ],
    [
      'joins options that a blank has cut',
      { kind: 'join', field: 3, ...line(6, '/dev/sdc1 /srv/cut xfs defaults, nofail 0 0') },
      'defaults, nofail',
      'defaults,nofail',
    ],
    ['makes a comment of a line', { kind: 'comment-out', ...line(8, '/dev/sdd1 /last xfs noatime') }, '/dev/sdd1', '# /dev/sdd1'],
    ['adds a line at the end', { kind: 'append', content: 'UUID=e /e xfs nofail 0 0' }, 'noatime', 'noatime\nUUID=e /e xfs nofail 0 0\n'],
  ])('%s, and no other byte', (_, edit, from, to) => {
    expect(textAfter(edit)).toBe(FSTAB.replace(from, () => to));
  });

  it.each<[string, Partial<FileEdit>]>([
    ['another line has its number', { kind: 'comment-out', ...line(5, '/dev/sdb1 /srv/other xfs') }],
    ['the file has fewer lines', { kind: 'comment-out', ...line(99, 'x') }],
    ['nothing would change', { kind: 'options', field: 3, filler: '-', add: ['defaults'], remove: [], ...FOURTH }],
    ['the file is there', { kind: 'create', content: 'x' }],
    ['no attribute has that value', { kind: 'attribute', attribute: 'dev', from: '/dev/sdb', to: '/dev/sdc' }],
  ])('is none where %s', (_, edit) => {
    expect(textAfter(edit)).toBeUndefined();
  });

  it('creates a file, appends to none, and changes none that is not there', () => {
    const create: FileEdit = { kind: 'create', path: '/etc/x', content: '[Unit]\n' };
    expect(Buffer.from(applyEdit(undefined, create) ?? []).toString()).toBe('[Unit]\n');
    expect(Buffer.from(applyEdit(undefined, { kind: 'append', path: '/etc/fstab', content: 'a' }) ?? []).toString()).toBe('a\n');
    expect(applyEdit(undefined, { kind: 'comment-out', path: '/etc/fstab', line: 1, text: '' })).toBeUndefined();
  });

  it('replaces the value of an attribute, in either quotes, and of no other value that begins like it', () => {
    const xml = `<source dev='/dev/sdb'/><source dev="/dev/sdb"/><source dev='/dev/sdb1'/><x notdev='/dev/sdb'/>/dev/sdb`;
    const edit: Partial<FileEdit> = { kind: 'attribute', attribute: 'dev', from: '/dev/sdb', to: "/dev/disk/by-id/a&'b" };
    expect(textAfter(edit, xml)).toBe(
      `<source dev='/dev/disk/by-id/a&amp;&apos;b'/><source dev="/dev/disk/by-id/a&amp;&apos;b"/><source dev='/dev/sdb1'/><x notdev='/dev/sdb'/>/dev/sdb`,
    );
  });
});
