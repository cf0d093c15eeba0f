import { chmodSync, linkSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { scratch } from '../../test/scratch.ts';
import { NOT_AS_IT_WAS, temporaryOf } from '../check/edit.ts';
import type { Acted, Edit, ResolvedAction } from '../check/types.ts';
import { sha256Of } from '../facts/config-file.ts';
import { resolveAction } from '../journal/references.ts';
import { fromByteString, type Name, toBytes } from '../names.ts';
import { editFile } from '../steps/editing.ts';
import { LocalTarget } from './local.ts';

/** A file that is edited, in a directory where nothing else lies. */
function file(before: string | undefined, after: string, { name = 'fstab', verify }: { name?: string; verify?: readonly Name[] } = {}) {
  const [directory, rescue] = [scratch(), scratch()];
  const path = fromByteString(`${directory}/${name}`);
  if (before !== undefined) {
    writeFileSync(toBytes(path), Buffer.from(before, 'latin1'));
  }
  const step = editFile({ path, before, after, title: '', why: '', ...(verify !== undefined && { verify }) });
  const { undo } = step;
  const resolved = (action: Parameters<typeof resolveAction>[0]) => resolveAction(action, { rescue }) as Edit<Name>;
  const log = join(rescue, 'log');
  return {
    path: toBytes(path),
    directory,
    rescue,
    edit: resolved(step.action),
    back: 'none' in undo ? undefined : resolved(undo.action),
    act: async (action: ResolvedAction): Promise<Acted & { said: string }> => {
      writeFileSync(log, '');
      const acted = await new LocalTarget(undefined).act(action, log, () => {});
      return { ...acted, said: readFileSync(log, 'latin1').trim() };
    },
    holds: () => readFileSync(toBytes(path), 'latin1'),
    left: () => readdirSync(directory, 'latin1'),
    copies: () => readdirSync(rescue).filter((each) => each !== 'log'),
  };
}

const DONE = { ok: true, code: 0, said: '' };

describe('an edit', () => {
  it('replaces the content, keeps the mode and a copy, and goes back', async () => {
    const { path, edit, back, act, holds, left, rescue, copies } = file('a\nsick\nb\n', 'a\nwell\nb\n');
    chmodSync(path, 0o640);
    const { ino } = statSync(path);
    expect(await act(edit)).toEqual(DONE);
    expect([holds(), statSync(path).mode & 0o7777, statSync(path).ino === ino, left()]).toEqual(['a\nwell\nb\n', 0o640, false, ['fstab']]);
    expect(readFileSync(join(rescue, copies()[0] as string), 'utf8')).toBe('a\nsick\nb\n');
    expect(await act(back as Edit<Name>)).toEqual(DONE);
    expect([holds(), statSync(path).mode & 0o7777, left()]).toEqual(['a\nsick\nb\n', 0o640, ['fstab']]);
  });

  it.each([
    ['every byte', Array.from({ length: 256 }, (_, code) => String.fromCharCode(code)).join(''), `x\0y\\c%s\\0101'"$(id)\n\xff`],
    ['nothing at first', '', 'all of it\n'],
    ['nothing in the end', 'all of it\n', ''],
    ['no newline at the end', 'a', 'a\nb'],
    ['more than one argument holds', 'a\n', '\\\xff\n'.repeat(40_000)],
  ])('of %s', async (_what, before, after) => {
    const { edit, back, act, holds } = file(before, after);
    expect(await act(edit)).toEqual(DONE);
    expect(holds()).toBe(after);
    expect(await act(back as Edit<Name>)).toEqual(DONE);
    expect(holds()).toBe(before);
  });

  it.each(['-rf', "a b'c\\n", 'caf\xe9\n', '$(touch x)', '*'])('of a file called %j', async (name) => {
    const { edit, act, holds, left } = file('sick', 'well', { name });
    expect(await act(edit)).toEqual(DONE);
    expect([holds(), left()]).toEqual(['well', [name]]);
  });

  it('makes a file, and removes it again', async () => {
    const { path, edit, back, act, holds, left, copies } = file(undefined, 'new\n');
    expect(await act(edit)).toEqual(DONE);
    expect([holds(), statSync(path).mode & 0o7777, statSync(path).nlink, left(), copies()]).toEqual(['new\n', 0o644, 1, ['fstab'], []]);
    expect(await act(edit)).toMatchObject({ code: NOT_AS_IT_WAS });
    expect(await act(back as Edit<Name>)).toEqual(DONE);
    expect(left()).toEqual([]);
  });

  it('changes nothing where the file is another one', async () => {
    const { path, edit, back, act, holds, left, copies } = file('sick\n', 'well\n');
    for (const action of [edit, back as Edit<Name>]) {
      writeFileSync(path, 'somebody else\n');
      expect(await act(action)).toMatchObject({
        ok: false,
        code: NOT_AS_IT_WAS,
        said: expect.stringContaining(`expected ${path} as it was`),
      });
      expect([holds(), left(), copies()]).toEqual(['somebody else\n', ['fstab'], []]);
    }
  });

  it('follows no link, and replaces none', async () => {
    const { directory, edit, act } = file('sick\n', 'well\n');
    const [link, other] = [join(directory, 'link'), join(directory, 'other')];
    symlinkSync('fstab', link);
    expect(await act({ ...edit, path: link })).toMatchObject({ code: NOT_AS_IT_WAS });
    writeFileSync(other, 'precious\n');
    symlinkSync(other, toBytes(temporaryOf(edit)));
    expect(await act(edit)).toEqual(DONE);
    expect(readFileSync(other, 'utf8')).toBe('precious\n');
  });

  it('takes nothing for a copy that is none', async () => {
    const { edit, back, act, holds, left, rescue, copies } = file('sick\n', 'well\n');
    const copy = join(rescue, `${String(edit.keep).split('/').at(-1)}`);
    writeFileSync(copy, 'other\n');
    expect(await act(edit)).toMatchObject({
      code: 1,
      said: `expected ${copy} to be a copy of ${edit.path}, found another content: nothing was changed`,
    });
    expect([holds(), left(), readFileSync(copy, 'utf8')]).toEqual(['sick\n', ['fstab'], 'other\n']);
    writeFileSync(copy, 'sick\n');
    expect(await act(edit)).toEqual(DONE);
    writeFileSync(copy, 'other\n');
    expect(await act(back as Edit<Name>)).toMatchObject({ code: 1, said: expect.stringContaining('is not what was planned') });
    expect([holds(), left(), copies().length]).toEqual(['well\n', ['fstab'], 1]);
  });

  it('puts nothing in its place that its own tool does not accept', async () => {
    const { edit, act, holds, left } = file('sick\n', 'well\n', { verify: ['grep', '-q', 'sick'] });
    expect(await act(edit)).toMatchObject({
      code: 1,
      said: expect.stringMatching(/^grep does not accept the new .*fstab: it was not changed$/),
    });
    expect([holds(), left()]).toEqual(['sick\n', ['fstab']]);
    expect(await act({ ...edit, verify: ['grep', '-q', 'well'] })).toEqual(DONE);
    expect(holds()).toBe('well\n');
  });

  it('changes nothing where what it makes is not what was planned', async () => {
    const { edit, act, holds, left } = file('sick\n', 'well\n');
    expect(await act({ ...edit, becomes: sha256Of('other') })).toMatchObject({ code: 1 });
    expect([holds(), left()]).toEqual(['sick\n', ['fstab']]);
  });

  it('leaves what an older one has left behind', async () => {
    const { edit, act, holds, left } = file('sick\n', 'well\n');
    writeFileSync(toBytes(temporaryOf(edit)), 'half');
    expect(await act(edit)).toEqual(DONE);
    expect([holds(), left()]).toEqual(['well\n', ['fstab']]);
  });

  it('leaves the other names of a file as they are', async () => {
    const { path, directory, edit, act, holds } = file('sick\n', 'well\n');
    linkSync(path, join(directory, 'other'));
    expect(await act(edit)).toEqual(DONE);
    expect([holds(), readFileSync(join(directory, 'other'), 'utf8')]).toEqual(['well\n', 'sick\n']);
  });
});
